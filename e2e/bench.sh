#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What Drawbridge costs beside a real control plane of 1.33: one "name value unit" a line, no verdict. docs/performance.md says what each is.
#
#   e2e/bench.sh [N]     N: how many NodeDRAConfigurations, then DRAConfigurations (1000)
#
# In the environment: DRAWBRIDGE (a binary instead of a release build), IDLE seconds (30), STARTS (5), TRIES (20), EVENTS (10000), DRAWBRIDGE_E2E_BIN as test.sh.
case ${1:-} in -h | --help) sed -n '3,7s/^# \?//p' "$0" && exit 0 ;; esac
GIVEN=${DRAWBRIDGE:-}
DRAWBRIDGE=${GIVEN:-$(dirname "${BASH_SOURCE[0]}")/../build/release/drawbridge}
# shellcheck source=lib/case.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/case.sh"

N=${1:-1000} IDLE=${IDLE:-30} STARTS=${STARTS:-5} TRIES=${TRIES:-20} EVENTS=${EVENTS:-10000}
export DRAWBRIDGE_E2E_OWNER=$$
trap 'stop_all; cluster_down "$CLUSTER"; rm -rf "$WORK"' EXIT
trap 'exit 130' INT TERM

row() { printf '%s %s %s\n' "$1" "$2" "$3"; }
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# begin NAME HEALTH-PORT ARGUMENT...: runs it, sets PID and READY_MS (exec to the first 200 of /readyz).
begin() {
  local port=$2 from
  from=${EPOCHREALTIME/./}
  start "$1" "$DRAWBRIDGE" "${@:3}" --health-probe-bind-address "127.0.0.1:$port" --log-level warn >/dev/null
  PID=$STARTED_PID
  until curl -sf -o "$CASE_DIR/readyz" "http://127.0.0.1:$port/readyz"; do
    kill -0 "$PID" || die "$1 ended: $(tail -n 3 "$CASE_DIR/$1.log")"
    ((${EPOCHREALTIME/./} - from < 60000000)) || die "$1 is not ready: $(cat "$CASE_DIR/readyz")"
  done
  READY_MS=$(awk -v us=$((${EPOCHREALTIME/./} - from)) 'BEGIN { printf "%.1f", us / 1000 }')
}

# begin_often NAME ...: begin, STARTS times; prints the median. A curl a try asks, so that its own some 10 ms are the grain.
begin_often() {
  local i all=()
  for ((i = 0; i < STARTS; i++)); do
    stop_all
    begin "$@"
    all+=("$READY_MS")
  done
  row "$1_start_to_synced" "$(printf '%s\n' "${all[@]}" | median)" ms
}

kib() { awk -v field="$2:" '$1 == field { print $2 }' "/proc/$PID/$1"; }
mib() { awk -v kib="$1" 'BEGIN { printf "%.2f", kib / 1024 }'; }
memory() {
  row "$1_rss" "$(mib "$(kib status VmRSS)")" MiB
  row "$1_pss" "$(mib "$(kib smaps_rollup Pss)")" MiB
  row "$1_private_dirty" "$(mib "$(kib smaps_rollup Private_Dirty)")" MiB
}

# counter NAME [LABEL=VALUE]: of the controller's own metrics.
counter() {
  curl -sf "http://127.0.0.1:$((PORT + 8))/metrics" |
    awk -v name="$1{" -v label="${2:-}" 'index($0, name) == 1 && index($0, label) { sum += $NF } END { print sum + 0 }'
}

switches() { awk '$1 == "voluntary_ctxt_switches:" { sum += $2 } END { print sum }' "/proc/$PID/task/"*/status; }
cpu_ns() { awk '{ sum += $1 } END { printf "%.0f", sum }' "/proc/$PID/task/"*/schedstat; }
# Every renewal writes the Lease once.
lease() { kubectl get lease -n drawbridge-system drawbridge -o jsonpath='{.metadata.resourceVersion} {.spec.renewTime}' 2>/dev/null || true; }

idle() { # NAME
  local switched cpu renewals=0 before now end
  sleep 12 # what came last is over
  before=$(lease) end=$((SECONDS + IDLE))
  switched=$(switches) cpu=$(cpu_ns)
  while ((SECONDS < end)); do
    sleep 1
    now=$(lease)
    [[ $now == "$before" ]] || renewals=$((renewals + 1))
    before=$now
  done
  row "$1_wakeups_in_${IDLE}_s" "$(($(switches) - switched))" count
  row "$1_cpu_in_${IDLE}_s" "$(awk -v ns=$(($(cpu_ns) - cpu)) 'BEGIN { printf "%.1f", ns / 1e6 }')" ms
  [[ $1 != run* ]] || row "$1_lease_renewals_in_${IDLE}_s" "$renewals" count
}

node_configs() {
  local i
  for ((i = 0; i < N; i++)); do
    printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: NodeDRAConfiguration\nmetadata: {name: bench-%05d}\n' "$i"
    printf 'spec:\n  epoch: 1\n  configuration: default/bench\n  revision: "012345678901"\n  direction: Enable\n  components:\n'
    printf '  - {name: %s, revision: "012345678901", featureGates: {DynamicResourceAllocation: true}}\n---\n' kubelet
  done
}

configs() {
  local i
  for ((i = 0; i < N; i++)); do
    printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: DRAConfiguration\nmetadata: {name: bench-%05d, namespace: default}\n' "$i"
    printf 'spec: {featureGates: {DynamicResourceAllocation: true}, platform: {type: Observe}}\n---\n'
  done
}

all_settled() {
  (($(kubectl get draconfigurations -n default -o json |
    jq '[.items[] | select(.status.observedGeneration == .metadata.generation)] | length') == N))
}

OBJECTS=/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations

# change_to_write: from the event of a changed spec to the event of the first status written for it, both as one watch tells them.
change_to_write() {
  local i generation
  generation=$(kubectl get draconfiguration bench-00000 -o jsonpath='{.metadata.generation}')
  api -N --max-time 600 "$API$OBJECTS?watch=1&fieldSelector=metadata.name=bench-00000" |
    while read -r line; do printf '%s %s\n' "${EPOCHREALTIME/./}" "$line"; done >"$CASE_DIR/events" &
  STARTED+=("$!")
  eventually 20 test -s "$CASE_DIR/events" >/dev/null
  for ((i = 1; i <= TRIES; i++)); do
    kubectl patch draconfiguration bench-00000 --type merge -p "{\"spec\":{\"rollout\":{\"minReady\":\"${i}s\"}}}" >/dev/null
    eventually 20 observed bench-00000 $((generation + i)) >/dev/null
  done
  row change_to_first_write "$(sed 's/ / [/; s/$/]/' "$CASE_DIR/events" | sed -E 's/^([0-9]+) \[/[\1,/' |
    jq -s -r '[.[] | {at: .[0], made: .[1].object.metadata.generation, seen: .[1].object.status.observedGeneration}] as $all
      | $all | group_by(.made)[] | [(map(select(.seen != .made)) | min_by(.at)), (map(select(.seen == .made)) | min_by(.at))]
      | select(all) | (.[1].at - .[0].at) / 1000' | median)" ms
}

observed() { [[ $(kubectl get draconfiguration "$1" -o jsonpath='{.status.observedGeneration}') == "$2" ]]; }

# events: EVENTS changes of labels, which are nothing to the controller.
events() {
  local i cpu passes
  for ((i = 0; i < EVENTS; i++)); do
    printf 'url = "%s%s/bench-%05d"\nrequest = PATCH\nheader = "Content-Type: application/merge-patch+json"\noutput = /dev/null\n' "$API" "$OBJECTS" $((i % N))
    printf 'data = "{\\"metadata\\":{\\"labels\\":{\\"bench\\":\\"%d\\"}}}"\ncacert = "%s"\ncert = "%s"\nkey = "%s"\nnext\n' "$i" "$CLUSTER/pki/ca.crt" \
      "$CLUSTER/pki/admin.crt" "$CLUSTER/pki/admin.key"
  done | sed '$d' >"$CASE_DIR/patches" # a last "next" would want one more URL
  cpu=$(cpu_ns) passes=$(counter controller_runtime_reconcile_total)
  curl -sS -K "$CASE_DIR/patches"
  sleep 2
  row "run_${EVENTS}_events_cpu" "$(awk -v ns=$(($(cpu_ns) - cpu)) 'BEGIN { printf "%.2f", ns / 1e9 }')" s
  row "run_${EVENTS}_events_passes" $(($(counter controller_runtime_reconcile_total) - passes)) count
}

# with_objects: what N objects of each kind cost the controller.
with_objects() {
  local passes requests cpu
  node_configs | kubectl create -f - >/dev/null
  sleep 2
  memory "run_${N}_nodedraconfigurations"
  passes=$(counter controller_runtime_reconcile_total) requests=$(counter rest_client_requests_total) cpu=$(cpu_ns)
  configs | kubectl create -f - >/dev/null
  eventually 480 all_settled >/dev/null
  row "run_${N}_fresh_cpu" "$(awk -v ns=$(($(cpu_ns) - cpu)) 'BEGIN { printf "%.2f", ns / 1e9 }')" s
  row "run_${N}_fresh_passes" "$(($(counter controller_runtime_reconcile_total) - passes))" count
  row "run_${N}_fresh_requests" "$(($(counter rest_client_requests_total) - requests))" count
  memory "run_${N}_draconfigurations"
}

main() {
  local args
  [[ $GIVEN ]] || (cd "$ROOT" && cmake --preset release && cmake --build --preset release --target drawbridge) >&2
  tools_need_cluster 1.33 >&2
  use_cluster 1.33 kubelet >&2
  printf '# Kubernetes %s, %s cores, Linux %s\n' "$VERSION" "$(nproc)" "$(uname -r)"
  row binary "$(stat -Lc %s "$DRAWBRIDGE")" bytes
  mapfile -t args < <(printf '%s\n' agent --node-name cp-1 --kubeconfig "$NODE/agent.conf" --manifests-dir "$MANIFESTS" \
    --kubelet-config "$NODE/kubelet/config.yaml" --kubelet-flags "$NODE/kubelet/kubeadm-flags.env" --state-dir "$NODE/drawbridge" \
    --pod-logs-dir "$NODE/log/pods" --restart-kubelet "$NODE/restart-kubelet" \
    --client-certificate "$CLUSTER/pki/agent.crt" --client-key "$CLUSTER/pki/agent.key")
  begin_often agent $((PORT + 10)) "${args[@]}"
  idle agent
  memory agent
  stop_all
  mapfile -t args < <(printf '%s\n' run --kubeconfig "$CLUSTER/drawbridge.conf" --leader-elect=true --lease-namespace drawbridge-system --governing-namespace default)
  begin_often run $((PORT + 8)) "${args[@]}"
  idle run
  memory run
  with_objects
  change_to_write
  events
  idle "run_${N}"
}

main
