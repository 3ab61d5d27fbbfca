# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the chart makes of its values, as a real API server takes it.
# tools: helm 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl

# render [ARGUMENT...]: the objects, one JSON document each, into $CASE_DIR/objects.
render() {
  "$(tools_path helm)" template drawbridge "$ROOT/charts/drawbridge" -n drawbridge-system --kube-version 1.33.0 \
    --set image.operator.repository=r.example.org/operator,image.agent.repository=r.example.org/agent "$@" >"$CASE_DIR/rendered.yaml" 2>"$CASE_DIR/helm.log" || return 1
  kubectl apply --dry-run=server -o json -f "$CASE_DIR/rendered.yaml" | jq -c '.items[]' >"$CASE_DIR/objects"
}

# object KIND NAME JQ
object() { jq -c --arg kind "$1" --arg name "$2" "select(.kind == \$kind and .metadata.name == \$name) | $3" "$CASE_DIR/objects"; }

DIGEST=sha256:$(printf '0%.0s' {1..64})

# case: images by digest, a certificate in place of the token, a table of gates, who governs and reaches what, a volume of charts, network policies, a disruption budget, seccomp; and what is refused
case_values() {
  local version
  version=$(sed -nE 's/^appVersion: "?([^"]*)"?$/\1/p' "$ROOT/charts/drawbridge/Chart.yaml")
  use_cluster 1.33
  render || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec | [.securityContext.seccompProfile.type, .containers[0].image]')" '["RuntimeDefault","r.example.org/operator:'"$version"'"]'
  assert_equal "$(object DaemonSet drawbridge-agent '.spec.template.spec | [.securityContext.seccompProfile.type, .containers[0].image]')" '["RuntimeDefault","r.example.org/agent:'"$version"'"]'
  assert_equal "$(object NetworkPolicy drawbridge-controller '[.spec.ingress[0].ports[0].port, .spec.policyTypes]')" '["http",["Ingress"]]'
  assert_equal "$(object NetworkPolicy drawbridge-controller-smoke-test '[.metadata.namespace, .spec.policyTypes, .spec.ingress]')" '["drawbridge-smoke-test",["Ingress","Egress"],null]'
  assert_equal "$(object PodDisruptionBudget drawbridge-controller .spec.maxUnavailable)" 1
  assert_equal "$(object Namespace drawbridge-smoke-test '.metadata.labels["pod-security.kubernetes.io/enforce"]')" '"restricted"'
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0].args | map(select(test("governing|reach|look|gates")))')" '[]'
  assert_equal "$(object DaemonSet drawbridge-agent '.spec.template.spec.containers[0].args | map(select(test("client|gates")))')" '[]'

  # of values that an earlier chart did not have nothing is kept: helm upgrade --reuse-values
  render --set 'clusterAPI=null,giantSwarm=null,metrics=null,rbac=null,commonLabels=null,nameOverride=null,fullnameOverride=null,image.registry=null' \
    --set 'controller.serviceAccount=null,controller.extraArgs=null,controller.podLabels=null,agent.serviceAccount=null,agent.priorityClassName=null' || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(object DaemonSet drawbridge-agent .spec.template.spec.priorityClassName)" '"system-node-critical"'
  render --set 'clusterAPI[0].namespace=default,clusterAPI[0].from={management}' || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0].args | map(select(test("reach")))')" '["--reach=management=default"]'
  render --set 'giantSwarm[0].namespace=default,giantSwarm[0].from={management}' || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0].args | map(select(test("reach")))')" '["--reach=management=default"]'

  render --set "image.operator.digest=$DIGEST,image.agent.digest=$DIGEST,image.agent.tag=t,gatesTable.configMap=gates,agent.clientCertificateSecret=who" \
    --set 'governingNamespaces={kubermatic},hostedControlPlanes[0].namespace=default,hostedControlPlanes[0].from={management}' \
    --set 'driverNamespaces[0].namespace=kube-system,driverNamespaces[0].from={kubermatic,management},networkPolicy.from[0].podSelector.matchLabels.a=b' ||
    die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0].image')" "\"r.example.org/operator@$DIGEST\""
  assert_equal "$(object DaemonSet drawbridge-agent '.spec.template.spec.containers[0].image')" "\"r.example.org/agent:t@$DIGEST\""
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0].args | map(select(test("governing|reach|look|gates")))')" \
    '["--gates-table=/etc/drawbridge/gates/gates.yaml","--governing-namespace=kubermatic","--reach=management=default","--look=kubermatic=kube-system","--look=management=kube-system"]'
  assert_equal "$(object DaemonSet drawbridge-agent '.spec.template.spec.containers[0].args | map(select(test("client|gates")))')" \
    '["--gates-table=/etc/drawbridge/gates/gates.yaml","--client-certificate=/etc/drawbridge/client/tls.crt","--client-key=/etc/drawbridge/client/tls.key"]'
  assert_equal "$(object DaemonSet drawbridge-agent '.spec.template.spec.volumes | map(select(.secret or .configMap) | [.name, .secret.secretName, .configMap.name])')" '[["gates",null,"gates"],["client","who",null]]'
  assert_equal "$(object NetworkPolicy drawbridge-controller '.spec.ingress[0].from')" '[{"podSelector":{"matchLabels":{"a":"b"}}}]'

  # charts as a volume of the pod has them
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0] | [(.args | map(select(test("chart-root")))), (.volumeMounts | map(.name))]')" '[[],["tmp","gates"]]'
  render --set 'controller.chartRoot.persistentVolumeClaim.claimName=charts' || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0].args | map(select(test("chart-root")))')" '["--chart-root=/etc/drawbridge/charts"]'
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.containers[0].volumeMounts | map(select(.name == "charts"))')" \
    '[{"mountPath":"/etc/drawbridge/charts","name":"charts","readOnly":true}]'
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.volumes | map(select(.name == "charts"))')" '[{"name":"charts","persistentVolumeClaim":{"claimName":"charts"}}]'
  render --set 'controller.chartRoot.configMap.name=charts' || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(object Deployment drawbridge-controller '.spec.template.spec.volumes | map(select(.name == "charts")) | .[0].configMap.name')" '"charts"'
  refuse render --set controller.chartRoot=/charts
  refuse render --set controller.chartRoot.configMap.name=a,controller.chartRoot.emptyDir.medium=Memory

  render --set networkPolicy.enabled=false,controller.podDisruptionBudget.enabled=false,smokeTest.createNamespace=false || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(jq -c 'select(.kind | IN("NetworkPolicy", "PodDisruptionBudget", "Namespace")) | .kind' "$CASE_DIR/objects")" ''
  refuse render --set smokeTest.namespace=drawbridge-system
  assert_match "$(cat "$CASE_DIR/helm.log")" 'a namespace of its own'
  refuse render --set image.agent.digest=latest
  refuse render --set 'governingNamespaces={*}'
  refuse render --set 'driverNamespaces[0].namespace=Not/One'
  refuse render --set 'targetClusters[0].namespace=default'
}

# case: names, labels, accounts and a registry of one's own, what a pod has beside ours, a Service; and what people are given: to look with view, to write with edit where that is asked for
case_fits_in() {
  local part
  use_cluster 1.33
  printf '%s\n' '{fullnameOverride: dra, commonLabels: {team: gpu}, image: {registry: r.example.org:5000/mirror, operator: {repository: o}, agent: {repository: a}}}' >"$CASE_DIR/names.yaml"
  {
    printf 'metrics: {service: {enabled: true, annotations: {a: b}}}\n'
    printf 'hostedControlPlanes: &some [{namespace: default}]\nclusterAPI: *some\ndriverNamespaces: *some\nconfigSources: *some\ntargetClusters: [{namespace: default, kubeconfigSecrets: [a]}]\n'
    printf 'controller: {driverAccounts: [{namespace: default, name: installer}], strategy: {type: Recreate}, priorityClassName: system-cluster-critical,\n'
    printf '  topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}], <<: &pod {podLabels: {p: q},\n'
    printf '  serviceAccount: {create: false, name: mine}, extraArgs: ["--log-level=debug"], extraEnv: [{name: HTTPS_PROXY, value: http://p}],\n'
    printf '  extraVolumes: [{name: ca, configMap: {name: ca}}], extraVolumeMounts: [{name: ca, mountPath: /ca}]}}\nagent: {priorityClassName: "", <<: *pod}\n'
  } >"$CASE_DIR/pod.yaml"
  render --values "$CASE_DIR/names.yaml" --values "$CASE_DIR/pod.yaml" --set image.operator.repository=o,image.agent.repository=a || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(jq -r 'select(.metadata.name | test("drawbridge(-|$)")).metadata.name | select(. != "drawbridge-smoke-test")' "$CASE_DIR/objects")" '' 'names of the chart all the same'
  assert_equal "$(jq -c 'select(.kind != "CustomResourceDefinition" and .metadata.labels.team != "gpu") | [.kind, .metadata.name]' "$CASE_DIR/objects")" '' 'without the label'
  assert_equal "$(jq -r 'select(.kind == "ServiceAccount").metadata.name' "$CASE_DIR/objects")" dra-helm 'accounts that are made'
  assert_equal "$(jq -r '.subjects[]?.name' "$CASE_DIR/objects" | sort -u | xargs)" 'dra-helm mine' 'who has rights'
  assert_equal "$(jq -r 'select(.kind == "ValidatingAdmissionPolicy") | [.spec | .. | strings | capture("drawbridge-system:(?<name>[a-z-]+)\"").name] | .[0]' "$CASE_DIR/objects" | xargs)" 'mine mine' 'whom the policies are about'
  for part in Deployment:controller DaemonSet:agent; do
    assert_equal "$(object "${part%:*}" "dra-${part#*:}" '.spec.template | [.metadata.labels.p, .metadata.labels.team, .spec.serviceAccountName, .spec.containers[0].args[-1]]')" '["q","gpu","mine","--log-level=debug"]'
    assert_equal "$(object "${part%:*}" "dra-${part#*:}" '.spec.template.spec | [(.containers[0].env[-1].name), (.containers[0].volumeMounts[-1].mountPath), .volumes[-1].configMap.name]')" '["HTTPS_PROXY","/ca","ca"]'
  done
  assert_equal "$(jq -r '.spec.template.spec.containers[0].image // empty' "$CASE_DIR/objects" | sed 's/:[^:]*$//' | sort | xargs)" 'r.example.org:5000/mirror/a r.example.org:5000/mirror/o'
  assert_equal "$(object Deployment dra-controller '[.spec.strategy.type, .spec.template.spec.priorityClassName, .spec.template.spec.topologySpreadConstraints[0].labelSelector.matchLabels["app.kubernetes.io/component"]]')" '["Recreate","system-cluster-critical","controller"]'
  assert_equal "$(object DaemonSet dra-agent .spec.template.spec.priorityClassName)" null
  assert_equal "$(object Service dra-controller '[.spec.ports[0].port, .spec.ports[0].targetPort, .metadata.annotations.a, .spec.selector["app.kubernetes.io/component"]]')" '[8081,"http","b","controller"]'
  refuse render --set 'controller.extraArgs={oops}'
  refuse render --set fullnameOverride=Not_One

  # PodMonitor is somebody else's kind
  "$(tools_path helm)" template drawbridge "$ROOT/charts/drawbridge" -n drawbridge-system --show-only templates/metrics.yaml \
    --set image.operator.repository=o,image.agent.repository=a,metrics.podMonitor.enabled=true,metrics.podMonitor.namespace=monitoring,metrics.podMonitor.labels.release=prometheus,metrics.podMonitor.interval=30s >"$CASE_DIR/monitor.yaml"
  assert grep -q '^  namespace: monitoring$' "$CASE_DIR/monitor.yaml"
  assert grep -q '^    release: prometheus$' "$CASE_DIR/monitor.yaml"
  assert grep -q '^    interval: 30s$' "$CASE_DIR/monitor.yaml"

  trap 'kubectl delete clusterrole drawbridge-view drawbridge-edit >/dev/null; kubectl delete rolebinding jane max -n default >/dev/null' EXIT
  chart_roles user-roles.yaml | kubectl apply -f - >/dev/null
  kubectl create rolebinding jane -n default --clusterrole=view --user=jane >/dev/null
  kubectl create rolebinding max -n default --clusterrole=edit --user=max >/dev/null
  eventually 30 may jane list draconfigurations
  eventually 30 may max watch configsources
  refuse may jane patch draconfigurations
  refuse may max patch draconfigurations
  chart_roles user-roles.yaml --set rbac.aggregateToEdit=true | kubectl apply -f - >/dev/null
  eventually 30 may max patch draconfigurations
  refuse may jane patch draconfigurations
  refuse may max patch draconfigurations --subresource=status
}

may() { kubectl auth can-i "${@:2}" -n default --as "$1" --quiet; }

# case: without its controller: agents, their CRD, and an account that has what spec.cluster of another cluster needs and nothing else; with accounts of drivers, what a driver needs
case_agents_alone() {
  use_cluster 1.33
  render --set controller.enabled=false,image.operator.repository= --set 'targetClusters[0].namespace=default,targetClusters[0].kubeconfigSecrets={a}' \
    --set 'hostedControlPlanes[0].namespace=default,driverNamespaces[0].namespace=default,configSources[0].namespace=default' || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(jq -r '"\(.kind) \(.metadata.namespace // "") \(.metadata.name)"' "$CASE_DIR/objects" | sort)" 'ClusterRole  drawbridge-agent
ClusterRole  drawbridge-controller
ClusterRole  drawbridge-controller-targets
ClusterRoleBinding  drawbridge-agent
ClusterRoleBinding  drawbridge-controller
ClusterRoleBinding  drawbridge-controller-targets
CustomResourceDefinition  nodedraconfigurations.drawbridge.dev
DaemonSet drawbridge-system drawbridge-agent
Role kube-system drawbridge-controller
RoleBinding kube-system drawbridge-controller
ServiceAccount drawbridge-system drawbridge-agent
ServiceAccount drawbridge-system drawbridge-controller
ValidatingAdmissionPolicy  drawbridge-agent
ValidatingAdmissionPolicyBinding  drawbridge-agent'
  assert_equal "$(jq -c 'select(.kind | endswith("Role")) | select(.metadata.name | contains("controller")) | .rules[] | [.resources // .nonResourceURLs, .verbs]' "$CASE_DIR/objects" | sort)" \
    '[["/metrics","/flagz"],["get"]]
[["configmaps"],["create"]]
[["configmaps"],["delete"]]
[["configmaps"],["get","patch"]]
[["namespaces"],["get"]]
[["nodedraconfigurations"],["list","watch","create","patch","delete"]]
[["nodes"],["list","watch"]]
[["pods"],["list","watch"]]'

  note 'with drivers, and with the smoke test alone'
  render --set controller.enabled=false,image.operator.repository= --set 'controller.driverAccounts[0].namespace=default,controller.driverAccounts[0].name=installer' ||
    die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(of_drivers)" 'ClusterRole  drawbridge-controller
Namespace  drawbridge-smoke-test
NetworkPolicy drawbridge-smoke-test drawbridge-controller-smoke-test
Role default drawbridge-controller-as-installer
Role default drawbridge-helm-as-installer
Role drawbridge-smoke-test drawbridge-controller-smoke-test
Role drawbridge-system drawbridge-helm-token
RoleBinding default drawbridge-controller-as-installer
RoleBinding default drawbridge-helm-as-installer
RoleBinding drawbridge-smoke-test drawbridge-controller-smoke-test
RoleBinding drawbridge-system drawbridge-helm-token
ServiceAccount drawbridge-system drawbridge-helm
ValidatingAdmissionPolicy  drawbridge-controller-smoke-test
ValidatingAdmissionPolicyBinding  drawbridge-controller-smoke-test'
  assert_equal "$(object ClusterRole drawbridge-controller '.rules[] | [.resources // .nonResourceURLs, .verbs]' | sort)" '[["/metrics","/flagz"],["get"]]
[["clusterpolicies","gpuclusters"],["list"]]
[["deviceclasses","resourceslices"],["list","watch"]]
[["deviceconfigs"],["list"]]
[["furiosaclusterconfigs"],["list"]]
[["nodedraconfigurations"],["list","watch","create","patch","delete"]]
[["nodes"],["list","watch"]]
[["rblnclusterpolicies"],["list"]]
[["resourceclaims"],["list"]]'
  render --set controller.enabled=false,image.operator.repository=,smokeTest.fromElsewhere=true || die "$(cat "$CASE_DIR/helm.log")"
  assert_equal "$(of_drivers)" 'ClusterRole  drawbridge-controller
Namespace  drawbridge-smoke-test
NetworkPolicy drawbridge-smoke-test drawbridge-controller-smoke-test
Role drawbridge-smoke-test drawbridge-controller-smoke-test
RoleBinding drawbridge-smoke-test drawbridge-controller-smoke-test
ValidatingAdmissionPolicy  drawbridge-controller-smoke-test
ValidatingAdmissionPolicyBinding  drawbridge-controller-smoke-test'
}

# of_drivers: the objects beyond those without, and the role that has more in it.
of_drivers() {
  jq -r 'select(.metadata.name | test("smoke-test|helm|-as-")), select(.kind == "ClusterRole" and .metadata.name == "drawbridge-controller" and (.rules | map(.resources // []) | flatten | index("deviceclasses"))) |
    "\(.kind) \(.metadata.namespace // "") \(.metadata.name)"' "$CASE_DIR/objects" | sort
}
