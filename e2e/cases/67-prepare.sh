# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# Before an upgrade: what would keep the next minor from starting is found wherever it stands, whether or not Drawbridge is there.
# needs: drawbridge
# tools: 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet 1.37/kubeadm

# shellcheck source=../lib/upgrade.sh
source "$E2E/lib/upgrade.sh"

# prepare_for MINOR [FLAG...]: what is said goes to $CASE_DIR/said, warnings to $CASE_DIR/warned.
prepare_for() {
  local code=0
  "$DRAWBRIDGE" plan --prepare-for "$1" --kubeconfig "$KUBECONFIG" "${@:2}" >"$CASE_DIR/said" 2>"$CASE_DIR/warned" || code=$?
  echo "$code"
}

said() { assert_match "$(tr -s ' ' <"$CASE_DIR/said")" "$1"; }

mirrored() { [[ $(kubectl get pod -n kube-system "$1-cp-1" -o json | jq -c '.spec.containers[0].command') == *"$2"* ]]; }

# kubeadm_config_with LINES: more of extraArgs, of the last component there, the scheduler; as an administrator writes them.
kubeadm_config_with() {
  kubectl get configmap -n kube-system kubeadm-config -o json |
    jq --arg lines "$1" '{data: {ClusterConfiguration: (.data.ClusterConfiguration + $lines)}}' >"$CASE_DIR/patch.json"
  kubectl patch configmap -n kube-system kubeadm-config --type merge --patch-file "$CASE_DIR/patch.json" >/dev/null
}

# case: on 1.37, without Drawbridge: the gate that 1.38 removed is found in two manifests and in kubeadm-config, with its line; a gate that is off and will be locked on is said to mean something; with all out nothing is left
case_plan_without_drawbridge() {
  use_cluster 1.37 kubelet
  assert_equal "$(prepare_for 1.38)" 1 # for what could not be seen
  said 'Nothing that was seen keeps Kubernetes 1.38 from starting. .1.38 is a preview here, as in 1.38.0-beta.0.'
  said 'not seen: kubelet on cp-1' # no kubelet answers on its port here
  edit kube-apiserver 's/^( *)- kube-apiserver$/\1- kube-apiserver\n\1- --feature-gates=DRAPartitionableDevices=false,DynamicResourceAllocation=true/'
  edit kube-scheduler 's/^( *)- kube-scheduler$/\1- kube-scheduler\n\1- --feature-gates=DynamicResourceAllocation=true/'
  eventually 60 mirrored kube-apiserver DRAPartitionableDevices=false
  eventually 60 mirrored kube-scheduler DynamicResourceAllocation=true
  kubeadm_config_with $'  - name: feature-gates\n    value: DynamicResourceAllocation=true\n'
  assert_equal "$(prepare_for 1.38)" 1
  said 'kube-apiserver on cp-1 DRAPartitionableDevices=false locked to true in 1.38 yes you static pod kube-apiserver-cp-1'
  said 'kube-apiserver on cp-1 DynamicResourceAllocation=true removed in 1.38 none you static pod kube-apiserver-cp-1'
  said 'kube-scheduler on cp-1 DynamicResourceAllocation=true removed in 1.38 none you static pod kube-scheduler-cp-1'
  said 'kube-scheduler in kubeadm-config DynamicResourceAllocation=true removed in 1.38 none you ConfigMap kube-system/kubeadm-config, ClusterConfiguration, line [0-9]+'
  said '1 of 4 mean something today'
  assert_equal "$(prepare_for 1.38 --manifests-dir "$MANIFESTS")" 1
  said "kube-scheduler.yaml, line $(grep -n DynamicResourceAllocation "$MANIFESTS/kube-scheduler.yaml" | cut -d: -f1)"
  assert_equal "$(prepare_for 1.37)" 3
  assert_match "$(cat "$CASE_DIR/warned")" '--prepare-for 1.37: the API server is v1.37.2 already'
}

# case: on 1.36 the next minor takes everything, and with prepareFor 1.38 Upgradeable names what that one refuses: a leftover in a manifest, and what the spec itself asks for; without them it is True
case_prepare_for() {
  use_cluster 1.36
  edit kube-controller-manager 's/^( *)- kube-controller-manager$/\1- kube-controller-manager\n\1- --feature-gates=DynamicResourceAllocation=true/'
  start_both
  dra_on dra
  eventually 120 condition_is dra Ready True
  eventually 60 condition_is dra Upgradeable True
  dra_on dra 'upgrade: {prepareFor: "1.38"}'
  eventually 60 condition_is dra Upgradeable 'False GatesIncompatible'
  assert_match "$(condition_message dra Upgradeable)" 'Kubernetes 1.38 would not start with what is set now: kube-controller-manager 1.38: feature gate DynamicResourceAllocation is removed .kube-controller-manager on cp-1, [^;]*/kube-controller-manager.yaml, line [0-9]+; without effect today.'
  assert_match "$(condition_message dra Upgradeable)" 'spec.featureGates asks for what is refused then: DynamicResourceAllocation .removed in 1.38.; take it out'
  assert condition_is dra Ready True # nothing is wrong today
  edit kube-controller-manager '/feature-gates=DynamicResourceAllocation=true/d'
  patch_at "$(dracfg_at dra)" '{"spec":{"featureGates":{"DynamicResourceAllocation":null},"features":["DeviceTaints"]}}'
  eventually 120 condition_is dra Upgradeable True
  assert_match "$(condition_message dra Upgradeable)" 'Kubernetes 1.38 takes every feature gate and API version that is set now .1.38 is a preview'
}

# leftovers: what an administrator has written everywhere and 1.38 would refuse: without effect, but for one in the API server.
leftovers() {
  edit kube-apiserver 's/^( *)- kube-apiserver$/\1- kube-apiserver\n\1- --feature-gates=DRAPartitionableDevices=false,DynamicResourceAllocation=true/'
  edit kube-scheduler 's/^( *)- kube-scheduler$/\1- kube-scheduler\n\1- --feature-gates=DynamicResourceAllocation=true # of somebody else/'
  printf 'featureGates: # of somebody else\n  DynamicResourceAllocation: true\n' >>"$NODE/kubelet/config.yaml"
  eventually 60 mirrored kube-apiserver DRAPartitionableDevices=false
  eventually 60 mirrored kube-scheduler DynamicResourceAllocation=true
  kubeadm_config_with $'  - name: feature-gates\n    value: DynamicResourceAllocation=true\n'
  kubectl get configmap -n kube-system kubelet-config -o json | jq '{data: {kubelet: (.data.kubelet + "featureGates: {DynamicResourceAllocation: true}\n")}}' >"$CASE_DIR/patch.json"
  kubectl patch configmap -n kube-system kubelet-config --type merge --patch-file "$CASE_DIR/patch.json" >/dev/null
  config_maps >"$CASE_DIR/config-maps"
  keep_files "$CASE_DIR/before"
}

config_maps() { kubectl get configmaps -n kube-system kubeadm-config kubelet-config -o json | jq '.items[].data'; }

# case: on 1.37 foreignEntries Remove takes out what others wrote and 1.38 would refuse, in manifests, the kubelet's file and kubeadm's ConfigMaps, so that kubeadm does not write it anew, and status tells; what has an effect stays and is named; Report leaves all of it; a deletion with Revert gives it back, byte for byte
# timeout: 600
case_foreign_entries() {
  use_cluster 1.37 kubelet
  leftovers
  kubeadm_anew 1.37
  assert grep -q DynamicResourceAllocation=true "$CASE_DIR/anew/kube-scheduler.yaml"
  start_both
  configure dra <<<"$QUICK_ROLLOUT"$'\nfeatures: []\ndeletionPolicy: Revert\nupgrade: {prepareFor: "1.38", foreignEntries: Report}'
  eventually 120 condition_is dra Upgradeable 'False GatesIncompatible'
  assert_match "$(condition_message dra Upgradeable)" 'kube-scheduler 1.38: feature gate DynamicResourceAllocation is removed'
  eventually 120 settled dra
  assert same_files "$CASE_DIR/before"
  patch_at "$(dracfg_at dra)" '{"spec":{"upgrade":{"foreignEntries":"Remove"}}}'
  eventually 300 without_leftovers
  eventually 120 settled dra
  assert_equal "$(changes "$CASE_DIR/before" kube-scheduler.yaml)" '<     - --feature-gates=DynamicResourceAllocation=true # of somebody else' 'of kube-scheduler.yaml'
  assert grep -qx ' *- --feature-gates=DRAPartitionableDevices=false' "$MANIFESTS/kube-apiserver.yaml"
  eventually 60 says_what_is_left
  assert_equal "$(kubectl get nodedra cp-1 -o json | jq -c '[.status.components[] | select(.removed) | .name]')" '["kube-apiserver","kube-scheduler","kubelet"]'
  assert_equal "$(dracfg dra | jq -c '[.status.components[] | select(.removed) | {(.name): .removed}] | add')" \
    '{"kube-apiserver":"DynamicResourceAllocation=true (cp-1)","kube-scheduler":"DynamicResourceAllocation=true (cp-1, kubeadm-config)","kubelet":"DynamicResourceAllocation=true (cp-1, kubelet-config)"}'
  assert_match "$("$DRAWBRIDGE" status || true)" 'kube-scheduler 1/1  nothing to write
.   taken out, of others: DynamicResourceAllocation=true .cp-1, kubeadm-config.'
  kubeadm_anew 1.37
  refuse grep -l DynamicResourceAllocation "$CASE_DIR/anew"/*.yaml
  # Somebody writes one back: it goes again.
  edit kube-scheduler 's/^( *)- kube-scheduler$/\1- kube-scheduler\n\1- --feature-gates=DynamicResourceAllocation=true # of somebody else/'
  eventually 120 without_leftovers
  eventually 120 settled dra
  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  assert same_files "$CASE_DIR/before"
  config_maps | diff "$CASE_DIR/config-maps" - || die 'the ConfigMaps are not what they were'
}

without_leftovers() {
  ! grep -q DynamicResourceAllocation "$MANIFESTS"/*.yaml "$NODE/kubelet/config.yaml" && [[ $(config_maps) != *DynamicResourceAllocation* ]]
}

# says_what_is_left: one entry, which means something today.
says_what_is_left() {
  local said
  said=$(condition_message dra Upgradeable)
  [[ $said == *DRAPartitionableDevices* && $said != *'gate DynamicResourceAllocation'* ]]
}
