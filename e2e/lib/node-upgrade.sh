# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153,SC2317 # from case.sh and node.env; called by cases
# The real `kubeadm upgrade apply` of a real node, while Drawbridge is at work and every component is asked all the way through.
#
#   upgrade_begins FROM TO GATE API   a node of FROM on which GATE is asked for, a gate that is off there and needs resource.k8s.io/API, and on in TO
#   upgrade_control_plane             kubeadm upgrade apply: everything that FROM needs is still there
#   upgrade_kubelet                   its kubelet follows: nothing is left of it

# asked_of COMPONENT: the gate it is asked about: a kubelet does not read all of them.
asked_of() { if [[ $1 == kubelet ]]; then echo DynamicResourceAllocation; else echo "$UPGRADE_GATE"; fi; }

# watch_dra: what every component, the object, the API and the files say, round after round, for as long as the case runs.
watch_dra() {
  local component value object
  while sleep 2; do
    for component in "${CONTROL_PLANE[@]}" kubelet; do
      value=$(gate "$component" "$(asked_of "$component")" 2>/dev/null) || value=''
      echo "$(date +%T) $component ${value:--}"
    done >>"$CASE_DIR/gates"
    object=$(dracfg dra 2>/dev/null | jq -c '[(.status.conditions[]? | "\(.type)=\(.status) \(.reason): \(.message)"),
      (.status.history[]? | "history \(.result)"), "failed \(.status.failedRevision // "-")"]') || object=''
    [[ ! $object ]] || echo "$(date +%T) $object" >>"$CASE_DIR/objects"
    if api -f -o /dev/null "$API/readyz" 2>/dev/null && value=$(served 2>/dev/null); then
      echo "$(date +%T) ${value:-nothing}" >>"$CASE_DIR/served"
    fi
    for component in "${CONTROL_PLANE[@]}"; do
      value=$(sha256sum "$MANIFESTS/$component.yaml" 2>/dev/null) || continue # between two renames of kubeadm's
      [[ $(tail -n1 "$CASE_DIR/digests-$component" 2>/dev/null) == "$value" ]] || echo "$value" >>"$CASE_DIR/digests-$component"
    done
  done
}

# written_at: when each component was last edited by the agent.
written_at() { jq -cS '.components | map_values(.updatedAt)' "$NODE/var-lib-drawbridge/journal.json"; }
generation() { kubectl get nodedra "$NODE_NAME" -o jsonpath='{.metadata.generation}'; }
runs_version() { [[ $(metrics "$1" | grep '^kubernetes_build_info{') == *git_version=\"$2\"* ]]; }
control_plane_runs() {
  local component
  for component in "${CONTROL_PLANE[@]}"; do runs_version "$component" "$1" || return 1; done
}
manifest_says() { grep -q -- "$2" "$MANIFESTS/$1.yaml"; }

nothing_is_left() {
  ! grep -lE "$UPGRADE_GATE|resource.k8s.io/" "$MANIFESTS"/kube-*.yaml "$NODE/kubelet/config.yaml" && ! config_maps | grep -E "$UPGRADE_GATE|resource.k8s.io/"
}

# it_was_always_on: of what watch_dra saw.
it_was_always_on() {
  local component
  for component in "${CONTROL_PLANE[@]}" kubelet; do
    note "$component answered $(grep -c " $component 1$" "$CASE_DIR/gates") times of $(grep -c " $component " "$CASE_DIR/gates")"
    (($(grep -c " $component 1$" "$CASE_DIR/gates") >= 10)) || die "$component was hardly ever asked"
  done
  ! grep ' 0$' "$CASE_DIR/gates" || die 'a component said that DRA is off'
  ! grep -E 'Degraded=True|RolledBack|RollingBack|ResourceAPIServed=False' "$CASE_DIR/objects" || die 'the object said that something is wrong'
  ! grep -v '"failed -"' "$CASE_DIR/objects" || die 'a revision failed'
  # what we wrote, what kubeadm wrote with our flags, and what we left
  for component in "${CONTROL_PLANE[@]}"; do
    assert_equal "$(wc -l <"$CASE_DIR/digests-$component")" 3 "contents of $component.yaml one after the other"
  done
}

# takes_jobs: one runs to its end in the 15 s that kubeadm's preflight gives it. Healthy is not yet leading: the lease of the process before must run out.
takes_jobs() {
  kubectl delete job probe --ignore-not-found >/dev/null
  kubectl apply -f - >/dev/null <<END
apiVersion: batch/v1
kind: Job
metadata: {name: probe}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: "true", image: "$NODE_REPOSITORY/busybox:1", args: ["true"]}]
END
  kubectl wait --for=condition=Complete job/probe --timeout=15s
}

upgrade_begins() {
  UPGRADE_TO=$2 UPGRADE_GATE=$3 UPGRADE_API=$4
  local gates="$UPGRADE_GATE: true"
  [[ $UPGRADE_GATE == DynamicResourceAllocation ]] || gates+=', DynamicResourceAllocation: true'
  node_need "$UPGRADE_TO"
  use_node "$1"
  plain_pods
  start_on_node
  assert gates_are 0 "$UPGRADE_GATE" "${CONTROL_PLANE[@]}"
  configure dra <<<"featureGates: {$gates}
rollout: {componentTimeout: 300s, minReady: 0s}"
  eventually 480 settled dra
  assert gates_are 1 "$UPGRADE_GATE" "${CONTROL_PLANE[@]}"
  assert gates_are 1 DynamicResourceAllocation kubelet
  assert_match "$(served)" "$UPGRADE_API"
  eventually 60 config_map_says kubeadm-config "$UPGRADE_GATE=true"
  eventually 240 takes_jobs
  watch_dra &
  UPGRADE_WATCHER=$!
  STARTED+=("$UPGRADE_WATCHER")
}

# SystemVerification: the machine may have cgroup v1, which a kubelet of 1.35 and newer takes only if it is told to; node.sh's are.
upgrade_control_plane() {
  local new archive component
  new=$(tools_version "$UPGRADE_TO")
  written_at >"$CASE_DIR/written"
  generation >"$CASE_DIR/generation"
  note "kubeadm upgrade apply $new"
  for archive in "$NODE_CACHE/images/$new"/*.tar; do node_import "$CLUSTER" "$archive"; done
  innode timeout 500 "$TOOLS_BIN/$new/kubeadm" upgrade apply "$new" --yes --skip-phases=addon \
    --ignore-preflight-errors=CoreDNSUnsupportedPlugins,CoreDNSMigration,SystemVerification >"$CASE_DIR/kubeadm-upgrade.log" 2>&1 ||
    die "kubeadm upgrade: $(tail -n 20 "$CASE_DIR/kubeadm-upgrade.log")"
  note 'kubeadm is done'
  assert config_map_says kubeadm-config "kubernetesVersion: $new"
  eventually 120 control_plane_runs "$new"
  eventually 360 settled dra
  runs_version kubelet "$VERSION" || die 'the kubelet is another one already'
  eventually 120 condition_is dra ControlPlaneUpdated 'True AsExpected'
  assert_match "$(condition_message dra ControlPlaneUpdated)" 'not needed any more go when the upgrade of the control plane is over'
  for component in "${CONTROL_PLANE[@]}"; do assert manifest_says "$component" "$UPGRADE_GATE=true"; done
  assert manifest_says kube-apiserver "--runtime-config=resource.k8s.io/$UPGRADE_API=true"
  assert_equal "$(written_at)" "$(cat "$CASE_DIR/written")" 'when the agent wrote what'
  assert_equal "$(generation)" "$(cat "$CASE_DIR/generation")" 'the generation of what the agent is asked for'
  ! grep -v "$UPGRADE_API" "$CASE_DIR/served" || die "$UPGRADE_API was away while the upgrade went on"
}

upgrade_kubelet() {
  local new
  new=$(tools_version "$UPGRADE_TO")
  note 'the kubelet follows'
  ln -s "$TOOLS_BIN/$new/kubelet" "$CLUSTER/bin/kubelet"
  innode systemctl restart kubelet
  eventually 120 runs_version kubelet "$new"
  eventually 600 nothing_is_left
  eventually 360 settled dra
  assert condition_is dra ControlPlaneUpdated 'True DefaultOn'
  eventually 60 served_is v1
  assert gates_are 1 "$UPGRADE_GATE" "${CONTROL_PLANE[@]}"
  assert gates_are 1 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  assert kubectl wait --for=condition=Ready pod -l app=plain --timeout=60s
  kill_hard "$UPGRADE_WATCHER"
  it_was_always_on
}
