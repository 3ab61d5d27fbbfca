# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# Clusters of the real Cluster API, the slow rows: what of a ClusterClass is written, told and put back. Some minutes, and so by name:
#   ./e2e/test.sh capi/variables capi/owned capi/pools capi/older
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
  capi_rights workload
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
    jsonPatches: [{op: "add", path: "/spec/template/spec/kubeadmConfigSpec/clusterConfiguration/scheduler", value: {extraArgs: [{name: "feature-gates", value: "ContextualLogging=true"}]}}]}]}] | del(.spec.variables) |
    .spec.patches[0].definitions[0].jsonPatches += [
      {op: "add", path: "/spec/template/spec/kubeadmConfigSpec/files", value: [{path: "/etc/kubernetes/patches/kubeletconfiguration.yaml", content: "maxPods: 50\n"}]},
      {op: "add", path: "/spec/template/spec/kubeadmConfigSpec/initConfiguration/patches", value: {directory: "/etc/kubernetes/patches"}},
      {op: "add", path: "/spec/template/spec/kubeadmConfigSpec/joinConfiguration/patches", value: {directory: "/etc/kubernetes/patches"}}]'
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
  assert_equal "$(args_of joinConfiguration.nodeRegistration.kubeletExtraArgs feature-gates)" "[\"$ON\"]" 'beside files[], which are the topology controller'"'"'s'
  assert_equal "$(capi_get kubeadmcontrolplanes "$(kcp_of_one)" | jq -c '[.spec.kubeadmConfigSpec.files[].content]')" '["maxPods: 50\n"]'
  assert reconciled
  kubectl delete draconfiguration one --timeout=200s >/dev/null
  assert_equal "$(args_of clusterConfiguration.scheduler.extraArgs feature-gates)" "[\"ContextualLogging=true,$ON\"]"
  assert_equal "$(args_of clusterConfiguration.apiServer.extraArgs feature-gates)" '[]'
}

# case: a MachinePool gets a KubeadmConfig of its own, whose bootstrap data is made anew and with a token of its own, and the one from before back
# timeout: 400
case_pools() {
  local name
  capi_up 1 1
  capi_pool one
  eventually 60 pool_gives one-pool
  capi_get machinepools one-pool | jq -S .spec >"$CASE_DIR/pool"
  capi_kubeconfig one "$CLUSTER/admin.conf"
  start_controller
  capi_dra one 'deletionPolicy: Revert'
  eventually 200 condition_is one Ready True default
  name=$(capi_get machinepools one-pool | jq -r .spec.template.spec.bootstrap.configRef.name)
  assert_match "$name" '^one-pool-[0-9a-f]{8}$'
  assert pool_gives "$name"
  assert_match "$(bootstrap_data "$name")" "feature-gates.*$ON"
  refuse grep -q "$ON" <<<"$(bootstrap_data one-pool)"
  refuse [ "$(token_of "$name")" == "$(token_of one-pool)" ]
  assert_match "$(condition_message one ControlPlaneUpdated default)" "MachinePool default/one-pool gives out its new bootstrap data; whether its nodes are replaced is its infrastructure provider's to say"
  kubectl delete draconfiguration one --timeout=200s >/dev/null
  eventually 60 pool_gives one-pool
  diff "$CASE_DIR/pool" <(capi_get machinepools one-pool | jq -S .spec)
  assert_equal "$(kubectl get kubeadmconfigs -l drawbridge.dev/cluster -o name)" '' 'configs of ours'
  assert same_specs
}

pool_gives() { [[ $(capi_get machinepools one-pool | jq -r .spec.template.spec.bootstrap.dataSecretName) == "$1" ]]; }
bootstrap_data() { kubectl get secret "$1" -o jsonpath='{.data.value}' | base64 -d; }
token_of() { capi_get kubeadmconfigs "$1" | jq -r .spec.joinConfiguration.discovery.bootstrapToken.token; }

# case: a Cluster API that serves v1beta1 alone, by its conversions: the control plane is written as v1beta1, with maps; once v1beta2 is served too, all goes on with lists, and back
# timeout: 500
case_older() {
  capi_up 1 1
  capi_kubeconfig one "$CLUSTER/admin.conf"
  newer_served false
  start_controller
  capi_dra one 'deletionPolicy: Revert'
  eventually 60 written_as_map
  assert_equal "$(capi_get kubeadmcontrolplanes one v1beta1 | jq -c '.spec.kubeadmConfigSpec | [.clusterConfiguration.apiServer.extraArgs, .clusterConfiguration.controllerManager.extraArgs, .joinConfiguration.nodeRegistration.kubeletExtraArgs]')" \
    "[{\"feature-gates\":\"$ON\",\"runtime-config\":\"resource.k8s.io/v1beta1=true\",\"v\":\"2\"},{\"feature-gates\":\"$ON\"},{\"feature-gates\":\"$ON\"}]"
  assert_equal "$(kubectl get kubeadmcontrolplanes.v1beta1.controlplane.cluster.x-k8s.io one --show-managed-fields -o json | jq -r '[.metadata.managedFields[] | select(.manager == "drawbridge").apiVersion] | unique | join(" ")')" controlplane.cluster.x-k8s.io/v1beta1
  newer_served true
  eventually 250 condition_is one Ready True default
  assert_equal "$(capi_get kubeadmcontrolplanes one | jq -c .spec.kubeadmConfigSpec.clusterConfiguration.scheduler.extraArgs)" "[{\"name\":\"feature-gates\",\"value\":\"$ON\"}]"
  kubectl delete draconfiguration one --timeout=200s >/dev/null
  assert same_specs
}

# newer_served true|false: whether v1beta2 is, of the groups that are written. The managers know no other version, and wait meanwhile.
newer_served() {
  local crd
  for crd in $(kubectl get crd -o json | jq -r '.items[] | select(.spec.group | test("^((controlplane|bootstrap)[.])?cluster[.]x-k8s[.]io$")) | select(any(.spec.versions[]; .name == "v1beta1")).metadata.name'); do
    kubectl get crd "$crd" -o json | jq "(.spec.versions[] | select(.name == \"v1beta2\")).served = $1" | kubectl replace -f - >/dev/null
  done
  eventually 60 newer_is "$1"
}

newer_is() {
  local group
  for group in cluster controlplane.cluster bootstrap.cluster; do
    [[ $(api -f "$API/apis/$group.x-k8s.io" | jq 'any(.versions[]; .version == "v1beta2")') == "$1" ]] || return 1
  done
}

written_as_map() { [[ $(capi_get kubeadmcontrolplanes one v1beta1 | jq -r '.spec.kubeadmConfigSpec.clusterConfiguration.scheduler.extraArgs["feature-gates"]') == "$ON" ]]; }
