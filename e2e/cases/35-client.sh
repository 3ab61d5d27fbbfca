# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Our own client against real API servers.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl

client_on() {
  use_cluster "$1"
  local program
  program=$(find "$ROOT/build/dev" -name test_kube_real -type f | head -n1)
  [[ $program ]] || die 'test_kube_real was not built'
  "$program"
  cluster_is_clean
}

# case: requests, list, watch, apply, patch, conflicts on 1.33
case_on_1_33() { client_on 1.33; }

# case: the same on 1.37
case_on_1_37() { client_on 1.37; }
