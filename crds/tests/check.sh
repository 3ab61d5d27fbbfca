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

# The API server may need a moment after Established until it serves a new kind.
crds_ask() {
    local try said=
    for try in $(seq 20); do
        said=$("$1" apply --dry-run=server --validate=strict -f "$2" 2>&1) && { echo "$said"; return 0; }
        case $said in
        *"no matches for kind"* | *"could not find the requested resource"*) [ "$try" -lt 20 ] && sleep 0.5 ;;
        *) break ;;
        esac
    done
    echo "$said"
    return 1
}

crds_check() {
    local dir file want said passed=0 failed=0 verdict
    export KUBECONFIG=$1
    local kubectl=${2:-kubectl}
    dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    crds_install "$kubectl" "$dir" || { echo "FAIL crds: the definitions are not accepted"; return 1; }
    for file in "$dir"/good/*.yaml "$dir"/bad/*.yaml; do
        want=$(head -n 1 "$file")
        verdict=refused
        said=$(crds_ask "$kubectl" "$file") && verdict=accepted
        if [[ $want == "# accepted: "* && $verdict == accepted ]] ||
            [[ $want == "# refused: "* && $verdict == refused && $said == *"${want#\# refused: }"* ]]; then
            passed=$((passed + 1))
            echo "ok   crds $(basename "$file" .yaml)"
        else
            failed=$((failed + 1))
            echo "FAIL crds $(basename "$file" .yaml): $said"
        fi
    done
    echo "$passed passed, $failed failed"
    [ $failed -eq 0 ]
}

[ "${BASH_SOURCE[0]}" != "$0" ] || crds_check "${1:?usage: check.sh KUBECONFIG [KUBECTL]}" "${2:-kubectl}"
