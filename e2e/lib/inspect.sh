# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Questions to a cluster: what its processes, files and objects say. Asked of the components themselves, never of drawbridge.

CONTROL_PLANE=(kube-apiserver kube-controller-manager kube-scheduler)

port_of() {
  case $1 in
    kube-apiserver) echo "$PORT" ;;
    kube-controller-manager) echo $((PORT + 4)) ;;
    kube-scheduler) echo $((PORT + 5)) ;;
    kubelet) echo $((PORT + 7)) ;;
  esac
}

# api CURL-ARGUMENT...: asks as an administrator. By kubectl a look costs several times the CPU, which counts where one looks again and again. For curl by its
# own name the API server would print JSON with white space.
api() { curl -sS --user-agent e2e --max-time 10 --cacert "$API_CA" --cert "$ADMIN.crt" --key "$ADMIN.key" "$@"; }

# metrics COMPONENT
metrics() {
  curl -sSk --max-time 5 --cert "$ADMIN.crt" --key "$ADMIN.key" "https://127.0.0.1:$(port_of "$1")/metrics"
}

# gate COMPONENT NAME: 1, 0, or nothing where the component does not know it.
gate() { metrics "$1" | sed -nE "s/^kubernetes_feature_enabled\{name=\"$2\",stage=\"[^\"]*\"\} ([01])\$/\1/p"; }

gate_is() { [[ $(gate "$1" "$2") == "$3" ]]; }

# gates_are VALUE GATE COMPONENT...
gates_are() {
  local value=$1 name=$2 component
  for component in "${@:3}"; do
    gate_is "$component" "$name" "$value" || {
      echo "$component: $name is not $value"
      return 1
    }
  done
}

# served: the versions of resource.k8s.io, as "v1 v1beta1", sorted. No answer is a failure, not "none". For a moment after its start an API server still
# lists what it served before (its APIServices are in etcd), so what has to go is waited for.
served() {
  local groups
  groups=$(api -f "$API/apis") || return 1
  jq -r '[.groups[] | select(.name == "resource.k8s.io").versions[].version] | sort | join(" ")' <<<"$groups"
}

served_is() {
  local versions
  versions=$(served) && [[ $versions == "$1" ]]
}

# none_of KUBECTL-GET-ARGUMENT...: the API server answers that there is none. An API server that does not answer has not said so.
none_of() {
  local left
  left=$(kubectl get "$@" --ignore-not-found -o name) && [[ -z $left ]]
}

# not_found PATH: the same of one object, by its path at the API server; for waits, since it starts no kubectl at each look.
not_found() { [[ $(api -o /dev/null -w '%{http_code}' "$API/$1") == 404 ]]; }

dracfg_gone() { not_found "$(dracfg_at "$@")"; }

# pid_of COMPONENT: of the process that runs now in this cluster.
pid_of() {
  local pids
  pids=$(pgrep -f "^([^ ]*/)?$1 .*$CLUSTER/") || return 1
  head -n1 <<<"$pids"
}

# started_at COMPONENT: in clock ticks since boot; changes with each process.
started_at() {
  local pid stat
  pid=$(pid_of "$1") || return 1
  { stat=$(<"/proc/$pid/stat"); } 2>/dev/null || return 1
  # the 20th field after the command's name in parentheses
  awk '{ print $20 }' <<<"${stat##*) }"
}

processes() {
  local component
  for component in etcd "${CONTROL_PLANE[@]}"; do printf '%s %s %s\n' "$component" "$(pid_of "$component" || echo none)" "$(started_at "$component" || echo none)"; done
}

# files: each file a roll-out may touch, with inode, times and digest.
files() {
  local file
  for file in "$MANIFESTS"/* "$NODE"/kubelet/config.yaml "$NODE"/kubelet/kubeadm-flags.env; do
    printf '%s %s %s\n' "$file" "$(stat -c '%i %Y %s %a' "$file")" "$(sha256sum <"$file")"
  done
}

# keep_files DIR: a copy of them.
keep_files() {
  mkdir -p "$1"
  cp -p "$MANIFESTS"/*.yaml "$NODE"/kubelet/config.yaml "$NODE"/kubelet/kubeadm-flags.env "$1"
}

# same_files DIR: byte for byte as they were kept.
same_files() {
  local file was
  for was in "$1"/*; do
    file=$MANIFESTS/$(basename "$was")
    [[ -f $file ]] || file=$NODE/kubelet/$(basename "$was")
    cmp -s "$was" "$file" || {
      diff -u "$was" "$file" | head -n 30
      return 1
    }
  done
}

# changes DIR FILE: the lines that were taken out and put in since keep_files, without context.
changes() {
  local file=$MANIFESTS/$2
  [[ -f $file ]] || file=$NODE/kubelet/$2
  diff "$1/$2" "$file" | grep '^[<>]' || true
}

# resource_versions: of everything a second pass could write.
resource_versions() {
  kubectl get draconfigurations,nodedraconfigurations,kubermaticconfigurations -A -o json |
    jq -r '.items[] | "\(.kind) \(.metadata.namespace // "")/\(.metadata.name) \(.metadata.resourceVersion)"'
  kubectl get configmaps -n kube-system kubeadm-config kubelet-config -o json |
    jq -r '.items[] | "ConfigMap \(.metadata.name) \(.metadata.resourceVersion)"'
}

# writes: what the files, processes and objects are now; two equal answers mean that nothing was written in between.
writes() { files && processes && resource_versions; }

# --- DRAConfigurations ------------------------------------------------------------------------------------------------------------------

# put -f FILE: by the server, which costs half of what kubectl does when it merges itself. What a person applies by hand (seeds, demo, charts) is applied as they do.
put() { kubectl apply --server-side --force-conflicts --field-manager=kubectl "$@"; }

# put_at PATH [MANAGER]: the same of the one object on stdin, without a kubectl: PATH is where it is at the API server. The server's answer is shown where it refuses.
put_at() {
  local said
  said=$(api --fail-with-body -X PATCH -H 'Content-Type: application/apply-patch+yaml' --data-binary @- "$API/$1?force=true&fieldValidation=Strict&fieldManager=${2:-kubectl}" 2>&1) ||
    { echo "$said" >&2 && return 1; }
}

# patch_at PATH PATCH: a merge patch, or a JSON patch if it is a list.
patch_at() {
  local kind=merge-patch said
  [[ $2 != '['* ]] || kind=json-patch
  said=$(api --fail-with-body -X PATCH -H "Content-Type: application/$kind+json" --data-binary "$2" "$API/$1" 2>&1) || { echo "$said" >&2 && return 1; }
}

# dracfg_at NAME [NAMESPACE]: its path at the API server.
dracfg_at() { echo "apis/drawbridge.dev/v1alpha1/namespaces/${2:-default}/draconfigurations/$1"; }

# configure NAME [NAMESPACE]: applies a DRAConfiguration with the spec from stdin. The API server may be restarting just now.
configure() {
  local namespace=${2:-default} object said
  object=$(printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: DRAConfiguration\nmetadata: {name: %s, namespace: %s}\nspec:\n%s\n' "$1" "$namespace" "$(sed 's/^/  /')")
  for _ in {1..100}; do
    ! said=$(put_at "$(dracfg_at "$1" "$namespace")" <<<"$object" 2>&1) || return 0
    [[ $said =~ [Cc]onnect|Forbidden|forbidden|EOF|reset|reply|closed ]] || break
    sleep 0.3
  done
  die "DRAConfiguration $1 was not accepted: $said"
}

dracfg() { api -f "$API/$(dracfg_at "$@")"; }

# request_pass NAME [NAMESPACE], and whether the pass that it asked for is over.
request_pass() { patch_at "$(dracfg_at "$@")" "{\"metadata\":{\"annotations\":{\"drawbridge.dev/reconcile-requested-at\":\"$(date +%s%N)\"}}}"; }
handled() { [[ $(dracfg "$@" | jq -r '.metadata.annotations["drawbridge.dev/reconcile-requested-at"] == .status.lastHandledReconcileAt') == true ]]; }

# condition_of TYPE: "True Reason" of the object on stdin, only when it speaks of the present generation; then the message.
condition_of() {
  jq -r --arg type "$1" '.metadata.generation as $g | .status.conditions[]? | select(.type == $type) |
    (if .observedGeneration == $g then "\(.status) \(.reason)" else "" end), .message'
}

condition_message() { dracfg "$1" "${3:-default}" | condition_of "$2" | tail -n +2; }

# condition_is NAME TYPE WANTED [NAMESPACE]: WANTED is "True", or "False UnknownFeatureGate".
condition_is() { dracfg "$1" "${4:-default}" | says_of "$2" "$3"; }

# says_of TYPE WANTED: the object on stdin, as the API server prints it (keys in the order of the alphabet). Most looks are in vain, and a jq each would be a
# fortieth of all the CPU of a run: it is asked only when the words are there.
says_of() {
  local object got message='' words="\"status\":\"${2%% *}\",\"type\":\"$1\""
  object=$(</dev/stdin)
  [[ $2 != *' '* ]] || words="\"reason\":\"${2#* }\",$words"
  [[ $object == *"$words"* ]] || {
    [[ ! $object =~ \"message\":\"([^\"]*)[^{}]*\"reason\":\"([A-Za-z]*)\",\"status\":\"([A-Za-z]*)\",\"type\":\"$1\" ]] ||
      echo "$1 is '${BASH_REMATCH[3]} ${BASH_REMATCH[2]}': ${BASH_REMATCH[1]}"
    return 1
  }
  { read -r got && read -r message; } < <(condition_of "$1" <<<"$object") || true
  [[ $got == "$2" || $got == "$2 "* ]] || {
    echo "$1 is '$got': $message"
    return 1
  }
}

conditions() { dracfg "$1" "${2:-default}" | jq -r '.status.conditions[]? | "\(.type)=\(.status) \(.reason): \(.message)"'; }
