# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The CRDs on real API servers.
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl

crds_of() {
  use_cluster "$1"
  bash "$ROOT/crds/tests/check.sh" "$KUBECONFIG" "$TOOLS_BIN/$VERSION/kubectl"
  cluster_is_clean
}

# case: Established and structural on 1.33; good objects are accepted, bad ones refused with their message
case_on_1_33() { crds_of 1.33; }

# case: the same on 1.37
case_on_1_37() { crds_of 1.37; }
