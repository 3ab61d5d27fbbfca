# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# Several real nodes, and a real upgrade: kubeadm joins them and upgrades them, while Drawbridge is at work.
# needs: drawbridge root-node
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm 1.34/kube-apiserver 1.34/kube-controller-manager 1.34/kube-scheduler 1.34/kubectl 1.34/kubelet 1.34/kubeadm

# shellcheck source=../lib/node-case.sh
source "$E2E/lib/node-case.sh"

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

# --- the upgrade ------------------------------------------------------------------------------------------------------------------------

# watch_dra: what every component, the object, the API and the files say, round after round, for as long as the case runs.
watch_dra() {
  local component value object
  while sleep 2; do
    for component in "${CONTROL_PLANE[@]}" kubelet; do
      value=$(gate "$component" "$GATE" 2>/dev/null) || value=''
      echo "$(date +%T) $component ${value:--}"
    done >>"$CASE_DIR/gates"
    object=$(dracfg dra 2>/dev/null | jq -c '[(.status.conditions[]? | "\(.type)=\(.status) \(.reason): \(.message)"),
      (.status.history[]? | "history \(.result)"), "failed \(.status.failedRevision // "-")"]') || object=''
    [[ ! $object ]] || echo "$(date +%T) $object" >>"$CASE_DIR/objects"
    if api -f -o /dev/null "$API/readyz" 2>/dev/null && value=$(served 2>/dev/null); then
      echo "$(date +%T) ${value:-nothing}" >>"$CASE_DIR/served"
    fi
    for component in "${CONTROL_PLANE[@]}"; do
      value=$(sha256sum "$MANIFESTS/$component.yaml" 2>/dev/null) || continue # between two renames of kubeadm's
      [[ $(tail -n1 "$CASE_DIR/digests-$component" 2>/dev/null) == "$value" ]] || echo "$value" >>"$CASE_DIR/digests-$component"
    done
  done
}

# written_at: when each component was last edited by the agent.
written_at() { jq -cS '.components | map_values(.updatedAt)' "$(journal 1)"; }
generation() { kubectl get nodedra "$NODE_NAME" -o jsonpath='{.metadata.generation}'; }
runs_version() { [[ $(metrics "$1" | grep '^kubernetes_build_info{') == *git_version=\"$2\"* ]]; }
control_plane_runs() {
  local component
  for component in "${CONTROL_PLANE[@]}"; do runs_version "$component" "$1" || return 1; done
}
manifest_says() { grep -q -- "$2" "$MANIFESTS/$1.yaml"; }

nothing_is_left() {
  ! grep -lE "$GATE|resource.k8s.io/" "$MANIFESTS"/kube-*.yaml "$(kubelet_file 1)" && ! config_maps | grep -E "$GATE|resource.k8s.io/"
}

# it_was_always_on: of what watch_dra saw.
it_was_always_on() {
  local component
  for component in "${CONTROL_PLANE[@]}" kubelet; do
    note "$component answered $(grep -c " $component 1$" "$CASE_DIR/gates") times of $(grep -c " $component " "$CASE_DIR/gates")"
    (($(grep -c " $component 1$" "$CASE_DIR/gates") >= 10)) || die "$component was hardly ever asked"
  done
  ! grep ' 0$' "$CASE_DIR/gates" || die 'a component said that DRA is off'
  ! grep -E 'Degraded=True|RolledBack|RollingBack|ResourceAPIServed=False' "$CASE_DIR/objects" || die 'the object said that something is wrong'
  ! grep -v '"failed -"' "$CASE_DIR/objects" || die 'a revision failed'
  # what we wrote, what kubeadm wrote with our flags, and what we left
  for component in "${CONTROL_PLANE[@]}"; do
    assert_equal "$(wc -l <"$CASE_DIR/digests-$component")" 3 "contents of $component.yaml one after the other"
  done
}

# takes_jobs: one runs to its end in the 15 s that kubeadm's preflight gives it. Healthy is not yet leading: the lease of the process before must run out.
takes_jobs() {
  kubectl delete job probe --ignore-not-found >/dev/null
  kubectl apply -f - >/dev/null <<END
apiVersion: batch/v1
kind: Job
metadata: {name: probe}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: "true", image: "$NODE_REPOSITORY/busybox:1", args: ["true"]}]
END
  kubectl wait --for=condition=Complete job/probe --timeout=15s
}

# case: kubeadm upgrade to 1.34 with DRA on: never off, nothing fought over; what 1.33 needed stays as long as its kubelet, and goes with it
# timeout: 1800
case_upgrade() {
  local new watcher archive component
  new=$(tools_version 1.34)
  node_need 1.34
  use_node 1.33
  plain_pods
  start_on_node
  dra_on dra 'rollout: {componentTimeout: 300s, minReady: 0s}'
  eventually 480 settled dra
  eventually 60 config_map_says kubelet-config "$GATE: true"
  eventually 240 takes_jobs
  watch_dra &
  watcher=$!
  STARTED+=("$watcher")
  written_at >"$CASE_DIR/written"
  generation >"$CASE_DIR/generation"

  note "kubeadm upgrade apply $new"
  for archive in "$NODE_CACHE/images/$new"/*.tar; do node_import "$CLUSTER" "$archive"; done
  innode timeout 500 "$TOOLS_BIN/$new/kubeadm" upgrade apply "$new" --yes --skip-phases=addon \
    --ignore-preflight-errors=CoreDNSUnsupportedPlugins,CoreDNSMigration >"$CASE_DIR/kubeadm-upgrade.log" 2>&1 ||
    die "kubeadm upgrade: $(tail -n 20 "$CASE_DIR/kubeadm-upgrade.log")"
  note 'kubeadm is done'
  assert config_map_says kubeadm-config "kubernetesVersion: $new"
  eventually 120 control_plane_runs "$new"
  eventually 360 settled dra
  runs_version kubelet "$VERSION" || die 'the kubelet is another one already'
  eventually 120 condition_is dra ControlPlaneUpdated 'True AsExpected'
  assert_match "$(condition_message dra ControlPlaneUpdated)" 'not needed any more go when the upgrade of the control plane is over'
  for component in "${CONTROL_PLANE[@]}"; do assert manifest_says "$component" "$GATE=true"; done
  assert manifest_says kube-apiserver '--runtime-config=resource.k8s.io/v1beta1=true'
  assert_equal "$(written_at)" "$(cat "$CASE_DIR/written")" 'when the agent wrote what'
  assert_equal "$(generation)" "$(cat "$CASE_DIR/generation")" 'the generation of what the agent is asked for'
  ! grep -v v1beta1 "$CASE_DIR/served" || die 'v1beta1 was away while a kubelet of 1.33 needs it'

  note 'the kubelet follows'
  ln -s "$TOOLS_BIN/$new/kubelet" "$CLUSTER/bin/kubelet"
  innode systemctl restart kubelet
  eventually 120 runs_version kubelet "$new"
  eventually 600 nothing_is_left
  eventually 360 settled dra
  assert condition_is dra ControlPlaneUpdated 'True DefaultOn'
  eventually 60 served_is v1
  assert gates_are 1 "$GATE" "${CONTROL_PLANE[@]}" kubelet
  assert kubectl wait --for=condition=Ready pod -l app=plain --timeout=60s
  kill_hard "$watcher"
  it_was_always_on
}
