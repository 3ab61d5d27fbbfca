# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The Kubernetes tools: found in $DRAWBRIDGE_E2E_BIN, else built once from the Go modules pinned in e2e/tools/<name>.
#
#   BIN/etcd  BIN/kwok  BIN/kwokctl  BIN/helm  BIN/podrunner  BIN/cluster-api/{core,bootstrap,control-plane,development,manifests.json}
#   BIN/v1.33.13/{kube-apiserver,kube-controller-manager,kube-scheduler,kubectl,kubelet,...}

TOOLS_BIN=${DRAWBRIDGE_E2E_BIN:-$CACHE/bin}

# tools_version MINOR: v1.33.13 for 1.33, as pinned.
tools_version() {
  local mod=$E2E/tools/kubernetes-$1/go.mod version
  [[ -f $mod ]] || fail "no Kubernetes $1 here; there are: $(cd "$E2E/tools" && echo kubernetes-* | sed 's/kubernetes-//g')"
  version=$(awk '/k8s.io\/kubernetes v/ { for (i = 1; i < NF; i++) if ($i == "k8s.io/kubernetes") print $(i + 1) }' "$mod" | head -n1)
  [[ $version ]] || fail "$mod names no version of k8s.io/kubernetes"
  echo "$version"
}

# tools_module NAME: the directory it is pinned in.
tools_module() { if [[ $1 == kwokctl ]]; then echo kwok; else echo "$1"; fi; }

# tools_key NAME: changes when the tool has to be built again.
tools_key() { find "$E2E/tools/$(tools_module "$1")" -type f ! -name '*_test.go' -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-16; }

# tools_need WHAT...: etcd, kwok, kwokctl, helm, podrunner, cluster-api, or MINOR/NAME (1.33/kube-apiserver). Builds what is missing, each module in one go.
tools_need() {
  local what build=() minor
  local -A minors=()
  for what in "$@"; do
    case $what in
      */*)
        [[ -x $TOOLS_BIN/$(tools_version "${what%%/*}")/${what#*/} ]] || minors[${what%%/*}]+=" ${what#*/}"
        ;;
      *) tools_fresh "$what" || build+=("$what") ;;
    esac
  done
  ((${#build[@]} + ${#minors[@]})) || return 0
  [[ -z ${DRAWBRIDGE_E2E_BIN:-} ]] || tools_need_here "${build[@]}"
  [[ -z ${DRAWBRIDGE_E2E_BIN:-} || ${#minors[@]} -eq 0 ]] || tools_missing "Kubernetes ${!minors[*]} (${minors[*]})"
  install_go
  mkdir -p "$TOOLS_BIN"
  say "building tools once, kept in $TOOLS_BIN"
  for what in "${build[@]}"; do
    [[ $what != cluster-api ]] || tools_need 1.37/kubectl # which its manifests are made with
    with_progress "build $what" -- tools_locked tools_build "$what"
  done
  for minor in "${!minors[@]}"; do
    # shellcheck disable=SC2086 # a list of names
    with_progress "build Kubernetes $(tools_version "$minor"):${minors[$minor]} (minutes, if nothing is cached)" -- \
      tools_locked tools_build_kubernetes "$minor" ${minors[$minor]}
  done
}

# The runner is our own source: where the rest is given, it is still built, into the cache.
tools_need_here() {
  local what
  for what in "$@"; do [[ $what == podrunner ]] || tools_missing "$what"; done
}

tools_missing() {
  fail "DRAWBRIDGE_E2E_BIN=$DRAWBRIDGE_E2E_BIN lacks $*. Put it there (layout: etcd, kwok, v1.33.13/kube-apiserver, ...), or unset" \
    "DRAWBRIDGE_E2E_BIN and everything is built from the Go modules pinned in e2e/tools (needs Go and a Go module proxy)"
}

tools_path() {
  if [[ $1 == podrunner ]]; then echo "$CACHE/bin/podrunner"; else echo "$TOOLS_BIN/$1"; fi
}

# tools_fresh NAME: there, and built from the present pin. What DRAWBRIDGE_E2E_BIN gives is taken as it is.
tools_fresh() {
  local path stamp
  path=$(tools_path "$1")
  stamp=$(dirname "$path")/.$1.key
  [[ -x $path ]] || return 1
  [[ -n ${DRAWBRIDGE_E2E_BIN:-} && $1 != podrunner ]] && return 0
  [[ $(cat "$stamp" 2>/dev/null) == "$(tools_key "$1")" ]]
}

tools_locked() {
  mkdir -p "$CACHE/bin"
  (
    flock 9
    "$@"
  ) 9>"$CACHE/bin/.lock"
}

# tools_go_build ARGUMENT...: nothing of what debuggers read, not even in what is compiled, and more memory before the compiler collects: a fifth less time.
tools_go_build() { CGO_ENABLED=0 GOGC=400 go build -trimpath -gcflags=all=-dwarf=false "$@"; }

tools_build() {
  local name=$1 path package=.
  tools_fresh "$name" && return 0 # somebody else had the lock and built it
  path=$(tools_path "$name")
  [[ $name != kwok* ]] || package=sigs.k8s.io/kwok/cmd/$name
  [[ $name != helm ]] || package=helm.sh/helm/v4/cmd/helm
  [[ $name != dra-example-driver ]] || package=sigs.k8s.io/dra-example-driver/cmd/dra-example-kubeletplugin
  mkdir -p "$(dirname "$path")"
  rm -rf "$path.new"
  cd "$E2E/tools/$(tools_module "$name")" || return
  if [[ -x build ]]; then # several programs, and what goes with them
    export -f tools_go_build
    ./build "$path.new" "$TOOLS_BIN/$(tools_version 1.37)/kubectl" || return
    rm -rf "$path"
  else
    tools_go_build -ldflags '-s -w' -o "$path.new" "$package"
  fi
  mv "$path.new" "$path"
  tools_key "$name" >"$(dirname "$path")/.$name.key"
}

tools_build_kubernetes() {
  local minor=$1 version dir packages=() name
  shift
  version=$(tools_version "$minor")
  dir=$TOOLS_BIN/$version
  for name in "$@"; do [[ -x $dir/$name ]] || packages+=("k8s.io/kubernetes/cmd/$name"); done
  ((${#packages[@]})) || return 0
  mkdir -p "$dir/.new"
  local x=k8s.io/component-base/version
  (tools_enter_kubernetes "$minor" "$dir/.module" && tools_go_build -o "$dir/.new/" \
    -ldflags "-s -w -X $x.gitVersion=$version -X $x.gitMajor=1 -X $x.gitMinor=${minor#1.}" "${packages[@]}")
  mv "$dir/.new"/* "$dir/"
  rm -rf "$dir/.new" "$dir/.module"
}

# tools_enter_kubernetes MINOR DIR: to where it is pinned, with the Go that is named there, if one is; or to a copy in DIR, where a module is made that cannot be had.
tools_enter_kubernetes() {
  local toolchain
  cd "$E2E/tools/kubernetes-$1" || return 1
  toolchain=$(awk '$1 == "toolchain" { print $2 }' go.mod)
  [[ ! $toolchain ]] || export GOTOOLCHAIN=$toolchain
  [[ -x stage ]] || return 0
  rm -rf "$2"
  cp -r . "$2"
  cd "$2" && ./stage
}

# tools_need_cluster MINOR...: what a control plane needs.
tools_need_cluster() {
  local minor list=(etcd podrunner)
  for minor in "$@"; do
    list+=("$minor"/kube-{apiserver,controller-manager,scheduler} "$minor/kubectl")
  done
  tools_need "${list[@]}"
}
