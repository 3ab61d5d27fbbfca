# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The next minor, before it is released. Nothing else needs its binaries, which take a newer Go and minutes, and so by name:
#   ./e2e/test.sh next/
# run: by name
# needs: drawbridge
# tools: 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet 1.38/kube-apiserver 1.38/kube-controller-manager 1.38/kube-scheduler 1.38/kubectl 1.38/kubelet

# shellcheck source=../lib/upgrade.sh
source "$E2E/lib/upgrade.sh"

GATE=DynamicResourceAllocation

# case: 1.38: each component that is still given the gate of DRA ends, and starts without it
# timeout: 480
case_gate_is_gone() {
  local component
  use_cluster 1.38 kubelet
  for component in "${CONTROL_PLANE[@]}"; do
    edit "$component" "s/^(    - )$component\$/&\n\1--feature-gates=$GATE=true/"
    eventually 60 gives_up "$component" "$GATE"
    refuse pid_of "$component"
    edit "$component" "/$GATE/d"
    eventually 60 gate_is "$component" DRADeviceTaints 1
  done
  cp "$NODE/kubelet/config.yaml" "$NODE/good.yaml"
  printf 'featureGates:\n  %s: true\n' "$GATE" >>"$NODE/kubelet/config.yaml"
  "$NODE/restart-kubelet"
  eventually 60 grep -q "unrecognized feature gate: $GATE" "$NODE/runner.log"
  refuse curl -sf "http://127.0.0.1:$((PORT + 6))/healthz"
  cp "$NODE/good.yaml" "$NODE/kubelet/config.yaml"
  "$NODE/restart-kubelet"
  eventually 60 curl -sf "http://127.0.0.1:$((PORT + 6))/healthz"
}

# case: 1.38: DRA is built in. Drawbridge says so and writes nothing, also where it only observes; the gate, which would end every component, is refused
case_built_in() {
  local platform name
  use_cluster 1.38 kubelet
  start_both
  { files && processes; } >"$CASE_DIR/before"
  dra_on dra
  eventually 60 condition_is dra ConfigValid 'False FeatureGateRemoved'
  assert_match "$(condition_message dra ConfigValid)" "$GATE was last known in Kubernetes 1.37 .* take it out"
  kubectl delete dracfg dra >/dev/null
  for platform in Kubeadm:DefaultOn Observe:Observing; do
    name=on-$(tr '[:upper:]' '[:lower:]' <<<"${platform%:*}")
    configure "$name" <<<"features: [ConsumableCapacity, DeviceTaintRules]
platform: {type: ${platform%:*}}
$QUICK_ROLLOUT"
    eventually 80 condition_is "$name" Ready "True ${platform#*:}"
    assert condition_is "$name" ConfigValid True
    assert_match "$(condition_message "$name" ResourceAPIServed)" 'resource.k8s.io is served as v1; components ask for v1'
    kubectl delete dracfg "$name" >/dev/null
  done
  assert_equal "$(served)" v1 'versions of resource.k8s.io'
  { files && processes; } >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after" 'files and processes'
}

# case: from 1.37 to 1.38, one component after the other, with a feature of DRA asked for: plan --prepare-for named the flag that the new scheduler ends with; without it all is on, and nothing was written
# timeout: 800
case_upgrade() {
  local component code=0
  use_cluster 1.37 kubelet
  start_both
  keep_files "$CASE_DIR/before"
  configure dra <<<"features: [ConsumableCapacity, DeviceTaintRules]
$QUICK_ROLLOUT"
  eventually 80 condition_is dra Ready 'True DefaultOn'
  edit kube-scheduler "s/^(    - )kube-scheduler\$/&\n\1--feature-gates=$GATE=true/"
  eventually 120 condition_is dra Upgradeable False
  "$DRAWBRIDGE" plan --prepare-for 1.38 --kubeconfig "$KUBECONFIG" >"$CASE_DIR/plan" 2>&1 || code=$?
  assert_equal "$code" 1 'exit code of plan --prepare-for'
  assert_match "$(tr -s ' ' <"$CASE_DIR/plan")" "kube-scheduler on cp-1 $GATE=true removed in 1.38"
  for component in kube-apiserver kube-controller-manager; do
    upgrade "$component" 1.38
    eventually 60 served_is v1
  done
  edit kube-scheduler "s/^(    image: .*):v.*$/\1:$(tools_version 1.38)/"
  eventually 60 gives_up kube-scheduler "$GATE"
  edit kube-scheduler "/$GATE/d"
  eventually 120 runs kube-scheduler "$(tools_version 1.38)"
  eventually 40 upload_config 1.38
  upgrade_kubelet 1.38
  eventually 240 condition_is dra Ready 'True DefaultOn'
  eventually 60 condition_is dra ConfigValid True
  assert_match "$("$DRAWBRIDGE" doctor || true)" 'gate of kube-apiserver: Dynamic Resource Allocation is a part of this version'
  for component in "${CONTROL_PLANE[@]}"; do
    sed "s/:$(tools_version 1.38)\$/:$(tools_version 1.37)/" "$MANIFESTS/$component.yaml" | cmp - "$CASE_DIR/before/$component.yaml" || die "something was written to $component.yaml"
  done
}

# case: 1.38: what the table says about its gates and API versions is what its binaries say
# timeout: 1800
case_binaries() {
  local version
  version=$(tools_version 1.38)
  DRAWBRIDGE_E2E_BIN=$TOOLS_BIN "$E2E/gates-binaries.sh" "${version#v}"
}
