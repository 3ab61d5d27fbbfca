# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Deleting, suspending, several objects, several controllers.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

enabled() { # LINE...: of spec
  use_cluster 1.33 kubelet
  keep_files "$CASE_DIR/before"
  kubectl get configmaps -n kube-system kubeadm-config kubelet-config -o json | jq '.items[].data' >"$CASE_DIR/config-maps"
  start_both
  dra_on dra "$@"
  eventually 300 condition_is dra Ready True
  assert dra_is_on
}


# case: Revert: files byte for byte as before, ConfigMaps too, DRA off
# timeout: 600
case_delete_revert() {
  enabled 'deletionPolicy: Revert'
  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  assert same_files "$CASE_DIR/before"
  eventually 40 gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  eventually 60 served_is ''
  eventually 40 none_of nodedraconfigurations
  kubectl get configmaps -n kube-system kubeadm-config kubelet-config -o json | jq '.items[].data' >"$CASE_DIR/config-maps-after"
  assert_same_file "$CASE_DIR/config-maps" "$CASE_DIR/config-maps-after"
}

# case: Revert, and at once another DRAConfiguration: the first does not go on writing the cluster
# timeout: 600
case_delete_revert_again() {
  use_cluster 1.33
  start_both
  revert_again 2 # twenty: e2e/cases/61-reverts.sh
}

# case: Revert after a foreign edit: that edit survives, only ours goes
# timeout: 600
case_delete_revert_foreign_edit() {
  enabled 'deletionPolicy: Revert'
  edit kube-scheduler 's/^(    - )kube-scheduler$/&\n\1--v=1 # of somebody else/'
  printf 'maxPods: 99 # of somebody else\n' >>"$NODE/kubelet/config.yaml"
  eventually 120 settled dra
  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  assert_equal "$(changes "$CASE_DIR/before" kube-scheduler.yaml)" '>     - --v=1 # of somebody else' 'of kube-scheduler.yaml'
  assert_equal "$(changes "$CASE_DIR/before" config.yaml)" '> maxPods: 99 # of somebody else' 'of config.yaml'
  assert_equal "$(changes "$CASE_DIR/before" kube-apiserver.yaml)" '' 'of kube-apiserver.yaml'
}

# case: Retain: files stay as they are, the objects go
# timeout: 600
case_delete_retain() {
  enabled
  files >"$CASE_DIR/files-1"
  processes >"$CASE_DIR/processes-1"
  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 120 dracfg_gone dra
  eventually 40 none_of nodedraconfigurations
  sleep 3
  files >"$CASE_DIR/files-2"
  processes >"$CASE_DIR/processes-2"
  assert_same_file "$CASE_DIR/files-1" "$CASE_DIR/files-2"
  assert_same_file "$CASE_DIR/processes-1" "$CASE_DIR/processes-2"
  assert dra_is_on
}

# case: of two DRAConfigurations the older writes, the other is Stalled and names it; it takes over when the first goes
# timeout: 600
case_two_configurations() {
  use_cluster 1.33
  start_both
  dra_on older
  sleep 1.1 # creation times are whole seconds
  printf 'featureGates: {DynamicResourceAllocation: true}\nruntimeConfig: {resource.k8s.io/v1beta2: "true"}\n%s\n' "$QUICK_ROLLOUT" | configure younger
  eventually 60 condition_is younger ConfigValid 'False TargetConflict'
  assert condition_is younger Stalled 'True TargetConflict'
  assert_match "$(condition_message younger Stalled)" 'default/older'
  ! "$DRAWBRIDGE" plan --live younger --kubeconfig "$CLUSTER/admin.conf" >"$CASE_DIR/plan" 2>&1 || die 'plan of one that writes nothing is no refusal'
  assert_match "$(<"$CASE_DIR/plan")" 'nothing would change: TargetConflict: .*default/older'
  eventually 300 condition_is older Ready True
  assert served_is v1beta1
  assert condition_is younger Stalled 'True TargetConflict'
  kubectl delete draconfiguration older --timeout=60s >/dev/null
  eventually 300 condition_is younger Ready True
  assert served_is 'v1beta1 v1beta2'
}

leader() { api -f "$API/apis/coordination.k8s.io/v1/namespaces/drawbridge-system/leases/drawbridge" | jq -r '.spec.holderIdentity // ""'; }
leader_is_not() { [[ -n $(leader) && $(leader) != "$1" ]]; }

# case: of two controllers one leads and the other waits; the second takes over when the first is killed, and writes nothing new
# timeout: 600
case_two_controllers() {
  use_cluster 1.33
  start_both
  eventually 40 leader
  eventually 40 leader_is_not ''
  local first
  first=$(leader)
  start_second_controller
  dra_on dra
  eventually 300 condition_is dra Ready True
  assert_equal "$(leader)" "$first" 'the leader'
  sleep 1
  files >"$CASE_DIR/files-1"
  kill_hard "$CONTROLLER"
  eventually 120 leader_is_not "$first"
  dra_on dra 'rollout: {componentTimeout: 61s, minReady: 0s}'
  eventually 60 condition_is dra Ready True
  files >"$CASE_DIR/files-2"
  assert_same_file "$CASE_DIR/files-1" "$CASE_DIR/files-2"
}

# case: suspend: nothing is written until it is lifted
# timeout: 480
case_suspend() {
  use_cluster 1.33
  start_both
  keep_files "$CASE_DIR/before"
  dra_on dra 'suspend: true'
  eventually 60 condition_is dra Ready 'False Suspended'
  sleep 3
  assert same_files "$CASE_DIR/before"
  dra_on dra 'suspend: false'
  eventually 300 condition_is dra Ready True
}
