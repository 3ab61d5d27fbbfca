# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# A cluster of the real Cluster API and a controller that does not live long. By name, as it takes some minutes.
# run: by name
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl cluster-api helm

# shellcheck source=../lib/capi.sh
source "$E2E/lib/capi.sh"

# case: the controller is killed after each write, on the way there and on the way back: nothing is lost, nothing is left
# timeout: 400
case_killed() {
  capi_up 1 1
  capi_kubeconfig one "$CLUSTER/admin.conf"
  start_controller
  capi_dra one 'deletionPolicy: Revert'
  killed_when has_gate
  killed_when template_copied
  killed_when workers_moved
  eventually 200 condition_is one Ready True default
  kubectl delete draconfiguration one --wait=false >/dev/null
  killed_when workers_back
  killed_when has_no_gate
  eventually 150 not_found apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations/one
  eventually 60 same_specs
}

killed_when() {
  eventually 120 "$@"
  kill_hard "$CONTROLLER"
  start_controller
}

has_no_gate() { ! has_gate; }
template_copied() { (($(capi_get kubeadmconfigtemplates '' | jq '.items | length') > 1)); }
template_named() { capi_get machinedeployments one-workers | jq -r .spec.template.spec.bootstrap.configRef.name; }
workers_moved() { [[ $(template_named) != one-workers ]]; }
workers_back() { [[ $(template_named) == one-workers ]]; }
