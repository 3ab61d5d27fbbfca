# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # MINOR VERSION PORT MODE come from cluster.env
# A one-node cluster of real Kubernetes components as host processes, laid out as kubeadm does it, run by e2e/tools/podrunner.
#
#   cluster_up DIR MINOR [PORT|auto] [OPTION...]   options: plain (kubeadm's own probes, back-off and grace periods; else quick ones),
#                                             kubelet (the node has a kubelet of that version; else none), dra (on from the start),
#                                             alone (etcd and the API server, no node)
#   cluster_down DIR
#   cluster_use DIR       sets the variables below for a cluster that is up
#   install_crds          drawbridge's, into the cluster in use
#
# Clusters of one run share what costs CPU to make and differs in none of them, where these name a directory for it: CLUSTER_PKI (certificates) and
# CLUSTER_TEMPLATES (etcd as an API server leaves it after its first start, with the CRDs; whoever uses that needs no install_crds).
#
# Ports: PORT API server, +1 etcd, +2 etcd peers, +3 etcd metrics, +4 controller-manager, +5 scheduler, +6 kubelet healthz,
# +7 kubelet metrics, +8 and up: for whoever uses the cluster.

# cluster_use DIR
cluster_use() {
  export CLUSTER=$1
  [[ -f $CLUSTER/cluster.env ]] || fail "no cluster in $CLUSTER"
  # shellcheck disable=SC1091 # written by cluster_up: MINOR VERSION PORT MODE
  source "$CLUSTER/cluster.env"
  NODE=$CLUSTER/nodes/cp-1
  MANIFESTS=$NODE/manifests
  export KUBECONFIG=$CLUSTER/admin.conf KUBECACHEDIR=$CLUSTER/kubectl-cache
  # shellcheck disable=SC2034
  API=https://127.0.0.1:$PORT API_CA=$CLUSTER/pki/ca.crt ADMIN=$CLUSTER/pki/admin
}

kubectl() { "$TOOLS_BIN/$VERSION/kubectl" "$@"; }

cluster_up() {
  local dir=$1 minor=$2 port=${3:-20000} options=" ${*:4} " version
  version=$(tools_version "$minor")
  cluster_take_ports "$port"
  port=$PORT
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd)
  local mode=quick
  [[ $options != *" plain "* ]] || mode=plain
  [[ $options != *" alone "* ]] || mode=alone
  mkdir -p "$dir"/{pki,etcd,flexvolume,kubectl-cache} "$dir"/nodes/cp-1/{manifests,kubelet,log/pods,bin}
  printf 'MINOR=%s\nVERSION=%s\nPORT=%s\nMODE=%s\n' "$minor" "$version" "$port" "$mode" >"$dir/cluster.env"
  cluster_use "$dir"
  [[ -f $dir/pki/ca.crt ]] || cluster_pki
  [[ -f $MANIFESTS/etcd.yaml ]] || cluster_files "$options"
  [[ ! ${CLUSTER_TEMPLATES:-} || $mode == alone || -d $CLUSTER/etcd/member ]] || cluster_from_template
  cluster_start
  cluster_wait_api 60 || fail "the API server of $dir did not get ready; see $NODE/runner.log and $NODE/log"
  [[ $mode == alone ]] || cluster_bootstrap
  exec {PORTS_LOCK}>&-
}

# cluster_take_ports PORT|auto: sets PORT and holds its lock, which the runner inherits: as long as that lives, nobody else gets it.
cluster_take_ports() {
  local locks=${TMPDIR:-/tmp}/drawbridge-ports-$UID first=$1 last=$1
  [[ $1 != auto ]] || first=${CLUSTER_PORTS_FROM:-20000} last=31980
  ((first % 20 == 0 && last < 32000)) || fail "port $1: a multiple of 20 below 32000"
  mkdir -p "$locks"
  for ((PORT = first; PORT <= last; PORT += 20)); do
    exec {PORTS_LOCK}>"$locks/$PORT"
    if flock -n "$PORTS_LOCK" && ! (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then return 0; fi
    exec {PORTS_LOCK}>&-
  done
  fail "ports from $1 on are in use"
}

cluster_down() {
  local pid file
  for file in "$1"/nodes/*/runner.pid; do
    [[ -f $file ]] || continue
    pid=$(cat "$file")
    kill -TERM "$pid" 2>/dev/null || continue
    for _ in {1..100}; do
      kill -0 "$pid" 2>/dev/null || break
      nap 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
  done
}

# cluster_start: the runner, and with it everything else. It ends with the process DRAWBRIDGE_E2E_OWNER, if that is set.
cluster_start() {
  local quick=() kubeconfig=$NODE/kubelet.conf
  [[ $MODE != alone ]] || kubeconfig=''
  [[ $MODE == plain ]] || quick=(--successor-delay 300ms --crash-backoff 1s --crash-backoff-max 10s)
  [[ $MODE != plain ]] || quick=(--successor-delay 3s)
  setsid "$(tools_path podrunner)" --node-name cp-1 --node-dir "$NODE" --kubeconfig "$kubeconfig" \
    --bin-dirs "$NODE/bin,$TOOLS_BIN" --kubelet-version-file "$NODE/kubelet/version" --kubelet-config "$NODE/kubelet/config.yaml" \
    --kubelet-flags "$NODE/kubelet/kubeadm-flags.env" --kubelet-healthz-address "127.0.0.1:$((PORT + 6))" \
    --kubelet-metrics-address "127.0.0.1:$((PORT + 7))" --gates-table "$(cluster_gates_table)" \
    --owner "${DRAWBRIDGE_E2E_OWNER:-0}" "${quick[@]}" >>"$NODE/runner.log" 2>&1 </dev/null &
  disown
}

cluster_gates_table() { echo "$ROOT/operator/gates/data/gates.yaml"; }

# cluster_wait_api SECONDS
cluster_wait_api() {
  local end=$((SECONDS + $1))
  until [[ $(curl -sk --max-time 2 "https://127.0.0.1:$PORT/readyz" 2>/dev/null) == ok ]]; do
    ((SECONDS < end)) || return 1
    nap 0.1
  done
}

# --- certificates and kubeconfigs ---------------------------------------------------------------------------------------------------

# The certificates name no port and no directory: clusters of one run may have the same, from CLUSTER_PKI, which the first of them fills (eleven keys and
# certificates are a tenth of what it costs to start a cluster).
cluster_pki() {
  if [[ ${CLUSTER_PKI:-} ]]; then
    (
      flock 9
      [[ -f $CLUSTER_PKI/admin.crt ]] || cluster_certs "$CLUSTER_PKI"
    ) 9>"$CLUSTER_PKI.lock"
    cp -p "$CLUSTER_PKI"/* "$CLUSTER/pki"
  else
    cluster_certs "$CLUSTER/pki"
  fi
  cluster_kubeconfig "$CLUSTER/admin.conf" admin
  cluster_kubeconfig "$CLUSTER/controller-manager.conf" controller-manager
  cluster_kubeconfig "$CLUSTER/scheduler.conf" scheduler
  cluster_kubeconfig "$NODE/kubelet.conf" kubelet
  cluster_kubeconfig "$CLUSTER/drawbridge.conf" drawbridge
  cluster_kubeconfig "$NODE/agent.conf" agent
}

# cluster_certs DIR: the certificate of admin comes last.
cluster_certs() {
  local pki=$1
  mkdir -p "$pki"
  cluster_ca ca kubernetes
  cluster_ca front-proxy-ca front-proxy-ca
  cluster_cert ca apiserver /CN=kube-apiserver serverAuth \
    'DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1'
  cluster_cert front-proxy-ca front-proxy-client /CN=front-proxy-client clientAuth
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$pki/sa.key" 2>/dev/null
  openssl pkey -in "$pki/sa.key" -pubout -out "$pki/sa.pub"
  cluster_cert ca controller-manager /CN=system:kube-controller-manager clientAuth
  cluster_cert ca scheduler /CN=system:kube-scheduler clientAuth
  cluster_cert ca kubelet /O=system:nodes/CN=system:node:cp-1 clientAuth
  cluster_cert ca drawbridge /CN=drawbridge:controller clientAuth
  cluster_cert ca agent /O=drawbridge:agents/CN=drawbridge:agent:cp-1 clientAuth
  cluster_cert ca admin /O=system:masters/CN=kubernetes-admin clientAuth
}

# cluster_ca NAME COMMON-NAME: into pki, as those below.
cluster_ca() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$2" \
    -addext 'keyUsage=critical,digitalSignature,keyEncipherment,keyCertSign' -keyout "$pki/$1.key" -out "$pki/$1.crt" 2>/dev/null
}

# cluster_cert CA NAME SUBJECT USAGE [SAN]
cluster_cert() {
  local san=${5:+subjectAltName=$5}
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$pki/$2.key" -out "$pki/$2.csr" 2>/dev/null
  openssl x509 -req -in "$pki/$2.csr" -CA "$pki/$1.crt" -CAkey "$pki/$1.key" -CAcreateserial -days 365 -out "$pki/$2.crt" \
    -extfile <(printf 'keyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=%s\n%s\n' "$4" "$san") 2>/dev/null
  rm "$pki/$2.csr"
}

# cluster_kubeconfig FILE NAME
cluster_kubeconfig() {
  local pki=$CLUSTER/pki
  cat >"$1" <<EOF
apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    server: https://127.0.0.1:$PORT
    certificate-authority-data: $(base64 -w0 "$pki/ca.crt")
users:
- name: $2
  user:
    client-certificate-data: $(base64 -w0 "$pki/$2.crt")
    client-key-data: $(base64 -w0 "$pki/$2.key")
contexts:
- name: $2@kubernetes
  context: {cluster: kubernetes, user: $2}
current-context: $2@kubernetes
EOF
  chmod 600 "$1"
}

# --- manifests ------------------------------------------------------------------------------------------------------------------------

# cluster_files OPTIONS: manifests and the kubelet's files.
cluster_files() {
  local gates='' runtime=''
  if [[ $1 == *" dra "* ]]; then
    gates=DynamicResourceAllocation=true
    runtime=resource.k8s.io/v1beta1=true
  fi
  if [[ $MODE == plain ]]; then
    STARTUP_DELAY=10 STARTUP_PERIOD=10 STARTUP_FAILURES=24 GRACE=30
  else
    STARTUP_DELAY=0 STARTUP_PERIOD=1 STARTUP_FAILURES=240 GRACE=5
  fi
  cluster_manifest_etcd
  cluster_audit_policy >"$CLUSTER/audit-policy.yaml"
  cluster_manifest_apiserver "$gates" "$runtime"
  [[ $MODE == alone ]] || {
    cluster_manifest_controller_manager "$gates"
    cluster_manifest_scheduler "$gates"
  }
  chmod 600 "$MANIFESTS"/*.yaml
  cluster_kubelet_files
  [[ $1 != *" kubelet "* ]] || echo "$VERSION" >"$NODE/kubelet/version"
}

# cluster_audit_policy: what drawbridge asks for (lib/rights.sh), and nobody else.
cluster_audit_policy() {
  cat <<EOF
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ["drawbridge:controller", "system:serviceaccount:drawbridge-system:drawbridge-helm"]}
- {level: Metadata, userGroups: ["drawbridge:agents"]}
- {level: None}
EOF
}

# cluster_manifest NAME IMAGE PORT-OF-PROBES SCHEME LIVE READY VOLUMES: reads the command's words from stdin, one a line.
cluster_manifest() {
  local name=$1 image=$2 port=$3 scheme=$4 live=$5 ready=$6 volume file=$MANIFESTS/$1.yaml
  {
    printf 'apiVersion: v1\nkind: Pod\nmetadata:\n'
    [[ $name != kube-apiserver ]] ||
      printf '  annotations:\n    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 127.0.0.1:%s\n' "$PORT"
    printf '  labels:\n    component: %s\n    tier: control-plane\n  name: %s\n  namespace: kube-system\n' "$name" "$name"
    printf 'spec:\n  containers:\n  - command:\n'
    sed 's/^/    - /'
    printf '    image: %s\n    imagePullPolicy: IfNotPresent\n' "$image"
    cluster_probe livenessProbe "$live" "$port" "$scheme" 8 "$STARTUP_DELAY" 10
    printf '    name: %s\n' "$name"
    [[ -z $ready ]] || cluster_probe readinessProbe "$ready" "$port" "$scheme" 3 0 1
    printf '    resources:\n      requests:\n        cpu: 100m\n'
    cluster_probe startupProbe "$live" "$port" "$scheme" "$STARTUP_FAILURES" "$STARTUP_DELAY" "$STARTUP_PERIOD"
    printf '    volumeMounts:\n'
    for volume in $7; do printf '    - mountPath: %s\n      name: %s\n      readOnly: true\n' "$volume" "$(basename "$volume" .conf)"; done
    printf '  hostNetwork: true\n  priority: 2000001000\n  priorityClassName: system-node-critical\n'
    printf '  securityContext:\n    seccompProfile:\n      type: RuntimeDefault\n'
    [[ $GRACE == 30 ]] || printf '  terminationGracePeriodSeconds: %s\n' "$GRACE"
    printf '  volumes:\n'
    for volume in $7; do printf '  - hostPath:\n      path: %s\n    name: %s\n' "$volume" "$(basename "$volume" .conf)"; done
    printf 'status: {}\n'
  } >"$file.new"
  mv "$file.new" "$NODE/.$name.yaml"
  mv "$NODE/.$name.yaml" "$file"
}

# cluster_probe KIND PATH PORT SCHEME FAILURES DELAY PERIOD
cluster_probe() {
  printf '    %s:\n      failureThreshold: %s\n      httpGet:\n        host: 127.0.0.1\n        path: %s\n' "$1" "$5" "$2"
  printf '        port: %s\n        scheme: %s\n' "$3" "$4"
  (($6 == 0)) || printf '      initialDelaySeconds: %s\n' "$6"
  printf '      periodSeconds: %s\n      timeoutSeconds: 15\n' "$7"
}

cluster_manifest_etcd() {
  local words=(etcd "--advertise-client-urls=http://127.0.0.1:$((PORT + 1))" "--data-dir=$CLUSTER/etcd"
    "--initial-advertise-peer-urls=http://127.0.0.1:$((PORT + 2))" "--initial-cluster=cp-1=http://127.0.0.1:$((PORT + 2))"
    "--listen-client-urls=http://127.0.0.1:$((PORT + 1))" "--listen-metrics-urls=http://127.0.0.1:$((PORT + 3))"
    "--listen-peer-urls=http://127.0.0.1:$((PORT + 2))" --name=cp-1 --snapshot-count=10000)
  [[ $MODE == plain ]] || words+=(--unsafe-no-fsync)
  printf '%s\n' "${words[@]}" |
    cluster_manifest etcd node.local/etcd:3.6.14-0 $((PORT + 3)) HTTP /livez /readyz "$CLUSTER/etcd"
}

# The flags beyond kubeadm's own, which are also in kubeadm-config (cluster_kubeadm_config).
cluster_extra_args() {
  case $1 in
    apiServer)
      printf '%s\n' "audit-log-path=$CLUSTER/audit.json" "audit-policy-file=$CLUSTER/audit-policy.yaml" bind-address=127.0.0.1 endpoint-reconciler-type=none
      [[ $MODE == plain ]] || printf '%s\n' shutdown-watch-termination-grace-period=1s
      ;;
    controllerManager)
      printf '%s\n' "flex-volume-plugin-dir=$CLUSTER/flexvolume" "secure-port=$((PORT + 4))"
      [[ $MODE == plain ]] || printf 'controllers=*%s\n' "$(printf -- ',-%s-controller' "${CLUSTER_CONTROLLERS_OFF[@]}")"
      cluster_leader_args
      ;;
    scheduler)
      printf '%s\n' "secure-port=$((PORT + 5))"
      cluster_leader_args
      ;;
  esac
}

# Not started in a quick cluster, where they have nothing to do and would list and watch some twenty kinds at each start; plain ones and real nodes have all.
CLUSTER_CONTROLLERS_OFF=(certificatesigningrequest-{approving,cleaner,signing} cronjob disruption endpoints endpointslice endpointslice-mirroring ephemeral-volume
  horizontal-pod-autoscaler legacy-serviceaccount-token-cleaner persistentvolume-{attach-detach,binder,expander,protection} persistentvolumeclaim-protection
  replicationcontroller resourcequota service-cidr ttl)

# Each renewal is a write to etcd that all watches of Leases see: at one a second they are a third of the CPU that an idle cluster takes.
cluster_leader_args() {
  [[ $MODE == plain ]] || printf '%s\n' leader-elect-lease-duration=6s leader-elect-renew-deadline=5s leader-elect-retry-period=2s
}

# cluster_manifest_apiserver GATES RUNTIME-CONFIG
# shellcheck disable=SC2054 # the commas belong to flag values
cluster_manifest_apiserver() {
  local pki=$CLUSTER/pki words
  words=(kube-apiserver --advertise-address=127.0.0.1 --allow-privileged=true --authorization-mode=Node,RBAC
    "--client-ca-file=$pki/ca.crt" --enable-admission-plugins=NodeRestriction --enable-bootstrap-token-auth=true
    "--etcd-servers=http://127.0.0.1:$((PORT + 1))" ${1:+"--feature-gates=$1"}
    --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname
    "--proxy-client-cert-file=$pki/front-proxy-client.crt" "--proxy-client-key-file=$pki/front-proxy-client.key"
    --requestheader-allowed-names=front-proxy-client "--requestheader-client-ca-file=$pki/front-proxy-ca.crt"
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group
    --requestheader-username-headers=X-Remote-User ${2:+"--runtime-config=$2"} "--secure-port=$PORT"
    --service-account-issuer=https://kubernetes.default.svc.cluster.local "--service-account-key-file=$pki/sa.pub"
    "--service-account-signing-key-file=$pki/sa.key" --service-cluster-ip-range=10.96.0.0/12
    "--tls-cert-file=$pki/apiserver.crt" "--tls-private-key-file=$pki/apiserver.key")
  { printf '%s\n' "${words[@]}" && cluster_extra_args apiServer | sed 's/^/--/'; } |
    cluster_manifest kube-apiserver "node.local/kube-apiserver:$VERSION" "$PORT" HTTPS /livez /readyz "$pki"
}

cluster_manifest_controller_manager() {
  local pki=$CLUSTER/pki conf=$CLUSTER/controller-manager.conf words
  words=(kube-controller-manager "--authentication-kubeconfig=$conf" "--authorization-kubeconfig=$conf" --bind-address=127.0.0.1
    "--client-ca-file=$pki/ca.crt" --cluster-name=kubernetes "--cluster-signing-cert-file=$pki/ca.crt"
    "--cluster-signing-key-file=$pki/ca.key" ${1:+"--feature-gates=$1"}
    "--kubeconfig=$conf" --leader-elect=true "--requestheader-client-ca-file=$pki/front-proxy-ca.crt"
    "--root-ca-file=$pki/ca.crt" "--service-account-private-key-file=$pki/sa.key" --use-service-account-credentials=true)
  [[ $MODE != plain ]] || words+=('--controllers=*,bootstrapsigner,tokencleaner')
  { printf '%s\n' "${words[@]}" && cluster_extra_args controllerManager | sed 's/^/--/'; } |
    cluster_manifest kube-controller-manager "node.local/kube-controller-manager:$VERSION" $((PORT + 4)) HTTPS /healthz '' "$pki $conf"
}

cluster_manifest_scheduler() {
  local conf=$CLUSTER/scheduler.conf words live=/livez ready=/readyz
  words=(kube-scheduler "--authentication-kubeconfig=$conf" "--authorization-kubeconfig=$conf" --bind-address=127.0.0.1
    ${1:+"--feature-gates=$1"} "--kubeconfig=$conf" --leader-elect=true)
  { printf '%s\n' "${words[@]}" && cluster_extra_args scheduler | sed 's/^/--/'; } |
    cluster_manifest kube-scheduler "node.local/kube-scheduler:$VERSION" $((PORT + 5)) HTTPS "$live" "$ready" "$conf"
}

# --- the kubelet's files and kubeadm's ConfigMaps -------------------------------------------------------------------------------------

cluster_kubelet_files() {
  cluster_kubelet_configuration >"$NODE/kubelet/config.yaml"
  printf 'KUBELET_KUBEADM_ARGS="--node-ip=127.0.0.1"\n' >"$NODE/kubelet/kubeadm-flags.env"
  cat >"$NODE/restart-kubelet" <<EOF
#!/bin/sh
exec kill -HUP "\$(cat '$NODE/runner.pid')"
EOF
  chmod 755 "$NODE/restart-kubelet"
}

cluster_kubelet_configuration() {
  cat <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    cacheTTL: 0s
    enabled: true
  x509:
    clientCAFile: $CLUSTER/pki/ca.crt
authorization:
  mode: Webhook
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
clusterDomain: cluster.local
healthzBindAddress: 127.0.0.1
healthzPort: $((PORT + 6))
kind: KubeletConfiguration
port: $((PORT + 7))
rotateCertificates: true
staticPodPath: $MANIFESTS
EOF
}

cluster_kubeadm_config() {
  local section
  cat <<EOF
apiVersion: kubeadm.k8s.io/v1beta4
caCertificateValidityPeriod: 87600h0m0s
certificateValidityPeriod: 8760h0m0s
certificatesDir: $CLUSTER/pki
clusterName: kubernetes
controlPlaneEndpoint: 127.0.0.1:$PORT
dns: {}
encryptionAlgorithm: RSA-2048
etcd:
  local:
    dataDir: $CLUSTER/etcd
imageRepository: node.local
kind: ClusterConfiguration
kubernetesVersion: $VERSION
networking:
  dnsDomain: cluster.local
  serviceSubnet: 10.96.0.0/12
EOF
  for section in apiServer controllerManager scheduler; do
    printf '%s:\n  extraArgs:\n' $section
    cluster_extra_args $section | sed -E "s/^([^=]*)=(\\*.*)\$/\\1='\\2'/; s/^([^=]*)=(.*)\$/  - name: \\1\\n    value: \\2/"
  done
}

# --- what is in the API ---------------------------------------------------------------------------------------------------------------

# cluster_from_template: the hundreds of objects that an API server makes at its first start, and ours, are a quarter of what it costs to start a
# cluster. The first cluster of a version makes them: etcd and an API server alone, stopped before anything has run that knows of a node.
cluster_from_template() {
  local template=$CLUSTER_TEMPLATES/$VERSION
  mkdir -p "$CLUSTER_TEMPLATES"
  (
    flock 9
    [[ -f $template/made ]] || cluster_make_template "$template" "$MINOR"
  ) 9>"$template.lock"
  cp -r --sparse=always "$template/etcd/member" "$CLUSTER/etcd"
}

# cluster_make_template DIR MINOR: in a process of its own, since it uses another cluster.
cluster_make_template() (
  cluster_down "$1" # of somebody who was ended half way
  rm -rf "$1"
  cluster_up "$1" "$2" auto alone 9>&-
  cluster_rights
  install_crds
  cluster_down "$1"
  touch "$1/made"
)

# cluster_rights: those of drawbridge.
cluster_rights() { kubectl apply --server-side -f "$E2E/lib/rbac.yaml" >/dev/null || fail "the cluster in $CLUSTER refuses the rights of drawbridge"; }

install_crds() {
  kubectl apply --server-side --force-conflicts -f "$ROOT/crds" >/dev/null || fail 'the CRDs cannot be applied'
  kubectl wait --for=condition=Established --timeout=30s crd --all >/dev/null || fail 'CRDs are not Established'
}

# cluster_bootstrap: what kubeadm puts into a new cluster, and the rights of drawbridge where no template has brought them.
cluster_bootstrap() {
  local maps=api/v1/namespaces/kube-system/configmaps
  put_at "$maps/kubeadm-config" kubeadm <<EOF || fail "the cluster in $CLUSTER refuses its own ConfigMaps"
apiVersion: v1
kind: ConfigMap
metadata: {name: kubeadm-config}
data:
  ClusterConfiguration: |
$(cluster_kubeadm_config | sed 's/^/    /')
EOF
  put_at "$maps/kubelet-config" kubeadm <<EOF || fail "the cluster in $CLUSTER refuses its own ConfigMaps"
apiVersion: v1
kind: ConfigMap
metadata:
  name: kubelet-config
  annotations: {kubeadm.kubernetes.io/component-config.hash: "sha256:$(cluster_kubelet_configuration | sha256sum | cut -d' ' -f1)"}
data:
  kubelet: |
$(cluster_kubelet_configuration | sed 's/^/    /')
EOF
  [[ ${CLUSTER_TEMPLATES:-} ]] || cluster_rights
  local end=$((SECONDS + 20))
  # no node may give itself this label
  until patch_at api/v1/nodes/cp-1 '{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}' 2>/dev/null; do
    ((SECONDS < end)) || fail "node cp-1 was not registered; see $NODE/runner.log"
    nap 0.2
  done
}

# cluster_kwok LOG [PORT]: kwok in the foreground, for nodes annotated as fake alone. It dies with whoever called it, unless KWOK_STAYS.
cluster_kwok() {
  local dies=(setpriv --pdeathsig KILL) port=${2:-$((PORT + 11))}
  [[ -z ${KWOK_STAYS:-} ]] || dies=(setsid)
  cd "$CLUSTER" || exit # it reads ~/.kwok too, if that is there
  HOME=$CLUSTER exec "${dies[@]}" "$(tools_path kwok)" --kubeconfig "$KUBECONFIG" --config "$E2E/kwok/stages.yaml" \
    --manage-all-nodes=false --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake --node-lease-duration-seconds=40 \
    --node-name=localhost --node-port="$port" --server-address="127.0.0.1:$port" >"$1" 2>&1 </dev/null
}
