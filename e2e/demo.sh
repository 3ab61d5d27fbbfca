#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job, once, on a real control plane: DRA goes on from one resource, and a pod gets its device.
#
#   e2e/demo.sh [--kubernetes MINOR] [--level node|process] [--keep]
#   e2e/demo.sh --stop DIR
#
#   --kubernetes 1.33 where DRA is off: KKP's own file turns it on. The default
#   --kubernetes 1.37 where DRA is on by itself: features of it, and the way to 1.38
#   --level node      a real node by the real kubeadm: containerd, kubelet, static pods. Needs root and Linux namespaces
#   --level process   etcd and the control plane as processes of this machine, without a kubelet. Needs no root
#                     without --level: node where this machine can, else process; it says which
#   --keep            the cluster and drawbridge stay; the last lines say how to use and how to stop them
#   --stop DIR        ends what --keep left
#
# In the environment: DRAWBRIDGE_E2E_BIN (tools that are already there), DRAWBRIDGE (a binary instead of building one; drawbridge-guard beside it).
set -euo pipefail
# shellcheck source=lib/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
# shellcheck source=lib/install.sh
source "$E2E/lib/install.sh"
# shellcheck source=lib/tools.sh
source "$E2E/lib/tools.sh"
# shellcheck source=lib/cluster.sh
source "$E2E/lib/cluster.sh"
# shellcheck source=lib/inspect.sh
source "$E2E/lib/inspect.sh"
# shellcheck source=lib/node.sh
source "$E2E/lib/node.sh"
# shellcheck source=lib/node-run.sh
source "$E2E/lib/node-run.sh"
# shellcheck source=lib/demo-features.sh
source "$E2E/lib/demo-features.sh"

MINOR=1.33
SPACE=kubermatic CONFIG=kubermatic # where the DRAConfiguration is
GATE=DynamicResourceAllocation     # whose value is told
KEEP='' LEVEL='' STOP=''
PIDS=() # ended politely at the end
NARRATOR='' EVENTS=''
DIR=''
COMPONENTS=("${CONTROL_PLANE[@]}")

usage() { sed -n '3,17s/^# \?//p' "$0"; }

wrong() {
  usage >&2
  fail "$@"
}

options() {
  while (($#)); do
    case $1 in
      --keep) KEEP=1 ;;
      --level | --stop | --kubernetes)
        [[ ${2:-} ]] || wrong "$1 needs a value"
        case $1 in --level) LEVEL=$2 ;; --stop) STOP=$2 ;; *) MINOR=$2 ;; esac
        shift
        ;;
      --level=* | --stop=* | --kubernetes=*) options "${1%%=*}" "${1#*=}" ;;
      -h | --help) usage && exit 0 ;;
      *) wrong "there is no '$1'" ;;
    esac
    shift
  done
}

# choose_level: as it was asked for, or what this machine can.
choose_level() {
  local why='' asked=$LEVEL
  case $LEVEL in '' | node | process) ;; *) wrong "--level $LEVEL: there are node and process" ;; esac
  why=$(node_possible) || [[ $why ]] || why='cannot be made here'
  [[ $LEVEL ]] || LEVEL=$([[ $why ]] && echo process || echo node)
  if [[ $LEVEL == node ]]; then
    [[ -z $why ]] || fail "--level node: a real node $why. --level process shows the same on processes"
    say "level node: a real kubeadm node$([[ $asked ]] || echo ', which this machine can; --level process is the other')"
  else
    say "level process: the control plane as processes, without a kubelet$([[ $asked ]] || echo "; a real node $why")"
  fi
}

step() { printf '\n%s== %s%s\n' "$BOLD" "$*" "$PLAIN"; }

# show WORDS...: a command as a person would type it, and what it says.
show() {
  printf '%s$ %s%s\n' "$BOLD" "$*" "$PLAIN"
  "$@" | sed 's/^/    /'
}

# show_pipe TEXT: a line of shell.
show_pipe() {
  printf '%s$ %s%s\n' "$BOLD" "$1" "$PLAIN"
  eval "$1" | sed 's/^/    /'
}

# --- the end --------------------------------------------------------------------------------------------------------------------------

quiet() {
  local group
  for group in $NARRATOR $EVENTS; do kill -KILL -- "-$group" 2>/dev/null || true; done
  NARRATOR='' EVENTS=''
}

# take_down: what runs in DIR ends, the programs first.
take_down() {
  local pid
  for pid in "${PIDS[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for pid in "${PIDS[@]}"; do
    wait "$pid" 2>/dev/null || true # of a --keep they are nobody's children
    for _ in {1..200}; do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.05
    done
  done
  cluster_down "$DIR"
  node_down "$DIR"
}

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP # a second Ctrl-C does not leave half of it
  quiet
  if ((status == 0)) && [[ $KEEP ]]; then
    printf '%s\n' "${PIDS[@]}" >"$DIR/pids"
    printf '\nIt stays up. To use it:\n    export KUBECONFIG=%s\n    %s get dracfg -A\nTo stop it:\n    %s --stop %s\n' \
      "$KUBECONFIG" "$TOOLS_BIN/$VERSION/kubectl" "$0" "$DIR"
    exit 0
  fi
  [[ -z $DIR ]] || take_down
  if ((status == 0 || status == 130)); then
    [[ -z $DIR ]] || rm -rf "$DIR"
    printf 'Everything that was started has been stopped.\n'
  elif [[ $DIR ]]; then
    printf '\n%sThe demo did not get through.%s Logs: %s\n' "$RED" "$PLAIN" "$DIR"
    tail -n 5 "$DIR"/{controller,agent}.log 2>/dev/null | cut -c1-300
    rm -rf "$DIR"/var-lib-{containerd,etcd,kubelet} # a gigabyte, and no logs
  fi
  exit "$status"
}

# stop_kept DIR: by the ids that --keep wrote down, where these are still processes of that demo.
stop_kept() {
  local pid
  [[ -f $1/pids ]] || fail "$1 is not the directory of a demo that was kept"
  DIR=$(cd "$1" && pwd)
  while read -r pid; do
    if grep -qF "$DIR/" "/proc/$pid/cmdline" 2>/dev/null; then PIDS+=("$pid"); fi
  done <"$DIR/pids"
  take_down
  rm -rf "$DIR"
  say "Stopped, and $DIR removed."
}

# launch NAME COMMAND...: in the background, log in $DIR/NAME.log.
launch() {
  local dies=(setpriv --pdeathsig KILL)
  [[ -z $KEEP ]] || dies=(setsid)
  "${dies[@]}" "${@:2}" >"$DIR/$1.log" 2>&1 </dev/null &
  PIDS+=("$!")
}

# soon SECONDS WORDS -- COMMAND...
soon() {
  local end=$((SECONDS + $1)) what=$2
  shift 3
  until ("$@") >/dev/null 2>&1; do # in a subshell: what is said on Ctrl-C is not for /dev/null
    ((SECONDS < end)) || fail "$what: not yet, after the time for it"
    sleep 0.5
  done
}

# --- what is seen meanwhile -------------------------------------------------------------------------------------------------------------

# narrate: what the components do, as seen from outside, one line a change: what a new process says as the one before did is none.
narrate() {
  local component pid value
  local -A pids=() values=()
  while kill -0 $$ 2>/dev/null && sleep 0.3; do
    for component in "${COMPONENTS[@]}"; do
      pid=$(pid_of "$component" || true)
      if [[ ${pids[$component]-first} != "$pid" ]]; then
        told "$component" "$([[ $pid ]] && echo "runs as process $pid" || echo 'has stopped')"
        pids[$component]=$pid
      fi
      value=$([[ -z $pid ]] || gate "$component" "$GATE" 2>/dev/null || true)
      if [[ $value && ${values[$component]:-} != "$value" ]]; then # no answer is no news: /metrics needs the API server
        told "$component" "/metrics: $GATE $value"
        values[$component]=$value
      fi
    done
  done
}

told() { printf '  %s  %-24s %s\n' "$(date +%T)" "$1" "$2"; }

# events: those of our objects as they come, each once. The API server restarts meanwhile, and with it this watch.
events() {
  local line
  local -A seen=()
  while kill -0 $$ 2>/dev/null; do
    kubectl get events -n "$SPACE" --watch -o json 2>/dev/null | jq --unbuffered -r '"\(.reason): \(.message)"' 2>/dev/null || true
    sleep 0.5
  done | while read -r line; do
    [[ -z ${seen[$line]:-} ]] || continue
    seen[$line]=1
    told event "$line"
  done
}

ready() { [[ $(kubectl get dracfg "$CONFIG" -n "$SPACE" -o json | jq -r '.metadata.generation as $g | .status.conditions[]? |
  select(.type == "Ready" and .observedGeneration == $g).status') == True ]]; }
stopped() { [[ $(kubectl get dracfg "$CONFIG" -n "$SPACE" -o json | jq -r '.status.conditions[]? | select(.type == "Stalled").status') == True ]]; }

wait_ready() {
  local end=$((SECONDS + 600))
  until ready 2>/dev/null; do
    if stopped 2>/dev/null || ((SECONDS > end)); then
      kubectl get dracfg "$CONFIG" -n "$SPACE" -o yaml | sed -n '/conditions:/,$p'
      fail "the DRAConfiguration did not get Ready"
    fi
    sleep 0.5
  done
}

claim_done() {
  [[ $(kubectl get resourceclaims -o json | jq -r '.items[] | "\(.status.allocation.devices.results | length) \(.status.reservedFor | length)"') == '1 1' ]] &&
    [[ $(kubectl get pods -l app=fake-pod -o jsonpath='{.items[*].status.phase}') == Running ]]
}

# --- the two levels -----------------------------------------------------------------------------------------------------------------------

process_need() { tools_need_cluster "$MINOR"; }

process_up() {
  step "3. A one-node control plane of Kubernetes $MINOR, $AS_IT_COMES"
  cluster_up "$DIR" "$MINOR" auto plain
  say "etcd, kube-apiserver, kube-controller-manager and kube-scheduler run from $MANIFESTS"
  soon 60 'mirror pods' -- kubectl get pod -n kube-system kube-scheduler-cp-1 kube-controller-manager-cp-1 kube-apiserver-cp-1
  kubectl wait pod -n kube-system -l tier=control-plane --for=condition=Ready --timeout=90s >/dev/null
}

process_start() {
  launch agent "$DRAWBRIDGE" agent --node-name cp-1 --kubeconfig "$NODE/agent.conf" --manifests-dir "$MANIFESTS" \
    --kubelet-config "$NODE/kubelet/config.yaml" --kubelet-flags "$NODE/kubelet/kubeadm-flags.env" --state-dir "$NODE/drawbridge" \
    --pod-logs-dir "$NODE/log/pods" --restart-kubelet "$NODE/restart-kubelet" \
    --health-probe-bind-address "127.0.0.1:$((PORT + 10))" --client-certificate "$CLUSTER/pki/agent.crt" --client-key "$CLUSTER/pki/agent.key"
  launch controller "$DRAWBRIDGE" run --kubeconfig "$CLUSTER/drawbridge.conf" --health-probe-bind-address "127.0.0.1:$((PORT + 8))" --leader-elect=true \
    --lease-namespace drawbridge-system --governing-namespace kubermatic --governing-namespace default
  soon 20 'the controller' -- curl -sf "http://127.0.0.1:$((PORT + 8))/readyz"
  soon 20 'the agent' -- curl -sf "http://127.0.0.1:$((PORT + 10))/readyz"
  say "drawbridge run (/readyz on port $((PORT + 8))) and drawbridge agent (port $((PORT + 10))) are ready"
}

node_need_demo() {
  node_need "$MINOR"
  COMPONENTS+=(kubelet)
}

node_up_demo() {
  local owner=$$
  [[ -z $KEEP ]] || owner=0
  step "3. A node of Kubernetes $MINOR by kubeadm init, $AS_IT_COMES"
  say "containerd, kubelet and static pods in namespaces of their own; about half a minute ..."
  node_up "$DIR" "$MINOR" "$owner"
  node_asked
  say "$NODE_NAME is up at $NODE_IP: /etc/kubernetes is $DIR/etc-kubernetes, /var/lib/kubelet is $DIR/var-lib-kubelet"
}

node_start_demo() {
  local machine=10.210.$SLOT.1
  node_rights
  node_agent_command "$DIR" 1
  launch agent "${COMMAND[@]}"
  node_controller_command
  launch controller "${COMMAND[@]}" --health-probe-bind-address "$machine:8081"
  soon 20 'the controller' -- curl -sf "http://$machine:8081/readyz"
  soon 20 'the agent' -- innode curl -sf http://127.0.0.1:8081/readyz
  say "drawbridge run (/readyz on $machine:8081) and, in the node's namespaces, drawbridge agent (127.0.0.1:8081) are ready"
}

# level_do WHAT: what differs between the levels: need, up, start.
level_do() {
  if [[ $LEVEL == node ]]; then "node_$1_demo"; else "process_$1"; fi
}

build_release() {
  cd "$ROOT"
  [[ -f build/release/build.ninja ]] || cmake --preset release
  cmake --build --preset release --target drawbridge drawbridge-guard
}

# watch_along: what the components and the events say, until quiet.
watch_along() {
  set -m # each in a process group of its own, so that it can be ended with its children
  narrate &
  NARRATOR=$!
  events &
  EVENTS=$!
  disown "$NARRATOR" "$EVENTS"
  set +m
}

demo_kwok() {
  KWOK_STAYS=$KEEP cluster_kwok "$DIR/kwok.log" $((PORT + 11 + ${SLOT:-0})) &
  PIDS+=("$!")
  say "kwok plays the nodes that are annotated kwok.x-k8s.io/node=fake, and no others"
}

# demo_kubermatic: DRA goes on by KKP's own file.
demo_kubermatic() {
  local from component file
  step "5. One resource: the KubermaticConfiguration, as it is in KKP's documentation"
  show cat "$E2E/seeds/kubermaticconfiguration.yaml"
  say "what it would change:"
  KUBECONFIG=$KUBECONFIG show "$DRAWBRIDGE" plan -f "$E2E/seeds/kubermaticconfiguration.yaml" || true # 1: there are changes
  kubectl create namespace kubermatic >/dev/null
  watch_along
  show kubectl apply -f "$E2E/seeds/kubermaticconfiguration.yaml"
  from=$SECONDS
  wait_ready
  sleep 1
  quiet
  say "Ready after $((SECONDS - from)) s"
  show kubectl wait --for=condition=Ready --timeout=60s dracfg/kubermatic -n kubermatic
  show kubectl get dracfg -A
  show kubectl api-resources --api-group=resource.k8s.io
  NO_FLAG='    (no flag: nothing had to be written)'
  for component in "${CONTROL_PLANE[@]}"; do
    show_pipe "kubectl get pod -n kube-system -l component=$component -o yaml | grep DynamicResourceAllocation" || say "$NO_FLAG"
  done
  [[ $LEVEL != node ]] || show_pipe "grep -A1 ^featureGates: $NODE/kubelet/config.yaml" || say "$NO_FLAG"
  show "$DRAWBRIDGE" status -n kubermatic kubermatic || true

  step "6. A pod that claims a GPU: the five manifests of kwok's documentation"
  demo_kwok
  soon 30 'service account default' -- kubectl get serviceaccount default
  for file in "$E2E"/seeds/kwok-*.yaml; do show kubectl apply -f "$file"; done
  soon 60 'claim allocated,reserved and pod Running' -- claim_done
  show kubectl get nodes
  show kubectl get resourceclaim
  show kubectl get pod -o wide
}

# --- the demo -------------------------------------------------------------------------------------------------------------------------------

options "$@"
if [[ $STOP ]]; then stop_kept "$STOP" && exit; fi
case $MINOR in
  1.33) AS_IT_COMES='with DRA off' ;;
  1.37) AS_IT_COMES='with DRA on by itself, as it comes' ;;
  *) wrong "--kubernetes $MINOR: there are 1.33 and 1.37" ;;
esac
trap finish EXIT
trap 'exit 130' INT TERM HUP
choose_level

step "1. What this machine must have"
install_packages "${INSTALL_RUN[@]}" "${INSTALL_BUILD[@]}"
level_do need
tools_need kwok
say "everything is there: tools in $TOOLS_BIN"

step "2. Build drawbridge (CMake preset release)"
if [[ -z ${DRAWBRIDGE:-} ]]; then
  with_progress build -- build_release
  DRAWBRIDGE=$ROOT/build/release/drawbridge
fi
show ls -l "$DRAWBRIDGE"

DIR=$(mktemp -d "${TMPDIR:-/tmp}/drawbridge-demo.XXXXXX")
[[ $KEEP ]] || export DRAWBRIDGE_E2E_OWNER=$$
level_do up # step 3
show kubectl get nodes
show kubectl get pods -n kube-system -l tier=control-plane
show kubectl get configmaps -n kube-system kubeadm-config kubelet-config
show kubectl api-resources --api-group=resource.k8s.io

step "4. Drawbridge: its CRDs, the controller, the agent of this node"
show kubectl apply --server-side -f "$ROOT/crds"
kubectl wait --for=condition=Established --timeout=30s crd --all >/dev/null
level_do start

if [[ $MINOR == 1.33 ]]; then demo_kubermatic; else demo_features; fi

step "Done"
[[ $KEEP ]] || say "Stopping what was started."
