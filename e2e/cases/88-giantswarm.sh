# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# Clusters as Giant Swarm makes them: an App with values, a miniature chart by the real helm, and what comes of it rolled by the real Cluster API.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl cluster-api helm

# shellcheck source=../lib/giantswarm.sh
source "$E2E/lib/giantswarm.sh"

# case: a cluster by an App: a ConfigMap of ours beside the user's, the chart's defaults and the user's list stay, all four components, then Revert without a trace
# timeout: 400
case_app() {
  local map template
  use_giantswarm
  giantswarm_app
  capi_kubeconfig one "$CLUSTER/admin.conf" # as in capi/enable
  start_controller
  capi_dra one 'platform: {type: GiantSwarm}' 'deletionPolicy: Revert'
  eventually 200 condition_is one Ready True default
  assert_equal "$(gates_of apiServer)" 'DynamicResourceAllocation=true,MutableCSINodeAllocatableCount=true,StatefulSetAutoDeletePVC=true'
  assert_equal "$(gates_of controllerManager)" 'CronJobsScheduledAnnotation=true,DynamicResourceAllocation=true'
  assert_equal "$(gates_of scheduler)" 'DynamicResourceAllocation=true'
  assert_equal "$(args_of clusterConfiguration.apiServer.extraArgs | jq -r '[.[] | select(.name == "runtime-config").value] | join(" ")')" 'api/all=true'
  template=$(capi_get machinedeployments one-workers | jq -r .spec.template.spec.bootstrap.configRef.name)
  assert_equal "$(kubelet_gates kubeadmcontrolplanes one)" 'DynamicResourceAllocation=true,MutableCSINodeAllocatableCount=true'
  assert_equal "$(kubelet_gates kubeadmconfigtemplates "$template")" 'DynamicResourceAllocation=true,MutableCSINodeAllocatableCount=true'
  # A machine that runs was made from it.
  eventually 60 workers_over one-workers
  map=$(config_maps)
  assert_match "$map" '^one-drawbridge-[0-9a-f]{8}$'
  assert_equal "$(kubectl get apps one -o json | jq -c .spec.extraConfigs)" '[{"kind":"configMap","name":"'"$map"'","namespace":"default","priority":125}]'
  assert_match "$(kubectl get secrets -l giantswarm.io/cluster=one -o json | jq -r '.items[].data["config.toml"] // empty | @base64d')" 'enable_cdi = true'
  assert_match "$(condition_message one ControlPlaneUpdated default)" 'kube-apiserver as its /metrics say'
  assert_match "$(kubectl get dracfg one)" 'GiantSwarm +v1.33.13 +v1beta1 +4/4 .*True'
  kubectl get apps,kubeadmcontrolplanes,machinedeployments -o json | jq -r '.items[] | "\(.kind) \(.metadata.generation)"' >"$CASE_DIR/quiet"
  request_pass one
  eventually 60 handled one
  kubectl get apps,kubeadmcontrolplanes,machinedeployments -o json | jq -r '.items[] | "\(.kind) \(.metadata.generation)"' >"$CASE_DIR/still"
  assert_same_file "$CASE_DIR/quiet" "$CASE_DIR/still" 'a second pass'
  kubectl delete draconfiguration one --timeout=200s >/dev/null
  assert_equal "$(config_maps)" ''
  kubectl get apps one -o json | jq -S .spec >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/object" "$CASE_DIR/after" 'the App'
  assert_equal "$(kubectl get apps one -o json | jq -r '.metadata.annotations // {} | keys[] | select(startswith("drawbridge.dev/"))')" ''
  assert same_specs
}
