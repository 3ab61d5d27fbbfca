# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# A kubelet that always comes back: on a real node the kubelet is made to refuse what was written, with the agent alive, killed, and gone
# with the node's power. No controller: the wishes come from here, one NodeDRAConfiguration's spec after the other.
# needs: drawbridge root-node
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm

# shellcheck source=../lib/node-case.sh
source "$E2E/lib/node-case.sh"

# wish REVISION GATES [SECONDS]: what the agent shall do with the kubelet.
wish() {
  local spec="{\"epoch\": 1, \"direction\": \"Enable\", \"componentTimeoutSeconds\": ${3:-300}, \"components\": [
    {\"name\": \"kubelet\", \"revision\": \"$1\", \"featureGates\": $2, \"runtimeConfig\": {}, \"expect\": $2}]}"
  note "wish $1: $2"
  if kubectl get nodedra "$NODE_NAME" >/dev/null 2>&1; then
    kubectl patch nodedra "$NODE_NAME" --type=merge -p "{\"spec\": $spec}" >/dev/null
  else
    kubectl create -f - >/dev/null <<<"{\"apiVersion\": \"drawbridge.dev/v1alpha1\", \"kind\": \"NodeDRAConfiguration\",
      \"metadata\": {\"name\": \"$NODE_NAME\"}, \"spec\": $spec}"
  fi
}

kubelet_says() { api -f "$API/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/$NODE_NAME" | jq -r '.status.components[]? | select(.name == "kubelet") | "\(.revision) \(.state) \(.reason // "-") \(.message // "-")"'; }
kubelet_is() { [[ $(kubelet_says) =~ $1 ]] || { kubelet_says && return 1; }; }
file_is_old() { cmp -s "$CASE_DIR/config.yaml" "$CLUSTER/var-lib-kubelet/config.yaml"; }
file_is_new() { grep -q 'DynamicResourceAllocation: true' "$CLUSTER/var-lib-kubelet/config.yaml"; }
kubelet_is_healthy() { [[ $(innode curl -sS --max-time 3 http://127.0.0.1:10248/healthz) == ok ]]; }
node_is_ready() { kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=5s; }
guard_file() { echo "$CLUSTER/var-lib-drawbridge/guard/$1"; }
nothing_is_armed() { [[ ! -e $(guard_file armed) && ! -e $(guard_file verdict) ]] && ! innode ls /run/node/timers | grep -q timer; }

# kubelet_with_the_gate SHELL: what the kubelet does with the new file, from its next start on.
kubelet_with_the_gate() {
  kubelet_does 1 DynamicResourceAllocation "echo x >>'$CASE_DIR/refusals'; $1"
  : >"$CASE_DIR/refusals"
}
has_refused() { [[ -s $CASE_DIR/refusals ]]; }

# is_back REVISION WHAT: the kubelet runs with the old file, the agent says why, and lets it be.
is_back() {
  eventually 180 kubelet_is "^$1 Failed $2"
  note "$(kubelet_says)"
  assert file_is_old
  assert gate_is kubelet DynamicResourceAllocation 0
  eventually 60 nothing_is_armed
  eventually 120 node_is_ready
  assert_equal "$(jq -r .components.kubelet.failed.revision "$CLUSTER/var-lib-drawbridge/journal.json")" "$1" 'the journal'
}

# case: a kubelet that does not come back is put back: by the agent, by the guard with the agent killed and across a boot, by the timer where it only hangs
# timeout: 1200
case_comes_back() {
  local refuses='echo refused; exit 1' gates='{"DynamicResourceAllocation": true}'
  use_node 1.33
  start_on_node
  kill_hard "$CONTROLLER"
  cp "$CLUSTER/var-lib-kubelet/config.yaml" "$CASE_DIR/config.yaml"

  note 'an edit that lasts: armed, read back, disarmed'
  wish good "$gates"
  eventually 120 kubelet_is '^good UpToDate'
  assert gate_is kubelet DynamicResourceAllocation 1
  eventually 40 nothing_is_armed
  assert_match "$(cat "$CLUSTER/etc-systemd/kubelet.service.d/20-drawbridge-guard.conf")" 'ExecStartPre=-/var/lib/drawbridge/guard/drawbridge-guard start'
  wish gone '{}'
  eventually 120 kubelet_is '^gone UpToDate'
  assert file_is_old

  note 'the agent sees the refusal'
  kubelet_with_the_gate 'printf "panic: failed to merge global and in-flight KubeletConfiguration, error: unrecognized feature gate: X\n\ngoroutine 1 [running]:\nmain.main()\n"; exit 2'
  innode bash -c 'echo 10 >/run/node/kubelet.restart-sec' # as kubeadm's unit: the guard takes half a minute
  wish alive "$gates"
  is_back alive 'ComponentCrashed .*unrecognized feature gate: X; the file from before is back'

  note 'the agent is killed'
  innode rm /run/node/kubelet.restart-sec
  kubelet_with_the_gate "$refuses"
  wish killed "$gates"
  eventually 120 has_refused
  kill_agent
  eventually 120 file_is_old
  eventually 60 kubelet_is_healthy
  assert [ "$(wc -l <"$CASE_DIR/refusals")" = 3 ]
  start_agent_on_node
  is_back killed 'KubeletNotReady .*started 3 times.* the guard on the node put it back'

  note 'the node loses its power'
  kubelet_with_the_gate "$refuses"
  wish boot "$gates"
  eventually 120 has_refused
  kill_agent
  assert file_is_new
  node_stop "$CLUSTER"
  assert test -s "$(guard_file armed)"
  node_start "$CLUSTER"
  eventually 120 file_is_old
  eventually 240 node_is_ready
  start_agent_on_node
  is_back boot 'KubeletNotReady .* the guard on the node put it back'

  note 'the agent is killed, and the kubelet only hangs'
  kubelet_with_the_gate 'exec sleep 1000'
  wish hangs "$gates" 10
  eventually 120 has_refused
  kill_agent
  assert file_is_new
  eventually 180 file_is_old
  eventually 60 kubelet_is_healthy
  start_agent_on_node
  is_back hangs 'KubeletNotReady .*the timer put its file back'

  note 'and the node is rid of it'
  innode "$DRAWBRIDGE" agent --node-name "$NODE_NAME" --remove-guard
  refuse test -e "$CLUSTER/etc-systemd/kubelet.service.d/20-drawbridge-guard.conf"
  refuse test -e "$(guard_file drawbridge-guard)"
  stop_all
  node_down "$CLUSTER"
  assert node_is_gone
}
