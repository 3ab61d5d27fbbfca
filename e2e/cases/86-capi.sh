# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# The real Cluster API, alone: what the platform ClusterAPI relies on. By name: it says nothing of drawbridge.
#   ./e2e/test.sh capi/
# run: by name
# tools: cluster-api 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl

# shellcheck source=../lib/capi.sh
source "$E2E/lib/capi.sh"

ARGUMENTS=spec/kubeadmConfigSpec/clusterConfiguration
ON='{"name":"feature-gates","value":"DynamicResourceAllocation=true"}'

# change KIND NAME PATCH [VERSION]: a JSON patch; the answer, as v1beta2 or VERSION.
change() { api --fail-with-body -X PATCH -H 'Content-Type: application/json-patch+json' --data-binary "$3" "$API/$(capi_at "$1" "$2" "${@:4}")"; }

# refused WORDS KIND NAME PATCH
refused() {
  local said
  ! said=$(change "${@:2}" 2>/dev/null) || die "taken: $4"
  assert_match "$(jq -r .message <<<"$said")" "$1" "the refusal of $4"
}

# ask KIND NAME JQ [VERSION]
ask() { capi_get "$1" "$2" "${@:4}" | jq -rc "$3"; }

says() { [[ $(ask "$1" "$2" "$3" "${@:5}") == "$4" ]]; }

kubeconfig_of() { kubectl get secret "$1-kubeconfig" -o jsonpath='{.data.value}' | base64 -d; }

machines() { kubectl get machines -l "cluster.x-k8s.io/cluster-name=$1,${2:-cluster.x-k8s.io/control-plane}" -o name; }

# kcp_of CLUSTER, workers_of CLUSTER: their names are made up where a ClusterClass makes them.
kcp_of() { ask clusters "$1" .spec.controlPlaneRef.name; }
workers_of() { kubectl get machinedeployments -l "cluster.x-k8s.io/cluster-name=$1" -o jsonpath='{.items[0].metadata.name}'; }

reconciled() { says clusters "$1" '.status.conditions[] | select(.type == "TopologyReconciled").status' "$2"; }

# topology_over CLUSTER
topology_over() { reconciled "$1" True && kcp_over "$(kcp_of "$1")"; }

# argument CLUSTER COMPONENT NAME: the values that it has in the KubeadmControlPlane.
argument() { ask kubeadmcontrolplanes "$(kcp_of "$1")" "[.$(tr / . <<<"$ARGUMENTS").$2.extraArgs[]? | select(.name == \"$3\").value] | join(\" \")"; }

argument_is() { [[ $(argument "$1" "$2" "$3") == "$4" ]]; }

three_on() {
  printf '[{"op":"test","path":"/%s/apiServer/extraArgs","value":[{"name":"v","value":"2"}]},
    {"op":"add","path":"/%s/apiServer/extraArgs/-","value":%s},
    {"op":"add","path":"/%s/controllerManager","value":{"extraArgs":[%s]}},
    {"op":"add","path":"/%s/scheduler","value":{"extraArgs":[%s]}}]' "$ARGUMENTS" "$ARGUMENTS" "$ON" "$ARGUMENTS" "$ON" "$ARGUMENTS" "$ON"
}

# case: arguments of three components roll a control plane, and off again; when that is over, and when it only looks so; what is refused; a paused Cluster; v1beta1; a template in place and under another name; another API server behind the kubeconfig
# timeout: 900
case_as_seen() {
  local before answer old template far
  use_cluster 1.33
  far=$CLUSTER
  use_capi 1.37
  capi_cluster one 1 1
  eventually 240 kcp_over one
  eventually 120 workers_over one-workers
  before=$(ask kubeadmcontrolplanes one .spec)
  old=$(machines one)

  note 'v1beta1'
  assert_equal "$(ask kubeadmcontrolplanes one ".$(tr / . <<<"$ARGUMENTS").apiServer.extraArgs" v1beta1)" '{"v":"2"}'
  assert_equal "$(ask kubeadmcontrolplanes one ".$(tr / . <<<"$ARGUMENTS").scheduler" v1beta1)" '{}' 'what is not set'
  assert_equal "$(ask kubeadmcontrolplanes one .status.updatedReplicas v1beta1)" 1

  note 'what is refused'
  refused 'should have at least 1 items' kubeadmcontrolplanes one "[{\"op\":\"replace\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs\",\"value\":[]}]"
  refused 'may not be more than 1024' kubeadmcontrolplanes one "[{\"op\":\"add\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/-\",\"value\":{\"name\":\"feature-gates\",\"value\":\"$(printf 'x%.0s' {1..1025})\"}}]"
  refused 'extraArgs name must be unique' kubeadmcontrolplanes one "[{\"op\":\"add\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/-\",\"value\":{\"name\":\"v\",\"value\":\"4\"}}]"
  refused 'should have at least 1 properties' kubeadmcontrolplanes one "[{\"op\":\"add\",\"path\":\"/$ARGUMENTS/scheduler\",\"value\":{}}]"
  refused 'the server rejected our request' kubeadmcontrolplanes one "[{\"op\":\"test\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/0/value\",\"value\":\"3\"}]"

  note 'paused'
  change clusters one '[{"op":"add","path":"/spec/paused","value":true}]' >/dev/null
  eventually 30 says kubeadmcontrolplanes one '.status.conditions[] | select(.type == "Paused").status' True
  answer=$(change kubeadmcontrolplanes one "$(three_on)")
  assert_equal "$(jq -c '[.metadata.generation, .status.observedGeneration] + [.status.conditions[] | select(.type == "RollingOut").status]' <<<"$answer")" '[2,1,"False"]' \
    'the answer to the change, which looks as if it were over'
  never_within 10 says kubeadmcontrolplanes one .status.observedGeneration 2
  assert_equal "$(machines one)" "$old" 'machines'
  change clusters one '[{"op":"remove","path":"/spec/paused"}]' >/dev/null

  note 'on'
  eventually 60 says kubeadmcontrolplanes one '.status.replicas' 2
  refuse kcp_over one
  eventually 120 kcp_over one
  refuse [ "$(machines one)" == "$old" ]
  assert_equal "$(wc -l <<<"$(machines one)")" 1 'machines'
  assert_equal "$(ask kubeadmconfigs "$(basename "$(machines one)")" '[.spec.clusterConfiguration | .apiServer, .controllerManager, .scheduler | .extraArgs[-1].value] | unique | join(" ")')" \
    DynamicResourceAllocation=true 'bootstrap data of the new machine'
  kubeconfig_of one >"$CASE_DIR/one.conf"
  assert_equal "$(kubectl --kubeconfig "$CASE_DIR/one.conf" get configmap -n kube-system kubeadm-config -o yaml | grep -c DynamicResourceAllocation=true)" 3 'kubeadm-config of the cluster'
  assert_equal "$(kubectl --kubeconfig "$CASE_DIR/one.conf" get nodes -o name | wc -l)" 2 'its nodes'
  refuse kubectl --kubeconfig "$CASE_DIR/one.conf" get --raw /metrics

  note 'off, with another API server behind the kubeconfig: the managers keep the connections that they have, and the Secret is left alone'
  capi_kubeconfig one "$far/admin.conf"
  change kubeadmcontrolplanes one "[{\"op\":\"remove\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/1\"},{\"op\":\"remove\",\"path\":\"/$ARGUMENTS/controllerManager\"},
    {\"op\":\"remove\",\"path\":\"/$ARGUMENTS/scheduler\"}]" >/dev/null
  assert_equal "$(ask kubeadmcontrolplanes one .spec)" "$before" 'the spec afterwards'
  refuse kcp_over one
  eventually 120 kcp_over one
  assert_equal "$(kubeconfig_of one)" "$(cat "$far/admin.conf")" 'the kubeconfig'

  note 'workers'
  old=$(machines one cluster.x-k8s.io/deployment-name)
  change kubeadmconfigtemplates one-workers "[{\"op\":\"add\",\"path\":\"/spec/template/spec/joinConfiguration/nodeRegistration/kubeletExtraArgs\",\"value\":[$ON]}]" >/dev/null
  never_within 10 changed_machines one "$old"
  template=$(capi_get kubeadmconfigtemplates one-workers | jq 'del(.metadata) | .metadata.name = "one-workers-on"')
  kubectl apply -f - <<<"$template" >/dev/null
  change machinedeployments one-workers '[{"op":"replace","path":"/spec/template/spec/bootstrap/configRef/name","value":"one-workers-on"}]' >/dev/null
  refuse workers_over one-workers
  eventually 120 workers_over one-workers
  assert changed_machines one "$old"
}

# changed_machines CLUSTER OLD: of its workers.
changed_machines() { [[ $(machines "$1" cluster.x-k8s.io/deployment-name) != "$2" ]]; }

# set_variable CLUSTER NAME VALUE
set_variable() {
  local index
  index=$(ask clusters "$1" ".spec.topology.variables | map(.name) | index(\"$2\")")
  change clusters "$1" "[{\"op\":\"replace\",\"path\":\"/spec/topology/variables/$index/value\",\"value\":\"$3\"}]" >/dev/null
}

wedged_by() { assert_match "$(ask clusters "$1" '.status.conditions[] | select(.type == "TopologyReconciled").message')" "extraArgs name must be unique" "why $1 is not reconciled"; }

# case: ClusterClasses: an argument that the template lacks stays; one that it has cannot be changed, by anybody; a variable that comes later than ours, with ours or with another value; a variable set, for workers too, and taken away
# timeout: 900
case_classes() {
  local bare full template
  use_capi 1.37
  capi_topology bare plain 1 1
  capi_topology full gated 1 1
  eventually 240 topology_over bare
  eventually 240 topology_over full
  bare=$(kcp_of bare) full=$(kcp_of full)

  note 'what the template lacks'
  change kubeadmcontrolplanes "$bare" "[{\"op\":\"add\",\"path\":\"/$ARGUMENTS/scheduler\",\"value\":{\"extraArgs\":[$ON]}}]" >/dev/null
  refuse topology_over bare
  eventually 120 topology_over bare
  assert argument_is bare scheduler feature-gates DynamicResourceAllocation=true

  note 'what the template has'
  refuse server_side_apply "$bare" 4
  change kubeadmcontrolplanes "$bare" "[{\"op\":\"replace\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/0/value\",\"value\":\"4\"}]" >/dev/null
  eventually 60 reconciled bare False
  wedged_by bare
  assert argument_is bare apiServer v 4
  change kubeadmcontrolplanes "$bare" "[{\"op\":\"replace\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/0/value\",\"value\":\"2\"}]" >/dev/null

  note 'a variable, later than ours, with the same value'
  change kubeadmcontrolplanes "$full" "[{\"op\":\"add\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/-\",\"value\":$ON}]" >/dev/null
  set_variable full apiServerFeatureGates DynamicResourceAllocation=true
  never_within 10 reconciled full False
  eventually 120 topology_over full

  note 'a variable, later than ours, with another value'
  set_variable full apiServerFeatureGates ''
  never_within 10 argument_is full apiServer feature-gates '' # it is ours too
  set_variable full apiServerFeatureGates DynamicResourceAllocation=true,AllAlpha=false
  eventually 60 reconciled full False
  wedged_by full
  change kubeadmcontrolplanes "$full" "[{\"op\":\"test\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/1\",\"value\":$ON},{\"op\":\"remove\",\"path\":\"/$ARGUMENTS/apiServer/extraArgs/1\"}]" >/dev/null
  eventually 120 topology_over full
  assert argument_is full apiServer feature-gates DynamicResourceAllocation=true,AllAlpha=false

  note 'a variable for workers, and none'
  template=$(ask machinedeployments "$(workers_of full)" .spec.template.spec.bootstrap.configRef.name)
  set_variable full kubeletFeatureGates DynamicResourceAllocation=true
  eventually 60 another_template full "$template"
  eventually 120 workers_over "$(workers_of full)"
  set_variable full apiServerFeatureGates ''
  eventually 60 argument_is full apiServer feature-gates ''
  eventually 120 topology_over full
  eventually 120 reconciled bare True
  eventually 120 topology_over bare
  assert argument_is bare scheduler feature-gates DynamicResourceAllocation=true
}

# server_side_apply NAME VALUE: of the argument v.
server_side_apply() {
  printf '{"apiVersion":"controlplane.cluster.x-k8s.io/v1beta2","kind":"KubeadmControlPlane","metadata":{"name":"%s","namespace":"default"},
    "spec":{"kubeadmConfigSpec":{"clusterConfiguration":{"apiServer":{"extraArgs":[{"name":"v","value":"%s"}]}}}}}' "$1" "$2" | put_at "$(capi_at kubeadmcontrolplanes "$1")" somebody
}

another_template() { [[ $(ask machinedeployments "$(workers_of "$1")" .spec.template.spec.bootstrap.configRef.name) != "$2" ]]; }
