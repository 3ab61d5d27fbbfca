# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# Clusters of the real Cluster API, the slow rows: what of a ClusterClass is written, told and put back. Some minutes, and so by name:
#   ./e2e/test.sh capi/variables capi/owned
# run: by name
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl cluster-api helm

# shellcheck source=../lib/capi.sh
source "$E2E/lib/capi.sh"

ON=DynamicResourceAllocation=true

# a_class NAME JQ: the class "gated" with a change.
a_class() { kubectl get clusterclass gated -o json | jq "{apiVersion, kind, metadata: {name: \"$1\", namespace: \"default\"}, spec} | $2" | kubectl apply -f - >/dev/null; }

# a_variable NAME PATH VALUE: jq that adds a variable and the patch that makes a flag of it; VALUE is the patch's template, with V for the variable.
a_variable() {
  printf '.spec.variables += [{name: "%s", required: false, schema: {openAPIV3Schema: {type: "string", maxLength: 1024}}}] |
    .spec.patches += [{name: "%s", enabledIf: "{{ if .%s }}true{{ end }}", definitions: [{
      selector: {apiVersion: "controlplane.cluster.x-k8s.io/v1beta2", kind: "KubeadmControlPlaneTemplate", matchResources: {controlPlane: true}},
      jsonPatches: [{op: "add", path: "/spec/template/spec/kubeadmConfigSpec/%s", valueFrom: {template: "%s"}}]}]}]' "$1" "$1" "$1" "$2" "${3//V/{{ .$1 | quote \}\}}"
}

# start_one CLASS: a Cluster of it with one Machine and one worker, rolled out; what it said before; the controller with the chart's rights.
start_one() {
  capi_topology one "$1" 1 1
  eventually 120 kcp_of_one
  eventually 120 kcp_over "$(kcp_of_one)"
  capi_get clusters one | jq -S .spec >"$CASE_DIR/before"
  chart_roles capi-rbac.yaml --set 'clusterAPI[0].namespace=default,clusterAPI[0].kubeconfigSecrets[0]=workload' | kubectl apply -f - >/dev/null
  kubectl create secret generic workload --from-file=value="$CLUSTER/admin.conf" >/dev/null
  start_controller
}

turn_on() {
  configure one default <<<'
featureGates: {DynamicResourceAllocation: true}
platform: {type: ClusterAPI}
rollout: {componentTimeout: 120s, minReady: 0s}
deletionPolicy: Revert
cluster: {kubeconfigSecretRef: {name: workload}}'
}

kcp_of_one() { capi_get clusters one | jq -er .spec.controlPlaneRef.name; }
args_of() { capi_get kubeadmcontrolplanes "$(kcp_of_one)" | jq -c "[.spec.kubeadmConfigSpec.$1[]? | select(.name == \"$2\").value]"; }
reconciled() { [[ $(capi_get clusters one | jq -r '.status.conditions[] | select(.type == "TopologyReconciled").status') == True ]]; }
same_cluster() { diff "$CASE_DIR/before" <(capi_get clusters one | jq -S .spec); }

# case: every flag is a variable's: all of them are set in one object, the control plane is first, and Revert gives the Cluster from before
# timeout: 500
case_variables() {
  local all=''
  use_capi 1.33 dra
  kubectl apply -f "$E2E/capi/class.yaml" >/dev/null
  all+=$(a_variable served clusterConfiguration/apiServer/extraArgs/- '{name: runtime-config, value: V}')
  all+=" | $(a_variable manager clusterConfiguration/controllerManager '{extraArgs: [{name: feature-gates, value: V}]}')"
  all+=" | $(a_variable scheduler clusterConfiguration/scheduler 'extraArgs: [{name: feature-gates, value: V}]')"
  all+=" | $(a_variable nodes joinConfiguration/nodeRegistration/kubeletExtraArgs '[{name: feature-gates, value: V}]')"
  all+=' | .spec.patches[-1].definitions[0].jsonPatches += [.spec.patches[-1].definitions[0].jsonPatches[0] | .path |= sub("joinConfiguration"; "initConfiguration")]'
  a_class varied "$all"
  start_one varied
  turn_on
  eventually 250 condition_is one Ready True default
  assert_equal "$(capi_get clusters one | jq -c '.spec.topology.variables | map({(.name): .value}) | add | [.apiServerFeatureGates, .kubeletFeatureGates, .manager, .nodes, .scheduler, .served]')" \
    "[\"$ON\",\"$ON\",\"$ON\",\"$ON\",\"$ON\",\"resource.k8s.io/v1beta1=true\"]"
  assert_equal "$(args_of clusterConfiguration.apiServer.extraArgs feature-gates)$(args_of clusterConfiguration.scheduler.extraArgs feature-gates)" "[\"$ON\"][\"$ON\"]"
  assert_equal "$(args_of initConfiguration.nodeRegistration.kubeletExtraArgs feature-gates)" "[\"$ON\"]"
  assert_equal "$(kubectl get kubeadmcontrolplanes,machinedeployments -o json | jq -r '.items[].metadata.annotations // {} | keys[] | select(startswith("drawbridge.dev/"))')" '' 'records elsewhere'
  assert_equal "$(kubectl get kubeadmconfigtemplates -l drawbridge.dev/cluster -o name)" '' 'templates of ours'
  assert reconciled
  kubectl delete draconfiguration one --timeout=200s >/dev/null
  assert same_cluster
  eventually 60 reconciled
  assert_equal "$(args_of clusterConfiguration.scheduler.extraArgs feature-gates)" '[]'
  assert_equal "$(capi_get clusters one | jq -r '.metadata.annotations // {} | keys[] | select(startswith("drawbridge.dev/"))')" ''
}

# case: a flag that a template owns is not changed; the patch that is told is taken by the ClusterClass, and does it
# timeout: 500
case_owned() {
  local said patch
  use_capi 1.33 dra
  kubectl apply -f "$E2E/capi/class.yaml" >/dev/null
  a_class fixed '.spec.patches = [{name: "gates", definitions: [{
    selector: {apiVersion: "controlplane.cluster.x-k8s.io/v1beta2", kind: "KubeadmControlPlaneTemplate", matchResources: {controlPlane: true}},
    jsonPatches: [{op: "add", path: "/spec/template/spec/kubeadmConfigSpec/clusterConfiguration/scheduler", value: {extraArgs: [{name: "feature-gates", value: "ContextualLogging=true"}]}}]}]}] | del(.spec.variables)'
  start_one fixed
  turn_on
  eventually 60 condition_is one ConfigValid 'False NotManaged' default
  said=$(condition_message one ConfigValid default)
  assert_match "$said" "have ClusterClass default/fixed set --feature-gates=ContextualLogging=true,$ON"
  assert reconciled
  patch=${said#*spec.patches: }
  kubectl patch clusterclass fixed --type json -p "[{\"op\": \"add\", \"path\": \"/spec/patches/-\", \"value\": $patch}]" >/dev/null
  eventually 250 condition_is one Ready True default
  assert_equal "$(args_of clusterConfiguration.scheduler.extraArgs feature-gates)" "[\"ContextualLogging=true,$ON\"]"
  assert reconciled
  kubectl delete draconfiguration one --timeout=200s >/dev/null
  assert_equal "$(args_of clusterConfiguration.scheduler.extraArgs feature-gates)" "[\"ContextualLogging=true,$ON\"]"
  assert_equal "$(args_of clusterConfiguration.apiServer.extraArgs feature-gates)" '[]'
}
