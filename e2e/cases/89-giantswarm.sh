# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2016 # from case.sh; what of the chart is changed is no shell
# More of clusters as Giant Swarm makes them. By name, as each takes two minutes, and giantswarm/app shows what is the same.
# run: by name
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl cluster-api helm

# shellcheck source=../lib/giantswarm.sh
source "$E2E/lib/giantswarm.sh"

# case: a cluster by a HelmRelease: ours is the last of its values, and goes with Revert; what counts more than ours is told, and nothing is written
# timeout: 500
case_release() {
  local map
  use_giantswarm
  giantswarm_release
  capi_kubeconfig one "$CLUSTER/admin.conf" # as in capi/enable
  start_controller
  kubectl patch helmrelease one --type merge -p '{"spec":{"suspend":true}}' >/dev/null
  capi_dra one 'platform: {type: GiantSwarm}' 'deletionPolicy: Revert'
  eventually 60 condition_is one Ready 'False ClusterPaused' default
  assert_match "$(condition_message one Ready default)" 'HelmRelease default/one is paused'
  kubectl patch helmrelease one --type json -p '[{"op": "remove", "path": "/spec/suspend"}, {"op": "add", "path": "/spec/values/cluster",
    "value": {"internal": {"advancedConfiguration": {"controlPlane": {"scheduler": {"featureGates": [{"name": "DynamicResourceAllocation", "enabled": false}]}}}}}}]' >/dev/null
  eventually 60 condition_is one Ready 'False NotManaged' default
  assert_match "$(condition_message one Ready default)" \
    'cluster.internal.advancedConfiguration.controlPlane.scheduler.featureGates in spec.values of HelmRelease default/one counts more .* has DynamicResourceAllocation as false there'
  assert_equal "$(config_maps)" ''
  kubectl patch helmrelease one --type json -p '[{"op": "remove", "path": "/spec/values/cluster"}]' >/dev/null
  eventually 200 condition_is one Ready True default
  assert_equal "$(gates_of controllerManager)" 'CronJobsScheduledAnnotation=true,DynamicResourceAllocation=true'
  assert_equal "$(gates_of scheduler)" 'DynamicResourceAllocation=true'
  map=$(config_maps)
  assert_equal "$(kubectl get helmreleases one -o json | jq -c .spec.valuesFrom)" \
    '[{"kind":"ConfigMap","name":"one-userconfig","valuesKey":"values"},{"kind":"ConfigMap","name":"'"$map"'","valuesKey":"values"}]'
  kubectl delete draconfiguration one --timeout=200s >/dev/null
  assert_equal "$(config_maps)" ''
  kubectl get helmreleases one -o json | jq -S .spec >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/object" "$CASE_DIR/after" 'the HelmRelease'
  assert same_specs
}

# case: a chart that takes gates of kube-scheduler and kubelets and does nothing with them: by its version nothing is written, and where no version is told everything is taken back
# timeout: 500
case_ignored() {
  local chart
  chart=$(giantswarm_chart 3.0.1)
  # It reads two lists, and takes the others for something that it does not know.
  sed -i 's/\$provider\.featureGates/(ternary $provider.featureGates list (ne (index . 1) "scheduler"))/' "$chart/charts/cluster/templates/_helpers.tpl"
  sed -i 's/"provider" \.Values\.providerIntegration\.kubeadmConfig\.featureGates/"provider" list/' "$chart/charts/cluster/templates/_helpers.tpl"
  use_giantswarm "$chart"
  giantswarm_app
  start_controller
  capi_dra one 'platform: {type: GiantSwarm}' 'deletionPolicy: Revert'
  eventually 60 condition_is one Ready 'False NotManaged' default
  assert_match "$(condition_message one Ready default)" 'chart cluster 3.0.1 of release 33.1.1 takes feature gates of kube-scheduler and kubelets and does nothing with them'
  assert_equal "$(config_maps)" ''
  kubectl delete draconfiguration one --timeout=60s >/dev/null
  # The same, by a chart of another name.
  sed -i '/^helm.sh\/chart:/d' "$chart/charts/cluster/templates/_helpers.tpl"
  kubectl patch app one --type merge -p '{"spec":{"version":"1.0.1"}}' >/dev/null
  eventually 60 no_chart_label
  capi_dra one 'platform: {type: GiantSwarm}' 'deletionPolicy: Revert'
  eventually 150 condition_is one Degraded 'True NotManaged' default
  assert_match "$(condition_message one Degraded default)" 'takes gates of kube-scheduler and does nothing with them'
  eventually 120 gates_are_back
  eventually 120 kcp_over one
  assert same_specs
  assert_equal "$(config_maps)" ''
  kubectl delete draconfiguration one --timeout=120s >/dev/null
}

no_chart_label() { capi_get kubeadmcontrolplanes one | jq -e '.metadata.labels["helm.sh/chart"] == null' >/dev/null; }
gates_are_back() { [[ $(gates_of apiServer) == 'MutableCSINodeAllocatableCount=true,StatefulSetAutoDeletePVC=true' ]]; }
