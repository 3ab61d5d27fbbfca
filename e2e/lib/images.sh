# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from common.sh
# Our two images for the cases on real nodes: built from the Dockerfile by buildah or docker, or, where neither is, made of the release build's files.
#
#   images_way                 buildah, docker or files; DRAWBRIDGE_E2E_IMAGES says it instead
#   images_how WAY             that in words
#   images_make DIR            DIR/{agent,operator}.tar, named NODE_REPOSITORY/drawbridge-{agent,operator}:test
#
# No registry is asked: the base image is Debian 12 by debootstrap, made once, and helm is the one of the tests. What an engine has built is kept in
# NODE_CACHE/images by the digest of what it was built from.

IMAGES_STORE=$NODE_CACHE/buildah
IMAGES_FILES=(ca-certificates openssh-client gpgv util-linux) # packages that the files are taken from

images_way() {
  if [[ ${DRAWBRIDGE_E2E_IMAGES:-} ]]; then
    echo "$DRAWBRIDGE_E2E_IMAGES"
  elif command -v buildah >/dev/null; then
    echo buildah
  elif docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then # without buildx it cannot replace a stage
    echo docker
  else
    echo files
  fi
}

images_how() {
  case $1 in
    buildah | docker) echo "built from the Dockerfile by $1" ;;
    files) echo "the Dockerfile's files without its build: neither buildah nor a docker with buildx is here" ;;
    *) fail "DRAWBRIDGE_E2E_IMAGES=$1: there are buildah, docker and files" ;;
  esac
}

images_make() {
  local way
  way=$(images_way)
  if [[ $way == files ]]; then
    images_of_files "$1"
  else
    mkdir -p "$NODE_CACHE/images"
    (flock 8 && images_build "$way" "$1") >"$1/images.txt" 2>&1 8>"$NODE_CACHE/images/.lock" || {
      tail -n 30 "$1/images.txt" >&2
      fail "$way cannot build the Dockerfile"
    }
  fi
}

# --- by an engine -----------------------------------------------------------------------------------------------------------------------

# images_key: changes when the images have to be built again.
images_key() {
  {
    (cd "$ROOT" && find Dockerfile .dockerignore CMakeLists.txt CMakePresets.json crds include operator templates -type f -print0 | sort -z | xargs -0 sha256sum)
    tools_key helm
    declare -f images_base_files
  } | sha256sum | cut -c1-16
}

# images_build ENGINE DIR
images_build() {
  local engine=$1 part kept
  kept=$NODE_CACHE/images/drawbridge-$engine-$(images_key)
  if [[ ! -f $kept/operator.tar ]]; then
    rm -rf "$NODE_CACHE/images/drawbridge-$engine"-* "$kept.new"
    mkdir -p "$kept.new"
    images_base "$engine" || return 1
    for part in agent operator; do "images_$engine" "$part" "$kept.new/$part.tar" || return 1; done
    mv "$kept.new" "$kept"
  fi
  ln -f "$kept"/{agent,operator}.tar "$2/" 2>/dev/null || cp "$kept"/{agent,operator}.tar "$2/"
}

# images_engine ENGINE ARGUMENT...: buildah with a store and with mounts of its own, so that the machine has none of it.
images_engine() {
  if [[ $1 == docker ]]; then docker "${@:2}"; else
    unshare --mount --propagation private buildah --root "$IMAGES_STORE" --runroot /run/drawbridge-buildah "${@:2}"
  fi
}

images_buildah() { # PART ARCHIVE
  local name=$NODE_REPOSITORY/drawbridge-$1:test
  images_engine buildah build --isolation chroot --layers --build-arg "BASE=$NODE_REPOSITORY/debian:12" --build-context "helm=$(images_helm)" \
    --target "$1" --tag "$name" "$ROOT" && images_engine buildah push "$name" "docker-archive:$2:$name"
}

images_docker() { # PART ARCHIVE
  local name=$NODE_REPOSITORY/drawbridge-$1:test
  docker buildx build --load --build-arg "BASE=$NODE_REPOSITORY/debian:12" --build-context "helm=$(images_helm)" --target "$1" --tag "$name" "$ROOT" &&
    docker save --output "$2" "$name"
}

# images_helm: a directory with helm alone, in place of the stage that builds it.
images_helm() {
  local dir=$NODE_CACHE/images/helm
  mkdir -p "$dir"
  cmp -s "$(tools_path helm)" "$dir/helm" || cp "$(tools_path helm)" "$dir/helm"
  echo "$dir"
}

# images_base ENGINE: the base image, if the engine does not have it.
images_base() {
  local dir=$NODE_CACHE/images/base
  if [[ ! -f $dir/debian.tar ]]; then
    install_packages debootstrap
    rm -rf "$dir" && mkdir -p "$dir" && images_base_files "$dir/root" && tar -C "$dir/root" --numeric-owner -cf "$dir/debian.new" . || return 1
    rm -rf "$dir/root" && mv "$dir/debian.new" "$dir/debian.tar"
    printf 'FROM scratch\nADD debian.tar /\nCMD ["bash"]\n' >"$dir/Dockerfile"
  fi
  case $1 in
    buildah)
      # layers of trees that have gone
      [[ ! -d $IMAGES_STORE ]] || (($(du -sm "$IMAGES_STORE" | cut -f1) < 4096)) || rm -rf "$IMAGES_STORE"
      images_engine buildah inspect --type image "$NODE_REPOSITORY/debian:12" >/dev/null 2>&1 ||
        images_engine buildah build --isolation chroot --tag "$NODE_REPOSITORY/debian:12" "$dir"
      ;;
    docker) docker image inspect "$NODE_REPOSITORY/debian:12" >/dev/null 2>&1 || docker import "$dir/debian.tar" "$NODE_REPOSITORY/debian:12" ;;
  esac
}

# images_base_files DIR: Debian 12 as small as debian:12-slim, and, as there, apt and dpkg leave nothing behind that is not needed.
images_base_files() {
  local mirror file
  mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n1)
  debootstrap --variant=minbase bookworm "$1" "${mirror:-http://deb.debian.org/debian}" || return 1
  printf 'path-exclude /usr/share/%s\n' 'doc/*' 'man/*' 'info/*' 'locale/*' 'lintian/*' >"$1/etc/dpkg/dpkg.cfg.d/slim"
  printf 'path-include /usr/share/doc/*/copyright\n' >>"$1/etc/dpkg/dpkg.cfg.d/slim"
  printf 'Dir::Cache::%s "";\n' pkgcache srcpkgcache >"$1/etc/apt/apt.conf.d/slim"
  printf 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };\nAcquire::Languages "none";\n' >>"$1/etc/apt/apt.conf.d/slim"
  rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/* "$1"/var/log/* "$1"/usr/share/{man,info,locale,lintian}/*
  for file in "$1"/usr/share/doc/*; do find "$file" -type f ! -name copyright -delete; done
}

# --- without one ------------------------------------------------------------------------------------------------------------------------

# images_of_files DIR: the release build, what it is linked with and what it runs. DRAWBRIDGE_RELEASE: such a build that is there already.
images_of_files() {
  local from=${DRAWBRIDGE_RELEASE:-$ROOT/build/release/drawbridge} root
  if [[ -z ${DRAWBRIDGE_RELEASE:-} ]]; then
    (cd "$ROOT" && cmake --preset release && cmake --build --preset release --target drawbridge drawbridge-guard drawbridge-git drawbridge-confine) >/dev/null ||
      fail 'the release build fails'
  fi
  from=${from%/*}
  install_packages "${IMAGES_FILES[@]}"
  root=$(mktemp -d)
  images_files "$root" "$from"/drawbridge{,-guard}:/usr/local/bin /usr/bin/nsenter:/usr/bin
  "$E2E/node/image" "$1/agent.tar" "$NODE_REPOSITORY/drawbridge-agent:test" '["/usr/local/bin/drawbridge"]' "$root"
  rm -rf "$root" && mkdir "$root"
  images_files "$root" "$from"/drawbridge{,-git,-confine}:/usr/local/bin "$(tools_path helm)":/usr/local/bin /usr/bin/{ssh,ssh-keygen,gpgv}:/usr/bin
  "$E2E/node/image" "$1/operator.tar" "$NODE_REPOSITORY/drawbridge-operator:test" '["/usr/local/bin/drawbridge"]' "$root"
  rm -rf "$root"
}

# images_files ROOT FILE:DIRECTORY...: these programs, the libraries of each, authorities, and users as the Dockerfile has them.
images_files() {
  local root=$1 what file
  mkdir -p "$root"/{tmp,usr/local/bin,usr/bin,etc/ssl/certs}
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  printf 'root:x:0:0:root:/:/bin/false\n%s\n' "$(sed -n "s/.*'\(drawbridge:x:.*\)'.*/\1/p" "$ROOT/Dockerfile")" >"$root/etc/passwd"
  for what in "${@:2}"; do
    cp -L "${what%:*}" "$root${what##*:}/"
    for file in $(ldd "${what%:*}" 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*'); do
      mkdir -p "$root$(dirname "$file")"
      cp -L "$file" "$root$file"
    done
  done
}
