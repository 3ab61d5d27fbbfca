# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The manifests of the seeds on a cluster that has DRA on from the start: what the demo and later cases build on.
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet kwok

# case: the five manifests of the kwok page, verbatim: claim allocated,reserved and pod Running; deleting the pod frees the claim
case_kwok_page() {
  use_cluster 1.33 dra
  start_kwok
  eventually 40 kubectl get serviceaccount default
  apply_kwok_seeds
  eventually 60 kwok_seeds_done
  kubectl delete deployment fake-pod >/dev/null
  eventually 60 none_of resourceclaims
}

