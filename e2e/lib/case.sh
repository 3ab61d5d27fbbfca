# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # used by the cases
# What a case has at hand. A case is a function case_NAME in e2e/cases/*.sh, run in a bash of its own (run-case.sh).
#
#   use_cluster MINOR [OPTION...]   a cluster as made by cluster_up: one that an earlier case left clean, or a new one
#   cluster_is_clean                last words of a case that left it as it was
#   start_controller / start_agent [FLAG...]   stopped at the end of the case; sanitizer findings in their logs fail it
#   eventually SECONDS COMMAND...   until COMMAND succeeds; never_within SECONDS COMMAND...: it must keep failing

set -euo pipefail
LIB=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=common.sh
source "$LIB/common.sh"
# shellcheck source=install.sh
source "$LIB/install.sh"
# shellcheck source=tools.sh
source "$LIB/tools.sh"
# shellcheck source=cluster.sh
source "$LIB/cluster.sh"
# shellcheck source=inspect.sh
source "$LIB/inspect.sh"
# shellcheck source=rights.sh
source "$LIB/rights.sh"

DRAWBRIDGE=${DRAWBRIDGE:-$ROOT/build/dev/drawbridge}
WORK=${WORK:-$(mktemp -d)}
CASE_DIR=${CASE_DIR:-$WORK/case}
mkdir -p "$CASE_DIR"
STARTED=() # pids of background processes of this case

note() { printf '[%(%T)T] %s\n' -1 "$*"; }

die() {
  printf '[%(%T)T] FAILED: %s\n' -1 "$*" >&2
  exit 1
}

# eventually SECONDS COMMAND...: for so long at most; the last output of COMMAND is shown when the time is over.
eventually() {
  local limit=$1 last since began=$SECONDS
  shift
  note "wait up to $limit s: $*"
  until since=$EPOCHREALTIME && last=$("$@" 2>&1); do
    ((SECONDS < began + limit)) || die "after $limit s still not: $*${last:+ ($last)}"
    all_alive || die "waiting for '$*', and a process has ended by itself"
    rest "$since" $((SECONDS - began))
  done
}

all_alive() {
  local pid
  for pid in "${STARTED[@]}"; do
    kill -0 "$pid" 2>/dev/null || return 1
  done
}

never_within() {
  local limit=$1 end=$((SECONDS + $1))
  shift
  note "for $limit s never: $*"
  while ((SECONDS < end)); do
    ! "$@" >/dev/null 2>&1 || die "happened: $*"
    nap 0.3
  done
}

assert_equal() { [[ $1 == "$2" ]] || die "${3:-values differ}: got '$1', wanted '$2'"; }
assert_match() { [[ $1 =~ $2 ]] || die "${3:-no match}: '$1' does not match '$2'"; }
assert() { "$@" || die "not: $*"; }
refuse() { ! "$@" || die "should not be: $*"; }

# assert_same_file A B [WORDS]
assert_same_file() { cmp -s "$1" "$2" || die "${3:-files differ}: $(diff -u "$1" "$2" | head -n 40)"; }

# --- clusters -------------------------------------------------------------------------------------------------------------------------

use_cluster() {
  local key dir n=0
  key=$(tr ' /' '--' <<<"$*")${CLUSTER_NETWORK:+-$CLUSTER_NETWORK} # whoever is in a network of his own has none of the others' clusters
  for dir in "$WORK/cluster-$key"@*; do
    if rm "$dir/clean" 2>/dev/null; then # whoever removes it has it
      basename "$CASE_DIR" >"$dir/user"
      cluster_use "$dir"
      rights_begin
      note "cluster $(basename "$dir") again, port $PORT"
      return 0
    fi
  done
  until mkdir "$WORK/cluster-$key@$n" 2>/dev/null; do n=$((n + 1)); done
  basename "$CASE_DIR" >"$WORK/cluster-$key@$n/user"
  note "new cluster: Kubernetes $*"
  cluster_up "$WORK/cluster-$key@$n" "$1" auto "${@:2}"
  rights_begin
  cluster_digest >"$CLUSTER/digest"
  [[ ${CLUSTER_TEMPLATES:-} ]] || install_crds
}

# cluster_digest: of what a roll-out would have changed.
cluster_digest() { cat "$MANIFESTS"/*.yaml "$NODE"/kubelet/config.yaml "$NODE"/kubelet/kubeadm-flags.env | sha256sum; }

cluster_is_clean() {
  stop_all
  [[ $(cluster_digest) == "$(cat "$CLUSTER/digest")" ]] || die 'the case says that its cluster is clean, and it is not'
  delete_our_objects
  rm -rf "$NODE/drawbridge" # the agent's journal
  rights_keep "$CLUSTER"
  touch "$CLUSTER/clean"
}

# delete_our_objects: nobody runs any more that would take finalizers off.
delete_our_objects() {
  local kind namespace name
  kubectl get configsources,kubermaticconfigurations,draconfigurations,nodedraconfigurations -A --no-headers \
    -o custom-columns=KIND:.kind,NS:.metadata.namespace,NAME:.metadata.name 2>/dev/null |
    while read -r kind namespace name; do
      local where=()
      [[ $namespace == '<none>' ]] || where=(-n "$namespace")
      kubectl patch "$kind" "$name" "${where[@]}" --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
      kubectl delete "$kind" "$name" "${where[@]}" --wait=false --ignore-not-found >/dev/null
    done
  kubectl delete lease -n drawbridge-system --all >/dev/null
}

# --- the programs ---------------------------------------------------------------------------------------------------------------------

# start NAME COMMAND...: in the background, log in $CASE_DIR/NAME.log, pid in STARTED_PID. Dies with the case.
start() {
  local log=$CASE_DIR/$1.log
  note "start $1"
  setpriv --pdeathsig KILL "${@:2}" >>"$log" 2>&1 </dev/null &
  STARTED_PID=$!
  STARTED+=("$STARTED_PID")
}

# stop PID: politely, as a Deployment would.
stop() {
  kill -TERM "$1" 2>/dev/null || return 0
  for _ in {1..200}; do
    kill -0 "$1" 2>/dev/null || break
    nap 0.05
  done
  if kill -0 "$1" 2>/dev/null; then
    kill -KILL "$1"
    die "process $1 did not end within 10 s of SIGTERM"
  fi
  wait "$1" 2>/dev/null || true
}

# forget PID: it may end by itself from now on.
forget() {
  local pid left=()
  for pid in "${STARTED[@]}"; do [[ $pid == "$1" ]] || left+=("$pid"); done
  STARTED=("${left[@]}")
}

kill_hard() {
  forget "$1"
  kill -KILL "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

stop_all() {
  local pid
  for pid in "${STARTED[@]}"; do stop "$pid"; done
  STARTED=()
}

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99:malloc_context_size=8 # of the frames, as test.sh has it for unit tests
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export LSAN_OPTIONS=exitcode=98

controller_args() {
  printf '%s\n' run --kubeconfig "$CLUSTER/drawbridge.conf" --health-probe-bind-address "127.0.0.1:${1:-$((PORT + 8))}" --leader-elect=true --lease-namespace drawbridge-system \
    --governing-namespace default --governing-namespace kubermatic --look default=kube-system --log-level debug --log-format text
}

# start_controller [FLAG...]: sets CONTROLLER.
start_controller() {
  local args
  mapfile -t args < <(controller_args)
  start controller "$DRAWBRIDGE" "${args[@]}" "$@"
  CONTROLLER=$STARTED_PID
}

start_second_controller() {
  local args
  mapfile -t args < <(controller_args $((PORT + 9)))
  start controller-2 "$DRAWBRIDGE" "${args[@]}" "$@"
  CONTROLLER_2=$STARTED_PID
}

# start_agent [FLAG...]: the agent of cp-1. Sets AGENT.
start_agent() {
  start agent "$DRAWBRIDGE" agent --node-name cp-1 --kubeconfig "$NODE/agent.conf" --manifests-dir "$MANIFESTS" \
    --kubelet-config "$NODE/kubelet/config.yaml" --kubelet-flags "$NODE/kubelet/kubeadm-flags.env" --state-dir "$NODE/drawbridge" \
    --pod-logs-dir "$NODE/log/pods" --restart-kubelet "$NODE/restart-kubelet" \
    --client-certificate "$CLUSTER/pki/agent.crt" --client-key "$CLUSTER/pki/agent.key" \
    --health-probe-bind-address "127.0.0.1:$((PORT + 10))" --log-level debug --log-format text "$@"
  AGENT=$STARTED_PID
}

start_both() {
  start_agent
  start_controller
}

# sanitizer_findings: prints them; nothing is success.
sanitizer_findings() {
  local log
  for log in "$CASE_DIR"/*.log; do
    [[ -f $log && $log != */case.log ]] || continue
    ! grep -aE -m3 'ERROR: (Address|Leak)Sanitizer|runtime error:|assertion failed|Assertion' "$log" || return 1
  done
}

# keep_objects: what a failed case left in the API, beside its logs.
keep_objects() {
  local kind
  for kind in configsources.drawbridge.dev draconfigurations.drawbridge.dev nodedraconfigurations.drawbridge.dev nodes events configmaps; do
    timeout 5 "$TOOLS_BIN/$VERSION/kubectl" get "$kind" -A -o yaml >"$CASE_DIR/$kind.yaml" 2>/dev/null
  done
  timeout 10 "$DRAWBRIDGE" plan --live -A --kubeconfig "$KUBECONFIG" >"$CASE_DIR/plan.diff" 2>&1
  { files && processes; } >"$CASE_DIR/files" 2>&1
}

# case_end STATUS: called on exit of run-case.sh.
case_end() {
  local status=$1 pid
  set +e
  if ((status != 0)) && [[ ${CLUSTER:-} ]]; then keep_objects; fi
  for pid in "${STARTED[@]}"; do
    stop "$pid" || status=1
  done
  sanitizer_findings || status=1
  ((status != 0)) || rights_check || status=1
  exit "$status"
}

# --- the seeds ------------------------------------------------------------------------------------------------------------------------

start_kwok() {
  cluster_kwok "$CASE_DIR/kwok.log" &
  STARTED+=("$!")
}

apply_kwok_seeds() {
  local file
  for file in "$E2E"/seeds/kwok-*.yaml; do
    kubectl apply -f "$file" >/dev/null || die "$file was not accepted"
  done
}

# kwok_seeds_done: claim allocated and reserved (with a device), pod Running.
kwok_seeds_done() {
  [[ $(kubectl get resourceclaims -o json |
    jq -r '.items[] | "\(.status.allocation.devices.results | length) \(.status.reservedFor | length)"') == '1 1' ]] || return 1
  [[ $(kubectl get pods -l app=fake-pod -o jsonpath='{.items[*].status.phase}') == Running ]]
}

# --- roll-outs ------------------------------------------------------------------------------------------------------------------------

QUICK_ROLLOUT='rollout: {componentTimeout: 60s, minReady: 0s}'

# dra_on NAME [LINE...]: a DRAConfiguration in default that turns DRA on, with more lines of spec.
dra_on() {
  local name=$1
  shift
  {
    printf 'featureGates: {DynamicResourceAllocation: true}\n'
    [[ " $* " == *rollout:* ]] || printf '%s\n' "$QUICK_ROLLOUT"
    (($# == 0)) || printf '%s\n' "$@"
  } | configure "$name"
}

# revert_again COUNT: a DRAConfiguration is reverted, and at once another one has to come to work. The
# API server restarts while the last write of the first is answered.
revert_again() {
  local i
  for ((i = 1; i <= $1; i++)); do
    dra_on "round-$i" 'deletionPolicy: Revert'
    eventually 300 condition_is "round-$i" Ready True
    kubectl delete draconfiguration "round-$i" --wait=false >/dev/null
    eventually 300 dracfg_gone "round-$i"
  done
}

# dra_is_on: gate and API, asked of the components.
dra_is_on() {
  local more=()
  [[ ! -s $NODE/kubelet/version ]] || more=(kubelet)
  gates_are 1 DynamicResourceAllocation "${CONTROL_PLANE[@]}" "${more[@]}" && [[ -n $(served) ]]
}

# settled NAME: Ready=True for this generation, and no agent at work.
settled() {
  local nodes
  condition_is "$1" Ready True && nodes=$(api -f "$API/apis/drawbridge.dev/v1alpha1/nodedraconfigurations") && [[ -z $(jq -r '.items[].status.step // empty' <<<"$nodes") ]]
}

# fault NAME TEXT: from its next start on, NAME is the bash script TEXT in which real is the real command. unfault takes it away.
fault() {
  local file=$NODE/bin/$1
  printf '#!/bin/bash\nreal() { exec -a %s %s/%s/%s "$@"; }\n%s\n' "$1" "$TOOLS_BIN" "$VERSION" "$1" "$2" >"$file.new"
  chmod 755 "$file.new"
  mv "$file.new" "$file"
}

unfault() { rm -f "$NODE/bin/$1"; }

# edit COMPONENT SED...: a manifest by hand, as a careful person does it: elsewhere, then renamed.
edit() {
  sed -E "${@:2}" "$MANIFESTS/$1.yaml" >"$MANIFESTS/.$1.tmp"
  mv "$MANIFESTS/.$1.tmp" "$MANIFESTS/$1.yaml"
}

restarted() { [[ $(started_at "$1") != "$2" ]]; }

# restarts COMPONENT: how often its pod was replaced since the cluster began (log directories of ended pods).
restarts() { find "$NODE/log/previous" -maxdepth 1 -name "kube-system_$1-cp-1_*" 2>/dev/null | wc -l; }
