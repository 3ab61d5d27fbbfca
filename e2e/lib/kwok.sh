# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153 # used by the cases; from case.sh
# A cluster that kwokctl makes of the suite's own binaries, on loopback, with the ports of cluster.sh's clusters.

# use_kwok MINOR: as any user has it, without the two flags about DRA. Sets CLUSTER and what cluster_use() sets.
use_kwok() {
  VERSION=$(tools_version "$1")
  cluster_take_ports auto
  export KWOK_WORKDIR=$CASE_DIR/kwok
  CLUSTER=$KWOK_WORKDIR/clusters/dra
  mkdir -p "$CLUSTER" "$CASE_DIR/kubectl-cache"
  rmdir "$CLUSTER"
  cat >"$CASE_DIR/options.yaml" <<END
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options:
  runtime: binary
  bindAddress: 127.0.0.1
  kubeVersion: $VERSION
  kubeApiserverPort: $PORT
  etcdPort: $((PORT + 1))
  etcdPeerPort: $((PORT + 2))
  kubeControllerManagerPort: $((PORT + 4))
  kubeSchedulerPort: $((PORT + 5))
  kwokControllerPort: $((PORT + 6))
  etcdBinary: $(tools_path etcd)
  kubeApiserverBinary: $TOOLS_BIN/$VERSION/kube-apiserver
  kubeControllerManagerBinary: $TOOLS_BIN/$VERSION/kube-controller-manager
  kubeSchedulerBinary: $TOOLS_BIN/$VERSION/kube-scheduler
  kubectlBinary: $TOOLS_BIN/$VERSION/kubectl
  kwokControllerBinary: $(tools_path kwok)
END
  # shellcheck disable=SC2016 # the other shell's; it ends the cluster also when the case is killed
  setsid bash -c 'while kill -0 "$1"; do sleep 0.5; done; source "$2"; kwok_down "$3"' keeper $$ "${BASH_SOURCE[0]}" "$CLUSTER" >/dev/null 2>&1 &
  note "kwokctl create cluster: Kubernetes $VERSION, port $PORT"
  kwokctl create cluster --config "$CASE_DIR/options.yaml" --wait 60s
  export KUBECONFIG=$CLUSTER/kubeconfig.yaml KUBECACHEDIR=$CASE_DIR/kubectl-cache
  API=https://127.0.0.1:$PORT API_CA=$CLUSTER/pki/ca.crt ADMIN=$CLUSTER/pki/admin
  install_crds
}

kwokctl() { HOME=$CASE_DIR PATH=$TOOLS_BIN/$VERSION:$PATH "$(tools_path kwokctl)" --name dra "$@" >>"$CASE_DIR/kwokctl.log" 2>&1 || die "kwokctl $*: see kwokctl.log"; }

# kwok_down DIR: ends what runs there, also when the directory is gone.
kwok_down() {
  local process cwd
  for process in /proc/[0-9]*; do
    cwd=$(readlink "$process/cwd" 2>/dev/null) || continue
    [[ ${cwd% (deleted)} != "$1" ]] || kill -KILL "${process#/proc/}"
  done
}

# kwok_processes: each component with its pid and command line.
kwok_processes() {
  local component pid
  for component in etcd kwok-controller "${CONTROL_PLANE[@]}"; do
    pid=$(cat "$CLUSTER/pids/$component.pid")
    printf '%s %s %s\n' "$component" "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
  done
}

# kwok_args: the same without what changes at each restart.
kwok_args() { kwok_processes | cut -d' ' -f1,3-; }

start_kwok_pair() {
  start agent "$DRAWBRIDGE" agent --kwok-dir "$CLUSTER" --health-probe-bind-address "127.0.0.1:$((PORT + 10))" --log-level debug
  AGENT=$STARTED_PID
  start controller "$DRAWBRIDGE" run --kubeconfig "$KUBECONFIG" --health-probe-bind-address "127.0.0.1:$((PORT + 8))" --log-level debug
  CONTROLLER=$STARTED_PID
}
