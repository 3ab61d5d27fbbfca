# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What people type and read: plan, status, events, metrics.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

# plan_says STATUS OUTPUT-FILE ARGUMENT...: runs `drawbridge plan` and compares the exit status.
plan_says() {
  local wanted=$1 file=$2 status=0
  shift 2
  "$DRAWBRIDGE" plan --kubeconfig "$CLUSTER/admin.conf" "$@" >"$file" 2>"$file.err" || status=$?
  assert_equal "$status" "$wanted" "exit status of plan $* ($(tail -n 3 "$file.err"))"
}

# case: plan: a diff of each file and object before anything runs, without agents; 0 when nothing is left; above 1 for a refusal; nothing is written
# timeout: 480
case_plan() {
  local seed=$E2E/seeds/kubermaticconfiguration.yaml out=$CASE_DIR/plan
  use_cluster 1.33 kubelet
  { files && processes; } >"$CASE_DIR/before"

  note 'no controller, no agent: flags are read from mirror pods'
  plan_says 1 "$out" -f "$seed"
  for component in "${CONTROL_PLANE[@]}"; do
    assert_match "$(<"$out")" "\+\+\+ b/cp-1/$component"
    assert grep -qx -- '+- --feature-gates=DynamicResourceAllocation=true' "$out"
  done
  assert grep -qx -- '+- --runtime-config=resource.k8s.io/v1beta1=true' "$out"
  assert_match "$(<"$out")" 'b/configmap/kube-system/kubeadm-config'
  assert_match "$(<"$out")" 'b/configmap/kube-system/kubelet-config'
  assert_match "$(<"$out")" 'b/cp-1/kubelet'

  note 'on the node: the files themselves; what the diff says is what is written'
  plan_says 1 "$out-files" -f "$seed" --manifests-dir "$MANIFESTS" --kubelet-config "$NODE/kubelet/config.yaml"
  { files && processes; } >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after" 'plan must not write'
  mkdir "$CASE_DIR/patched" && cp "$MANIFESTS"/*.yaml "$NODE/kubelet/config.yaml" "$CASE_DIR/patched"
  sed -E 's#^(---|\+\+\+) [ab]/([^ ]*/)?(manifests/|kubelet/)#\1 #' "$out-files" >"$CASE_DIR/diff"
  (cd "$CASE_DIR/patched" && sed '/^--- a\/configmap/,$d' "$CASE_DIR/diff" | patch -p0 -s) || die 'the diff does not apply'

  start_both
  kubectl create namespace kubermatic >/dev/null
  kubectl apply -f "$seed" >/dev/null
  eventually 300 condition_is kubermatic Ready True kubermatic
  for file in kube-apiserver.yaml kube-controller-manager.yaml kube-scheduler.yaml; do
    assert_same_file "$CASE_DIR/patched/$file" "$MANIFESTS/$file" "planned and written $file"
  done
  assert_same_file "$CASE_DIR/patched/config.yaml" "$NODE/kubelet/config.yaml" 'planned and written config.yaml'
  plan_says 0 "$out-done" --live -n kubermatic
  plan_says 0 "$out-done" --live -A
  note 'without -n it is the namespace of the context, as kubectl has it'
  plan_says 4 "$out-elsewhere" --live
  assert_match "$(<"$out-elsewhere.err")" 'there is no DRAConfiguration in namespace default'
  cp "$CLUSTER/admin.conf" "$CASE_DIR/kubermatic.conf"
  kubectl --kubeconfig "$CASE_DIR/kubermatic.conf" config set-context --current --namespace=kubermatic >/dev/null
  "$DRAWBRIDGE" --kubeconfig "$CASE_DIR/kubermatic.conf" plan --live || die 'the namespace of the context does not count'
  "$DRAWBRIDGE" -n kubermatic --kubeconfig "$CLUSTER/admin.conf" status kubermatic >"$CASE_DIR/ready" || die 'options before the verb, or 0 of one that is Ready'
  assert_match "$(<"$CASE_DIR/ready")" 'kubermatic/kubermatic .*Ready=True'
  "$DRAWBRIDGE" status -A --kubeconfig "$CLUSTER/admin.conf" >/dev/null || die 'status -A'
  assert_equal "$(<"$out-done")" '' 'plan when nothing is left'

  note 'a file says what is to change: what it leaves out stays as it is in the cluster'
  printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: DRAConfiguration\nmetadata: {name: kubermatic, namespace: kubermatic}\nspec: {rollout: {minReady: 1s}}\n' >"$CASE_DIR/part.yaml"
  plan_says 0 "$out-part" -f "$CASE_DIR/part.yaml"
  assert_equal "$(<"$out-part")" '' 'plan of a part'

  note 'each refusal is a line'
  sed '/DynamicResourceAllocation/{p;s/DynamicResourceAllocation/NoSuchGate/;p;s/NoSuchGate/NorThisOne/}' "$seed" >"$CASE_DIR/typos.yaml"
  plan_says 3 "$out-typos" -f "$CASE_DIR/typos.yaml"
  for gate in NoSuchGate NorThisOne; do assert grep -q "^  UnknownFeatureGate: .*$gate" "$out-typos.err"; done
  assert_equal "$(grep -c '^  UnknownFeatureGate: ' "$out-typos.err")" "$(grep -o 'UnknownFeatureGate' "$out-typos.err" | wc -l)" 'lines of refusals'

  note 'a refusal names what and why, and is no difference'
  sed 's/DynamicResourceAllocation/DynamicResourceAlocation/' "$seed" >"$CASE_DIR/typo.yaml"
  plan_says 3 "$out-typo" -f "$CASE_DIR/typo.yaml"
  assert_match "$(<"$out-typo.err")" 'UnknownFeatureGate.*DynamicResourceAllocation'
  printf 'kind: DRAConfiguration\nspec: [\n' >"$CASE_DIR/broken.yaml"
  plan_says 3 "$out-broken" -f "$CASE_DIR/broken.yaml"
  assert_match "$(<"$out-broken.err")" 'broken.yaml:[0-9]+:[0-9]+: '
}

event_has() {
  kubectl get events -n default -o json | jq -r '.items[] | "\(.type) \(.reason) \(.involvedObject.kind)/\(.involvedObject.name) \(.message)"' |
    grep -E "$1" >/dev/null
}

# case: status is a tree that follows the roll-out; each step is an event on the object; /metrics has controller-runtime's names; probes answer
# timeout: 480
case_status_events_metrics() {
  use_cluster 1.33 kubelet
  start_agent
  dra_on dra
  # it watches before anything moves: a quick roll-out would be over while the API server that it restarts is still away
  timeout 150 "$DRAWBRIDGE" status dra -n default --kubeconfig "$CLUSTER/admin.conf" --watch >"$CASE_DIR/status" &
  local watching=$!
  eventually 40 grep -q 'Ready=Unknown' "$CASE_DIR/status"
  start_controller
  wait "$watching" || die 'status --watch did not end'
  assert_match "$(tail -n 40 "$CASE_DIR/status")" 'default/dra +Kubeadm +Kubernetes v1.33.13 +Ready=True'
  assert_match "$(tail -n 40 "$CASE_DIR/status")" 'kube-apiserver 1/1 +DynamicResourceAllocation=true,resource.k8s.io/v1beta1=true'
  assert_match "$(tail -n 40 "$CASE_DIR/status")" 'cp-1: UpToDate v1.33.13'
  assert_match "$(tail -n 40 "$CASE_DIR/status")" 'kubelet 1/1'
  for component in "${CONTROL_PLANE[@]}" kubelet; do
    eventually 60 event_has "^Normal Updating DRAConfiguration/dra NodeDRAConfiguration cp-1: $component: \+DynamicResourceAllocation=true"
    eventually 60 event_has "^Normal ComponentUpdated DRAConfiguration/dra $component: 1 of 1"
  done
  eventually 60 event_has '^Normal Updating DRAConfiguration/dra ConfigMap kube-system/kubeadm-config'
  eventually 60 event_has '^Normal Ready DRAConfiguration/dra'
  "$DRAWBRIDGE" status nobody --kubeconfig "$CLUSTER/admin.conf" >/dev/null 2>"$CASE_DIR/nobody" && die 'a name that is not there is an error'
  assert_match "$(<"$CASE_DIR/nobody")" 'no DRAConfiguration nobody in namespace default'

  local page
  page=$(curl -sf "http://127.0.0.1:$((PORT + 8))/metrics")
  for name in 'controller_runtime_reconcile_total\{controller="draconfiguration",result="success"\}' \
    'controller_runtime_reconcile_errors_total\{controller="draconfiguration"\}' 'controller_runtime_reconcile_errors_total\{controller="configsource"\}' \
    'controller_runtime_terminal_reconcile_errors_total\{controller="configsource"\}' 'controller_runtime_reconcile_time_seconds_bucket' \
    'controller_runtime_active_workers\{' 'workqueue_depth\{' 'workqueue_adds_total\{' 'rest_client_requests_total\{code="200"' \
    'leader_election_master_status\{name="drawbridge"\} 1'; do
    grep -E "^$name" <<<"$page" >/dev/null || die "/metrics has no $name"
  done
  for path in livez readyz; do assert_equal "$(curl -s "http://127.0.0.1:$((PORT + 8))/$path")" ok "$path"; done
}
