# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What would not start is refused with a reason, and nothing is touched.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet

# refused REASON MESSAGE-PATTERN: reads the spec from stdin; one after the other on one cluster.
refused() {
  configure dra
  eventually 60 condition_is dra ConfigValid "False $1"
  assert_match "$(condition_message dra ConfigValid)" "$2"
  assert condition_is dra Ready "False $1"
  assert condition_is dra Stalled "True $1"
}

refusals_on() {
  use_cluster "$1" kubelet
  start_both
  { files && processes; } >"$CASE_DIR/before"
}

nothing_touched() {
  sleep 2
  { files && processes; } >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after" 'files and processes'
  cluster_is_clean
}

# case: 1.33: a typo, a removed gate, alpha without allowAlpha, a dependency that is off, an API version that is not registered
case_on_1_33() {
  refusals_on 1.33
  refused UnknownFeatureGate 'DynamicResourceAllocation' <<<'featureGates: {DynamicResourceAlocation: true}'
  refused FeatureGateRemoved 'CPUManager' <<<'featureGates: {DynamicResourceAllocation: true, CPUManager: true}'
  refused AlphaNotAllowed 'DRAPrioritizedList' <<<'featureGates: {DynamicResourceAllocation: true, DRAPrioritizedList: true}'
  refused FeatureGateDependency 'DynamicResourceAllocation' <<'EOF'
featureGates: {DRAPrioritizedList: true, DynamicResourceAllocation: false}
allowAlpha: true
EOF
  refused APIVersionNotRegistered 'resource.k8s.io/v1' <<'EOF'
featureGates: {DynamicResourceAllocation: true}
runtimeConfig: {resource.k8s.io/v1: "true"}
EOF
  refused FeatureGateTooNew 'DRAConsumableCapacity' <<'EOF'
featureGates: {DynamicResourceAllocation: true, DRAConsumableCapacity: true}
allowAlpha: true
EOF
  nothing_touched
}

# case: 1.37: gates locked to the other value, a removed one, and a dependency that is off
case_on_1_37() {
  refusals_on 1.37
  refused FeatureGateLocked 'DynamicResourceAllocation' <<<'featureGates: {DynamicResourceAllocation: false}'
  refused FeatureGateLocked 'DRAExtendedResource' <<<'featureGates: {DRAExtendedResource: false}'
  refused FeatureGateRemoved 'AppArmor' <<<'featureGates: {AppArmor: true}'
  refused FeatureGateDependency 'DRADeviceTaint' <<<'featureGates: {DRADeviceTaints: false, DRADeviceTaintRules: true}'
  nothing_touched
}

# case: after a refusal the corrected spec goes through; the same cluster, the same object
# timeout: 480
case_corrected() {
  refusals_on 1.33
  refused UnknownFeatureGate 'DynamicResourceAllocation' <<<'featureGates: {DynamicResourceAlocation: true}'
  dra_on dra
  eventually 300 condition_is dra Ready True
  assert dra_is_on
}
