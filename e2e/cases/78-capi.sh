# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# Clusters of the real Cluster API, whose machines are in memory: what is written, in which order, what is waited for, and the way back.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl cluster-api helm kwok

# shellcheck source=../lib/capi.sh
source "$E2E/lib/capi.sh"
# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

generations() { kubectl get kubeadmcontrolplanes,machinedeployments,kubeadmconfigtemplates -o json | jq -r '.items[] | "\(.kind) \(.metadata.name) \(.metadata.generation)"'; }

# follow: each state of what is written, one line, in the order of the API server's versions.
follow() {
  local kind
  for kind in kubeadmcontrolplanes machinedeployments; do
    start "watch-$kind" "$TOOLS_BIN/$VERSION/kubectl" get "$kind" --watch --output-watch-events -o json
  done
}

# in_order: the MachineDeployment is not changed before the control plane is over.
in_order() {
  cat "$CASE_DIR"/watch-{kubeadmcontrolplanes,machinedeployments}.log | jq -rs 'map(.object) | sort_by(.metadata.resourceVersion | tonumber)[] |
    [.kind, (.spec | tostring | contains("DynamicResourceAllocation=true") or contains("one-workers-")),
     (.status.observedGeneration == .metadata.generation and ([.status | .replicas, .upToDateReplicas, .readyReplicas] | unique) == [.spec.replicas])] |
     map(tostring) | join(" ")' >"$CASE_DIR/states"
  awk '$1 == "KubeadmControlPlane" && $2 == "true" { begun = 1; over = $3 == "true" }
    $1 == "MachineDeployment" && $2 == "true" && !changed { changed = 1; if (!begun || !over) { print "the workers came too early"; exit 1 } }
    END { if (!changed) { print "the workers did not come"; exit 1 } }' "$CASE_DIR/states" >"$CASE_DIR/order" || die "$(cat "$CASE_DIR/order")"
}

# case: three components and the kubelets, the control plane first and waited for, then the workers by a template of their own; a second pass writes nothing; a driver in the workload cluster, by the kubeconfig that Cluster API keeps; Revert, which leaves what somebody else added
# timeout: 500
case_enable() {
  local template
  # The API server of a cluster in memory tells nothing of its gates: this one has DRA on from the start, and stands in for it. The managers keep the
  # connections that they have.
  use_driver_cluster 1.33 dra
  FAR=$CLUSTER
  fake_node gpu-1
  capi_up 1 1
  MANAGEMENT=$CLUSTER
  capi_kubeconfig one "$FAR/admin.conf"
  follow
  CHART=$(pack_chart)
  start_driver_controller --smoke-test-timeout 10s
  capi_dra one 'deletionPolicy: Revert' 'suspend: true'
  eventually 60 condition_is one Ready 'False Suspended' default
  assert same_specs
  plan_shows
  capi_dra one 'deletionPolicy: Revert'
  eventually 200 condition_is one Ready True default
  in_order
  assert_equal "$(args_of clusterConfiguration.apiServer.extraArgs)" \
    '[{"name":"feature-gates","value":"DynamicResourceAllocation=true"},{"name":"runtime-config","value":"resource.k8s.io/v1beta1=true"},{"name":"v","value":"2"}]'
  for component in clusterConfiguration.controllerManager.extraArgs clusterConfiguration.scheduler.extraArgs \
    initConfiguration.nodeRegistration.kubeletExtraArgs joinConfiguration.nodeRegistration.kubeletExtraArgs; do
    assert_equal "$(args_of "$component")" '[{"name":"feature-gates","value":"DynamicResourceAllocation=true"}]' "$component"
  done
  template=$(capi_get machinedeployments one-workers | jq -r .spec.template.spec.bootstrap.configRef.name)
  assert_match "$template" '^one-workers-[0-9a-f]{8}$'
  assert_equal "$(capi_get kubeadmconfigtemplates "$template" | jq -c .spec.template.spec.joinConfiguration.nodeRegistration.kubeletExtraArgs)" \
    '[{"name":"feature-gates","value":"DynamicResourceAllocation=true"}]'
  # A machine that runs was made from it.
  assert_equal "$(capi_get kubeadmconfigs '' | jq -r '[.items[] | select(.metadata.labels["cluster.x-k8s.io/deployment-name"]).spec.joinConfiguration.nodeRegistration.kubeletExtraArgs[0].value] | unique | join(" ")')" \
    'DynamicResourceAllocation=true'
  assert_match "$(condition_message one ControlPlaneUpdated default)" 'kube-apiserver as its /metrics say, .* by their complete roll-outs'
  assert_match "$(condition_message one NodesUpdated default)" '^2 of 2 objects that nodes are made from'
  assert_equal "$(dracfg one | jq -c '.status.nodes | [.managed, .updated]')" '[2,2]' 'nodes'
  assert_match "$(kubectl get dracfg one)" 'ClusterAPI +v1.33.13 +v1beta1 +4/4 .*True'
  nothing_more
  driver_there
  # What somebody else adds beside ours stays when ours goes.
  kubectl patch kubeadmcontrolplane one --type json \
    -p '[{"op": "add", "path": "/spec/kubeadmConfigSpec/clusterConfiguration/scheduler/extraArgs/-", "value": {"name": "v", "value": "3"}}]' >/dev/null
  kubectl delete draconfiguration one --timeout=150s >/dev/null
  jq -S '.kubeadmConfigSpec.clusterConfiguration.scheduler.extraArgs = [{name: "v", value: "3"}]' "$CASE_DIR/before/kcp" >"$CASE_DIR/with-theirs"
  mv "$CASE_DIR/with-theirs" "$CASE_DIR/before/kcp"
  assert same_specs
  assert_equal "$(kubectl get kubeadmcontrolplanes,machinedeployments -o json | jq -r '.items[].metadata.annotations // {} | keys[] | select(startswith("drawbridge.dev/"))')" ''
  # Nor has the management cluster seen anything of the driver.
  rights_words "$CLUSTER/audit.json" >"$CASE_DIR/asked"
  refuse grep -E 'resource.k8s.io|daemonsets|serviceaccounts|controller-as|smoke-test|secrets .* gpu$' "$CASE_DIR/asked"
  far
  assert no_release gpu gpu
  eventually 60 none_of daemonsets,pods -n gpu
  assert none_of pods -n drawbridge-smoke-test
}

far() { cluster_use "$FAR"; }
management() { cluster_use "$MANAGEMENT"; }

# driver_there: in FAR, by the Secret that nobody named; refused for a while, and then as it was.
driver_there() {
  capi_dra one 'deletionPolicy: Revert' 'smokeTest: {enabled: true, deviceClassName: gpu.example.com}' \
    "driver: {chart: {path: $CHART}, release: gpu, namespace: gpu, serviceAccountName: installer}"
  eventually 120 condition_is one DriverReady 'True AsExpected' default
  eventually 60 condition_is one DevicesPublished 'False NoResourceSlices' default
  far
  assert release_is gpu gpu deployed
  fake_slice gpu-1 gpu.example.com 8
  management
  eventually 120 condition_is one SmokeTestPassed True default
  eventually 60 condition_is one Ready True default
  assert_match "$(condition_message one SmokeTestPassed default)" '\(resource.k8s.io/v1beta1\) of gpu.example.com got gpu-[0-7] .* ran on gpu-1'
  assert_equal "$(dracfg one | jq -r .status.clusterUID)" "$(far && kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')"
  sed "s/client-certificate-data: .*/token: revoked/; /client-key-data/d" "$FAR/admin.conf" >"$CASE_DIR/revoked.conf"
  capi_kubeconfig one "$CASE_DIR/revoked.conf"
  eventually 60 condition_is one DriverReady 'Unknown Forbidden' default
  assert condition_is one SmokeTestPassed True default
  assert_equal "$(dracfg one | jq -c '[.status.driver.release, .status.devices.devices]')" '["gpu",8]'
  capi_kubeconfig one "$FAR/admin.conf"
  eventually 60 condition_is one Ready True default
  assert_equal "$(far && revisions gpu gpu)" 1 revisions
}

# plan_shows: what would be written, and nothing is.
plan_shows() {
  local code=0
  "$DRAWBRIDGE" plan --live one --kubeconfig "$KUBECONFIG" >"$CASE_DIR/plan" || code=$?
  assert_equal "$code" 1 'exit code of plan'
  assert_match "$(cat "$CASE_DIR/plan")" '\+\+\+ b/kubeadmcontrolplanes/default/one'
  assert_match "$(cat "$CASE_DIR/plan")" '\+ +name: one-workers-[0-9a-f]{8}'
  assert_match "$(cat "$CASE_DIR/plan")" 'kubeadmconfigtemplates/default/one-workers-[0-9a-f]{8} \(a copy of one-workers\)'
}

# nothing_more: a pass that is asked for writes nothing.
nothing_more() {
  generations >"$CASE_DIR/quiet"
  request_pass one
  eventually 60 handled one
  assert_equal "$(generations)" "$(cat "$CASE_DIR/quiet")" 'a second pass'
}

# case: Auto finds the Cluster of a kubeconfig, also for plan; a machine that does not come up: the old one stays, what was there before comes back, the machine's words are told; while it is paused nothing is written
# timeout: 400
case_stuck() {
  capi_up 1 1
  start_controller
  plan_finds
  kubectl patch cluster one --type merge -p '{"spec":{"paused":true}}' >/dev/null
  capi_dra auto 'platform: {type: Auto}' 'cluster: {kubeconfigSecretRef: {name: one-kubeconfig}}' 'deletionPolicy: Revert' 'rollout: {componentTimeout: 20s, minReady: 0s}'
  eventually 60 condition_is auto Ready 'False ClusterPaused' default
  assert_equal "$(kubectl get dracfg auto -o jsonpath='{.status.platform}')" ClusterAPI
  assert same_specs
  machines_take 1h
  kubectl patch cluster one --type merge -p '{"spec":{"paused":false}}' >/dev/null
  eventually 60 has_gate
  eventually 120 condition_is auto Degraded 'True ComponentNotReady' default
  assert_match "$(condition_message auto Degraded default)" 'Machine one-[a-z0-9]+: '
  eventually 120 kcp_over one
  assert same_specs
  eventually 60 condition_is auto ControlPlaneUpdated 'False RolledBack' default
  kubectl delete draconfiguration auto --timeout=90s >/dev/null
}

# plan_finds: the Cluster that Auto will find, of a file that no API server has.
plan_finds() {
  local code=0
  printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: DRAConfiguration\nmetadata: {name: auto, namespace: default}\nspec: {featureGates: {DynamicResourceAllocation: true}, cluster: {kubeconfigSecretRef: {name: one-kubeconfig}}}\n' >"$CASE_DIR/auto.yaml"
  "$DRAWBRIDGE" plan -f "$CASE_DIR/auto.yaml" --kubeconfig "$KUBECONFIG" >"$CASE_DIR/plan" || code=$?
  assert_equal "$code" 1 'exit code of plan'
  assert_match "$(cat "$CASE_DIR/plan")" '\+\+\+ b/kubeadmcontrolplanes/default/one'
}

# machines_take DURATION: those that are made from now on, until they are there.
machines_take() {
  kubectl delete devmachinetemplate in-memory >/dev/null
  sed "s/vm: .*/vm: {provisioning: {startupDuration: $1}}/" "$E2E/capi/machines.yaml" | kubectl apply -f - >/dev/null
}

# case: before 1.38, on 1.37: the gate that it has no more is found in a control plane and in a template, and is taken out and given back on request
# timeout: 400
case_prepare() {
  local code=0
  use_capi 1.33 dra
  capi_cluster one 1 1 v1.37.2
  kubectl patch kubeadmcontrolplane one --type merge \
    -p '{"spec":{"kubeadmConfigSpec":{"clusterConfiguration":{"controllerManager":{"extraArgs":[{"name":"feature-gates","value":"DynamicResourceAllocation=true"}]}}}}}' >/dev/null
  kubectl patch kubeadmconfigtemplate one-workers --type merge \
    -p '{"spec":{"template":{"spec":{"joinConfiguration":{"nodeRegistration":{"kubeletExtraArgs":[{"name":"feature-gates","value":"DynamicResourceAllocation=true"},{"name":"v","value":"2"}]}}}}}}' >/dev/null
  eventually 120 kcp_over one
  eventually 120 workers_over one-workers
  capi_rights one-kubeconfig
  keep_specs "$CASE_DIR/before"
  start_controller
  printf 'platform: {type: ClusterAPI}\nupgrade: {prepareFor: "1.38"}\n%s\n' "$QUICK" | configure one
  eventually 60 condition_is one Upgradeable 'False GatesIncompatible' default
  assert_match "$(condition_message one Upgradeable default)" 'kube-controller-manager 1.38: feature gate DynamicResourceAllocation is removed .kube-controller-manager in KubeadmControlPlane default/one; without effect today'
  assert_match "$(condition_message one Upgradeable default)" 'kubelet in MachineDeployment default/one-workers'
  "$DRAWBRIDGE" plan --live one --prepare-for 1.38 --kubeconfig "$KUBECONFIG" >"$CASE_DIR/said" || code=$?
  assert_equal "$code" 1 'exit code of plan --prepare-for'
  assert_match "$(tr -s ' ' <"$CASE_DIR/said")" 'kubelet in MachineDeployment default/one-workers DynamicResourceAllocation=true removed in 1.38 none you'
  assert same_specs
  printf 'platform: {type: ClusterAPI}\nupgrade: {prepareFor: "1.38", foreignEntries: Remove}\ndeletionPolicy: Revert\n%s\n' "$QUICK" | configure one
  eventually 150 condition_is one Upgradeable True default
  assert_equal "$(args_of clusterConfiguration.controllerManager)" '[]'
  assert_match "$(capi_get machinedeployments one-workers | jq -r .spec.template.spec.bootstrap.configRef.name)" '^one-workers-[0-9a-f]{8}$'
  eventually 120 workers_over one-workers
  kubectl delete draconfiguration one --timeout=150s >/dev/null
  assert same_specs
}

# case: ClusterClass: its variable for workers is set and put back; a flag that its templates lack is added, and when they come to set ours, ours goes, with the variable to set
# timeout: 400
case_topology() {
  local kcp before
  use_capi 1.33 dra
  capi_topology one gated 1 1
  eventually 120 topology_kcp
  kcp=$(topology_kcp)
  eventually 120 kcp_over "$kcp"
  before=$(capi_get clusters one | jq -S .spec)
  capi_rights workload
  kubectl create secret generic workload --from-file=value="$CLUSTER/admin.conf" >/dev/null
  start_controller
  capi_dra one 'deletionPolicy: Revert' 'cluster: {kubeconfigSecretRef: {name: workload}}'
  eventually 200 condition_is one Ready True default
  assert_match "$(condition_message one ControlPlaneUpdated default)" 'variable apiServerFeatureGates of Cluster default/one is not used for kube-apiserver: there is none for --runtime-config'
  assert_equal "$(variable_of one kubeletFeatureGates)" DynamicResourceAllocation=true
  assert_equal "$(capi_labelled kubeadmconfigs cluster.x-k8s.io/deployment-name | jq -r '[.items[].spec.joinConfiguration.nodeRegistration.kubeletExtraArgs[0].value] | unique | join(" ")')" DynamicResourceAllocation=true
  assert_equal "$(topology_reconciled)" True
  # A value for the class's variable is the same flag.
  kubectl get cluster one -o json | jq '.spec.topology.variables |= map(if .name == "apiServerFeatureGates" then .value = "CronJobsScheduledAnnotation=true" else . end)' | kubectl replace -f - >/dev/null
  eventually 120 condition_is one Degraded 'True NotManaged' default
  assert_match "$(condition_message one Degraded default)" 'set variable apiServerFeatureGates of Cluster default/one to "CronJobsScheduledAnnotation=true,DynamicResourceAllocation=true"'
  eventually 120 test_topology_reconciled
  assert_match "$(capi_get kubeadmcontrolplanes "$kcp" | jq -c '[.spec.kubeadmConfigSpec.clusterConfiguration.apiServer.extraArgs[] | select(.name == "feature-gates").value]')" '^\["CronJobsScheduledAnnotation=true"\]$'
  kubectl delete draconfiguration one --timeout=120s >/dev/null
  assert_equal "$(capi_get clusters one | jq -S '.spec.topology.variables |= map(if .name == "apiServerFeatureGates" then .value = "" else . end) | .spec')" "$before"
}

variable_of() { capi_get clusters "$1" | jq -r ".spec.topology.variables[] | select(.name == \"$2\").value"; }
topology_kcp() { capi_get clusters one | jq -er .spec.controlPlaneRef.name; }
topology_reconciled() { capi_get clusters one | jq -r '.status.conditions[] | select(.type == "TopologyReconciled").status'; }
test_topology_reconciled() { [[ $(topology_reconciled) == True ]]; }
