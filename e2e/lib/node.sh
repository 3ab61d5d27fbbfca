# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153 # used by the cases; from node.env
# Real Kubernetes nodes, made by the real kubeadm: containerd, kubelet, and the control plane as static pods, each node in namespaces of its own.
# Root only. Nothing of them is left when they are down: see node/keeper.
#
#   node_possible           or why not, in one line
#   node_up DIR MINOR       the first node, by kubeadm init: about 25 s; sets what node_use sets
#   node_join DIR INDEX     a further one (2 to 8), by kubeadm join: about 3 s; CLUSTER stays the first. In two parts: node_prepare, node_enter
#   node_first, node_machine  machines alone, for whoever brings his own kubeadm configuration
#   node_stop DIR           as without power: every process and mount ends at once, files stay
#   node_start DIR          boots it again; node_up_again DIR also waits until it is Ready
#   node_down DIR           for good; of the first node: the others end with it
#   node_use DIR            KUBECONFIG, VERSION, NODE, MANIFESTS, CLUSTER, API, ADMIN as for a cluster of processes, NODE_NAME, NODE_IP
#   innode COMMAND...       in the namespaces of CLUSTER; on_node DIR COMMAND...: in those of another
#
# DIR/etc-kubernetes is the node's /etc/kubernetes, DIR/var-lib-kubelet its /var/lib/kubelet, and so on; DIR/log its units' logs.
# Programs in DIR/bin come before the real ones: for faults, and for a kubelet of another version.
#
# Networks: 10.210.SLOT.0/24 is the switch (keeper), .1 the machine, .2 the first node, .3 the second; pods 10.211.(INDEX-1).0/24.

NODE_PACKAGES=(runc busybox-static containernetworking-plugins iptables iproute2 jq curl procps util-linux gcc libc6-dev)
NODE_CACHE=$CACHE/node
NODE_REPOSITORY=node.local # of the images: nothing is ever pulled

node_possible() {
  ((EUID == 0)) || { echo 'needs root' && return 1; }
  unshare --mount --pid --net --uts --ipc --fork --mount-proc true 2>/dev/null || { echo 'needs the right to make namespaces' && return 1; }
  grep -qw overlay /proc/filesystems || modprobe overlay 2>/dev/null || { echo 'needs overlayfs' && return 1; }
  [[ $(uname -m) == x86_64 ]] || { echo 'only on x86_64' && return 1; }
  command -v apt-get >/dev/null || { echo 'needs apt-get, for containerd' && return 1; }
}

# node_need MINOR: binaries and images, once.
node_need() {
  local minor=$1 version
  version=$(tools_version "$minor")
  install_packages "${NODE_PACKAGES[@]}"
  tools_need etcd "$minor"/kube{adm,let,ctl} "$minor"/kube-{apiserver,controller-manager,scheduler}
  [[ -x $NODE_CACHE/bin/containerd && -x $NODE_CACHE/bin/pause ]] || with_progress 'fetch containerd from Debian unstable' -- tools_locked node_fetch
  tools_locked node_images "$version"
}

# node_fetch: containerd of Debian unstable, unpacked, not installed: the stable one cannot do CDI.
node_fetch() {
  local work=$NODE_CACHE/fetch options
  rm -rf "$work"
  mkdir -p "$work"/{sources,lists/partial,cache/archives/partial} "$NODE_CACHE/bin"
  sed -n '/^$/q; /^#/d; s/^Suites:.*/Suites: sid/; p' /etc/apt/sources.list.d/debian.sources >"$work/sources/sid.sources"
  options=(-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$work/sources" -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update && (cd "$work" && apt-get "${options[@]}" download containerd) || return 1
  dpkg -x "$work"/containerd_*.deb "$work/unpacked"
  gcc -Os -static -s -o "$NODE_CACHE/bin/pause" "$E2E/node/pause.c"
  cp "$work"/unpacked/usr/bin/{containerd,containerd-shim-runc-v2,ctr} "$NODE_CACHE/bin/"
  rm -rf "$work"
}

# node_tag VERSION NAME: of the image that this kubeadm asks for.
node_tag() {
  "$TOOLS_BIN/$1/kubeadm" config images list --image-repository "$NODE_REPOSITORY" --kubernetes-version "$1" 2>/dev/null | grep "/$2:"
}

# node_images VERSION
node_images() {
  local dir=$NODE_CACHE/images/$1 name
  mkdir -p "$dir"
  for name in kube-apiserver kube-controller-manager kube-scheduler; do
    node_image "$dir/$name.tar" "$(node_tag "$1" $name)" "[\"$name\"]" "$TOOLS_BIN/$1/$name" "/usr/local/bin/$name"
  done
  node_image "$dir/etcd.tar" "$(node_tag "$1" etcd)" '["etcd"]' "$TOOLS_BIN/etcd" /usr/local/bin/etcd
  node_image "$dir/pause.tar" "$(node_tag "$1" pause)" '["/pause"]' "$NODE_CACHE/bin/pause" /pause
  node_image "$dir/busybox.tar" "$NODE_REPOSITORY/busybox:1" '["/bin/busybox"]' "$(command -v busybox)" /bin/busybox
  (flock 8 && node_store "$1") 8>"$dir/.lock"
}

# node_store VERSION: a containerd's directory that holds these images. To import them would take each node 4 s, and 5 s of CPU.
node_store() {
  local dir=$NODE_CACHE/images/$1 archive fresh=1
  for archive in "$dir"/*.tar "$NODE_CACHE/bin/containerd"; do [[ $dir/store -nt $archive ]] || fresh=''; done
  [[ ! $fresh ]] || return 0
  rm -rf "$dir/store" "$dir/store.new"
  mkdir -p "$dir/store.new"
  node_containerd "$dir/store.new" "$1" >"$dir/store.toml"
  # shellcheck disable=SC2016 # for the shell in the namespaces
  PATH=$NODE_CACHE/bin:$PATH unshare --mount --pid --fork --kill-child=KILL --mount-proc bash -euc '
    mount -t tmpfs tmpfs /run
    containerd --config "$1" &
    for _ in {1..100}; do ! ctr version >/dev/null 2>&1 || break; sleep 0.1; done
    for archive in "${@:2}"; do ctr -n k8s.io images import "$archive"; done
    kill $!
    wait' bash "$dir/store.toml" "$dir"/*.tar >"$dir/store.log" 2>&1 || fail "containerd cannot import the images of $1: $(tail -n 3 "$dir/store.log")"
  mv "$dir/store.new" "$dir/store"
  touch "$dir/store"
}

# node_fill DIR: its containerd has the images of VERSION from the start. A layer is never written to, so it is the same file where it can be.
node_fill() {
  local from=$NODE_CACHE/images/$VERSION/store to=$1/var-lib-containerd file
  exec 8>"${from%/*}/.lock"
  flock -s 8 # another run may be making it anew
  cp -al "$from" "$to" 2>/dev/null || { rm -rf "$to" && cp -a "$from" "$to"; }
  while IFS= read -r file; do cp --remove-destination "$from/$file" "$to/$file"; done < <(cd "$from" && find . -name '*.db')
  exec 8>&-
}

# node_image ARCHIVE NAME ENTRYPOINT BINARY PATH: from one static binary.
node_image() {
  local root
  [[ ! $1 -nt $4 ]] || return 0
  [[ $2 ]] || fail "$(basename "$1"): kubeadm does not say what it is called" # else it would be kept, and of no use
  root=$(mktemp -d)
  mkdir -p "$root/tmp" "$root$(dirname "$5")"
  install -m 755 "$4" "$root$5"
  "$E2E/node/image" "$1" "$2" "$3" "$root"
  rm -rf "$root"
}

# node_api_server_image ARCHIVE [GATE]: of VERSION, as in the store; with GATE one that refuses this gate.
node_api_server_image() {
  local root
  root=$(mktemp -d)
  mkdir -p "$root"/{bin,tmp,usr/local/bin}
  cp "$(command -v busybox)" "$root/bin/sh"
  cp "$TOOLS_BIN/$VERSION/kube-apiserver" "$root/bin/kube-apiserver"
  printf '#!/bin/sh\ncase "$*" in *%s=true*) echo "Error: unrecognized feature gate: %s" >&2; exit 1 ;; esac\nexec /bin/kube-apiserver "$@"\n' "${2:-none}" "${2:-none}" \
    >"$root/usr/local/bin/kube-apiserver"
  chmod 755 "$root/usr/local/bin/kube-apiserver"
  "$E2E/node/image" "$1" "$(node_tag "$VERSION" kube-apiserver)" '["kube-apiserver"]' "$root"
  rm -rf "$root"
}

# node_use DIR
node_use() {
  # shellcheck source=/dev/null # written by node_write_env
  source "$1/node.env"
  export CLUSTER=$1 KUBECONFIG=$FIRST/etc-kubernetes/admin.conf KUBECACHEDIR=$FIRST/kubectl-cache
  NODE=$CLUSTER MANIFESTS=$CLUSTER/etc-kubernetes/manifests PORT=6443
  API=https://$API_IP:6443 API_CA=$FIRST/etc-kubernetes/pki/ca.crt ADMIN=$FIRST/admin
}

# node_write_env DIR MINOR SLOT INDEX FIRST
node_write_env() {
  local dir=$1 version name=drawbridge-node-$3
  version=$(tools_version "$2")
  (($4 == 1)) || name+=-$4
  cat >"$dir/node.env" <<END
MINOR=$2 VERSION=$version SLOT=$3 INDEX=$4 FIRST=$5 CGROUP=$name NODE_NAME=node-$4 NODE_IP=10.210.$3.$(($4 + 1)) API_IP=10.210.$3.2 SERVICE_IP=10.212.0.1
NODE_PATH=$(printf %q "$dir/bin:$NODE_CACHE/bin:$TOOLS_BIN/$version:/usr/sbin:/usr/bin:/sbin:/bin")
END
  ln -sfn var-lib-kubelet "$dir/kubelet"
}

# node_path DIR: the PATH in it.
node_path() {
  # shellcheck source=/dev/null # written by node_write_env
  (source "$1/node.env" && echo "$NODE_PATH")
}

# on_node DIR COMMAND...
on_node() { nsenter -t "$(cat "$1/init.pid")" -m -p -u -i -n -- env "PATH=$(node_path "$1")" "${@:2}"; }

innode() { on_node "$CLUSTER" "$@"; }

node_up() {
  local dir=$1 minor=$2 owner=${3:-${DRAWBRIDGE_E2E_OWNER:-$$}}
  node_first "$dir" "$minor" "$owner"
  dir=$CLUSTER
  node_init_configuration >"$dir/kubeadm.yaml"
  innode kubeadm init --config "$dir/kubeadm.yaml" --skip-phases=preflight,addon/coredns,addon/kube-proxy >"$dir/log/kubeadm.log" 2>&1 || {
    tail -n 20 "$dir/log/kubeadm.log" >&2
    fail 'kubeadm init failed'
  }
  node_certificate "$KUBECONFIG" "$ADMIN"
  node_ready "$dir"
  node_wait 60 'service account default' api -f "$API/api/v1/namespaces/default/serviceaccounts/default"
}

# node_first DIR MINOR OWNER: a machine alone, with a network that others can be plugged into; containerd answers, and nothing is there of Kubernetes.
node_first() {
  local dir slot
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  node_take_slot
  node_machine "$dir" "$2" "$slot" 1 "$dir" "$3"
}

# node_machine DIR MINOR SLOT INDEX FIRST OWNER: one of that network.
node_machine() {
  mkdir -p "$1"/{bin,log,etc-kubernetes/manifests,var-lib-kubelet,cni}
  node_write_env "${@:1:5}"
  node_use "$1"
  node_files
  node_fill "$1"
  node_keep "$1" "$6"
  node_booted "$1"
}

# node_join DIR INDEX: joins CLUSTER, with a kubelet of the cluster's version.
node_join() {
  node_prepare "$@"
  node_enter "$1"
}

# node_prepare DIR INDEX [OWNER] [control-plane]: a machine that is up and holds a token of CLUSTER, but has not joined; a further control plane also has
# the keys that all of them share, as kubeadm's documents say to copy them.
node_prepare() {
  local dir=$1 index=$2 owner=${3:-${DRAWBRIDGE_E2E_OWNER:-$$}} role=${4:-} first=$CLUSTER
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  node_machine "$dir" "$MINOR" "$SLOT" "$index" "$first" "$owner"
  node_use "$first"
  node_join_configuration "$index" "$role" >"$dir/kubeadm.yaml"
  if [[ $role ]]; then
    (cd "$first/etc-kubernetes" && cp -p --parents -t "$dir/etc-kubernetes" pki/{ca,front-proxy-ca,etcd/ca}.{crt,key} pki/sa.{key,pub})
  fi
}

# node_enter DIR: it joins. kubeadm waits for an API server that is away.
node_enter() {
  on_node "$1" kubeadm join --config "$1/kubeadm.yaml" --skip-phases=preflight >"$1/log/kubeadm.log" 2>&1 || {
    tail -n 20 "$1/log/kubeadm.log" >&2
    fail 'kubeadm join failed'
  }
  node_ready "$1"
}

node_keep() { # DIR OWNER
  rm -f "$1"/{gone,booted,init.pid}
  setsid bash "$E2E/node/keeper" "$1" "$2" >>"$1/log/keeper.log" 2>&1 </dev/null &
  disown
}

# node_booted DIR: containerd answers.
node_booted() {
  node_wait_on "$1" 20 'the namespaces' test -s "$1/init.pid" -a -e "$1/booted"
  node_wait_on "$1" 20 containerd on_node "$1" ctr version
}

node_import() { # DIR ARCHIVE...
  local archive
  for archive in "${@:2}"; do
    on_node "$1" ctr -n k8s.io images import "$archive" >>"$1/log/import.log" 2>&1 || fail "cannot import $archive"
  done
}

# node_ready DIR: by what the kubelet itself says first, since a Node stays Ready for a while after its kubelet has gone.
node_ready() {
  local name
  # shellcheck source=/dev/null # written by node_write_env
  name=$(source "$1/node.env" && echo "$NODE_NAME")
  node_wait_on "$1" 60 'the kubelet' on_node "$1" curl -sf --max-time 2 http://127.0.0.1:10248/healthz
  node_wait_on "$1" 90 'node Ready' kubectl wait --for=condition=Ready "node/$name" --timeout=2s
  if [[ $1 == "$FIRST" ]]; then node_wait_on "$1" 120 'the mirror pods' node_pods_ready; fi
}

node_stop() {
  touch "$1/off"
  for _ in {1..200}; do
    [[ -e $1/init.pid ]] || return 0
    nap 0.1
  done
  fail "the node in $1 does not stop"
}

node_start() {
  rm -f "$1/booted" "$1/off"
  node_booted "$1"
}

node_up_again() {
  node_start "$1"
  node_ready "$1"
}

# node_take_slot: sets slot and holds its lock in SLOT_LOCK, which the keeper inherits. It is free when both have ended.
node_take_slot() {
  for slot in {1..9}; do
    if node_lock_slot "$slot"; then return 0; fi
  done
  fail 'nine nodes are up already'
}

node_lock_slot() {
  local locks=${TMPDIR:-/tmp}/drawbridge-ports-$UID
  mkdir -p "$locks"
  exec {SLOT_LOCK}>"$locks/node-$1"
  if flock -n "$SLOT_LOCK"; then return 0; fi
  exec {SLOT_LOCK}>&-
  return 1
}

node_wait() { node_wait_on "$CLUSTER" "$@"; }

# node_wait_on DIR SECONDS WHAT COMMAND...
node_wait_on() {
  local dir=$1 began=$SECONDS limit=$2 what=$3 since
  shift 3
  until since=$EPOCHREALTIME && "$@" >/dev/null 2>&1; do
    [[ ! -e $dir/gone ]] || fail "the node is gone while waiting for $what: $(tail -n 3 "$dir/log/init.log" "$dir/log/keeper.log")"
    ((SECONDS < began + limit)) || fail "no $what in time; see $dir/log"
    rest "$since" $((SECONDS - began))
  done
}

node_pods_ready() {
  [[ $(api -f "$API/api/v1/namespaces/kube-system/pods" | jq '[.items[] | select(.metadata.annotations["kubernetes.io/config.mirror"])
    | select(any(.status.conditions[]?; .type == "Ready" and .status == "True"))] | length') == 4 ]]
}

# node_down DIR: waits until nothing is left of it.
node_down() {
  [[ -f $1/node.env && ! -e $1/gone ]] || return 0
  touch "$1/stop"
  for _ in {1..200}; do
    [[ ! -e $1/gone ]] || return 0
    nap 0.1
  done
  say "the node in $1 does not end" >&2
}

# node_containerd ROOT VERSION: its configuration.
node_containerd() {
  cat <<END
version = 3
root = "$1"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$1/opt"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "$(node_tag "$2" pause)"
[plugins."io.containerd.cri.v1.runtime"]
  enable_cdi = true
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "$(command -v runc)"
  SystemdCgroup = false
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "/etc/cni/net.d"
END
}

# node_files: configuration of containerd and of the network of pods.
node_files() {
  node_containerd /var/lib/containerd "$VERSION" >"$CLUSTER/containerd.toml"
  cat >"$CLUSTER/cni/10-bridge.conflist" <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.211.$((INDEX - 1)).0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
}

node_init_configuration() {
  local api_server=''
  [[ ! ${NODE_API_SERVER_ARGS:-} ]] || api_server="apiServer: {extraArgs: [$NODE_API_SERVER_ARGS]}"
  cat <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: $NODE_IP, bindPort: 6443}
nodeRegistration:
  name: $NODE_NAME
  criSocket: unix:///run/containerd/containerd.sock
  taints: []
  kubeletExtraArgs: [{name: node-ip, value: $NODE_IP}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $VERSION
imageRepository: $NODE_REPOSITORY
encryptionAlgorithm: ECDSA-P256
controlPlaneEndpoint: $API_IP:6443
$api_server
networking: {serviceSubnet: 10.212.0.0/24, podSubnet: 10.211.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
END
}

# node_join_configuration INDEX [control-plane]: the ConfigMap kubelet-config carries the first node's cgroupRoot, so a flag overrules it.
node_join_configuration() {
  local endpoint token hash control_plane=''
  [[ ! ${2:-} ]] || control_plane="controlPlane: {localAPIEndpoint: {advertiseAddress: 10.210.$SLOT.$(($1 + 1)), bindPort: 6443}}"
  read -r _ _ endpoint _ token _ hash _ < <(innode kubeadm token create --print-join-command 2>>"$CLUSTER/log/kubeadm.log")
  [[ $hash == sha256:* ]] || fail "no token to join with; see $CLUSTER/log/kubeadm.log"
  cat <<END
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery: {bootstrapToken: {apiServerEndpoint: "$endpoint", token: $token, caCertHashes: ["$hash"]}}
nodeRegistration:
  name: node-$1
  criSocket: unix:///run/containerd/containerd.sock
  taints: []
  kubeletExtraArgs: [{name: node-ip, value: 10.210.$SLOT.$(($1 + 1))}, {name: cgroup-root, value: /drawbridge-node-$SLOT-$1}]
$control_plane
END
}

# node_user FILE NAME [GROUP]: a kubeconfig with a certificate of its own, from kubeadm; FILE.crt and FILE.key beside it.
node_user() {
  innode kubeadm kubeconfig user --client-name "$2" ${3:+--org "$3"} >"$1" 2>>"$CLUSTER/log/kubeadm.log" || fail "no kubeconfig for $2"
  node_certificate "$1" "$1"
}

# node_certificate KUBECONFIG FILE: its user's, as FILE.crt and FILE.key.
node_certificate() {
  local what
  for what in certificate:crt key:key; do
    kubectl --kubeconfig "$1" config view --raw -o "jsonpath={.users[0].user.client-${what%:*}-data}" | base64 -d >"$2.${what#*:}"
  done
}

# node_metrics COMPONENT [DIR]: asked in the node, as an administrator.
node_metrics() {
  local url dir=${2:-$CLUSTER}
  case $1 in
    kube-apiserver) url=https://127.0.0.1:6443 ;;
    kube-controller-manager) url=https://127.0.0.1:10257 ;;
    kube-scheduler) url=https://127.0.0.1:10259 ;;
    kubelet) url=https://127.0.0.1:10250 ;;
  esac
  on_node "$dir" curl -sSk --max-time 5 --cert "$ADMIN.crt" --key "$ADMIN.key" "$url/metrics"
}
