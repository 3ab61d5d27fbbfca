# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# Several real nodes, and a real upgrade: kubeadm joins them and upgrades them, while Drawbridge is at work.
# needs: drawbridge root-node
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubectl 1.36/kubelet 1.36/kubeadm 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet 1.37/kubeadm

# shellcheck source=../lib/node-case.sh
source "$E2E/lib/node-case.sh"
# shellcheck source=../lib/node-upgrade.sh
source "$E2E/lib/node-upgrade.sh"

GATE=DynamicResourceAllocation
MORE=KubeletPodResourcesDynamicResources # of 1.33's alpha gates the kubelet alone reads these two: no other component has to restart
MOST=KubeletPodResourcesGet

# kubelet_gate INDEX NAME: 1, 0, or nothing
kubelet_gate() { node_metrics kubelet "$(node_dir "$1")" | sed -nE "s/^kubernetes_feature_enabled\{name=\"$2\",stage=\"[^\"]*\"\} ([01])$/\1/p"; }
kubelet_gates_are() { # VALUE NAME INDEX...
  local index
  for index in "${@:3}"; do
    [[ $(kubelet_gate "$index" "$2") == "$1" ]] || { echo "kubelet of node-$index: $2 is not $1" && return 1; }
  done
}
kubelet_file() { echo "$(node_dir "$1")/var-lib-kubelet/config.yaml"; }
file_says() { grep -q " $2: true" "$(kubelet_file "$1")"; }
journal() { echo "$(node_dir "$1")/var-lib-drawbridge/journal.json"; }
edit_is_under_way() { jq -e '.components.kubelet.edit' "$(journal "$1")"; }
edit_is_done() { jq -e '.components.kubelet | .done and (.edit | not)' "$(journal "$1")"; }
api_is_away() { ! kubectl get --raw /readyz --request-timeout=2s; }
nodedra() { api -f "$API/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/node-$1"; }
kubelet_report() { nodedra "$1" | jq -r ".status.components[] | select(.name == \"kubelet\") | .$2"; }
kubelet_report_is() { [[ $(kubelet_report "$1" "$2") == "$3" ]]; }
is_asked_for() { nodedra "$1" | jq -e --arg gate "$2" '.spec.components[]? | select(.name == "kubelet").featureGates[$gate]'; }

# old_or_new INDEX OLD: one of the two, whole, at this very moment.
old_or_new() {
  local now=$CASE_DIR/now
  cp "$(kubelet_file "$1")" "$now" || die 'neither the old file nor the new one is there'
  ! cmp -s "$2" "$now" || { echo old && return 0; }
  # the new one: the old one's bytes, and just what was wanted
  diff "$2" "$now" | grep '^[<>]' >"$CASE_DIR/difference" || true
  assert_equal "$(tr -s '\n' '|' <"$CASE_DIR/difference")" "> featureGates:|>   $GATE: true|" 'neither the old file nor the new one'
  echo new
}

# kill_while_it_edits INDEX OLD DELAY...: that node's agent is killed so many seconds after its edit of the kubelet's file was seen under way.
kill_while_it_edits() {
  local index=$1 delay busy file hits=0
  for delay in "${@:3}"; do
    for ((i = 0; i < 6000; i++)); do # without a word to the API server, so that no moment is missed
      ! edit_is_under_way "$index" >/dev/null 2>&1 || break
      ! edit_is_done "$index" >/dev/null 2>&1 || break
      sleep 0.03
    done
    sleep "$delay"
    busy=over
    ! edit_is_under_way "$index" >/dev/null 2>&1 || busy='under way'
    kill_agent "$index"
    [[ $busy == over ]] || hits=$((hits + 1))
    file=$(old_or_new "$index" "$2") || die "$file"
    note "agent of node-$index killed after $delay s: the edit is $busy, the file is the $file one"
    start_agent_on_node "$index"
  done
  ((hits >= 2)) || die "only $hits of the kills came while the edit was under way: the case shows little"
}

random_delay() { awk -v seed="$RANDOM" -v most="$1" 'BEGIN { srand(seed); printf "%.2f", rand() * most }'; }

gates_of_kubermatic() {
  kubectl patch kubermaticconfiguration kubermatic -n kubermatic --type merge -p "{\"spec\": {\"featureGates\": $1}}" >/dev/null
}

# updated_apart SECONDS INDEX...: these kubelets were done in this order, with at least so many seconds between two.
updated_apart() {
  local last='' now index
  for index in "${@:2}"; do
    now=$(date -d "$(kubelet_report "$index" updatedAt)" +%s)
    [[ ! $last ]] || ((now - last >= $1)) || die "the kubelet of node-$index was done $((now - last)) s after the one before"
    last=$now
  done
}

# case: three nodes, one joined while the API server is away: DRA on in all; an agent killed over and over; a worker that refuses names itself and holds the rest
# timeout: 1200
case_several() {
  use_node 1.33
  start_on_node
  join_node 2
  prepare_node 3
  plain_pods node-1 node-2
  containers >"$CASE_DIR/containers"
  cp "$(kubelet_file 2)" "$CASE_DIR/node-2.yaml"
  kubectl create namespace kubermatic >/dev/null
  kubectl apply -f "$E2E/seeds/kubermaticconfiguration.yaml" >/dev/null

  note 'a node joins half way'
  eventually 120 api_is_away
  enter_node 3
  refuse file_says 3 "$GATE"
  patch_at "$(dracfg_at kubermatic kubermatic)" '{"spec":{"allowAlpha":true,"rollout":{"minReady":"10s"}}}'

  note 'the agent of a worker dies again and again'
  kubelet_does 2 "$GATE" 'sleep 10' # or the edit would be over before there was a second agent
  start_agent_on_node 2
  kill_while_it_edits 2 "$CASE_DIR/node-2.yaml" 0 "$(random_delay 0.3)" "$(random_delay 0.6)" "$(random_delay 1.5)"
  eventually 240 kubelet_report_is 2 state UpToDate
  assert_equal "$(old_or_new 2 "$CASE_DIR/node-2.yaml")" new 'the file in the end'
  rm "$(node_dir 2)/bin/kubelet"

  note 'nobody speaks for the node that came in between'
  eventually 240 condition_is kubermatic NodesUpdated 'False AgentMissing' kubermatic
  assert_match "$(condition_message kubermatic NodesUpdated kubermatic)" 'kubelet on node-3'
  eventually 120 config_map_says kubelet-config "$GATE: true" # it holds nobody but itself
  start_agent_on_node 3
  eventually 240 condition_is kubermatic Ready True kubermatic
  assert gates_are 1 "$GATE" "${CONTROL_PLANE[@]}"
  assert kubelet_gates_are 1 "$GATE" 1 2 3
  assert_equal "$(served)" v1beta1 'versions of resource.k8s.io'
  updated_apart 10 1 2 3
  containers | diff "$CASE_DIR/containers" - || die 'pods lost their containers'
  assert config_map_says kubelet-config "$GATE: true"

  note 'a worker refuses, and the next one is not begun'
  kubelet_does 2 "$MORE" "echo 'panic: unrecognized feature gate: $MORE' >&2 && exit 2"
  cp "$(kubelet_file 2)" "$CASE_DIR/node-2.yaml"
  stat -c '%i %Y' "$(kubelet_file 3)" >"$CASE_DIR/node-3.stat"
  gates_of_kubermatic "{\"$MORE\": true}"
  eventually 360 condition_is kubermatic NodesUpdated 'False NodeFailed' kubermatic
  note "$(condition_message kubermatic NodesUpdated kubermatic)"
  assert_match "$(condition_message kubermatic NodesUpdated kubermatic)" "kubelet on node-2 failed and the roll-out is paused: .*unrecognized feature gate: $MORE"
  assert condition_is kubermatic Degraded 'True' kubermatic
  assert kubelet_gates_are 1 "$MORE" 1
  assert_same_file "$CASE_DIR/node-2.yaml" "$(kubelet_file 2)" 'the file of the one that refused'
  assert kubelet_gates_are 0 "$MORE" 2
  never_within 12 is_asked_for 3 "$MORE" # longer than minReady
  assert_equal "$(stat -c '%i %Y' "$(kubelet_file 3)")" "$(cat "$CASE_DIR/node-3.stat")" 'the file of the one not begun'
  assert kubelet_gates_are 0 "$MORE" 3

  note 'the node is repaired, and the spec changed'
  rm "$(node_dir 2)/bin/kubelet"
  gates_of_kubermatic "{\"$MOST\": true}"
  eventually 360 condition_is kubermatic Ready True kubermatic
  assert kubelet_gates_are 1 "$GATE" 1 2 3
  assert kubelet_gates_are 1 "$MORE" 1 2 3
  assert kubelet_gates_are 1 "$MOST" 1 2 3
  assert condition_is kubermatic Degraded False kubermatic
  containers | diff "$CASE_DIR/containers" - || die 'pods lost their containers'

  note 'who joins later has it all from the first moment'
  eventually 60 config_map_says kubelet-config "$MOST: true"
  join_node 4
  assert kubelet_gates_are 1 "$GATE" 4
  cp "$(kubelet_file 4)" "$CASE_DIR/node-4.yaml"
  start_agent_on_node 4
  eventually 120 kubelet_report_is 4 healthy true
  eventually 120 condition_is kubermatic Ready True kubermatic
  assert_match "$(condition_message kubermatic NodesUpdated kubermatic)" '^4 of 4 kubelets'
  assert_same_file "$CASE_DIR/node-4.yaml" "$(kubelet_file 4)" 'the file of the node that joined last'
}

# case: kubeadm upgrade from 1.36 to 1.37 with a gate and an API version that 1.36 does not have by itself: never off, nothing fought over; they stay as long as the node's kubelet is of 1.36, and go then
# timeout: 1800
case_upgrade() {
  upgrade_begins 1.36 1.37 DRADeviceTaintRules v1beta2
  upgrade_control_plane
  upgrade_kubelet
}
