# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# A real node by kubeadm: containerd, kubelet, static pods. The agent runs in the node's namespaces.
# needs: drawbridge root-node
# tools: helm 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.33/kubeadm 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl 1.37/kubelet 1.37/kubeadm

# shellcheck source=../lib/node-case.sh
source "$E2E/lib/node-case.sh"
# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"
# shellcheck source=../lib/git.sh
source "$E2E/lib/git.sh"

# case: kubeadm 1.33: the KubermaticConfiguration turns DRA on in all four real components; pods keep their containers; Revert gives every byte back
# timeout: 1200
case_kubeadm_1_33() {
  use_node 1.33
  plain_pods
  containers >"$CASE_DIR/containers"
  keep_files "$CASE_DIR/before"
  config_maps >"$CASE_DIR/config-maps"
  assert gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  start_on_node
  kubectl create namespace kubermatic >/dev/null
  kubectl apply -f "$E2E/seeds/kubermaticconfiguration.yaml" >/dev/null
  eventually 480 condition_is kubermatic Ready True kubermatic
  assert gates_are 1 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  assert_equal "$(served)" v1beta1 'versions of resource.k8s.io'
  what_was_written
  eventually 40 config_map_says kubeadm-config DynamicResourceAllocation=true
  eventually 40 config_map_says kubelet-config 'DynamicResourceAllocation: true'
  assert_match "$(kubectl get dracfg -n kubermatic kubermatic)" 'Kubeadm +v1.33.13 +v1beta1 +4/4 .*True'
  eventually 120 mirror_pods_ready
  containers | diff "$CASE_DIR/containers" - || die 'pods lost their containers'

  note 'and back'
  patch_at "$(dracfg_at kubermatic kubermatic)" '{"spec":{"deletionPolicy":"Revert"}}'
  kubectl delete kubermaticconfiguration kubermatic -n kubermatic --wait=false >/dev/null
  eventually 480 dracfg_gone kubermatic kubermatic
  assert same_files "$CASE_DIR/before"
  config_maps | diff "$CASE_DIR/config-maps" - || die 'the ConfigMaps are not what they were'
  eventually 120 gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  eventually 60 served_is ''
  containers | diff "$CASE_DIR/containers" - || die 'pods lost their containers'
  stop_all
  node_down "$CLUSTER"
  assert node_is_gone
}

# case: kubeadm 1.37: DRA is on by default, Ready says so, and not a byte is written; leftovers in a kubelet's file and on its command line are found before 1.38
# timeout: 600
case_kubeadm_1_37() {
  use_node 1.37
  keep_files "$CASE_DIR/before"
  config_maps >"$CASE_DIR/config-maps"
  start_on_node
  dra_on dra
  eventually 120 condition_is dra Ready 'True DefaultOn'
  assert gates_are 1 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  assert_equal "$(served)" v1 'versions of resource.k8s.io'
  sleep 3
  assert same_files "$CASE_DIR/before"
  config_maps | diff "$CASE_DIR/config-maps" - || die 'the ConfigMaps are not what they were'
  assert_equal "$(prepare_for 1.38)" 0 "$(cat "$CASE_DIR/said")"
  refuse grep 'not seen' "$CASE_DIR/said"
  printf 'featureGates: {DynamicResourceAllocation: true}\n' >>"$NODE/kubelet/config.yaml"
  sed -i -E 's/^KUBELET_KUBEADM_ARGS="/&--feature-gates=KubeletTracing=true /' "$NODE/kubelet/kubeadm-flags.env"
  innode systemctl restart kubelet
  eventually 90 found_before_1_38
}

# found_before_1_38: by the kubelet's own word, as the API server passes it on.
found_before_1_38() {
  [[ $(prepare_for 1.38) == 1 ]] || return 1
  grep -Eq 'kubelet on [^ ]+ +DynamicResourceAllocation=true +removed in 1.38 +none +you ' "$CASE_DIR/said" &&
    grep -Eq 'kubelet on [^ ]+ +KubeletTracing=true +removed in 1.38 +none +you ' "$CASE_DIR/said"
}

# prepare_for MINOR: the exit code; what is said goes to $CASE_DIR/said.
prepare_for() {
  local code=0
  "$DRAWBRIDGE" plan --prepare-for "$1" --kubeconfig "$KUBECONFIG" >"$CASE_DIR/said" 2>"$CASE_DIR/warned" || code=$?
  echo "$code"
}

# case: a real kubelet that refuses the new configuration is put back by its agent, and runs; the roll-out says why it stopped
# timeout: 1200
case_kubelet_refuses() {
  use_node 1.33
  plain_pods
  containers >"$CASE_DIR/containers"
  keep_files "$CASE_DIR/before"
  kubelet_does 1 DynamicResourceAllocation 'echo refused by the test >&2; exit 1'
  start_on_node
  dra_on dra 'rollout: {componentTimeout: 90s, minReady: 0s}'
  eventually 600 condition_is dra Degraded True
  note "$(condition_message dra Degraded)"
  assert_match "$(condition_message dra Degraded)" 'kubelet.*node-1|node-1.*kubelet'
  same_file_again() { cmp -s "$CASE_DIR/before/config.yaml" "$NODE/kubelet/config.yaml"; }
  eventually 60 same_file_again
  eventually 60 gate_is kubelet DynamicResourceAllocation 0
  kubectl wait --for=condition=Ready "node/$NODE_NAME" --timeout=60s >/dev/null || die 'the node is not Ready'
  containers | diff "$CASE_DIR/containers" - || die 'pods lost their containers'
}

# case: the chart by helm, images of the Dockerfile: agent and controller as pods with its rights and no others turn DRA on by a signed commit, and install a chart; an agent cannot speak for another node
# timeout: 3000
case_chart() {
  use_node 1.33 bare
  kubectl create namespace kubermatic >/dev/null
  cat >"$CASE_DIR/values.yaml" <<END
governingNamespaces: [kubermatic]
configSources: [{namespace: kubermatic, secrets: [signers], kubermaticConfigurations: true}]
controller: {driverAccounts: [{namespace: kubermatic, name: installer}]}
END
  helm_install drawbridge-system --values "$CASE_DIR/values.yaml"
  plain_pods
  keep_files "$CASE_DIR/before"
  containers >"$CASE_DIR/containers"
  kubectl get pods -n drawbridge-system -o json | jq -r '.items[].status.containerStatuses[0].containerID' | sort >"$CASE_DIR/ours"
  trap 'chart_end $?' EXIT
  programs_of_the_images
  apply_by_commit
  eventually 600 condition_is kubermatic Ready True kubermatic
  assert gates_are 1 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  assert_equal "$(served)" v1beta1 'versions of resource.k8s.io'
  what_was_written
  containers | diff "$CASE_DIR/containers" - || die 'pods lost their containers'
  kubectl get pods -n drawbridge-system -o json | jq -r '.items[].status.containerStatuses[0].containerID' | sort | diff "$CASE_DIR/ours" - ||
    die 'our own pods lost their containers'
  chart_of_a_driver
  keep_pod_logs
  kubectl scale -n drawbridge-system deployment/drawbridge-controller --replicas=0 >/dev/null # it takes away nodes that are none
  eventually 60 none_of pods -n drawbridge-system -l app.kubernetes.io/component=controller
  others_node_is_refused
  HOME=$CASE_DIR "$TOOLS_BIN/helm" uninstall drawbridge -n drawbridge-system
  eventually 120 none_of pods -n drawbridge-system
  assert kubectl get crd draconfigurations.drawbridge.dev nodedraconfigurations.drawbridge.dev
  assert kubectl get dracfg -n kubermatic kubermatic
  stop_all
  node_down "$CLUSTER"
  assert node_is_gone
}

# programs_of_the_images: what each part starts is there and can be started by the user that it runs as.
programs_of_the_images() {
  local controller=(kubectl exec -n drawbridge-system deployment/drawbridge-controller --) agent=(kubectl exec -n drawbridge-system daemonset/drawbridge-agent --)
  assert_match "$("${controller[@]}" helm version --short)" '^v4\.'
  assert_match "$("${controller[@]}" gpgv --version)" 'gpgv \(GnuPG\)'
  assert_match "$("${controller[@]}" ssh -G git.example.org)" 'hostname git.example.org'
  assert_match "$("${agent[@]}" nsenter --target 1 --mount --uts --ipc --net -- systemctl is-active kubelet)" '^active'
  assert_equal "$("${controller[@]}" drawbridge version)" "$("${agent[@]}" drawbridge version)"
}

# apply_by_commit: the KubermaticConfiguration comes from a repository, and only since the commit is signed: drawbridge-git and ssh-keygen in the pod.
apply_by_commit() {
  git_repository "$CASE_DIR/git"
  ssh-keygen -q -t ed25519 -N '' -f "$CASE_DIR/git/key"
  git -C "$GIT_WORK" config gpg.format ssh
  git -C "$GIT_WORK" config user.signingkey "$CASE_DIR/git/key"
  cp "$E2E/seeds/kubermaticconfiguration.yaml" "$GIT_WORK"
  git_commit 'DRA on' -S
  start_in_node git-daemon env HOME="$CASE_DIR/git" git daemon --listen="$NODE_IP" --base-path="$CASE_DIR/git/srv" --export-all
  kubectl create secret generic signers -n kubermatic --from-literal=allowed_signers="ops@example.org $(cut -d' ' -f1,2 "$CASE_DIR/git/key.pub")" >/dev/null
  kubectl apply -f - >/dev/null <<END
apiVersion: drawbridge.dev/v1alpha1
kind: ConfigSource
metadata: {name: clusters, namespace: kubermatic}
spec: {url: "git://$NODE_IP/config.git", interval: 10s, verify: {secretRef: {name: signers}}}
END
  eventually 120 signed_by ops@example.org
}

signed_by() {
  local status
  status=$(api -f "$API/apis/drawbridge.dev/v1alpha1/namespaces/kubermatic/configsources/clusters" | jq -c .status)
  [[ $(jq -r '.signer + " " + (.conditions[] | select(.type == "SourceVerified") | .status + " " + .message)' <<<"$status") == "$1 True "* ]] ||
    { echo "$status" && return 1; }
}

# chart_of_a_driver: helm in the pod, as an account that the chart's values named; in and out again.
chart_of_a_driver() {
  pack_chart >/dev/null
  helm_run repo index "$CASE_DIR/charts" >/dev/null
  start_in_node charts python3 -m http.server 8000 --bind "$NODE_IP" --directory "$CASE_DIR/charts"
  kubectl label node "$NODE_NAME" devices.example.com=true >/dev/null
  kubectl apply -f "$E2E/driver/installer.yaml" >/dev/null
  kubectl create serviceaccount installer -n kubermatic >/dev/null
  kubectl create clusterrolebinding installer-kubermatic --clusterrole=installer --serviceaccount=kubermatic:installer >/dev/null
  kubectl patch dracfg kubermatic -n kubermatic --type merge -p "{\"spec\":{\"driver\":{\"serviceAccountName\":\"installer\",\"release\":\"gpu\",\"namespace\":\"gpu\",
    \"chart\":{\"repo\":\"http://$NODE_IP:8000\",\"name\":\"test-driver\",\"version\":\"0.1.0\"},
    \"values\":{\"image\":\"$NODE_REPOSITORY/busybox:1\",\"command\":[\"/bin/busybox\",\"sleep\",\"100000\"]}}}}" >/dev/null
  eventually 180 condition_is kubermatic DriverReady 'True AsExpected' kubermatic
  assert release_is gpu gpu deployed
  patch_at "$(dracfg_at kubermatic kubermatic)" '[{"op":"remove","path":"/spec/driver"}]'
  eventually 120 no_release gpu gpu
  eventually 60 condition_is kubermatic Ready True kubermatic
}

# others_node_is_refused: with the very token of the agent's pod.
others_node_is_refused() {
  local pod token said mine other='{"apiVersion":"drawbridge.dev/v1alpha1","kind":"NodeDRAConfiguration","metadata":{"name":"other"},"spec":'
  mine=$(kubectl get nodedra "$NODE_NAME" -o json)
  kubectl create -f - >/dev/null <<<"$other$(jq .spec <<<"$mine")}"
  pod=$(kubectl get pods -n drawbridge-system -l app.kubernetes.io/component=agent -o name)
  token=$(kubectl create token drawbridge-agent -n drawbridge-system --bound-object-kind=Pod --bound-object-name="${pod#pod/}")
  ! said=$(report_as "$token" other 2>&1) || die 'an agent reported for another node'
  assert_match "$said" 'an agent reports for its own node alone, and other is not'
  report_as "$token" "$NODE_NAME" || die 'an agent cannot report for its own node'
  token=$(kubectl create token drawbridge-agent -n drawbridge-system) # bound to no pod, and so to no node
  refuse report_as "$token" "$NODE_NAME"
  kubectl delete nodedra other >/dev/null
}

# report_as TOKEN NODE: in one request, as the agent does it: kubectl looks at the object first, and an agent may not.
report_as() {
  curl -sSk --fail-with-body --max-time 10 -X PATCH -H "Authorization: Bearer $1" -H 'Content-Type: application/merge-patch+json' \
    -d '{"status":{"agentVersion":"v0.1.0"}}' "$API/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/$2/status"
}

# case: two nodes whose owner or keeper is killed leave nothing behind either; without power, and with it again, they are what they were
# timeout: 480
case_killed() {
  local dir owner
  dir=$WORK/node-$(basename "$CASE_DIR")
  node_need 1.33
  machine >"$CASE_DIR/machine-before"
  (node_up "$dir" 1.33 "$BASHPID" && node_join "$dir-2" 2 "$BASHPID")
  note 'their owner has ended'
  eventually 40 test -e "$dir/gone" -a -e "$dir-2/gone"
  node_use "$dir"
  assert node_is_gone

  note 'the same two again'
  node_lock_slot "$SLOT" || die 'somebody else has taken the slot of the two'
  sleep 300 &
  owner=$!
  node_keep "$dir" "$owner"
  node_up_again "$dir"
  node_keep "$dir-2" "$owner"
  node_up_again "$dir-2"
  assert inotify_given "$SLOT-1"
  assert inotify_given "$SLOT-2"
  node_stop "$dir-2"
  kubectl get nodes
  node_up_again "$dir-2"
  note 'now the keeper of the first is killed'
  kill -KILL "$(pgrep -f "node/keeper $dir ")"
  eventually 40 test -e "$dir-2/gone"
  eventually 40 node_processes_are_gone
  kill "$owner"
  # its cgroups, empty now, go with the next node, and what it gave the machine
  # shellcheck source=../node/cgroups.sh
  source "$E2E/node/cgroups.sh"
  cgroups_remove "$CGROUP"
  assert inotify_given "$SLOT-1"
  inotify_take_slot "$SLOT"
  assert node_is_gone
  touch "$dir/gone"
}

node_processes_are_gone() { ! pgrep -f "${CLUSTER}[ /-]" >/dev/null && ! ip link show "dbnode$SLOT" >/dev/null 2>&1; }
