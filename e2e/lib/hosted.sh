# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by cases
# What the cases of hosted control planes have in common: the objects of e2e/hosted in namespace tenant.

WORKLOADS=(deployment/kube-apiserver deployment/tenant-kcm statefulset/kube-scheduler)
QUICK='rollout: {componentTimeout: 60s, minReady: 0s}'

# tenant_made: namespace, rights, and a node of kwok.
tenant_made() {
  local template
  kubectl apply -f "$E2E/hosted/tenant.yaml" >/dev/null
  for template in hosted target; do
    chart_roles "$template-rbac.yaml" --set 'hostedControlPlanes[0].namespace=tenant,hostedControlPlanes[0].kubeconfigSecrets[0]=tenant-kubeconfig'
    echo ---
  done | kubectl apply -f - >/dev/null
  eventually 40 api -f -o /dev/null "$API/api/v1/namespaces/tenant/serviceaccounts/default"
}

# rolled_out: all that is there, by its controller's own word.
rolled_out() {
  kubectl get deployments,statefulsets -n tenant -o json | jq -e '.items | length > 0 and all(.status.observedGeneration == .metadata.generation and
    ([.status | .updatedReplicas, .availableReplicas, .replicas | . // 0] | unique) == [.spec.replicas])' >/dev/null
}

template() { kubectl get "$1" -n tenant -o json | jq -S .spec.template; }

keep_templates() {
  local workload
  mkdir -p "$1"
  for workload in "${WORKLOADS[@]}"; do template "$workload" >"$1/${workload#*/}"; done
}

same_templates() {
  keep_templates "$CASE_DIR/now"
  diff -r "$1" "$CASE_DIR/now"
}

# hosted NAME [LINE...]: a DRAConfiguration in namespace tenant.
hosted() {
  local name=$1
  shift
  {
    printf 'featureGates: {DynamicResourceAllocation: true}\n'
    [[ " $* " == *platform:* ]] || printf 'platform: {type: HostedControlPlane}\n'
    [[ " $* " == *rollout:* ]] || printf '%s\n' "$QUICK"
    (($# == 0)) || printf '%s\n' "$@"
  } | configure "$name" tenant
}

args_of() { kubectl get "$1" -n tenant -o json | jq -c '[.spec.template.spec.containers[] | (.command // []) + (.args // [])]'; }
