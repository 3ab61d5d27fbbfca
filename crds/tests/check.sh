#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Gives a real API server each object below good/ and bad/ (as a dry run) and compares what it says with the object's first line:
#   # accepted: why      # refused: a part of the message
# usage: check.sh KUBECONFIG [KUBECTL]; one line a case, then "N passed, N failed"; exit 1 when one failed. Also a function for others:
#   . crds/tests/check.sh; crds_check KUBECONFIG KUBECTL

# Applies the definitions and waits until they are established and structural.
crds_install() {
    local kubectl=$1 dir=$2 crd said
    for crd in "$dir"/../*.yaml; do
        "$kubectl" apply --server-side -f "$crd" >/dev/null || return 1
    done
    for crd in draconfigurations.drawbridge.dev nodedraconfigurations.drawbridge.dev \
        kubermaticconfigurations.kubermatic.k8c.io configsources.drawbridge.dev; do
        "$kubectl" wait --for=condition=Established --timeout=30s "crd/$crd" >/dev/null || return 1
        said=$("$kubectl" get "crd/$crd" -o 'jsonpath={.status.conditions[?(@.type=="NonStructuralSchema")].message}')
        [ -z "$said" ] || { echo "$crd: $said"; return 1; }
    done
}

# Gives the server all objects at once, since each start of kubectl costs more than the answers; what it refuses has a line that names the
# file. The API server may need a moment after Established until it serves a new kind.
crds_ask() {
    local try said=
    for try in $(seq 20); do
        said=$("$1" apply --dry-run=server --validate=strict -f "$2/good" -f "$2/bad" 2>&1)
        case $said in
        *"no matches for kind"* | *"could not find the requested resource"*) [ "$try" -lt 20 ] && sleep 0.5 ;;
        *) break ;;
        esac
    done
    echo "$said"
}

crds_check() {
    local dir file want said all passed=0 failed=0 verdict
    export KUBECONFIG=$1
    local kubectl=${2:-kubectl}
    dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    crds_install "$kubectl" "$dir" || { echo "FAIL crds: the definitions are not accepted"; return 1; }
    all=$(crds_ask "$kubectl" "$dir")
    for file in "$dir"/good/*.yaml "$dir"/bad/*.yaml; do
        want=$(head -n 1 "$file")
        verdict=accepted
        said=$(grep -F "\"$file\"" <<<"$all") && verdict=refused
        if [[ $want == "# accepted: "* && $verdict == accepted ]] ||
            [[ $want == "# refused: "* && $verdict == refused && $said == *"${want#\# refused: }"* ]]; then
            passed=$((passed + 1))
            echo "ok   crds $(basename "$file" .yaml)"
        else
            failed=$((failed + 1))
            echo "FAIL crds $(basename "$file" .yaml): $verdict; ${said:-no word about it}"
        fi
    done
    # No word against an object is no acceptance: the server has to say that it would make each.
    if [ "$(grep -c '(server dry run)$' <<<"$all")" != "$(cat "$dir"/good/*.yaml | grep -c '^kind:')" ]; then
        failed=$((failed + 1))
        echo "FAIL crds: not as many objects were accepted as good/ has: $(grep -vF "$dir/bad/" <<<"$all")"
    fi
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
}

[ "${BASH_SOURCE[0]}" != "$0" ] || crds_check "${1:?usage: check.sh KUBECONFIG [KUBECTL]}" "${2:-kubectl}"
