# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the controller and the agents of all these cases may do is what the chart gives them.
# tools: helm 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl

# rights: of drawbridge's roles, the rules of each.
rights() {
  kubectl get clusterroles,roles -A -o json |
    jq -S '[.items[] | select(.metadata.name | startswith("drawbridge-")) | {kind, namespace: .metadata.namespace, name: .metadata.name, rules}]'
}

# case: the roles of the test clusters are those of the chart, rule by rule, none more and none less
case_of_the_chart() {
  use_cluster 1.33
  rights >"$CASE_DIR/ours"
  assert_equal "$(jq length "$CASE_DIR/ours")" 9 'roles of the test clusters'
  jq -r '.[] | "\(.kind) \(.name) \(.namespace // "default")"' "$CASE_DIR/ours" |
    while read -r kind name namespace; do kubectl delete "$kind" "$name" -n "$namespace" >/dev/null; done
  assert_equal "$(rights)" '[]' 'roles that are left'
  "$(tools_path helm)" template drawbridge "$ROOT/charts/drawbridge" -n drawbridge-system --kube-version 1.33.0 \
    --show-only templates/controller-rbac.yaml --show-only templates/agent-rbac.yaml --show-only templates/helm-rbac.yaml \
    --set 'image.operator.repository=x,image.agent.repository=x,controller.driverAccounts[0].namespace=default,controller.driverAccounts[0].name=installer' \
    --set 'controller.driverAccounts[1].namespace=default,controller.driverAccounts[1].name=weak' | kubectl apply -f - >/dev/null
  rights >"$CASE_DIR/chart"
  assert_same_file "$CASE_DIR/ours" "$CASE_DIR/chart"
}
