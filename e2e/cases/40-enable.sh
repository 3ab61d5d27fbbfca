# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# DRA goes on where it is off, and nothing is written where it is on.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet

# start times of the three, in ticks; each must be later than the one before
in_order() {
  local component before=0 now
  for component in "${CONTROL_PLANE[@]}"; do
    now=$(started_at "$component")
    ((now > before)) || die "$component started before its predecessor"
    before=$now
  done
}

# case: the KubermaticConfiguration of the KKP page, verbatim, on 1.33: every component, in order, read back; a second pass writes nothing
# timeout: 600
case_kubermatic_page() {
  use_cluster 1.33 kubelet
  keep_files "$CASE_DIR/before"
  start_both
  kubectl create namespace kubermatic >/dev/null
  kubectl apply -f "$E2E/seeds/kubermaticconfiguration.yaml" >/dev/null
  eventually 400 condition_is kubermatic Ready True kubermatic
  assert dra_is_on
  assert_equal "$(served)" v1beta1 'versions of resource.k8s.io'
  in_order
  # gate and runtime-config in one restart: each component was replaced once
  local component
  for component in "${CONTROL_PLANE[@]}"; do assert_equal "$(restarts "$component")" 1 "restarts of $component"; done
  assert_equal "$(restarts etcd)" 0 'restarts of etcd'
  note 'what was written'
  for component in "${CONTROL_PLANE[@]}"; do changes "$CASE_DIR/before" "$component.yaml"; done
  changes "$CASE_DIR/before" config.yaml
  # the words of the page
  assert_match "$(kubectl api-resources --api-group=resource.k8s.io)" 'deviceclasses .*resource.k8s.io/v1beta1'
  for component in "${CONTROL_PLANE[@]}"; do
    eventually 40 grep_pod "$component" DynamicResourceAllocation
  done
  # upgrades and joins keep it
  eventually 40 config_map_has kubeadm-config ClusterConfiguration 'DynamicResourceAllocation=true'
  eventually 40 config_map_has kubelet-config kubelet 'DynamicResourceAllocation: true'
  # conditions are mirrored
  eventually 60 kubectl wait --for=condition=Ready --timeout=1s kubermaticconfiguration/kubermatic -n kubermatic
  kubectl wait --for=condition=Ready --timeout=10s dracfg/kubermatic -n kubermatic
  assert_match "$(kubectl get dracfg -n kubermatic kubermatic)" 'Kubeadm +v1.33.13 +v1beta1 +4/4 .*True'
  second_pass kubermatic kubermatic
}

grep_pod() { [[ $(kubectl get pod -n kube-system -l component="$1" -o yaml) == *"$2"* ]]; }
config_map_has() { [[ $(kubectl get configmap -n kube-system "$1" -o json | jq -r --arg key "$2" '.data[$key]') == *"$3"* ]]; }

# second_pass NAME [NAMESPACE]: passes that were asked for, and fresh processes, change nothing
second_pass() {
  sleep 2 # status of the last step
  request_pass "$@"
  writes >"$CASE_DIR/writes-1"
  request_pass "$@"
  stop_all
  start_both
  eventually 40 curl -sf "http://127.0.0.1:$((PORT + 8))/readyz"
  sleep 5
  writes | sed -E 's/^DRAConfiguration .*//' >"$CASE_DIR/writes-2"
  sed -i -E 's/^DRAConfiguration .*//' "$CASE_DIR/writes-1" # the annotation
  assert_same_file "$CASE_DIR/writes-1" "$CASE_DIR/writes-2" 'a second pass wrote'
}

# case: on 1.37 nothing is rewritten, and Ready says why
case_default_on_1_37() {
  use_cluster 1.37 kubelet
  start_both
  writes >"$CASE_DIR/before"
  dra_on dra
  eventually 80 condition_is dra Ready True
  assert_match "$(conditions dra)" 'Ready=True DefaultOn'
  assert_equal "$(served)" v1 'versions of resource.k8s.io'
  sleep 2
  writes | grep -v DRAConfiguration >"$CASE_DIR/after" || true
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after"
  cluster_is_clean
}

# case: Observe on 1.33 without DRA: not Ready, the API is not served, and the message says what to do; nothing is written
case_observe_without_dra() {
  use_cluster 1.33 kubelet
  start_both
  files >"$CASE_DIR/before"
  dra_on dra 'platform: {type: Observe}'
  eventually 60 condition_is dra ResourceAPIServed 'False EnableElsewhere'
  assert condition_is dra Ready False
  assert_match "$(condition_message dra Ready)" '.{20,}'
  sleep 2
  files >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after"
  cluster_is_clean
}

# case: without a kubelet of a real version the control plane alone is enabled
# timeout: 480
case_no_managed_nodes() {
  use_cluster 1.33
  start_both
  dra_on dra
  eventually 300 condition_is dra Ready True
  assert condition_is dra NodesUpdated 'True NoManagedNodes'
  assert dra_is_on
}
