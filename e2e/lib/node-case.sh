# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153,SC2317 # from case.sh and node.env; called by cases
# What the cases on real nodes have at hand, beside lib/case.sh and lib/node.sh.
#
#   use_node MINOR [bare]     the first node; join_node INDEX: another one, or prepare_node INDEX and enter_node INDEX
#   start_on_node [FLAG...]   controller (with these flags) and agents as processes; helm_install NAMESPACE: as pods of the chart
#   node_is_gone              the machine is as it was before use_node

# shellcheck source=node.sh
source "$LIB/node.sh"
# shellcheck source=node-run.sh
source "$LIB/node-run.sh"
# shellcheck source=../node/inotify.sh
source "$E2E/node/inotify.sh"
# shellcheck source=images.sh
source "$LIB/images.sh"

# use_node MINOR [bare]: a new one, with our CRDs unless bare; it ends with the case.
use_node() {
  note "new node: Kubernetes $1"
  node_need "$1"
  machine >"$CASE_DIR/machine-before"
  node_up "$WORK/node-$(basename "$CASE_DIR")" "$1" $$
  note "node is up: $NODE_IP"
  [[ ${2:-} == bare ]] || install_crds
  node_asked
}

# join_node INDEX: a further node, in node_dir INDEX.
join_node() {
  node_join "$(node_dir "$1")" "$1" $$
  note "node-$1 has joined"
}

# join_control_plane INDEX: a further one, with an API server and an etcd of its own.
join_control_plane() {
  node_prepare "$(node_dir "$1")" "$1" $$ control-plane
  enter_node "$1"
}

prepare_node() { node_prepare "$(node_dir "$1")" "$1" $$; }

enter_node() {
  node_enter "$(node_dir "$1")"
  note "node-$1 has joined"
}

node_dir() { if (($1 == 1)); then echo "$FIRST"; else echo "$FIRST-$1"; fi; }

# kubelet_does INDEX GATE SHELL: what that node's kubelet does first, from its next start on, when its file has the gate.
kubelet_does() {
  local file
  file=$(node_dir "$1")/bin/kubelet
  cat >"$file.new" <<END
#!/bin/bash
! grep -q '$2: true' /var/lib/kubelet/config.yaml || {
  $3
}
exec -a kubelet $TOOLS_BIN/$VERSION/kubelet "\$@"
END
  chmod 755 "$file.new"
  mv "$file.new" "$file"
}

# machine: what a node must leave as it was on the machine. What is named after a node is looked for by node_is_gone: others may be up.
machine() {
  cut -d' ' -f2,3 /proc/mounts | sort
  ip -brief addr | awk '{ print $1, $3 }' | grep -vE '^(veth|dbnode)' | sort
  for tables in iptables ip6tables; do "$tables-save" 2>/dev/null | grep -E '^-A|^:KUBE' || true; done
  sysctl vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes net.ipv4.ip_forward
  ls -d /etc/kubernetes /var/lib/kubelet /var/lib/etcd /var/lib/containerd /etc/cni /opt/cni /var/lib/cni /etc/cdi /var/log/pods /var/log/containers \
    /usr/libexec/kubernetes /var/lib/drawbridge /run/containerd /run/node 2>/dev/null || true
}

# node_is_gone: everything of it ended, and the machine is as it was.
node_is_gone() {
  machine >"$CASE_DIR/machine-after"
  diff "$CASE_DIR/machine-before" "$CASE_DIR/machine-after" || return 1
  ! ip link show "dbnode$SLOT" 2>/dev/null || return 1
  [[ -z $(find /sys/fs/cgroup -maxdepth 2 \( -name "drawbridge-node-$SLOT" -o -name "drawbridge-node-$SLOT-*" \) -print) ]] || return 1
  [[ -z $(find "$(dirname "$(inotify_record x)")" -name "inotify-$SLOT-*" -print) ]] || return 1
  ! pgrep -af "${CLUSTER}[ /-]"
}

# start_on_node: the controller outside, an agent in the namespaces of each node, each with a certificate and the rights of lib/rbac.yaml.
start_on_node() {
  local index
  node_rights
  for index in {1..8}; do [[ ! -d $(node_dir "$index") ]] || start_agent_on_node "$index"; done
  node_controller_command
  start controller "${COMMAND[@]}" --health-probe-bind-address 127.0.0.1:0 --log-level debug --log-format text "$@"
  CONTROLLER=$STARTED_PID
}

# start_agent_on_node [INDEX]: sets AGENTS[INDEX], and AGENT for the first.
declare -A AGENTS=()
start_agent_on_node() {
  local index=${1:-1} log=agent
  ((index == 1)) || log=agent-$index
  node_agent_command "$(node_dir "$index")" "$index"
  start "$log" "${COMMAND[@]}" --log-level debug --log-format text
  AGENTS[$index]=$STARTED_PID
  ((index != 1)) || AGENT=$STARTED_PID
}

# kill_agent [INDEX]: hard, the program itself and not only who started it.
kill_agent() {
  local pid index=${1:-1}
  pid=$(pgrep -P "${AGENTS[$index]}")
  kill -KILL "$pid"
  kill_hard "${AGENTS[$index]}"
}

# plain_pods [NODE...]: two on each that have nothing to do with it, on the node's network and on their own.
plain_pods() {
  local network node nodes=("${@:-$NODE_NAME}")
  for node in "${nodes[@]}"; do
    for network in true false; do
      kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: plain-$node-$network, labels: {app: plain}}
spec:
  nodeName: $node
  hostNetwork: $network
  terminationGracePeriodSeconds: 1
  containers: [{name: sleep, image: "$NODE_REPOSITORY/busybox:1", args: [sleep, "100000"]}]
END
    done
  done
  kubectl wait --for=condition=Ready pod -l app=plain --timeout=60s >/dev/null || die 'plain pods are not Ready'
}

containers() {
  kubectl get pods -o json | jq -r '.items[] | "\(.metadata.name) \(.status.containerStatuses[0] | "\(.containerID) \(.restartCount)")"'
}

config_map_says() { [[ $(kubectl get configmap -n kube-system "$1" -o json | jq -r '.data[]') == *"$2"* ]]; }
config_maps() { kubectl get configmap -n kube-system kubeadm-config kubelet-config -o json | jq -r '.items[].data[]'; }

what_was_written() {
  local component
  note 'what was written'
  for component in "${CONTROL_PLANE[@]}"; do changes "$CASE_DIR/before" "$component.yaml"; done
  changes "$CASE_DIR/before" config.yaml
}

mirror_pods_ready() {
  [[ $(kubectl get pods -n kube-system -l tier=control-plane -o json |
    jq '[.items[] | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))] | length') == 4 ]]
}

# helm_install NAMESPACE [ARGUMENT...]: the chart by helm with these arguments, and our two images.
helm_install() {
  local part values=()
  note "images: $(images_how "$(images_way)")"
  images_make "$CASE_DIR"
  for part in operator agent; do
    innode ctr -n k8s.io images import "$CASE_DIR/$part.tar" >/dev/null
    values+=(--set "image.$part.repository=$NODE_REPOSITORY/drawbridge-$part,image.$part.tag=test")
    note "$part: $(du -m "$CASE_DIR/$part.tar" | cut -f1) MiB"
    (($(du -m "$CASE_DIR/$part.tar" | cut -f1) < 200)) || die "the image of the $part is too large"
  done
  kubectl create namespace "$1" >/dev/null
  kubectl label namespace "$1" pod-security.kubernetes.io/enforce=privileged >/dev/null
  HOME=$CASE_DIR "$TOOLS_BIN/helm" install drawbridge "$ROOT/charts/drawbridge" -n "$1" "${values[@]}" \
    --set crds.kubermaticConfiguration=true,agent.logLevel=debug,agent.logFormat=text,controller.logLevel=debug,controller.logFormat=text "${@:2}"
  kubectl wait --for=condition=Established --timeout=30s crd --all >/dev/null
  kubectl rollout status -n "$1" deployment/drawbridge-controller --timeout=60s || die "$(kubectl describe pods -n "$1" | tail -n 30)"
  kubectl rollout status -n "$1" daemonset/drawbridge-agent --timeout=60s || die "$(kubectl describe pods -n "$1" | tail -n 30)"
}

# start_in_node NAME COMMAND...: a server for pods, on the network of the node; from elsewhere no way leads back to a pod.
start_in_node() { start "$1" nsenter -t "$(cat "$CLUSTER/init.pid")" -n -- "${@:2}"; }

keep_pod_logs() {
  [[ -s $CASE_DIR/controller.log ]] || kubectl logs -n drawbridge-system deployment/drawbridge-controller >"$CASE_DIR/controller.log" || true
  [[ -s $CASE_DIR/agent.log ]] || kubectl logs -n drawbridge-system daemonset/drawbridge-agent >"$CASE_DIR/agent.log" || true
}

chart_end() {
  keep_pod_logs
  case_end "$1"
}


