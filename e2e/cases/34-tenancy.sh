# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# Which namespaces configure the cluster, and which others a DRAConfiguration may name: as the administrator listed it.
# needs: drawbridge
# tools: helm kwok 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

# case: an older DRAConfiguration of a namespace that is not listed neither configures the cluster nor holds up the one that does, and does not take over when that goes
case_not_listed() {
  use_cluster 1.33
  kubectl create namespace stranger >/dev/null
  configure dra stranger <<<'featureGates: {DynamicResourceAllocation: true}'
  start_both
  eventually 60 condition_is dra ConfigValid 'False NamespaceNotAllowed' stranger
  dra_on dra
  eventually 300 condition_is dra Ready True
  patch_at "$(dracfg_at dra)" '{"spec":{"deletionPolicy":"Revert"}}'
  kubectl delete dracfg dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  assert condition_is dra ConfigValid 'False NamespaceNotAllowed' stranger
  kubectl delete dracfg dra -n stranger --timeout=30s >/dev/null
}

# case: a driver that somebody else installed is looked at with Drawbridge's own rights in the namespace that the administrator listed, and in no other
case_external_driver() {
  use_driver_cluster 1.33 dra
  fake_node kwok-node-0
  put -f - >/dev/null <<END
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: plugin, namespace: kube-system, labels: {app.kubernetes.io/instance: theirs}}
spec:
  selector: {matchLabels: {app: plugin}}
  template:
    metadata: {labels: {app: plugin}}
    spec:
      serviceAccountName: plugin
      nodeSelector: {devices.example.com: "true"}
      tolerations: [{operator: Exists}]
      containers: [{name: plugin, image: node.local/plugin:1}]
END
  start_driver_controller
  configure dra <<<'featureGates: {DynamicResourceAllocation: true}
platform: {type: Observe}
driver: {engine: External, release: theirs, namespace: elsewhere}'
  eventually 120 condition_is dra DriverReady 'False NamespaceNotAllowed'
  assert_match "$(condition_message dra DriverReady)" 'driverNamespaces.*--look default=elsewhere'
  spec_driver dra '{"namespace":"kube-system"}'
  eventually 120 condition_is dra DriverReady 'False PodsNotCreated'
  kubectl create serviceaccount plugin -n kube-system >/dev/null
  eventually 180 condition_is dra DriverReady True
}
