# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# The real Cluster API, whose machines are real nodes: what kubeadm's bootstrap provider writes is run in them, by an infrastructure provider of the tests'
# own (capi/provider). So flags get where they shall, and the components themselves say so. By name, as it takes minutes and most of two CPUs.
# run: by name
# needs: drawbridge root-node
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm cluster-api dra-example-driver helm

# shellcheck source=../lib/capi.sh
source "$E2E/lib/capi.sh"
# shellcheck source=../lib/node.sh
source "$E2E/lib/node.sh"
# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

GATE=DynamicResourceAllocation

# case: a KubeadmControlPlane and a MachineDeployment roll real machines to DRA, and back: off in all components, on in all of them, and a pod has the device that it claims; off again
# timeout: 900
case_nodes() {
  local before after
  nodes_up
  before=$(workload kubectl get nodes -o name)
  start_controller
  capi_dra one 'deletionPolicy: Revert' 'rollout: {componentTimeout: 6m, minReady: 0s}'
  eventually 600 condition_is one Ready True default
  note "$(condition_message one ControlPlaneUpdated default)"
  assert gates_of_all 1
  assert_equal "$(workload served)" v1beta1 'versions of resource.k8s.io'
  assert_match "$(cat "$(control_plane)/var-lib-kubelet/kubeadm-flags.env")" "--feature-gates=$GATE=true" 'arguments of the kubelet beside the control plane'
  assert_match "$(cat "$(worker)/var-lib-kubelet/config.yaml")" "featureGates:[[:space:]]+$GATE: true" 'configuration of the kubelet of the worker'
  after=$(workload kubectl get nodes -o name)
  others "$before" "$after"
  assert_equal "$(dracfg one | jq -c '.status.nodes | [.managed, .updated]')" '[2,2]' 'nodes'
  claim_a_device

  kubectl delete draconfiguration one --timeout=500s >/dev/null
  assert same_specs
  assert gates_of_all 0
  others "$after" "$(workload kubectl get nodes -o name)"
}

# case: an API server of a new machine refuses the gate: the old one serves, what was there before comes back, and that machine goes; its words are told
# timeout: 900
case_refused() {
  local before
  nodes_up
  before=$(workload kubectl get nodes -o name)
  node_api_server_image "$FIRST_NODE/image.tar" "$GATE"
  start_controller
  capi_dra one 'deletionPolicy: Revert' 'rollout: {componentTimeout: 90s, minReady: 0s}'
  eventually 60 has_gate
  eventually 300 condition_is one Degraded 'True ComponentNotReady' default
  note "$(condition_message one Degraded default)"
  assert_match "$(condition_message one Degraded default)" 'Machine one-[a-z0-9]+: '
  eventually 300 kcp_over one
  assert same_specs
  assert_equal "$(workload kubectl get nodes -o name)" "$before" 'nodes'
  assert gates_of_all 0
  eventually 60 condition_is one ControlPlaneUpdated 'False RolledBack' default
  kubectl delete draconfiguration one --timeout=90s >/dev/null
}

# nodes_up: the Cluster one on real nodes, with nothing of DRA, and the rights that the controller has there.
nodes_up() {
  install_packages python3-yaml
  node_need 1.33
  use_capi 1.33
  machines_up
  eventually 300 kcp_over one
  eventually 120 workers_over one-workers
  kubectl get secret one-kubeconfig -o jsonpath='{.data.value}' | base64 -d >"$CASE_DIR/one.conf"
  node_certificate "$CASE_DIR/one.conf" "$CASE_DIR/one"
  assert_equal "$(workload kubectl get nodes -o name | wc -l)" 2 'nodes'
  assert gates_of_all 0
  assert_equal "$(workload served)" '' 'versions of resource.k8s.io'
  chart_roles capi-rbac.yaml --set 'clusterAPI[0].namespace=default,clusterAPI[0].kubeconfigSecrets[0]=one-kubeconfig' | kubectl apply -f - >/dev/null
  keep_specs "$CASE_DIR/before"
}

# others BEFORE AFTER: as many nodes, and not one of those from before.
others() {
  assert_equal "$(wc -l <<<"$2")" "$(wc -l <<<"$1")" 'nodes'
  assert_equal "$(comm -12 <(sort <<<"$1") <(sort <<<"$2"))" '' 'nodes from before'
}

# machines_up: a machine with etcd and what stands before the API servers; the provider; and the Cluster one, which it has to make machines for.
machines_up() {
  local pki=$CASE_DIR/pki ip at
  FIRST_NODE=$WORK/node-$(basename "$CASE_DIR")
  (node_first "$FIRST_NODE" 1.33 $$)
  # shellcheck source=/dev/null # written by node_machine
  ip=$(source "$FIRST_NODE/node.env" && echo "$NODE_IP")
  at="${ip%.2}"
  LOAD_BALANCER=https://$ip:6443
  mkdir -p "$pki"
  cluster_ca ca etcd-ca
  cluster_cert ca server /CN=etcd serverAuth,clientAuth "IP:$ip"
  cluster_cert ca client /CN=kube-apiserver-etcd-client clientAuth
  start_beside etcd "$(tools_path etcd)" --name=one --data-dir="$FIRST_NODE/var-lib-etcd" --unsafe-no-fsync --listen-peer-urls=http://127.0.0.1:2380 \
    --listen-client-urls="https://$ip:2379" --advertise-client-urls="https://$ip:2379" --cert-file="$pki/server.crt" --key-file="$pki/server.key" \
    --client-cert-auth --trusted-ca-file="$pki/ca.crt"
  start_beside balancer python3 "$E2E/capi/balancer.py" "$ip" 6443 "$at".{3..9}
  # Without the key: the bootstrap provider would write it to a file without a name.
  kubectl create secret generic one-etcd --from-file=tls.crt="$pki/ca.crt" >/dev/null
  kubectl create secret generic one-apiserver-etcd-client --from-file=tls.crt="$pki/client.crt" --from-file=tls.key="$pki/client.key" >/dev/null
  kubectl apply -f "$E2E/capi/provider.yaml" >/dev/null
  kubectl wait --for=condition=Established --timeout=60s crd --all >/dev/null
  start provider "$E2E/capi/provider" "$FIRST_NODE"
  sed "s/10\.210\.SLOT/$at/; s/VERSION/$VERSION/" "$E2E/capi/nodes.yaml" | kubectl apply -f - >/dev/null || die 'the cluster one is not accepted'
}

# start_beside NAME COMMAND...: on the first machine's network.
start_beside() { start "$1" nsenter -t "$(cat "$FIRST_NODE/init.pid")" -n -- "${@:2}"; }

# workload COMMAND...: with the Cluster one in place of that which manages it.
workload() (
  export KUBECONFIG=$CASE_DIR/one.conf KUBECACHEDIR=$CASE_DIR/one-cache
  kubectl config view --raw -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$CASE_DIR/one-ca.crt"
  API=$LOAD_BALANCER API_CA=$CASE_DIR/one-ca.crt ADMIN=$CASE_DIR/one
  "$@"
)

# control_plane, worker: the directory of the node.
control_plane() { directory node-role.kubernetes.io/control-plane; }
worker() { directory '!node-role.kubernetes.io/control-plane'; }
directory() {
  local name
  name=$(workload kubectl get nodes -l "$1" -o name)
  [[ $name == node/node-? ]] || die "not one node with $1: $name"
  echo "$FIRST_NODE-${name##*-}"
}

# gates_of_all VALUE: as each component of each machine says, asked there.
gates_of_all() {
  local component
  for component in "${CONTROL_PLANE[@]}" kubelet; do gate_there "$component" "$(control_plane)" "$1" || return 1; done
  gate_there kubelet "$(worker)" "$1"
}

# gate_there COMPONENT DIR VALUE
gate_there() {
  local said
  said=$(ADMIN=$CASE_DIR/one node_metrics "$1" "$2" | sed -nE "s/^kubernetes_feature_enabled\{name=\"$GATE\",stage=\"[^\"]*\"\} ([01])$/\1/p")
  [[ $said == "$3" ]] || { echo "$1 of ${2##*/}: $GATE is '$said'" && return 1; }
}

# claim_a_device: of a real driver on the worker; a pod runs there with what the driver gives it.
claim_a_device() {
  local dir driver
  dir=$(worker)
  workload put -f - >/dev/null <<END
apiVersion: resource.k8s.io/v1beta1
kind: DeviceClass
metadata: {name: gpu.example.com}
spec: {selectors: [{cel: {expression: "device.driver == 'gpu.example.com'"}}]}
END
  start driver nsenter -t "$(cat "$dir/init.pid")" -m -p -u -i -n -- setpriv --pdeathsig KILL env NODE_NAME="node-${dir##*-}" NAMESPACE=default DEVICE_PROFILE=gpu \
    DRIVER_NAME=gpu.example.com NUM_DEVICES=1 HEALTHCHECK_PORT=-1 CDI_ROOT=/var/run/cdi "$(tools_path dra-example-driver)" --kubeconfig "$CASE_DIR/one.conf"
  driver=$STARTED_PID
  workload claim_pod claimed
  eventually 60 workload claim_allocated claimed
  eventually 60 workload kubectl wait --for=condition=Ready pod/claimed --timeout=1s
  assert_match "$(workload kubectl exec claimed -- /bin/busybox env)" 'GPU_DEVICE_0=gpu-0'
  workload kubectl delete pod/claimed resourceclaim/claimed --timeout=60s >/dev/null
  stop "$driver"
  forget "$driver"
}
