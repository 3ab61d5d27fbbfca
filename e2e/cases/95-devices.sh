# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# A real DRA driver (the kubelet plugin of dra-example-driver, in the tests' small chart) on a real node: kubelet, containerd with CDI, helm.
# needs: drawbridge root-node
# tools: helm dra-example-driver 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet 1.37/kubeadm

# shellcheck source=../lib/node-case.sh
source "$E2E/lib/node-case.sh"
# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

# use_device_node MINOR [INDEX]: with the driver's image, and an account that may install anything. INDEX: another node joins.
use_device_node() {
  local index
  use_node "$1"
  [[ -z ${2:-} ]] || join_node "$2"
  tools_locked node_image "$NODE_CACHE/dra-example-driver.tar" "$NODE_REPOSITORY/dra-example-driver:test" '["/usr/local/bin/driver"]' \
    "$(tools_path dra-example-driver)" /usr/local/bin/driver
  for index in 1 ${2:-}; do
    on_node "$(node_dir "$index")" ctr -n k8s.io images import "$NODE_CACHE/dra-example-driver.tar" >/dev/null
    kubectl label node "node-$index" devices.example.com=true >/dev/null
  done
  kubectl apply -f "$E2E/driver/installer.yaml" >/dev/null
  kubectl create clusterrolebinding installer-admin --clusterrole=cluster-admin --serviceaccount=default:installer >/dev/null
  start_on_node --helm "$HELM" --helm-dir "$CASE_DIR/helm" --chart-root "$CASE_DIR/charts" --smoke-test-image "$(node_tag "$VERSION" pause)"
}

# devices_on [LINE...]: DRA, the driver with four devices, and a smoke test.
devices_on() {
  local chart
  chart=$(pack_chart)
  configure dra <<END
featureGates: {DynamicResourceAllocation: true}
$QUICK_ROLLOUT
smokeTest: {enabled: true, deviceClassName: gpu.example.com}
driver:
  chart: {path: $chart}
  release: gpu
  namespace: gpu
  serviceAccountName: installer
  values:
    image: $NODE_REPOSITORY/dra-example-driver:test
    command: [/usr/local/bin/driver]
    privileged: true
    account: true
    hostPaths: {registry: /var/lib/kubelet/plugins_registry, plugins: /var/lib/kubelet/plugins, cdi: /var/run/cdi}
    env:
    - {name: DEVICE_PROFILE, value: gpu}
    - {name: DRIVER_NAME, value: gpu.example.com}
    - {name: CDI_ROOT, value: /var/run/cdi}
    - {name: NUM_DEVICES, value: "4"}
    - {name: HEALTHCHECK_PORT, value: "-1"}
    - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
END
}

# devices_are DEVICES NODES
devices_are() { [[ $(dracfg dra | jq -c .status.devices) == "{\"devices\":$1,\"drivers\":[\"gpu.example.com\"],\"nodes\":$2,\"resourceSlices\":$2}" ]]; }
running() { [[ $(kubectl get pod "$1" -o jsonpath='{.status.phase}') == Running ]]; }
released() { [[ $(kubectl get resourceclaim "$1" -o json | jq -c '[.status.allocation, .status.reservedFor]') == '[null,null]' ]]; }

# The driver's container on that node, if it is ready.
driver_container() {
  kubectl get pods -n gpu -l app.kubernetes.io/instance=gpu --field-selector "spec.nodeName=$1" -o json |
    jq -r '.items[].status.containerStatuses[0] | select(.ready) | .containerID'
}
new_container() { [[ $(driver_container "$1") == containerd://* && $(driver_container "$1") != "$2" ]]; }
# By what the kubelet itself says: it has done with the driver's socket what it does with a plugin's.
plugin_registered() {
  node_metrics kubelet "$(node_dir "$1")" | grep -q '^plugin_manager_total_plugins{socket_path=".*gpu.example.com.*",state="actual_state_of_world"} 1'
}

# a_user NODE [SECONDS]: a pod with a claim sees its device there, and gives it back.
a_user() {
  CLAIM_NODE=$1 claim_pod user
  eventually "${2:-120}" running user
  assert claim_allocated user
  assert_match "$(kubectl exec user -- /bin/busybox env)" 'GPU_DEVICE_[0-9]+=gpu-[0-9]'
  kubectl delete pod user --wait=false >/dev/null
  eventually 180 released user
  kubectl delete resourceclaim user >/dev/null
}

# case: 1.33: one DRAConfiguration turns DRA on in a kubeadm node, installs a real driver, sees its devices and tests a claim (v1beta1); a user's container has its device
# timeout: 1200
case_v1beta1() {
  use_device_node 1.33
  assert gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  devices_on
  eventually 600 condition_is dra Ready True
  note "$(conditions dra)"
  assert_equal "$(served)" v1beta1 'versions of resource.k8s.io'
  assert devices_are 4 1
  assert condition_is dra SmokeTestPassed 'True AsExpected'
  a_user node-1
  "$DRAWBRIDGE" doctor || die 'doctor finds something'
}

# case: 1.37 (v1): a driver that is gone, whose slices are still there, is told of at once; so is a node that is away; both come back, and a user's container with them
# timeout: 1200
case_v1() {
  local before
  use_device_node 1.37 2
  devices_on
  eventually 400 condition_is dra Ready True
  assert devices_are 8 2

  note 'the driver dies; its slices outlive it by half a minute'
  kubectl patch daemonset -n gpu gpu-kubelet-plugin --type merge -p '{"spec":{"template":{"spec":{"nodeSelector":{"no":"where"}}}}}' >/dev/null
  eventually 50 condition_is dra DevicesPublished 'False NoResourceSlices'
  [[ -n $(kubectl get resourceslices -o name) ]] || die 'the slices are gone already: nothing was shown'
  eventually 40 condition_is dra DriverReady 'False NoMatchingNodes'
  kubectl patch daemonset -n gpu gpu-kubelet-plugin --type json -p '[{"op":"remove","path":"/spec/template/spec/nodeSelector/no"}]' >/dev/null
  eventually 180 condition_is dra DevicesPublished True
  eventually 120 devices_are 8 2

  note 'a node reboots: it is missed as soon as the cluster knows that it is away, and until its driver is there again'
  before=$(driver_container node-2)
  forget "${AGENTS[2]}" # it ends with its node
  node_stop "$(node_dir 2)"
  eventually 240 condition_is dra DevicesPublished 'False DevicesIncomplete'
  assert_match "$(condition_message dra DevicesPublished)" 'nothing: node-2; 4 devices in 1 ResourceSlice on 1 node'
  assert condition_is dra Ready False
  node_up_again "$(node_dir 2)"
  start_agent_on_node 2
  eventually 360 condition_is dra DevicesPublished True
  assert new_container node-2 "$before"
  eventually 120 plugin_registered 2
  eventually 120 devices_are 8 2
  eventually 240 condition_is dra Ready True
  # A pod that came before the driver would be tried again by the kubelet only after a minute and a half.
  a_user node-2 360
}
