# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# platform.type Kwok: a cluster by kwokctl with the runtime binary, made without the two flags of kwok's page about DRA.
# needs: drawbridge
# tools: etcd kwok kwokctl 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl

# shellcheck source=../lib/kwok.sh
source "$E2E/lib/kwok.sh"

kwok_on() { dra_on dra 'platform: {type: Kwok}' 'deletionPolicy: Revert'; }

is_as_before() { cmp -s "$CLUSTER/kwok.yaml" "$CASE_DIR/before.yaml" && [[ $(kwok_args) == "$(cat "$CASE_DIR/args")" ]]; }

keep_before() {
  cp "$CLUSTER/kwok.yaml" "$CASE_DIR/before.yaml"
  kwok_args >"$CASE_DIR/args"
}

# case: kwokctl without its two flags, then DRA on, read back; kwokctl takes what was started as its own; the five manifests of kwok's page, verbatim; Revert gives kwok.yaml back byte for byte
# timeout: 500
case_page() {
  local before
  use_kwok 1.33
  keep_before
  assert_equal "$(served)" '' 'what is served before'
  start_kwok_pair
  kwok_on
  eventually 240 condition_is dra Ready True
  assert gates_are 1 DynamicResourceAllocation "${CONTROL_PLANE[@]}"
  assert_equal "$(served)" v1beta1
  assert condition_is dra NodesUpdated 'True NoManagedNodes'
  assert_match "$(kubectl get dracfg dra)" 'Kwok +v1.33.13 +v1beta1 +4/4'
  assert_equal "$(diff "$CASE_DIR/before.yaml" "$CLUSTER/kwok.yaml" | grep -c '^[<>]')" 4 'lines of kwok.yaml that differ'

  before=$(kwok_processes)
  kwokctl start cluster
  assert_equal "$(kwok_processes)" "$before" 'processes after kwokctl start cluster'
  assert kill -0 "$AGENT"

  apply_kwok_seeds
  eventually 60 kwok_seeds_done
  kubectl delete deployment fake-pod >/dev/null
  eventually 60 none_of resourceclaims
  assert_match "$(condition_message dra NodesUpdated)" 'not counted: 1 \(kwok-node-0: fake\)'

  kubectl delete dracfg dra --wait=false >/dev/null
  eventually 240 dracfg_gone dra
  assert is_as_before
  eventually 30 served_is ''
  assert gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}"
  assert none_of nodedraconfigurations
  stop "$CONTROLLER"
  stop "$AGENT"
  forget "$CONTROLLER"
  forget "$AGENT"
  assert is_as_before # what was started is nobody's child
  kwokctl stop cluster
  assert_equal "$(ls "$CLUSTER/pids")" '' 'what still runs'
}

# case: on 1.37 DRA is on by default and nothing is written; a feature that is off there, with its API version, is turned on, and Revert gives kwok.yaml back byte for byte
# timeout: 500
case_on_1_37() {
  use_kwok 1.37
  keep_before
  start_kwok_pair
  kwok_on
  eventually 80 condition_is dra Ready 'True DefaultOn'
  assert_equal "$(served)" v1 'versions of resource.k8s.io'
  sleep 2
  assert is_as_before
  kubectl patch dracfg dra --type merge -p '{"spec":{"features":["PoolStatus"],"allowAlpha":true}}' >/dev/null
  eventually 240 gates_are 1 DRAResourcePoolStatus kube-apiserver kube-controller-manager
  eventually 240 settled dra
  assert condition_is dra Ready True
  assert_equal "$(served)" 'v1 v1alpha3' 'versions of resource.k8s.io'
  assert gates_are 0 DRAResourcePoolStatus kube-scheduler # it does not read it
  kubectl delete dracfg dra --wait=false >/dev/null
  eventually 240 dracfg_gone dra
  assert is_as_before
  eventually 30 served_is v1
}

# case: a scheduler that refuses its flags: its lines and then those of the others come back, byte for byte, with its words in the condition; the agent killed on the way; afterwards it goes on
# timeout: 500
case_refusal() {
  local bin
  use_kwok 1.33
  bin=$CLUSTER/bin/kube-scheduler
  keep_before
  rm "$bin"
  cat >"$bin" <<END
#!/bin/bash
[[ " \$* " != *DynamicResourceAllocation=true* ]] || { echo 'Error: invalid argument "DynamicResourceAllocation=true" for "--feature-gates" flag: unrecognized feature gate: DynamicResourceAllocation' >&2; exit 1; }
exec -a "\$0" "$TOOLS_BIN/$VERSION/kube-scheduler" "\$@"
END
  chmod 755 "$bin"
  start_kwok_pair
  kwok_on
  eventually 240 condition_is dra Degraded True
  eventually 240 is_as_before
  eventually 60 condition_is dra Ready False
  assert_match "$(conditions dra)" 'ComponentCrashed.*unrecognized feature gate: DynamicResourceAllocation'
  assert gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}"
  eventually 30 served_is ''

  ln -sf "$TOOLS_BIN/$VERSION/kube-scheduler" "$bin"
  kubectl patch dracfg dra --type merge -p '{"spec":{"featureGates":{"DRAPrioritizedList":false}}}' >/dev/null
  eventually 60 api_is_restarting
  kill_hard "$AGENT"
  nap 3
  start agent "$DRAWBRIDGE" agent --kwok-dir "$CLUSTER" --health-probe-bind-address "127.0.0.1:$((PORT + 10))" --log-level debug
  eventually 240 condition_is dra Ready True
  assert gates_are 1 DynamicResourceAllocation "${CONTROL_PLANE[@]}"
}

api_is_restarting() { ! api -f "$API/readyz" >/dev/null 2>&1; }
