# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2317 # called by case.sh
# Nodes that do not take part in a roll-out: who is not counted, who is waited for, how long, and what is said about it.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

GATE=DynamicResourceAllocation

# node_there NAME VERSION OS LABELS [READY SINCE]: a Node that nobody runs a kubelet for. Without READY the controller manager says it is Unknown, later.
node_there() {
  local conditions=''
  [[ ! ${5:-} ]] || conditions=",\"conditions\":[{\"type\":\"Ready\",\"status\":\"$5\",\"reason\":\"Test\",\"message\":\"\",\"lastTransitionTime\":\"$6\",\"lastHeartbeatTime\":\"$6\"}]"
  kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Node
metadata: {name: $1, labels: $4}
END
  kubectl patch node "$1" --subresource=status --type=merge -p "{\"status\":{\"nodeInfo\":{\"kubeletVersion\":\"$2\",\"operatingSystem\":\"$3\",
    \"architecture\":\"amd64\",\"bootID\":\"\",\"containerRuntimeVersion\":\"\",\"kernelVersion\":\"\",\"kubeProxyVersion\":\"\",\"machineID\":\"\",
    \"osImage\":\"\",\"systemUUID\":\"\"}$conditions}}" >/dev/null
}

# agent_said NODE: what its agent reported before it fell silent.
agent_said() {
  kubectl apply -f - >/dev/null <<END
apiVersion: drawbridge.dev/v1alpha1
kind: NodeDRAConfiguration
metadata: {name: $1}
spec: {epoch: 0, configuration: default/none, revision: "", direction: Enable, componentTimeoutSeconds: 300, components: []}
END
  kubectl patch nodedra "$1" --subresource=status --type=merge -p "{\"status\":{\"observedGeneration\":1,\"epoch\":0,\"agentVersion\":\"v0.1.0\",\"components\":[
    {\"name\":\"kubelet\",\"state\":\"Observed\",\"revision\":\"\",\"healthy\":true,\"version\":\"v1.33.13\",\"featureGates\":{},\"runtimeConfig\":{},
    \"owned\":{\"featureGates\":{},\"runtimeConfig\":{}},\"enabled\":{\"$GATE\":false}}]}}" >/dev/null
}

ago() { date -u -d "-$1" +%FT%TZ; }
kubeadm_config() { kubectl get configmap -n kube-system kubeadm-config -o jsonpath='{.data.ClusterConfiguration}'; }
kubeadm_config_has_gate() { [[ $(kubeadm_config) == *$GATE* ]]; }
asked_of() { kubectl get nodedra "$1" -o json | jq -c '[.spec.components[] | select(.name == "kubelet").featureGates]'; }
asked_is() { [[ $(asked_of "$1") == "$2" ]]; }
nodes_are() { [[ $(dracfg dra | jq -c "[.status.nodes | $1]") == "$2" ]]; }
says() { # REASON PATTERN
  condition_is dra NodesUpdated "False $1" && [[ $(condition_message dra NodesUpdated) =~ $2 ]]
}
has_event() { kubectl get events --field-selector involvedObject.kind=DRAConfiguration -o json | jq -e --arg type "$1" --arg reason "$2" '.items[] | select(.type == $type and .reason == $reason)' >/dev/null; }

# case: a virtual kubelet and a Windows worker have nothing to configure: neither refuses the versions nor holds anything, and the message names them
case_not_counted() {
  use_cluster 1.33 kubelet
  node_there virtual-a v1.19.10-vk-azure-aci-1.4.8 Linux '{type: virtual-kubelet, kubernetes.io/role: agent}'
  node_there virtual-b v1.33.2-vk-azure-aci-1.6.2 Linux '{}'
  node_there win-1 v1.33.4 windows '{kubernetes.io/os: windows}'
  start_both
  dra_on dra
  eventually 180 condition_is dra Ready True
  assert kubeadm_config_has_gate
  assert nodes_are '.managed, .updated, .ignored, .withoutAgent' '[1,1,3,0]'
  assert_match "$(condition_message dra NodesUpdated)" 'not counted: 3 \(virtual-a: virtual kubelet, virtual-b: virtual kubelet, win-1: Windows\)'
  refuse has_event Normal AgentMissing
  refuse has_event Warning AgentMissing
}

# case: a worker that is switched off is named and holds nobody; one that falls silent has its time and no more; a Revert ends, and their agents find what to do
# timeout: 500
case_dead_workers() {
  use_cluster 1.33 kubelet
  node_there worker-1 v1.33.13 linux '{kubernetes.io/os: linux}' Unknown "$(ago '1 hour')"
  agent_said worker-1
  node_there worker-2 v1.33.13 linux '{kubernetes.io/os: linux}' Unknown "$(ago '1 hour')"
  agent_said worker-2
  start_both
  dra_on dra 'rollout: {componentTimeout: 20s, minReady: 0s}' 'deletionPolicy: Revert'
  eventually 180 says NodeNotReady 'kubelet on worker-1: the node is not ready since .*others do not wait for it; not waited for either: worker-2'
  eventually 60 kubeadm_config_has_gate
  assert nodes_are '.managed, .updated, .notReady' '[3,1,2]'
  assert asked_is worker-1 '[]'
  eventually 40 condition_is dra ControlPlaneUpdated True

  note 'one comes back, is asked, and is gone again'
  node_there worker-2 v1.33.13 linux '{kubernetes.io/os: linux}' True "$(ago '1 second')"
  eventually 60 asked_is worker-2 "[{\"$GATE\":true}]"
  node_there worker-2 v1.33.13 linux '{kubernetes.io/os: linux}' Unknown "$(ago '1 second')"
  kubectl delete dracfg dra --wait=false >/dev/null
  eventually 120 asked_is worker-2 '[{}]'
  eventually 240 dracfg_gone dra
  assert gates_are 0 "$GATE" "${CONTROL_PLANE[@]}" kubelet
  refuse kubeadm_config_has_gate
  assert has_event Warning NodeNotReady
  refuse has_event Normal Reverted
  refuse kubectl get nodedra cp-1
  refuse kubectl get nodedra worker-1 # it was never asked for anything
  assert asked_is worker-2 '[{}]'
}

# case: a key that is twice in a kubelet's file holds neither the control plane nor the ConfigMaps, and waits for somebody
case_doubled_key() {
  use_cluster 1.33 kubelet
  printf 'featureGates: {NodeSwap: true}\nfeatureGates: {NodeSwap: true}\n' >>"$NODE/kubelet/config.yaml"
  cp "$NODE/kubelet/config.yaml" "$CASE_DIR/config.yaml"
  start_both
  dra_on dra
  eventually 180 condition_is dra Stalled 'True ManifestInvalid'
  assert gates_are 1 "$GATE" "${CONTROL_PLANE[@]}"
  eventually 40 kubeadm_config_has_gate
  assert says ManifestInvalid "kubelet on cp-1: .*config.yaml:[0-9]+:[0-9]+: .*featureGates.*it is not touched"
  assert_same_file "$CASE_DIR/config.yaml" "$NODE/kubelet/config.yaml" 'the file that could not be read'

  note 'corrected'
  sed -i '$d' "$NODE/kubelet/config.yaml"
  eventually 180 condition_is dra Ready True
  assert gates_are 1 "$GATE" kubelet
}
