# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# An upgrade of older minors, whose kubeadm and kubelet nothing else needs, and so by name:
#   ./e2e/test.sh older/
# run: by name
# needs: drawbridge root-node
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm 1.34/kube-apiserver 1.34/kube-controller-manager 1.34/kube-scheduler 1.34/kubectl 1.34/kubelet 1.34/kubeadm 1.35/kube-apiserver 1.35/kube-controller-manager 1.35/kube-scheduler 1.35/kubelet

# shellcheck source=../lib/node-case.sh
source "$E2E/lib/node-case.sh"
# shellcheck source=../lib/node-upgrade.sh
source "$E2E/lib/node-upgrade.sh"

# case: kubeadm upgrade from 1.33 to 1.34 with DRA on: never off, nothing fought over; what 1.33 needed stays as long as its kubelet, and goes with it
# timeout: 1800
case_upgrade() {
  upgrade_begins 1.33 1.34 DynamicResourceAllocation v1beta1
  eventually 60 config_map_says kubelet-config 'DynamicResourceAllocation: true'
  upgrade_control_plane
  upgrade_kubelet
}

# case: every flag that the table refuses for 1.35 is refused by its binaries, what it takes is taken, and the gates they list are the table's
# timeout: 1800
case_binaries_of_1_35() {
  local version
  version=$(tools_version 1.35)
  DRAWBRIDGE_E2E_BIN=$TOOLS_BIN "$E2E/gates-binaries.sh" "${version#v}"
}
