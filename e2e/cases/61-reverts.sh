# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Twenty times Revert, and at once another DRAConfiguration. Some minutes, and so by name:
# ./e2e/test.sh reverts
# needs: drawbridge
# run: by name
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl

# case: twenty times Revert, and at once another DRAConfiguration
# timeout: 1800
case_revert_twenty_times() {
  use_cluster 1.33
  start_both
  revert_again 20
}
