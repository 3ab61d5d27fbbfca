#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compares the gate table and its verdicts with real Kubernetes binaries:
#     e2e/gates-binaries.sh [--all] [--ask] [VERSION...]        (default: every version at hand)
# 1. The gates that each binary lists in --help, with stage and default, are those of the table.
# 2. Each single flag that the table refuses is refused by the binary, and what it accepts is accepted: every gate's name is given
#    to every component, on and off. Without --all, of the accepted ones only each twentieth (they are the great majority), and of the
#    names that a version does not know only each fifth goes to controller-manager and scheduler, whose lists are compared whole.
# 3. The same for --runtime-config on the API server and for --emulated-version.
# No etcd, no ports that matter: each process is made to fail right after its flags were judged, and lives for a fraction of a second.
# What a binary said is kept in the cache: the same file says the same to the same flag, and is not asked again (--ask does).
# DRAWBRIDGE_E2E_BIN: where the binaries are, in vX.Y.Z/. DRAWBRIDGE_GATES_VERDICT: the program gates_verdict of the build.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bin=${DRAWBRIDGE_E2E_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/drawbridge/bin}
verdict=${DRAWBRIDGE_GATES_VERDICT:-$root/build/dev/operator/gates/gates_verdict}
answers=${XDG_CACHE_HOME:-$HOME/.cache}/drawbridge/answers
every=20 ask=
[ "${1:-}" != --all ] || { every=1; shift; }
[ "${1:-}" != --ask ] || { ask=1; shift; }
[ -x "$verdict" ] || { echo "gates-binaries.sh: no $verdict: build the target gates_verdict first" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
passed=0 failed=0

result() { # ok|FAILED name
    if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '%-7s%s\n' "$1" "$2"
}

# Runs one component with the flags of stdin's lines "N COMPONENT FLAG..." and prints "N accepted" or "N refused MESSAGE".
# Behind the judgement of flags stands something that fails for certain: a file that is not there.
cat >"$work/oracle" <<'EOF'
#!/usr/bin/env bash
n=$1 component=$2 port=(); shift 2
case $component in
kube-apiserver) set -- "$@" --etcd-servers=http://127.0.0.1:1 --service-account-issuer=https://x --authorization-mode=RBAC \
    --service-account-key-file="$WORK/sa.key" --service-account-signing-key-file="$WORK/sa.key" --cert-dir="$WORK/certs-$n" \
    --bind-address=127.0.0.1 --egress-selector-config-file=/nonexistent; port=(--secure-port=) ;;
kube-controller-manager) set -- "$@" --kubeconfig=/nonexistent --secure-port=0 ;;
kube-scheduler | kubelet) set -- "$@" --config=/nonexistent ;;
esac
# Another process may have the port for the moment.
for try in 1 2 3 4 5; do
    said=$(timeout 60 "$DIR/$component" "$@" "${port[@]/%/$((20000 + (n * 7 + try * 1231 + RANDOM) % 10000))}" 2>&1 </dev/null)
    grep -q 'address already in use' <<<"$said" || break
done
refusal=$(grep -oE 'unrecognized feature gate: .*|cannot set feature gate .*|[A-Za-z0-9]+ is enabled, but depends on features that are disabled.*|feature requires .* feature.*|can only be enabled if the .* feature gate.*|missing bool value.*|malformed pair.*|invalid value (of )?.*|do not mix use.*|component not registered.*|group version .* that has not been registered.*|unknown api groups.*|runtime-config invalid key.*|invalid key .*|conflicts with --enable-priority-and-fairness.*|cannot enable version .* in runtime-config.*|is always lowercase plural.*' <<<"$said" | head -n1)
rm -rf "$WORK/certs-$n"
if [ -n "$refusal" ]; then echo "$n refused $refusal"
elif grep -qE 'nonexistent|no such file' <<<"$said"; then echo "$n accepted"
else echo "$n odd ${said: -300}" | tr '\n' ' '; echo; fi
EOF
chmod +x "$work/oracle"

# Every name that any minor of the table knows.
all_names() {
    sed -n '/^gates:/,/^apis:/s/^  \([A-Za-z0-9]*\):.*/\1/p' "$root"/operator/gates/data/{gates,dra}.yaml | sort -u
}

# Beta gates whose default comes with --min-compatibility-version of that minor: --help shows them as on, and without the flag, which then is of
# the minor before, they are off.
compatible='DRAFractionalCapacityRange|CertificateSigningRequestMLDSA|PodCertificateMLDSA|ServiceAccountTokenMLDSA'

same_list() { # version component
    local version=$1 component=$2 name="gates/$1/$2/list"
    "$bin/v$version/$component" --help 2>&1 | sed -nE 's/.*[[:space:]](kube:)?([A-Za-z0-9]+)=true\|false \(([A-Z]+) - default=(true|false)\).*/\2 \3 \4/p' |
        sed -E "s/^($compatible) BETA true$/\1 BETA false/" | sort -u >"$work/theirs"
    # --help leaves out what is GA or deprecated and what cannot be changed any more.
    "$verdict" --list "$version" "$component" | awk '($2 == "ALPHA" || $2 == "BETA") && $4 != "locked" {print $1, $2, $3}' |
        sort -u >"$work/ours"
    "$verdict" --list "$version" "$component" | awk '{print $1, $2, $3}' | sort -u >"$work/known"
    if [ -s "$work/theirs" ] && [ -z "$(comm -23 "$work/theirs" "$work/known")" ] && [ -z "$(comm -13 "$work/theirs" "$work/ours")" ]; then
        result ok "$name ($(wc -l <"$work/theirs") gates)"
    else
        result FAILED "$name"
        diff "$work/theirs" "$work/ours" | head -n 20 || true
    fi
}

# The file with what this binary has said so far, "COMPONENT FLAG...|VERDICT..." a line: another binary, or another way to ask, has another one.
answers_of() { # version component
    mkdir -p "$answers"
    echo "$answers/$1-$2-$({ stat -Lc '%s %Y' "$bin/v$1/$2" && cat "$work/oracle"; } | sha256sum | cut -c1-16)"
}

# What the binary says to "N COMPONENT FLAG..." in $work/given, as "N VERDICT..." on stdout; an answer that is neither yes nor no is not kept.
theirs() { # version component
    local known
    known=$(answers_of "$1" "$2")
    if [ -n "$ask" ]; then rm -f "$known"; fi
    touch "$known"
    awk -F'|' -v unknown="$work/unknown" 'BEGIN { printf "" >unknown }
        FILENAME == ARGV[1] { said[$1] = substr($0, length($1) + 2); next }
        { flag = $0; sub(/^[0-9]+ /, "", flag); n = $0; sub(/ .*/, "", n)
          if (flag in said) print n, said[flag]; else print >unknown }' "$known" "$work/given"
    DIR=$bin/v$1 WORK=$work xargs -r -P "$(nproc)" -L1 "$work/oracle" <"$work/unknown" | tee "$work/said"
    awk 'NR == FNR { flag[$1] = substr($0, length($1) + 2); next }
        $2 != "odd" { print flag[$1] "|" substr($0, length($1) + 2) }' "$work/unknown" "$work/said" | cat "$known" - >"$known.$$"
    mv "$known.$$" "$known" # whole or not at all: half a line would be an answer that nobody gave
}

# Lines "COMPONENT FLAG..." on stdin: our verdict, the binary's, and where they differ.
compare() { # version name
    local version=$1 name=$2 total component
    nl -ba -w1 -s' ' >"$work/asked"
    awk -v v="v$version" '{ $1 = v; print }' "$work/asked" | "$verdict" | nl -ba -w1 -s' ' | cut -d' ' -f1-3 | sort -k1,1 >"$work/ours"
    # What is not written needs no oracle; of what is accepted a sample; of a name that is not known only "=true".
    awk -v every="$every" '
        NR == FNR { flag[$1] = $NF; who[$1] = $2; next }
        $2 == "refused" && every > 1 && $3 ~ /UnknownFeatureGate|Removed|TooNew/ {
            if (flag[$1] ~ /=false$/ || (who[$1] ~ /manager|scheduler/ && ++few % 5 != 0)) next }
        $2 == "refused" || ($2 == "accepted" && ++n % every == 0) { print $1 }' "$work/asked" "$work/ours" | sort >"$work/chosen"
    sort -k1,1 "$work/asked" | join "$work/chosen" - >"$work/given"
    read -r _ component _ <"$work/given"
    theirs "$version" "$component" | sort -k1,1 >"$work/theirs"
    total=$(wc -l <"$work/given")
    # Below 1.35 the binary takes a gate of DRA without DRA, which then does nothing: we refuse more than it does.
    join "$work/ours" "$work/theirs" | awk -v minor="$(cut -d. -f2 <<<"$version")" '
        { ours = $2; reason = ours == "refused" ? $3 : ""; theirs = ours == "refused" ? $4 : $3
          if (ours == "unread") next
          policy = reason == "FeatureGateDependency" && minor < 35 && theirs == "accepted"
          if (ours != theirs && !policy) print }' >"$work/differ"
    if [ ! -s "$work/differ" ] && [ "$total" -gt 0 ] && [ "$(wc -l <"$work/theirs")" -eq "$total" ]; then
        result ok "$name ($total flags, $(grep -c ' refused ' "$work/theirs" || true) refused)"
    else
        result FAILED "$name: $(wc -l <"$work/differ") of $total differ"
        cut -d' ' -f1 "$work/differ" | sort | join - <(sort -k1,1 "$work/asked") | head -n 15 || true
        head -n 15 "$work/differ"
    fi
}

gate_flags() { # component
    all_names | while read -r gate; do
        echo "$1 --feature-gates=$gate=true"
        echo "$1 --feature-gates=$gate=false"
    done
    # A gate with what it needs, and things that no component parses.
    echo "$1 --feature-gates=DRADeviceTaintRules=true,DRADeviceTaints=true"
    echo "$1 --feature-gates=NoSuchGate=true"
    echo "$1 --feature-gates=DynamicResourceAllocation=maybe"
    echo "$1 --feature-gates=DynamicResourceAllocation"
    [ "$1" = kubelet ] || echo "$1 --feature-gates=kube:ContextualLogging=true"
    echo "$1 --feature-gates=kube:ContextualLogging=true,LoggingBetaOptions=true"
    echo "$1 --feature-gates=foo:ContextualLogging=true"
}

runtime_flags() {
    sed -nE 's/^  "([^"]*\/v[^"]*)":.*/\1/p' "$root"/operator/gates/data/{gates,dra}.yaml | sort -u | while read -r gv; do
        echo "kube-apiserver --runtime-config=$gv=true"
        echo "kube-apiserver --runtime-config=$gv=false"
    done
    echo "kube-apiserver --runtime-config=no.such.group/v1=true"
    echo "kube-apiserver --runtime-config=resource.k8s.io/v9=true"
    echo "kube-apiserver --runtime-config=v1=true"
    echo "kube-apiserver --runtime-config=foo=true"
    echo "kube-apiserver --runtime-config=apps/v1=maybe"
    echo "kube-apiserver --runtime-config=apps/v1/Deployments=true"
    echo "kube-apiserver --runtime-config=api/all=false"
    echo "kube-apiserver --runtime-config=api/ga=false"
    echo "kube-apiserver --runtime-config=api/beta=false"
    echo "kube-apiserver --runtime-config=api/beta=yes"
    echo "kube-apiserver --runtime-config=api/all=true"
}

versions=("$@")
if [ ${#versions[@]} -eq 0 ]; then
    for dir in "$bin"/v1.*; do
        if [ -x "$dir/kube-apiserver" ]; then versions+=("$(basename "$dir" | cut -c2-)"); fi
    done
fi
[ ${#versions[@]} -gt 0 ] || { echo "gates-binaries.sh: no binaries in $bin" >&2; exit 2; }
for version in "${versions[@]}"; do
    for component in kube-apiserver kube-controller-manager kube-scheduler kubelet; do
        [ -x "$bin/v$version/$component" ] || continue
        same_list "$version" "$component"
        compare "$version" "gates/$version/$component/flags" < <(gate_flags "$component")
    done
    compare "$version" "gates/$version/kube-apiserver/runtime-config" < <(runtime_flags)
    minor=$(cut -d. -f2 <<<"$version")
    emulated=1.$((minor - 2))
    if [ "$minor" -ge 34 ]; then
        compare "$version" "gates/$version/kube-scheduler/emulating-$emulated" < <(all_names |
            sed -n "/^DRA\|^Dynamic\|^GenericW/s/.*/kube-scheduler --emulated-version=$emulated --feature-gates=&=true/p")
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
