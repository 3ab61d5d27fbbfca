# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# Two real control-plane nodes: etcd, API server, controller-manager, scheduler and kubelet of each, joined by kubeadm join.
# Six API servers are rolled here, four minutes and a sixteenth of all the CPU of a run: it is for who changes how nodes are ordered, or what comes back.
# run: by name
# needs: drawbridge root-node
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm

# shellcheck source=../lib/node-case.sh
source "$E2E/lib/node-case.sh"

GATE=DynamicResourceAllocation

manifests_of() { echo "$(node_dir "$1")/etc-kubernetes/manifests"; }

# gate_of INDEX COMPONENT: of that node's own component: 1, 0, or nothing
gate_of() { node_metrics "$2" "$(node_dir "$1")" | sed -nE "s/^kubernetes_feature_enabled\{name=\"$GATE\",stage=\"[^\"]*\"\} ([01])$/\1/p"; }

all_gates_are() {
  local index component
  for index in 1 2; do
    for component in "${CONTROL_PLANE[@]}" kubelet; do
      [[ $(gate_of "$index" "$component") == "$1" ]] || { echo "$component of node-$index: $GATE is not $1" && return 1; }
    done
  done
}

keep_both() {
  local index
  for index in 1 2; do
    mkdir -p "$1/$index"
    cp -p "$(manifests_of "$index")"/*.yaml "$(node_dir "$index")/var-lib-kubelet/config.yaml" "$1/$index/"
  done
}

same_both() {
  rm -rf "$CASE_DIR/now"
  keep_both "$CASE_DIR/now"
  diff -r "$1" "$CASE_DIR/now"
}

# import_api_server INDEX [GATE]: the image of that node's API server from now on, under the same name; with GATE one that refuses this gate.
import_api_server() {
  node_api_server_image "$CASE_DIR/kube-apiserver.tar" "${@:2}"
  node_import "$(node_dir "$1")" "$CASE_DIR/kube-apiserver.tar"
}

# watch_both: once a second whether each API server is ready.
watch_both() {
  while sleep 1; do
    curl -sk --max-time 2 -o /dev/null -o /dev/null -w '%{http_code} ' "https://10.210.$SLOT.2:6443/readyz" "https://10.210.$SLOT.3:6443/readyz" || true
    echo
  done >"$CASE_DIR/ready"
}

# one_was_always_there: and each was away at some time, or it was not looked at.
one_was_always_there() {
  local looks away=(0 0)
  looks=$(wc -l <"$CASE_DIR/ready")
  away=("$(grep -vc '^200 ' "$CASE_DIR/ready")" "$(grep -vc ' 200 $' "$CASE_DIR/ready")")
  note "of $looks looks the API server of node-1 was not ready at ${away[0]}, that of node-2 at ${away[1]}"
  ((away[0] > 2 && away[1] > 2)) || die 'nobody looked while they were rolled'
  ! grep -vE '(^| )200 ' "$CASE_DIR/ready" || die 'both were away'
}

# case: one API server after the other, never both away; the second one refuses, and both are put back; repaired, DRA is on in every component of both
# timeout: 800
case_two() {
  # it does not wait 30 s for open watches: six API servers are rolled here
  NODE_API_SERVER_ARGS='{name: shutdown-watch-termination-grace-period, value: 1s}' use_node 1.33
  join_control_plane 2
  import_api_server 2 "$GATE"
  keep_both "$CASE_DIR/before"
  start_on_node
  watch_both &
  STARTED+=("$!")
  dra_on dra "$ROLLOUT"

  note 'the second one refuses'
  eventually 300 condition_is dra ControlPlaneUpdated 'False RolledBack'
  note "$(conditions dra)"
  assert condition_is dra Degraded True
  assert_match "$(condition_message dra Degraded)" "node-2.*unrecognized feature gate: $GATE"
  assert same_both "$CASE_DIR/before"
  eventually 120 all_gates_are 0
  assert served_is ''

  note 'it is repaired, and the spec changed'
  import_api_server 2
  dra_on dra "$ROLLOUT" 'runtimeConfig: {resource.k8s.io/v1beta2: "true"}'
  eventually 300 condition_is dra Ready True
  assert all_gates_are 1
  assert_equal "$(served)" 'v1beta1 v1beta2' 'versions of resource.k8s.io'
  assert_equal "$(dracfg dra | jq -r '[.status.components[] | "\(.instances)\(.updated)\(.ready)"] | unique | join(" ")')" 222 'instances, updated and ready of each component'
  in_order
  one_was_always_there
}

ROLLOUT='rollout: {componentTimeout: 5m, minReady: 0s}'

# in_order: all of a kind before the first of the next; by when each file was last written.
in_order() {
  local component index newest=0 times
  for component in kube-apiserver kube-controller-manager kube-scheduler; do
    times=$(for index in 1 2; do stat -c %Y "$(manifests_of "$index")/$component.yaml"; done | sort -n)
    (($(head -n1 <<<"$times") >= newest)) || die "a $component was written before the last one of the kind before it"
    newest=$(tail -n1 <<<"$times")
  done
  for index in 1 2; do
    (($(stat -c %Y "$(node_dir "$index")/var-lib-kubelet/config.yaml") >= newest)) || die "the kubelet of node-$index was written before the control plane was done"
  done
}
