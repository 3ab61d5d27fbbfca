# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# spec.features: what is asked for by name is on, is read back, and does what it is for.
# needs: drawbridge
# tools: kwok 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.34/kube-apiserver 1.34/kube-controller-manager 1.34/kube-scheduler 1.34/kubectl 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet

# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

# feature_state NAME FEATURE: "On", "Default", ...
feature_state() { dracfg "$1" | jq -r --arg name "$2" '.status.features[]? | select(.name == $name).state'; }
feature_is() { [[ $(feature_state "$1" "$2") == "$3" ]]; }
feature_message() { dracfg "$1" | jq -r --arg name "$2" '.status.features[]? | select(.name == $name).message'; }

# allocated CLAIM PATTERN
# shellcheck disable=SC2053 # a pattern
allocated() { [[ $(kubectl get resourceclaim "$1" -o jsonpath='{.status.allocation.devices.results[*].device}') == $2 ]]; }
running() { [[ $(kubectl get pod "$1" -o jsonpath='{.status.phase}') == Running ]]; }

# claim NAME [LINE...]: one device of class gpu, with more lines of its request, and a pod that uses it.
claim() {
  {
    printf 'apiVersion: resource.k8s.io/v1\nkind: ResourceClaim\nmetadata: {name: %s}\nspec:\n  devices:\n    requests:\n    - name: gpu\n      exactly:\n        deviceClassName: gpu\n' "$1"
    (($# == 1)) || printf '        %s\n' "${@:2}"
    printf -- '---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec:\n  containers: [{name: main, image: none, resources: {claims: [{name: gpu}]}}]\n  resourceClaims: [{name: gpu, resourceClaimName: %s}]\n' "$1" "$1"
  } | put -f - >/dev/null
}

gpu_class() {
  eventually 60 kubectl get serviceaccount default # pods need it, and the controller-manager was just restarted
  put -f - >/dev/null <<'END'
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu}
spec:
  selectors: [{cel: {expression: device.driver == 'gpu.example.com'}}]
END
}

# case: on 1.34 partitions and shared capacity are rolled out and read back; two claims get the halves of a device, a third one that would overlap waits, and two others share one by its capacity
case_partitions_on_1_34() {
  use_cluster 1.34
  start_kwok
  start_both
  configure dra <<<"features: [PartitionableDevices, ConsumableCapacity]
allowAlpha: true
$QUICK_ROLLOUT"
  eventually 200 condition_is dra Ready True
  gates_are 1 DRAPartitionableDevices kube-apiserver kube-scheduler
  gates_are 1 DRAConsumableCapacity kube-apiserver kube-controller-manager kube-scheduler
  gates_are 0 DRAPartitionableDevices kube-controller-manager # it does not read this one
  assert feature_is dra PartitionableDevices On
  assert feature_is dra ConsumableCapacity On
  assert_match "$(feature_message dra PartitionableDevices)" 'DRAPartitionableDevices.* on, as kube-.*report; resource.k8s.io/v1 served'
  assert_equal "$(dracfg dra | jq -r '.status.features[0].defaultSince')" 1.36
  fake_node kwok-node-0
  gpu_class
  put -f - >/dev/null <<'END'
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: kwok-node-0-gpu}
spec:
  driver: gpu.example.com
  nodeName: kwok-node-0
  pool: {name: kwok-node-0, generation: 1, resourceSliceCount: 1}
  sharedCounters: [{name: gpu-0, counters: {memory: {value: 40Gi}}}]
  devices:
  - {name: half-1, capacity: {memory: {value: 20Gi}}, consumesCounters: [{counterSet: gpu-0, counters: {memory: {value: 20Gi}}}]}
  - {name: half-2, capacity: {memory: {value: 20Gi}}, consumesCounters: [{counterSet: gpu-0, counters: {memory: {value: 20Gi}}}]}
  - {name: whole, capacity: {memory: {value: 40Gi}}, consumesCounters: [{counterSet: gpu-0, counters: {memory: {value: 40Gi}}}]}
  - {name: shared, allowMultipleAllocations: true, attributes: {shared: {bool: true}}, capacity: {memory: {value: 10Gi}}}
END
  local whole="selectors: [{cel: {expression: '!(\"shared\" in device.attributes[\"gpu.example.com\"])'}}]"
  claim one "$whole"
  eventually 60 allocated one 'half-?'
  claim two "$whole"
  eventually 60 allocated two 'half-?'
  claim three "$whole"
  local shared="selectors: [{cel: {expression: '\"shared\" in device.attributes[\"gpu.example.com\"]'}}]"
  claim four "$shared" 'capacity: {requests: {memory: 4Gi}}'
  claim five "$shared" 'capacity: {requests: {memory: 4Gi}}'
  claim six "$shared" 'capacity: {requests: {memory: 4Gi}}' # 12 of 10
  local name
  for name in four five; do eventually 60 allocated "$name" shared; done
  for name in one two four five; do eventually 60 running "$name"; done
  never_within 5 allocated three '?*'
  assert_equal "$(kubectl get resourceclaim six -o jsonpath='{.status.allocation}')" ''
}

# case: the same spec on 1.37 writes nothing and says Default
case_default_on_1_37() {
  use_cluster 1.37
  start_both
  files >"$CASE_DIR/before"
  configure dra <<<"features: [PartitionableDevices, ConsumableCapacity]
$QUICK_ROLLOUT"
  eventually 80 condition_is dra Ready 'True DefaultOn'
  files >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after" 'the files of the control plane'
  assert feature_is dra PartitionableDevices Default
  assert feature_is dra ConsumableCapacity Default
}

# case: on 1.36 a DeviceTaintRule needs its gate on three components and an API version; a device that it taints is not allocated. What does not exist, or is alpha, is refused and nothing is touched
case_taint_rules_on_1_36() {
  use_cluster 1.36
  start_kwok
  start_both
  files >"$CASE_DIR/before"
  configure dra <<<"features: [DeviceTaintRules, DerivedAttributes]
$QUICK_ROLLOUT"
  eventually 60 condition_is dra ConfigValid 'False FeatureUnavailable'
  assert_match "$(condition_message dra ConfigValid)" 'feature DerivedAttributes exists from Kubernetes 1.37 on'
  assert feature_is dra DerivedAttributes Unavailable
  assert feature_is dra DeviceTaintRules Off
  configure dra <<<"features: [DeviceTaintRules, PoolStatus]
$QUICK_ROLLOUT"
  eventually 60 condition_is dra ConfigValid 'False AlphaNotAllowed'
  assert_match "$(condition_message dra ConfigValid)" 'feature PoolStatus needs'
  files >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after" 'what was refused touched a file'
  configure dra <<<"features: [DeviceTaintRules]
$QUICK_ROLLOUT"
  eventually 200 condition_is dra Ready True
  gates_are 1 DRADeviceTaintRules "${CONTROL_PLANE[@]}"
  assert feature_is dra DeviceTaintRules On
  assert_equal "$(served)" 'v1 v1beta2' 'versions of resource.k8s.io'
  fake_node kwok-node-0
  gpu_class
  put -f - >/dev/null <<'END'
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: kwok-node-0-gpu}
spec:
  driver: gpu.example.com
  nodeName: kwok-node-0
  pool: {name: kwok-node-0, generation: 1, resourceSliceCount: 1}
  devices: [{name: gpu-1}, {name: gpu-2}]
---
apiVersion: resource.k8s.io/v1beta2
kind: DeviceTaintRule
metadata: {name: gpu-1}
spec:
  deviceSelector: {driver: gpu.example.com, pool: kwok-node-0, device: gpu-1}
  taint: {key: example.com/ill, effect: NoSchedule}
END
  claim one
  eventually 60 allocated one gpu-2
  claim two
  never_within 5 allocated two '?*'
  kubectl delete devicetaintrule gpu-1 >/dev/null
  eventually 60 allocated two gpu-1
}

# every_feature MINOR [OPTION...]: all that this minor has, at once, on the real components; each says so itself.
every_feature() {
  local list name gate component version
  list=$("$DRAWBRIDGE" features --kubernetes "$1" -o json | jq -c '[.[] | select(.state != "Unavailable")]')
  use_cluster "$@"
  start_both
  configure dra <<<"features: $(jq -c '[.[].name]' <<<"$list")
allowAlpha: true
$QUICK_ROLLOUT"
  eventually 300 condition_is dra Ready True
  while read -r name version; do
    eventually 10 group_version_served "$version" || die "$name is used in $version, which is not served"
  done < <(jq -r '.[] | .name as $name | .apis[] | "\($name) \(.)"' <<<"$list")
  while read -r gate component; do
    [[ $component != '*' && ($component != kubelet || -s $NODE/kubelet/version) ]] || continue
    gates_are 1 "$gate" "$component"
  done < <(jq -r '.[].gates[] | .name as $gate | .components[] | "\($gate) \(.)"' <<<"$list" | sort -u)
  for name in $(jq -r '.[].name' <<<"$list"); do
    # what only the kubelet reads is not known where there is none
    [[ $name == PodResources && ! -s $NODE/kubelet/version ]] || assert_match "$(feature_state dra "$name")" '^(On|Default)$' "state of $name"
  done
  note "$(dracfg dra | jq -r '.status.features[] | "\(.name) \(.state): \(.message)"')"
}

group_version_served() { [[ $(api "$API/apis/$1" | jq -r .groupVersion) == "$1" ]]; }

# case: every feature that 1.33 has works on its real components; one of 1.34 is refused with the minor that has it
# timeout: 600
case_all_of_1_33() {
  every_feature 1.33 kubelet
  patch_at "$(dracfg_at dra)" '{"spec":{"features":["ConsumableCapacity"]}}'
  eventually 60 condition_is dra ConfigValid 'False FeatureUnavailable'
  assert_match "$(condition_message dra ConfigValid)" 'feature ConsumableCapacity exists from Kubernetes 1.34 on'
}

# case: every feature that 1.34 has
# timeout: 600
case_all_of_1_34() { every_feature 1.34; }

# case: every feature that 1.36 has
# timeout: 600
case_all_of_1_36() { every_feature 1.36; }

# case: every feature that 1.37 has
# timeout: 600
case_all_of_1_37() { every_feature 1.37 kubelet; }

# case: Observe on 1.37, as on a managed cluster: no agent is there, and a leftover that 1.38 refuses is seen in /flagz; what is off is told, with what its owner must set
case_observed_by_flagz() {
  use_cluster 1.37
  edit kube-apiserver 's/^( *)- kube-apiserver$/\1- kube-apiserver\n\1- --feature-gates=DynamicResourceAllocation=true/'
  eventually 60 flagz_has ':DynamicResourceAllocation=true'
  eventually 60 api -f -o /dev/null "$API/readyz"
  start_controller
  configure dra <<<'features: [PoolStatus, DeviceTaintRules]
allowAlpha: true
platform: {type: Observe}'
  eventually 60 condition_is dra Upgradeable 'False GatesIncompatible'
  assert_match "$(condition_message dra Upgradeable)" 'kube-apiserver.*DynamicResourceAllocation'
  assert condition_is dra ControlPlaneUpdated 'False EnableElsewhere'
  assert_match "$(condition_message dra ControlPlaneUpdated)" 'kube-apiserver reports DRAResourcePoolStatus off; whoever owns its flags must set .*DRAResourcePoolStatus=true'
  assert feature_is dra PoolStatus Off
  assert_equal "$(feature_state dra DeviceTaintRules)" Default 'as far as the API server can say'
}

flagz_has() { [[ $(api -f -H 'Accept: application/json;v=v1beta1;g=config.k8s.io;as=Flagz' "$API/flagz" | jq -r '.flags["feature-gates"]') == *"$1"* ]]; }
