# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The table of gates and its verdicts against the binaries themselves.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubelet 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubelet

same_verdicts() {
  local version
  version=$(tools_version "$1")
  DRAWBRIDGE_E2E_BIN=$TOOLS_BIN "$E2E/gates-binaries.sh" "${version#v}"
}

# case: every flag that the table refuses for 1.33 is refused by its binaries, what it takes is taken, and the gates they list are the table's
# timeout: 1800
case_binaries_of_1_33() { same_verdicts 1.33; }

# case: the same for 1.36
# timeout: 1800
case_binaries_of_1_36() { same_verdicts 1.36; }
