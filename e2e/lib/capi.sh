# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153 # used by the cases; from case.sh
# The real Cluster API (tools/cluster-api) in a cluster of processes: its four managers with their webhooks and conversions, and clusters of machines in
# memory, each with an API server of its own that knows nodes and pods, and does nothing with flags: what a component says of its gates is not to be had.
#
# Whoever sources this runs in a network of his own, and so are the clusters that he uses: some ports of the managers' cannot be chosen.
#
#   use_capi MINOR [OPTION...]              a new cluster with the managers, and machines to choose from
#   capi_cluster NAME REPLICAS WORKERS [VERSION]      Cluster, KubeadmControlPlane, KubeadmConfigTemplate and MachineDeployment; the last two are called NAME-workers
#   capi_topology NAME CLASS REPLICAS WORKERS      the same of a ClusterClass of capi/class.yaml, with its variables as they are by default
#   capi_pool NAME                          a MachinePool NAME-pool without nodes, whose infrastructure is nobody's
#   capi_at KIND NAME [VERSION]             its path at the API server; as v1beta2 or as VERSION
#   capi_get KIND NAME [VERSION]            as JSON; capi_labelled KIND LABEL: a list
#   kcp_over NAME, workers_over NAME        its roll-out is over: all of it is as its spec has it, and nothing goes any more
#   capi_kubeconfig NAME FILE               what <cluster>-kubeconfig holds from now on. Managers keep the connection that they have, and leave the Secret alone;
#                                           one that starts afterwards finds another cluster there, without its machines
#   capi_up REPLICAS WORKERS                a new cluster as use_capi makes it, with the Cluster one, rolled out, and the rights that the controller has there
#   capi_dra NAME [LINE...]                 a DRAConfiguration for it, with the gate; the lines are of its spec
#   args_of PATH, has_gate                  of the KubeadmControlPlane one, below kubeadmConfigSpec; whether its scheduler has the gate
#   keep_specs FOLDER, same_specs           what is written in the Cluster one; whether it is as it was when capi_up was over

if [[ ! ${CLUSTER_NETWORK:-} ]]; then
  install_packages iproute2
  export CLUSTER_NETWORK=$$
  words=(unshare --net)
  ((EUID == 0)) || words+=(--map-root-user)
  exec "${words[@]}" "$BASH" "$0" "$@" # as this process, which is the one that is ended with the case
fi
ip link set lo up

declare -A CAPI_PORTS=([core]=9441 [bootstrap]=9442 [control-plane]=9443 [development]=9444) # of their webhooks; 100 more: of their health
export CLUSTER_PORTS_FROM=21000 # of clusters of processes: the API servers of those in memory take one after the other from 20000 on

# use_capi MINOR [OPTION...]
use_capi() {
  use_cluster "$1" "${@:2}"
  capi_manifests '.kind != "MutatingWebhookConfiguration" and .kind != "ValidatingWebhookConfiguration"'
  kubectl wait --for=condition=Established --timeout=60s crd --all >/dev/null || die 'CRDs of Cluster API are not Established'
  local name
  for name in core bootstrap control-plane development; do capi_manager "$name"; done
  for name in "${!CAPI_PORTS[@]}"; do eventually 120 capi_healthy "$name"; done
  capi_manifests '.kind == "MutatingWebhookConfiguration" or .kind == "ValidatingWebhookConfiguration"'
  kubectl apply -f "$E2E/capi/machines.yaml" >/dev/null
}

# capi_manifests WHICH: of those that the modules have, with the managers' webhooks and conversions where they are here.
capi_manifests() {
  local ports
  ports=$(for name in "${!CAPI_PORTS[@]}"; do printf '{"%s": %s}\n' "$name" "${CAPI_PORTS[$name]}"; done | jq -sc add)
  jq --rawfile ca "$API_CA" --argjson ports "$ports" "
    def here(\$manager): {url: \"https://127.0.0.1:\\(\$ports[\$manager])\\(.service.path)\", caBundle: (\$ca | @base64)};
    {apiVersion: \"v1\", kind: \"List\", items: [.[] | select($1) | .metadata.annotations.manager as \$manager |
      (.spec.conversion.webhook.clientConfig | select(.)) |= here(\$manager) | (.webhooks[]?.clientConfig) |= here(\$manager)]}" \
    "$(tools_path cluster-api)/manifests.json" >"$CASE_DIR/manifests.json"
  kubectl apply --server-side -f "$CASE_DIR/manifests.json" >/dev/null || die 'the manifests of Cluster API are not accepted'
}

# capi_manager NAME: ends with the case. Its certificate is the API server's own, which is one for loopback.
capi_manager() {
  local port=${CAPI_PORTS[$1]}
  POD_IP=127.0.0.1 POD_NAMESPACE=capi-system POD_NAME=$1 POD_UID=$1 start "capi-$1" "$(tools_path cluster-api)/$1" --kubeconfig="$KUBECONFIG" \
    --webhook-port="$port" --webhook-cert-dir="$CLUSTER/pki" --webhook-cert-name=apiserver.crt --webhook-key-name=apiserver.key \
    --health-addr="127.0.0.1:$((port + 100))" --diagnostics-address=0 --feature-gates=ClusterTopology=true
}

capi_healthy() { [[ $(curl -s --max-time 2 "http://127.0.0.1:$((CAPI_PORTS[$1] + 100))/readyz") == ok ]]; }

# capi_cluster NAME REPLICAS WORKERS [VERSION]
capi_cluster() {
  sed "s/NAME/$1/; s/REPLICAS/$2/; s/WORKERS/$3/; s/v1\.33\.13/${4:-&}/" "$E2E/capi/cluster.yaml" | kubectl apply -f - >/dev/null || die "the cluster $1 is not accepted"
}

# capi_topology NAME CLASS REPLICAS WORKERS
capi_topology() {
  kubectl apply -f "$E2E/capi/class.yaml" >/dev/null || die 'the classes are not accepted'
  sed "s/NAME/$1/; s/CLASS/$2/; s/REPLICAS/$3/; s/WORKERS/$4/" "$E2E/capi/topology.yaml" | kubectl apply -f - >/dev/null || die "the cluster $1 is not accepted"
}

# capi_pool NAME: a MachinePool of a cluster, NAME-pool, without nodes.
capi_pool() {
  kubectl apply -f "$E2E/capi/idle.yaml" >/dev/null
  kubectl wait --for=condition=Established --timeout=60s crd/idlemachinepools.infrastructure.cluster.x-k8s.io >/dev/null
  sed "s/NAME/$1/" "$E2E/capi/pool.yaml" | kubectl apply -f - >/dev/null || die "the pool of $1 is not accepted"
  kubectl patch idlemachinepool "$1-pool" --subresource status --type merge -p '{"status":{"initialization":{"provisioned":true},"ready":true,"replicas":0}}' >/dev/null
}

# capi_at KIND NAME [VERSION]: of a list where NAME is empty.
capi_at() {
  local group=cluster.x-k8s.io
  case $1 in
    kubeadmcontrolplane*) group=controlplane.$group ;;
    kubeadmconfig*) group=bootstrap.$group ;;
    dev*) group=infrastructure.$group ;;
  esac
  echo "apis/$group/${3:-v1beta2}/namespaces/default/$1${2:+/$2}"
}

capi_get() { api -f "$API/$(capi_at "$@")"; }

# capi_labelled KIND LABEL: the list of them.
capi_labelled() { api -f -G --data-urlencode "labelSelector=$2" "$API/$(capi_at "$1" '')"; }

# kcp_over NAME: never by a condition alone. That it is not RollingOut is so before the controller has seen the change, and again before the last old
# machine is gone.
kcp_over() { capi_over kubeadmcontrolplanes "$1" "cluster.x-k8s.io/control-plane-name=$1"; }

# workers_over NAME: of a MachineDeployment. For a moment it has observed the change, and all its counts and conditions are still those of before; only its
# MachineSets say that none of what it wants is there.
workers_over() {
  local sets
  capi_over machinedeployments "$1" "cluster.x-k8s.io/deployment-name=$1" && sets=$(capi_labelled machinesets "cluster.x-k8s.io/deployment-name=$1") &&
    capi_get machinedeployments "$1" | jq -e --argjson sets "$sets" 'def what: .spec.template.spec | {version, bootstrap, infrastructureRef};
      what as $wanted | [$sets.items[] | {mine: (what == $wanted), left: (.spec.replicas + (.status.replicas // 0))}] |
      any(.mine) and all(.mine or .left == 0)' >/dev/null
}

# capi_over KIND NAME LABEL
capi_over() {
  local object going
  object=$(capi_get "$1" "$2") &&
    jq -e '.metadata.generation as $generation | .spec.replicas as $all | .status |
      if .observedGeneration == $generation and .replicas == $all and .upToDateReplicas == $all and .readyReplicas == $all and .availableReplicas == $all then true
      else "\(.replicas) of \($all), \(.upToDateReplicas) up to date, \(.readyReplicas) ready\n" | halt_error end' <<<"$object" >/dev/null &&
    going=$(capi_labelled machines "$3" | jq -r '.items[] | select(.metadata.deletionTimestamp).metadata.name') && [[ ! $going ]]
}

# capi_kubeconfig NAME FILE
capi_kubeconfig() { kubectl patch secret "$1-kubeconfig" --type merge -p "{\"data\":{\"value\":\"$(base64 -w0 "$2")\"}}" >/dev/null; }

# --- drawbridge beside it

QUICK='rollout: {componentTimeout: 120s, minReady: 0s}'

# capi_up REPLICAS WORKERS: the Cluster one, rolled out, and the controller with the chart's rights.
capi_up() {
  use_capi 1.33 dra
  capi_cluster one "$1" "$2"
  eventually 120 kcp_over one
  eventually 120 workers_over one-workers
  capi_rights one-kubeconfig
  keep_specs "$CASE_DIR/before"
}

# capi_rights SECRET: of the chart, in namespace default.
capi_rights() {
  local template
  for template in capi target; do
    chart_roles "$template-rbac.yaml" --set "clusterAPI[0].namespace=default,clusterAPI[0].kubeconfigSecrets[0]=$1"
    echo ---
  done | kubectl apply -f - >/dev/null
}

keep_specs() {
  mkdir -p "$1"
  capi_get kubeadmcontrolplanes one | jq -S .spec >"$1/kcp"
  capi_get machinedeployments one-workers | jq -S .spec >"$1/md"
  capi_get kubeadmconfigtemplates '' | jq -S '[.items[] | {name: .metadata.name, spec}]' >"$1/templates"
}

same_specs() {
  keep_specs "$CASE_DIR/now"
  diff -r "$CASE_DIR/before" "$CASE_DIR/now"
}

# capi_dra NAME [LINE...]
capi_dra() {
  local name=$1
  shift
  {
    printf 'featureGates: {DynamicResourceAllocation: true}\n'
    [[ " $* " == *platform:* ]] || printf 'platform: {type: ClusterAPI}\n'
    [[ " $* " == *rollout:* ]] || printf '%s\n' "$QUICK"
    (($# == 0)) || printf '%s\n' "$@"
  } | configure "$name" default
}

args_of() { capi_get kubeadmcontrolplanes one | jq -c ".spec.kubeadmConfigSpec.$1 // []"; }

has_gate() { [[ $(args_of clusterConfiguration.scheduler.extraArgs) == *DynamicResourceAllocation=true* ]]; }
