#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Adds one Kubernetes minor to operator/gates/data/gates.yaml, or reads it again:
#     e2e/tools/gates/update.sh 1.36.3 [1.35.4 ...]
#     e2e/tools/gates/update.sh --check
# A pre-release (1.38.0-beta.0) is in the table as a preview.
# It builds, from the real modules of that release, one small program a component that prints what this component registers
# (about a minute each on two cores when nothing is cached), and merges their output. Then, and with --check alone, it says
# what the newest minor changed, and what is left to do by hand: it fails while something is missing. Needs Go and its module
# proxy; a release that needs a newer Go than is there: GOTOOLCHAIN=go1.27.3 in the environment.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
table=${DRAWBRIDGE_GATES_TABLE:-$root/operator/gates/data/gates.yaml}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/drawbridge/gates

# The version of one sibling module: the release's own, or, where the proxy does not have that, the nearest older patch of the
# same minor (gates and API versions do not change in patches).
sibling() {
    local module=$1 minor=$2 patch=${3%%-*} pre=${3#"${3%%-*}"}
    for ((; patch >= 0; patch--)); do
        if (cd / && go mod download "$module@v0.$minor.$patch$pre") >/dev/null 2>&1; then
            echo "v0.$minor.$patch$pre"
            return
        fi
        echo "update.sh: $module v0.$minor.$patch$pre is not to be had, trying an older patch" >&2
    done
    return 1
}

# A module of its own for this release: k8s.io/kubernetes names its siblings by path, which only works inside its own tree.
make_module() {
    local version=$1 dir=$2 gomod module minor patch
    minor=${version#*.} patch=${minor#*.} minor=${minor%%.*}
    local pinned=$root/e2e/tools/kubernetes-1.$minor
    mkdir -p "$dir"
    cp "$here"/dump/*.go "$dir/"
    cd "$dir"
    [ ! -f complete ] || return 0
    if grep -qs "k8s.io/kubernetes v$version" "$pinned/go.mod"; then
        sed "1s|.*|module drawbridge.dev/e2e/gates/dump|; /^tool (/,/^)/d" "$pinned/go.mod" >go.mod
        cp "$pinned/go.sum" go.sum
        [ ! -x "$pinned/stage" ] || "$pinned/stage" # makes what its go.mod names and nobody serves
    else
        gomod=$(cd / && go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^\t"GoMod": "\(.*\)",\{0,1\}$/\1/p')
        {
            echo "module drawbridge.dev/e2e/gates/dump"
            sed -n '/^go /p; /^godebug /p' "$gomod"
            echo "require k8s.io/kubernetes v$version"
            sed -n 's|^[[:space:]]*\(k8s.io/[^ ]*\) => ./staging/.*|\1|p' "$gomod" | while read -r module; do
                # What no command imports need not be there.
                echo "replace $module => $module $(sibling "$module" "$minor" "$patch" || echo "v0.$minor.$patch")"
            done
        } >go.mod
        go mod tidy -e
    fi
    touch complete
}

[ $# -gt 0 ] || {
    echo "usage: $0 VERSION... | --check" >&2
    exit 2
}
[ "$1" != --check ] || shift
for version in "$@"; do
    dir=$cache/v$version
    (
        make_module "$version" "$dir"
        for tag in apiserver controllermanager scheduler kubelet; do
            echo "update.sh: $version: $tag" >&2
            # The flags of e2e's own builds, so that the build cache serves both.
            CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -tags "$tag" -ldflags "-s -w" -o "dump-$tag" .
            "./dump-$tag" >"$tag.json"
            rm -f "dump-$tag"
        done
    )
    (cd "$here/merge" && go run . "$version" "$table" "$dir"/{apiserver,controllermanager,scheduler,kubelet}.json)
    echo "update.sh: $version: merged into $table" >&2
done
(cd "$here/check" && go run . "$table" "$root/operator/gates/data/dra.yaml" "$root/operator/gates/data/features.yaml")
