# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The next minor, before it is released. Nothing else needs its binaries, which take a newer Go and minutes, and so by name:
#   ./e2e/test.sh next/
# run: by name
# needs: drawbridge
# tools: 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet 1.37/kubeadm 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.38/kube-apiserver 1.38/kube-controller-manager 1.38/kube-scheduler 1.38/kubectl 1.38/kubelet 1.38/kubeadm kwok helm

# shellcheck source=../lib/upgrade.sh
source "$E2E/lib/upgrade.sh"
# shellcheck source=../lib/hosted.sh
source "$E2E/lib/hosted.sh"

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

# --- with and without preparation -----------------------------------------------------------------------------------------------------

# words_of COMPONENT: its command line but for the name, one word a line, as its static pod says it.
words_of() { kubectl get pod -n kube-system "$1-cp-1" -o json | jq -r '.spec.containers[0].command[1:][]'; }

# next_takes COMPONENT WORD...: the binary of 1.38 gets as far as its version with these words; what it says is in $CASE_DIR/next.
next_takes() { timeout 20 "$TOOLS_BIN/$(tools_version 1.38)/$1" "${@:2}" --version >"$CASE_DIR/next" 2>&1; }

next_ends() {
  refuse next_takes "$@"
  assert grep -q "unrecognized feature gate: $GATE" "$CASE_DIR/next"
}

# next_kubelet [WORD...]: what the kubelet of 1.38 says of its file and these words; it never gets further than its certificates.
next_kubelet() {
  timeout 20 "$TOOLS_BIN/$(tools_version 1.38)/kubelet" --config "$NODE/kubelet/config.yaml" --cert-dir /dev/null/none "$@" >"$CASE_DIR/next" 2>&1 || true
}

kubelet_words() { sed -nE 's/^KUBELET_KUBEADM_ARGS="(.*)"$/\1/p' "$NODE/kubelet/kubeadm-flags.env"; }

config_maps() { kubectl get configmaps -n kube-system kubeadm-config kubelet-config -o json | jq -r '.items[].data[]'; }

# config_map_with NAME KEY LINES: more at its end, as an administrator writes it.
config_map_with() {
  kubectl get configmap -n kube-system "$1" -o json | jq --arg key "$2" --arg lines "$3" '{data: {($key): (.data[$key] + $lines)}}' >"$CASE_DIR/patch.json"
  kubectl patch configmap -n kube-system "$1" --type merge --patch-file "$CASE_DIR/patch.json" >/dev/null
}

# old_leftovers: on 1.33, where it means something, the gate of DRA is on in all four components: ours in the API server and the controller-manager; somebody's by hand in the
# scheduler's manifest, kubeadm-config, kubelet-config, the kubelet's file and its command line.
old_leftovers() {
  edit kube-scheduler "s/^(    - )kube-scheduler\$/&\n\1--feature-gates=$GATE=true # of somebody else/"
  printf 'featureGates: {%s: true}\n' "$GATE" >>"$NODE/kubelet/config.yaml"
  sed -i -E "s/^KUBELET_KUBEADM_ARGS=\"/&--feature-gates=$GATE=true /" "$NODE/kubelet/kubeadm-flags.env"
  "$NODE/restart-kubelet"
  config_map_with kubeadm-config ClusterConfiguration "  - name: feature-gates
    value: $GATE=true
"
  config_map_with kubelet-config kubelet "featureGates: {$GATE: true}
"
  start_both
  dra_on dra
  eventually 300 condition_is dra Ready True
  stop_all
  assert_equal "$(grep -l "$GATE" "$MANIFESTS"/*.yaml | wc -l)" 3 'manifests with the gate'
  assert_equal "$(config_maps | grep -c "$GATE=true")" 3 'sections of kubeadm-config with the gate'
}

# all_to MINOR: at once, with nobody of ours there.
all_to() {
  local component version
  version=$(tools_version "$1")
  for component in "${CONTROL_PLANE[@]}"; do edit "$component" "s/^(    image: .*):v.*$/\1:$version/"; done
  for component in "${CONTROL_PLANE[@]}"; do eventually 120 runs "$component" "$version"; done
  eventually 40 upload_config "$1"
  upgrade_kubelet "$1"
}

# one_is_left: by Upgradeable's word: what means something today.
one_is_left() {
  local said
  said=$(condition_message dra Upgradeable)
  [[ $said == *'kube-apiserver 1.38: feature gate DRAPartitionableDevices is locked to true'* && $said != *"kube-scheduler 1.38"* && $said != *"kube-controller-manager 1.38"* ]]
}

without_gate() { ! grep -l "$GATE" "$MANIFESTS"/*.yaml "$NODE/kubelet/kubeadm-flags.env" && ! config_maps | grep "$GATE"; }

kubelet_says() { kubectl get nodedra cp-1 -o json | jq -r '.status.components[] | select(.name == "kubelet") | .message // ""'; }
kubelet_names_its_file() {
  [[ $(kubelet_says) == *"$GATE ($NODE/kubelet/config.yaml, line $(grep -n "$GATE" "$NODE/kubelet/config.yaml" | cut -d: -f1))"* ]]
}

# case: the gate of DRA from 1.33 on, ours and somebody's, everywhere: on 1.37 the binaries of 1.38 end with it; prepareFor and Remove take it out, name what they cannot and never touch what means something; with what is left 1.38 starts, also as kubeadm writes it anew, and a Revert gives nothing back that would end it
# timeout: 1200
case_prepared() {
  local component words
  use_cluster 1.33 kubelet
  old_leftovers
  all_to 1.37
  edit kube-apiserver 's/--feature-gates=/&DRAPartitionableDevices=false,/'
  eventually 60 gate_is kube-apiserver DRAPartitionableDevices 0
  for component in "${CONTROL_PLANE[@]}"; do
    mapfile -t words < <(words_of "$component")
    next_ends "$component" "${words[@]}"
  done
  # shellcheck disable=SC2046 # words
  next_kubelet $(kubelet_words)
  assert grep -q "unrecognized feature gate: $GATE" "$CASE_DIR/next"
  next_kubelet
  assert grep -q "unrecognized feature gate: $GATE" "$CASE_DIR/next"
  kubeadm_anew 1.37
  assert_equal "$(grep -l "$GATE=true" "$CASE_DIR/anew"/*.yaml | wc -l)" 3 'manifests by kubeadm with the gate'

  start_both
  configure dra <<<"features: [ConsumableCapacity]
deletionPolicy: Revert
upgrade: {prepareFor: \"1.38\", foreignEntries: Remove}
$QUICK_ROLLOUT"
  eventually 300 without_gate
  eventually 120 settled dra
  eventually 60 one_is_left
  eventually 60 kubelet_names_its_file
  assert condition_is dra Upgradeable 'False GatesIncompatible'
  assert grep -q 'feature-gates=DRAPartitionableDevices=false$' "$MANIFESTS/kube-apiserver.yaml"
  kubeadm_anew 1.37
  refuse grep -l "$GATE" "$CASE_DIR/anew"/*.yaml
  sed -i "/$GATE/d" "$NODE/kubelet/config.yaml"
  "$NODE/restart-kubelet"
  edit kube-apiserver '/DRAPartitionableDevices/d'
  eventually 120 condition_is dra Upgradeable True
  eventually 120 settled dra

  for component in "${CONTROL_PLANE[@]}"; do upgrade "$component" 1.38; done
  eventually 40 upload_config 1.38
  upgrade_kubelet 1.38
  eventually 240 condition_is dra Ready 'True DefaultOn'
  keep_files "$CASE_DIR/before"
  config_maps >"$CASE_DIR/config-maps"
  kubeadm_anew 1.38
  refuse grep -l "$GATE" "$CASE_DIR/anew"/*.yaml
  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  assert same_files "$CASE_DIR/before"
  config_maps | diff "$CASE_DIR/config-maps" - || die 'the ConfigMaps are not what they were'
  for component in "${CONTROL_PLANE[@]}"; do assert runs "$component" "$(tools_version 1.38)"; done
}

# gate_of_ours: in all four components, and nobody else's anywhere.
gate_of_ours() {
  start_both
  dra_on dra
  eventually 300 condition_is dra Ready True
  stop_all
  assert_equal "$(grep -l "$GATE" "$MANIFESTS"/*.yaml "$NODE/kubelet/config.yaml" | wc -l)" 4 'files with the gate'
}

# case: the gate of DRA from 1.33 on, all of it ours, the kubelet's too: on 1.37 what 1.38 starts with ends with it; prepareFor alone, which leaves to others what is theirs, takes it out everywhere, and 1.38 runs with what is left
# timeout: 900
case_prepared_ours() {
  local component words
  use_cluster 1.33 kubelet
  gate_of_ours
  all_to 1.37
  for component in "${CONTROL_PLANE[@]}"; do
    mapfile -t words < <(words_of "$component")
    next_ends "$component" "${words[@]}"
  done
  next_kubelet
  assert grep -q "unrecognized feature gate: $GATE" "$CASE_DIR/next"

  start_both
  configure dra <<<"features: [ConsumableCapacity]
deletionPolicy: Revert
upgrade: {prepareFor: \"1.38\"}
$QUICK_ROLLOUT"
  eventually 300 condition_is dra Upgradeable True
  eventually 120 settled dra
  refuse grep -l "$GATE" "$MANIFESTS"/*.yaml "$NODE/kubelet/config.yaml"
  refuse grep "$GATE" <<<"$(config_maps)"
  next_kubelet
  assert grep -qE 'cgroup v1|mkdir /dev/null' "$CASE_DIR/next" # past its gates: the host, or its certificates
  refuse grep "unrecognized feature gate" "$CASE_DIR/next"

  for component in "${CONTROL_PLANE[@]}"; do upgrade "$component" 1.38; done
  eventually 40 upload_config 1.38
  upgrade_kubelet 1.38
  eventually 240 condition_is dra Ready 'True DefaultOn'
}

# --- hosted ---------------------------------------------------------------------------------------------------------------------------

# tenant_words COMPONENT: the words of its container beyond the program.
tenant_words() {
  kubectl get deployments,statefulsets -n tenant -o json | jq -r --arg image "/$1:" '.items[].spec.template.spec.containers[] | select(.image | contains($image)) |
    ((.command // [])[1:] + (.args // []))[]'
}

tenant_to() {
  kubectl get deployments,statefulsets -n tenant -o json |
    jq --arg version "$(tools_version "$1")" 'del(.items[].status) | .items[].spec.template.spec.containers[].image |= sub(":v1[.][0-9].*"; ":" + $version)' | kubectl replace -f - >/dev/null
  eventually 120 rolled_out
}

tenant_without_gate() { ! args_of deployment,statefulset | grep "$GATE" && condition_is dra ControlPlaneUpdated True tenant; }

# case: a hosted control plane with the gate of DRA from 1.33 on, ours and somebody's: the binaries of 1.38 end with what its objects say, and start with it after prepareFor and Remove; it comes back on 1.37 where nobody wants that any more, and not on 1.38
# timeout: 600
case_prepared_hosted() {
  local component words
  use_cluster 1.37
  start_kwok
  tenant_made
  sed "s/kube:CronJobsScheduledAnnotation=true/kube:$GATE=true/" "$E2E/hosted/control-plane.yaml" | kubectl apply -f - >/dev/null
  eventually 120 rolled_out
  start_controller
  hosted dra
  eventually 240 condition_is dra ControlPlaneUpdated True tenant
  stop_all
  start_kwok
  tenant_to 1.37
  for component in "${CONTROL_PLANE[@]}"; do
    mapfile -t words < <(tenant_words "$component")
    next_ends "$component" "${words[@]}"
  done
  start_controller
  prepare_tenant Remove
  eventually 120 tenant_without_gate
  for component in "${CONTROL_PLANE[@]}"; do
    mapfile -t words < <(tenant_words "$component")
    assert next_takes "$component" "${words[@]}"
  done
  prepare_tenant Report
  eventually 120 said_again
  prepare_tenant Remove
  eventually 120 tenant_without_gate
  tenant_to 1.38
  keep_templates "$CASE_DIR/before"
  eventually 120 condition_is dra ControlPlaneUpdated True tenant
  kubectl delete draconfiguration dra -n tenant --timeout=120s >/dev/null
  assert same_templates "$CASE_DIR/before"
}

prepare_tenant() {
  configure dra tenant <<<"features: [ConsumableCapacity]
deletionPolicy: Revert
platform: {type: HostedControlPlane}
upgrade: {prepareFor: \"1.38\", foreignEntries: $1}
$QUICK_ROLLOUT"
}

said_again() { [[ $(args_of deployment/tenant-kcm) == *"kube:$GATE=true"* ]]; }
