# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2030,SC2031,SC2034,SC2317 # check_of is a case of its own; called by eventually
# What the controller and the agents of all these cases may do is what the chart gives them, and no more than they ask for; and who may make a pod where the
# smoke test runs.
# tools: helm 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl

# rights: of drawbridge's roles, the rules of each.
rights() {
  kubectl get clusterroles,roles -A -o json |
    jq -S '[.items[] | select(.metadata.name | startswith("drawbridge-")) | {kind, namespace: .metadata.namespace, name: .metadata.name, rules}]'
}

# case: the roles of the test clusters are those of the chart, rule by rule; and each of the chart's rights has a line in lib/rights.txt, which names a case that uses it
case_of_the_chart() {
  use_cluster 1.33
  rights >"$CASE_DIR/ours"
  assert_equal "$(jq length "$CASE_DIR/ours")" 11 'roles of the test clusters'
  jq -r '.[] | "\(.kind) \(.name) \(.namespace // "default")"' "$CASE_DIR/ours" |
    while read -r kind name namespace; do kubectl delete "$kind" "$name" -n "$namespace" >/dev/null; done
  assert_equal "$(rights)" '[]' 'roles that are left'
  {
    chart_roles controller-rbac.yaml --set 'controller.driverAccounts[0].namespace=default,controller.driverAccounts[0].name=installer' \
      --set 'controller.driverAccounts[1].namespace=default,controller.driverAccounts[1].name=weak'
    echo ---
    chart_roles helm-rbac.yaml --set 'controller.driverAccounts[0].namespace=default,controller.driverAccounts[0].name=installer' \
      --set 'controller.driverAccounts[1].namespace=default,controller.driverAccounts[1].name=weak'
    echo ---
    chart_roles agent-rbac.yaml
    echo ---
    chart_roles smoke-test.yaml --set smokeTest.createNamespace=false
    echo ---
    chart_roles driver-rbac.yaml --set 'driverNamespaces[0].namespace=kube-system'
  } | kubectl apply -f - >/dev/null
  rights >"$CASE_DIR/chart"
  assert_same_file "$CASE_DIR/ours" "$CASE_DIR/chart"
  kubectl create namespace tenant >/dev/null
  {
    chart_roles hosted-rbac.yaml --set 'hostedControlPlanes[0].namespace=tenant,hostedControlPlanes[0].kubeconfigSecrets[0]=tenant-kubeconfig'
    echo ---
    chart_roles capi-rbac.yaml --set 'clusterAPI[0].namespace=default,clusterAPI[0].kubeconfigSecrets[0]=one-kubeconfig'
    echo ---
    chart_roles giantswarm-rbac.yaml --set 'giantSwarm[0].namespace=default,giantSwarm[0].kubeconfigSecrets[0]=one-kubeconfig'
    echo ---
    chart_roles target-rbac.yaml --set 'targetClusters[0].namespace=default,targetClusters[0].kubeconfigSecrets[0]=far'
    echo ---
    chart_roles configsource-rbac.yaml --set 'configSources[0].namespace=default,configSources[0].secrets={git,signers},configSources[0].appliedConfigMaps={values}' \
      --set 'configSources[0].appliedSecrets={applied},configSources[0].kubermaticConfigurations=true'
  } | kubectl apply -f - >/dev/null
  kubectl get clusterroles,roles -A -o json | rights_of_roles >"$CASE_DIR/rights"
  awk '!/^#/ && NF { print $1, $2, $3, $4 }' "$RIGHTS_TABLE" | sort >"$CASE_DIR/table"
  assert_same_file "$CASE_DIR/table" "$CASE_DIR/rights" 'lib/rights.txt and the roles of the chart'
  awk '!/^#/ && NF >= 5 && $5 != "-" { print $5 }' "$RIGHTS_TABLE" | sort -u >"$CASE_DIR/named"
  cat "$E2E"/cases/*.sh >"$CASE_DIR/cases"
  while read -r name; do assert grep -q "^case_${name#*/}()" "$CASE_DIR/cases"; done <"$CASE_DIR/named"
}

# asked WHO VERB RESOURCE NAMESPACE [ROLE]: a line of an audit log; without a role it was refused.
asked() {
  jq -nc --arg who "$1" --arg verb "$2" --arg what "$3" --arg namespace "$4" --arg role "${5:-}" '{user: {username: $who}, verb: $verb,
    objectRef: {resource: $what, namespace: $namespace}, responseStatus: {code: (if $role == "" then 403 else 200 end)},
    annotations: (if $role == "" then {"authorization.k8s.io/decision": "forbid"} else {"authorization.k8s.io/decision": "allow",
      "authorization.k8s.io/reason": "RBAC: allowed by RoleBinding \"drawbridge-\($role)/\($namespace)\" of Role \"drawbridge-\($role)\" to User \"\($who)\""} end)}'
}

# check_of LOG [BYTES]: what the end of a case would say of that log, of which so many bytes are an earlier case's.
check_of() (
  CASE_DIR=$CASE_DIR/$RANDOM
  mkdir -p "$CASE_DIR/cluster"
  [[ ! -e $1 ]] || cp "$1" "$CASE_DIR/cluster/audit.json"
  RIGHTS_TABLE=$LOGS/table CASE_NAME=rights/one
  AUDIT_FROM=(["$CASE_DIR/cluster"]="${2:-0}")
  set +e # as case_end has it
  rights_check 2>&1
)

# found LOG BYTES WORDS: the check fails with these words.
found() {
  local said
  ! said=$(check_of "$1" "$2") || die "nothing is found in $1"
  assert_match "$said" "$3"
}

# case: the check of all these cases finds what an identity asked for that only another one may, a right that is not used, and a log that is cut, gone or no JSON
case_what_is_found() {
  LOGS=$CASE_DIR
  printf '%s\n' 'controller@kube-system list pods * rights/one' 'agent patch nodes * -' 'helm-as-installer@kube-system create pods * -' >"$LOGS/table"
  asked drawbridge:controller list pods kube-system controller >"$LOGS/good"
  check_of "$LOGS/good" || die 'what is allowed is complained about'
  { cat "$LOGS/good" && asked drawbridge:controller list pods kube-system; } >"$LOGS/early" # the role was not there yet
  check_of "$LOGS/early" || die 'what its own role allows is complained about'
  { cat "$LOGS/good" && asked system:serviceaccount:drawbridge-system:drawbridge-helm create pods kube-system; } >"$LOGS/helm"
  check_of "$LOGS/helm" || die 'what its own role allows is complained about'
  { cat "$LOGS/good" && asked drawbridge:agent:cp-1 list pods kube-system; } >"$LOGS/agent"
  found "$LOGS/agent" 0 'no role allows: forbid agent list pods'
  { cat "$LOGS/good" && asked drawbridge:controller create pods kube-system; } >"$LOGS/controller"
  found "$LOGS/controller" 0 'no role allows: forbid controller create pods'
  { cat "$LOGS/good" && asked drawbridge:controller list secrets kube-system; } >"$LOGS/nobody"
  found "$LOGS/nobody" 0 'no role allows: forbid controller list secrets'
  asked drawbridge:agent:cp-1 list pods kube-system agent >"$LOGS/others"
  found "$LOGS/others" 0 'not used, .*: controller@kube-system list pods'
  : >"$LOGS/empty"
  found "$LOGS/empty" 0 'not used, .*: controller@kube-system list pods'
  found "$LOGS/none" 0 'not used, .*: controller@kube-system list pods'
  found "$LOGS/none" 10 'cut'
  found "$LOGS/good" 100000 'cut'
  { cat "$LOGS/good" && head -c 100 "$LOGS/good"; } >"$LOGS/half"
  found "$LOGS/half" 0 'cut'
  { cat "$LOGS/good" && echo 'no JSON'; } >"$LOGS/damaged"
  found "$LOGS/damaged" 0 'cannot be read'
}

# reports WHO NODE COMPONENT [TOKEN]: what the API server says to that report of NODE, by a token that is bound to the node TOKEN.
reports() {
  api -X PATCH -H 'Content-Type: application/merge-patch+json' -H "Impersonate-User: $1" ${4:+-H "Impersonate-Extra-authentication.kubernetes.io%2fnode-name: $4"} \
    -d '{"status": {"components": [{"name": "'"$3"'", "state": "Observed"}]}}' "$API/apis/drawbridge.dev/v1alpha1/nodedraconfigurations/$2/status?dryRun=All" |
    jq -r '.message // "taken"'
}

# case: an agent reports for the node that its token is bound to and for no other one, and on the four components and nothing else, whatever the CRD takes; others are not held to that
case_agents() {
  local agent=system:serviceaccount:drawbridge-system:drawbridge-agent
  use_cluster 1.33
  {
    chart_roles agent-rbac.yaml
    printf -- '---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: agents}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: drawbridge-agent}\n'
    printf 'subjects: [{kind: ServiceAccount, name: drawbridge-agent, namespace: drawbridge-system}, {kind: User, name: somebody, apiGroup: rbac.authorization.k8s.io}]\n'
    for node in mine other; do
      printf -- '---\napiVersion: drawbridge.dev/v1alpha1\nkind: NodeDRAConfiguration\nmetadata: {name: %s}\nspec: {epoch: 1, components: []}\n' "$node"
    done
  } | kubectl apply --server-side --force-conflicts -f - >/dev/null
  is_pinned() { [[ $(reports "$agent" other kubelet mine) == *'for its own node alone, and other is not'* ]]; } # some moments after the policy was made
  eventually 60 is_pinned
  assert_equal "$(reports "$agent" mine kubelet mine)" taken
  assert_match "$(reports "$agent" mine kubelet)" 'for its own node alone'
  assert_equal "$(reports somebody other kubelet)" taken
  assert_match "$(reports "$agent" mine etcd mine)" 'Unsupported value: "etcd"'

  note 'by the policy alone'
  kubectl get customresourcedefinition nodedraconfigurations.drawbridge.dev -o json |
    jq 'del(.spec.versions[].schema.openAPIV3Schema.properties.status.properties.components.items.properties.name.enum)' | kubectl replace -f - >/dev/null
  is_free() { [[ $(reports somebody mine etcd) == taken ]]; }
  eventually 60 is_free
  assert_match "$(reports "$agent" mine etcd mine)" 'and on nothing else'
  assert_equal "$(reports "$agent" mine kube-apiserver mine)" taken
}

# pod [JQ]: the pod of the smoke test as its template has it, changed.
pod() { kubectl create --dry-run=client -o json -f "$CASE_DIR/pod.yaml" | jq "${1:-.}"; }

# made_as USER [JQ]: whether such a pod would be admitted.
made_as() { pod "${2:-.}" | kubectl create --dry-run=server --as "$1" -f - 2>&1; }

# denied WORDS JQ: as the controller.
denied() {
  local said
  ! said=$(made_as "$WHO" "$2") || die "admitted: $2"
  assert_match "$said" "$1"
}

# case: where the smoke test runs, the controller makes a pod of its template's shape and no other one, nobody else makes one, and the controller makes none elsewhere
case_smoke_test() {
  WHO=system:serviceaccount:drawbridge-system:drawbridge-controller
  local other=system:serviceaccount:default:other
  use_cluster 1.33 dra
  eventually 60 api -f -o /dev/null "$API/api/v1/namespaces/drawbridge-smoke-test/serviceaccounts/default"
  {
    "$(tools_path helm)" template drawbridge "$ROOT/charts/drawbridge" -n drawbridge-system --kube-version 1.33.0 --show-only templates/smoke-test.yaml \
      --set image.operator.repository=x,image.agent.repository=x,controller.smokeTestImage=pause:1 2>"$CASE_DIR/helm.log"
    printf -- '---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: others}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}\n'
    printf 'subjects: [{kind: ServiceAccount, name: other, namespace: default}]\n'
  } | kubectl apply --server-side --force-conflicts -f - >/dev/null
  sed "1,/^---/d; s/\${name}/drawbridge-smoke-test-0123456789/; s/\${namespace}/drawbridge-smoke-test/; s/\${image}/pause:1/" "$ROOT/templates/smoke-test-v1.yaml" >"$CASE_DIR/pod.yaml"
  kubectl create serviceaccount other -n drawbridge-smoke-test >/dev/null
  policy_holds() { [[ $(made_as "$other") == *'only Drawbridge'* ]]; } # some moments after it was made
  eventually 60 policy_holds
  made_as "$WHO" || die 'the pod of the template is refused'
  denied 'one container' '.metadata.name = "other"'
  denied 'one container' '.spec.containers += [.spec.containers[0] | .name = "two"]'
  denied 'one container' '.spec.initContainers = [.spec.containers[0] | .name = "first" | del(.resources)]'
  denied 'one container' '.spec.volumes = [{name: "v", emptyDir: {}}]'
  denied 'one container' '.spec.nodeName = "cp-1"'
  denied 'one container' 'del(.spec.automountServiceAccountToken)'
  denied 'one container' '.spec.serviceAccountName = "other"'
  denied 'claim' 'del(.spec.resourceClaims, .spec.containers[0].resources.claims)'
  denied 'claim' '.spec.resourceClaims[0].resourceClaimName = "others"'
  denied 'image' '.spec.containers[0].image = "busybox"'
  denied 'image' '.spec.containers[0].command = ["sh"]'
  denied 'image' '.spec.containers[0].env = [{name: "A", value: "b"}]'
  denied 'PodSecurity' '.spec.hostNetwork = true'
  denied 'PodSecurity' '.spec.containers[0].securityContext = {privileged: true}'
  for namespace in drawbridge-system kube-system default; do
    denied "cannot create resource \"pods\".* in the namespace \"$namespace\"" ".metadata.namespace = \"$namespace\""
  done
}
