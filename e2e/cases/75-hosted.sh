# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Hosted control planes: Deployments and StatefulSets of a real API server, rolled out by the real controllers; kwok runs the pods. What a hosted
# API server says is said by that of the cluster itself, which has DRA on from the start.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet kwok helm

# shellcheck source=../lib/hosted.sh
source "$E2E/lib/hosted.sh"

# tenant_up: namespace, rights, a node of kwok, and the three components, rolled out.
tenant_up() {
  use_cluster 1.33 dra kubelet
  start_kwok
  tenant_made
  kubectl create secret generic tenant-kubeconfig -n tenant --from-file=value="$CLUSTER/admin.conf" >/dev/null
}

tenant_down() {
  kubectl delete namespace tenant --wait=false >/dev/null
  eventually 120 not_found api/v1/namespaces/tenant
  kubectl delete node hosting >/dev/null
  cluster_is_clean
}

components_up() {
  kubectl apply -f "$E2E/hosted/control-plane.yaml" >/dev/null
  eventually 120 rolled_out
}

READ_BACK='cluster: {kubeconfigSecretRef: {name: tenant-kubeconfig}}'

annotations_of() { kubectl get "$1" -n tenant -o json | jq -r '.metadata.annotations // {} | keys[] | select(startswith("drawbridge.dev/"))'; }

generations() {
  kubectl get deployments,statefulsets -n tenant -o json | jq -r '.items[] | "\(.kind) \(.metadata.name) \(.metadata.generation) \(.metadata.annotations)"'
}

# follow: each state of the workloads, one line, in the order of the API server's versions.
follow() {
  local kind
  for kind in deployments statefulsets; do
    start "watch-$kind" "$TOOLS_BIN/$VERSION/kubectl" get "$kind" -n tenant --watch --output-watch-events -o json
  done
}

# in_order: no component begins to change before the one before it is rolled out whole.
in_order() {
  cat "$CASE_DIR"/watch-{deployments,statefulsets}.log | jq -rs 'map(.object) | sort_by(.metadata.resourceVersion | tonumber)[] |
    [.metadata.name, ([.spec.template.spec.containers[] | .command, .args] | tostring | contains("DynamicResourceAllocation=true")),
     (.status.observedGeneration == .metadata.generation and .status.updatedReplicas == .spec.replicas and
      .status.availableReplicas == .spec.replicas and .status.replicas == .spec.replicas)] | map(tostring) | join(" ")' >"$CASE_DIR/states"
  awk '$2 == "true" && !begun[$1] { begun[$1] = ++n; name[n] = $1; if (n > 1 && !whole[name[n - 1]]) { print $1 " began too early"; bad = 1 } }
    $2 == "true" { whole[$1] = ($3 == "true") || whole[$1] }
    END { print name[1], name[2], name[3]; exit bad }' "$CASE_DIR/states" >"$CASE_DIR/order" || die "$(cat "$CASE_DIR/order")"
  assert_equal "$(cat "$CASE_DIR/order")" 'kube-apiserver tenant-kcm kube-scheduler' 'the order'
}

# case: Deployments and a StatefulSet, flags in args, in a command, behind a sidecar: in order, read back; a second pass writes nothing; Revert
# timeout: 480
case_rollout() {
  tenant_up
  components_up
  keep_templates "$CASE_DIR/before"
  follow
  start_controller
  hosted dra "$READ_BACK" 'suspend: true' 'deletionPolicy: Revert'
  eventually 60 condition_is dra Ready 'False Suspended' tenant
  plan_shows
  assert same_templates "$CASE_DIR/before"
  hosted dra "$READ_BACK" 'deletionPolicy: Revert'
  eventually 180 condition_is dra Ready True tenant
  in_order
  assert_equal "$(args_of deployment/kube-apiserver)" '[["/proxy-server","--feature-gates-file=none"],["/usr/local/bin/kube-apiserver","--authorization-mode=Node,RBAC","--feature-gates=DynamicResourceAllocation=true","--runtime-config=batch/v2alpha1=true,resource.k8s.io/v1beta1=true","--secure-port=6443"]]'
  assert_equal "$(args_of deployment/tenant-kcm)" '[["kube-controller-manager","--feature-gates","kube:CronJobsScheduledAnnotation=true,kube:DynamicResourceAllocation=true","--leader-elect=true"]]'
  assert_equal "$(args_of statefulset/kube-scheduler)" '[["--feature-gates=DynamicResourceAllocation=true","--leader-elect=true","--v=2"]]'
  assert_match "$(condition_message dra ControlPlaneUpdated tenant)" 'kube-apiserver as its /metrics say'
  assert condition_is dra NodesUpdated 'True NoManagedNodes' tenant
  assert_match "$(condition_message dra NodesUpdated tenant)" '^1 kubelets of the hosted cluster .*; they need --feature-gates=DynamicResourceAllocation=true$'
  assert_match "$(kubectl get dracfg -n tenant dra)" 'HostedControlPlane +v1.33.13 +v1beta1 +4/4 .*True'
  nothing_more
  prepare_shows
  kubectl delete draconfiguration dra -n tenant --timeout=90s >/dev/null
  assert same_templates "$CASE_DIR/before"
  local workload
  for workload in "${WORKLOADS[@]}"; do assert_equal "$(annotations_of "$workload")" '' "records in $workload"; done
  tenant_down
}

plan_shows() {
  local code=0
  "$DRAWBRIDGE" plan --live dra -n tenant --kubeconfig "$KUBECONFIG" >"$CASE_DIR/plan-before.diff" || code=$?
  assert_equal "$code" 1 'exit code of plan'
  assert_equal "$(grep -c '^+.*DynamicResourceAllocation=true' "$CASE_DIR/plan-before.diff")" 3 'lines with the gate'
  assert grep -q '^+++ b/deployments/tenant/tenant-kcm/kube-controller-manager' "$CASE_DIR/plan-before.diff"
}

# prepare_shows: what stands in these objects and 1.38 would refuse, ours and others'.
prepare_shows() {
  local code=0
  "$DRAWBRIDGE" plan --live dra -n tenant --prepare-for 1.38 --kubeconfig "$KUBECONFIG" >"$CASE_DIR/prepare" || code=$?
  assert_equal "$code" 1 'exit code of plan --prepare-for'
  assert grep -Eq '^kube-apiserver .*DynamicResourceAllocation=true +removed in 1.38 +yes +Drawbridge' "$CASE_DIR/prepare"
  assert grep -Eq '^kube-controller-manager .*CronJobsScheduledAnnotation=true +removed in 1.[0-9]+ +none +you' "$CASE_DIR/prepare"
}

# nothing_more: a pass that was asked for, and a fresh process, write nothing into the objects.
nothing_more() {
  generations >"$CASE_DIR/generations-1"
  stop_controller
  start_controller
  request_pass dra tenant
  eventually 60 handled dra tenant
  generations >"$CASE_DIR/generations-2"
  assert_same_file "$CASE_DIR/generations-1" "$CASE_DIR/generations-2"
}

stop_controller() {
  local pid left=()
  stop "$CONTROLLER"
  for pid in "${STARTED[@]}"; do [[ $pid == "$CONTROLLER" ]] || left+=("$pid"); done
  STARTED=("${left[@]}")
}

# case: one that never becomes available is put back to the very template, the others too; not tried again; by request it is; SIGKILL half way
# timeout: 480
case_failure() {
  tenant_up
  components_up
  # On one node a second replica has no place, and none may be missed meanwhile: it never rolls out.
  kubectl patch deployment tenant-kcm -n tenant --type merge -p '{"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
    "template": {"spec": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
      {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "kcm"}}}]}}}}}}' >/dev/null
  kubectl patch deployment tenant-kcm -n tenant --type merge -p '{"spec": {"replicas": 0}}' >/dev/null
  eventually 60 rolled_out
  kubectl patch deployment tenant-kcm -n tenant --type merge -p '{"spec": {"replicas": 1}}' >/dev/null
  eventually 60 rolled_out
  keep_templates "$CASE_DIR/before"
  start_controller
  hosted dra 'rollout: {componentTimeout: 10s, minReady: 0s}'
  eventually 180 condition_is dra ControlPlaneUpdated 'False RolledBack' tenant
  eventually 60 rolled_out
  assert same_templates "$CASE_DIR/before"
  assert condition_is dra Degraded 'True ComponentNotReady' tenant
  assert_match "$(condition_message dra ControlPlaneUpdated tenant)" 'kube-controller-manager in Deployment tenant/tenant-kcm: .*when rollout.componentTimeout was over; pod tenant-kcm-.*: Unschedulable: '
  assert_equal "$(kubectl get statefulset kube-scheduler -n tenant -o jsonpath='{.metadata.generation}')" 1 'generation of the scheduler'
  generations >"$CASE_DIR/generations-1"
  hosted dra 'rollout: {componentTimeout: 60s, minReady: 0s}' # another generation, the same revision
  eventually 60 condition_is dra ControlPlaneUpdated 'False RolledBack' tenant
  generations >"$CASE_DIR/generations-2"
  assert_same_file "$CASE_DIR/generations-1" "$CASE_DIR/generations-2"
  kubectl patch deployment tenant-kcm -n tenant --type json -p '[{"op": "remove", "path": "/spec/template/spec/affinity"}]' >/dev/null
  kubectl scale deployment tenant-kcm -n tenant --replicas=0 >/dev/null
  eventually 60 rolled_out
  kubectl scale deployment tenant-kcm -n tenant --replicas=1 >/dev/null
  eventually 60 rolled_out
  request_pass dra tenant
  eventually 60 has_gate deployment/kube-apiserver
  kill_hard "$CONTROLLER"
  start_controller
  eventually 180 condition_is dra ControlPlaneUpdated 'True AsExpected' tenant
  eventually 60 rolled_out
  local workload
  for workload in "${WORKLOADS[@]}"; do assert has_gate "$workload"; done
  # nobody asked the hosted API server, and nobody says so
  assert condition_is dra ResourceAPIServed 'Unknown NotReadBack' tenant
  assert_match "$(condition_message dra ControlPlaneUpdated tenant)" 'nothing was read back: spec.cluster.kubeconfigSecretRef is not set'
  tenant_down
}

has_gate() { [[ $(args_of "$1") == *DynamicResourceAllocation=true* ]]; }

# case: what something else owns is refused by name and not touched; what something else undoes twice is reported and not fought
# timeout: 480
case_others() {
  tenant_up
  components_up
  keep_templates "$CASE_DIR/before"
  own_scheduler
  start_controller
  hosted dra
  eventually 60 condition_is dra ConfigValid 'False NotManaged' tenant
  assert_match "$(condition_message dra ConfigValid tenant)" 'StatefulSet tenant/kube-scheduler is owned by ConfigMap the-operator \(v1\)'
  assert condition_is dra Stalled True tenant
  assert same_templates "$CASE_DIR/before"
  local workload
  for workload in "${WORKLOADS[@]}"; do assert_equal "$(annotations_of "$workload")" '' "records in $workload"; done
  note 'somebody puts back what is written'
  start_reverter
  kubectl patch statefulset kube-scheduler -n tenant --type json -p '[{"op": "remove", "path": "/metadata/ownerReferences"}]' >/dev/null
  eventually 180 condition_is dra Degraded 'True ChangesReverted' tenant
  eventually 60 it_is_let_be
  assert_equal "$(wc -l <"$CASE_DIR/reverted")" 2 'how often it was put back'
  assert_match "$(condition_message dra Degraded tenant)" 'kube-apiserver in Deployment tenant/kube-apiserver: .* 2 times, last by the field manager the-other'
  generations >"$CASE_DIR/generations-1"
  ask_for_a_pass
  generations >"$CASE_DIR/generations-2"
  assert_same_file "$CASE_DIR/generations-1" "$CASE_DIR/generations-2"
  keep_templates "$CASE_DIR/now"
  assert_same_file "$CASE_DIR/before/kube-apiserver" "$CASE_DIR/now/kube-apiserver"
  kill_hard "$REVERTER"
  request_pass dra tenant
  eventually 180 condition_is dra ControlPlaneUpdated 'True AsExpected' tenant
  tenant_down
}

# it_is_let_be: the revision was given up, or had been good before (the roll-out can be quicker than who undoes it), and then nothing else is undone.
it_is_let_be() {
  dracfg dra tenant | jq -e '.status as $is | $is.conditions[] | select(.type == "ControlPlaneUpdated") |
    .reason == "RolledBack" or (.reason == "ChangesReverted" and $is.failedRevision == null)' >/dev/null
}

own_scheduler() {
  local uid
  kubectl create configmap the-operator -n tenant >/dev/null
  uid=$(kubectl get configmap the-operator -n tenant -o jsonpath='{.metadata.uid}')
  kubectl patch statefulset kube-scheduler -n tenant --type merge -p '{"metadata": {"ownerReferences": [
    {"apiVersion": "v1", "kind": "ConfigMap", "name": "the-operator", "uid": "'"$uid"'", "controller": true}]}}' >/dev/null
}

# start_reverter: whatever is done to the API server's Deployment, its object of before is put in its place: annotations and all.
start_reverter() {
  : >"$CASE_DIR/reverted"
  kubectl get deployment kube-apiserver -n tenant -o json | jq 'del(.status, .metadata.resourceVersion, .metadata.managedFields)' >"$CASE_DIR/mine.json"
  cat >"$CASE_DIR/reverter" <<EOF
#!/bin/bash
kubectl=$TOOLS_BIN/$VERSION/kubectl
while sleep 0.2; do
  [[ \$("\$kubectl" get deployment kube-apiserver -n tenant -o json) == *DynamicResourceAllocation* ]] || continue
  "\$kubectl" replace --field-manager=the-other -f "$CASE_DIR/mine.json" && echo reverted >>"$CASE_DIR/reverted"
done
EOF
  start reverter bash "$CASE_DIR/reverter"
  REVERTER=$STARTED_PID
}

# ask_for_a_pass: by a change that is none.
ask_for_a_pass() {
  local generation
  hosted dra 'rollout: {componentTimeout: 61s, minReady: 0s}'
  generation=$(dracfg dra tenant | jq .metadata.generation)
  eventually 60 observed "$generation"
}

observed() { [[ $(dracfg dra tenant | jq .status.observedGeneration) == "$1" ]]; }

# case: Kamaji's TenantControlPlane: its extraArgs, one component after the other, and back to the very spec
# timeout: 480
case_kamaji() {
  # shellcheck disable=SC2034 # lib/rights.sh asks for it
  RIGHTS_REFUSED='^controller (list|watch) secrets tenant$' # one that no value names
  tenant_up
  kubectl apply -f "$E2E/hosted/kamaji.yaml" >/dev/null
  kubectl wait --for=condition=Established --timeout=30s crd/tenantcontrolplanes.kamaji.clastix.io >/dev/null
  eventually 40 make_tenant
  start_kamaji
  eventually 120 rolled_out
  kubectl get tcp a -n tenant -o json | jq -S .spec >"$CASE_DIR/before"
  start_controller
  bad_kubeconfigs
  hosted dra "$READ_BACK" 'deletionPolicy: Revert' 'platform: {type: HostedControlPlane, hostedControlPlane: {tenantControlPlane: a}}'
  eventually 240 condition_is dra Ready True tenant
  assert_equal "$(kubectl get tcp a -n tenant -o json | jq -cS .spec.controlPlane.deployment.extraArgs)" \
    '{"apiServer":["--feature-gates=DynamicResourceAllocation=true","--runtime-config=resource.k8s.io/v1beta1=true"],"controllerManager":["--feature-gates=DynamicResourceAllocation=true","--v=3"],"scheduler":["--feature-gates=DynamicResourceAllocation=true"]}'
  assert_equal "$(args_of deployment/a | grep -o DynamicResourceAllocation=true | wc -l)" 3 'gates in the Deployment that Kamaji made'
  kubectl delete draconfiguration dra -n tenant --timeout=120s >/dev/null
  kubectl get tcp a -n tenant -o json | jq -S .spec >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after"
  assert_equal "$(annotations_of tcp/a)" '' 'records'
  kubectl delete crd tenantcontrolplanes.kamaji.clastix.io --timeout=60s >/dev/null
  tenant_down
}

# bad_kubeconfigs: a Secret that we may not read, a key that is not there, and a kubeconfig that would run a program: told, and nothing is touched.
bad_kubeconfigs() {
  local tenant='platform: {type: HostedControlPlane, hostedControlPlane: {tenantControlPlane: a}}'
  hosted dra "$tenant" 'cluster: {kubeconfigSecretRef: {name: another}}'
  eventually 60 condition_is dra ControlPlaneUpdated 'Unknown Forbidden' tenant
  hosted dra "$tenant" 'cluster: {kubeconfigSecretRef: {name: tenant-kubeconfig, key: admin.conf}}'
  eventually 60 condition_is dra ControlPlaneUpdated 'Unknown NotFound' tenant
  kubectl patch secret tenant-kubeconfig -n tenant --type merge -p "$(exec_kubeconfig)" >/dev/null
  hosted dra "$tenant" 'cluster: {kubeconfigSecretRef: {name: tenant-kubeconfig, key: exec}}'
  eventually 60 condition_is dra ConfigValid 'False InvalidConfiguration' tenant
  assert_match "$(condition_message dra ConfigValid tenant)" 'Secret tenant/tenant-kubeconfig, key exec: .*exec'
  [[ ! -e $CASE_DIR/was-run ]] || die 'the program of a kubeconfig was run'
  kubectl get tcp a -n tenant -o json | jq -S .spec >"$CASE_DIR/after"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/after"
}

exec_kubeconfig() {
  jq -n --arg touch "$CASE_DIR/was-run" '{clusters: [{name: "c", cluster: {server: "https://127.0.0.1:1"}}], contexts: [{name: "x", context: {cluster: "c", user: "u"}}],
    "current-context": "x", users: [{name: "u", user: {exec: {apiVersion: "client.authentication.k8s.io/v1", command: "touch", args: [$touch]}}}]}' |
    base64 -w0 | jq -R '{data: {exec: .}}'
}

make_tenant() {
  kubectl apply -f - <<EOF
apiVersion: kamaji.clastix.io/v1alpha1
kind: TenantControlPlane
metadata: {name: a, namespace: tenant}
spec:
  controlPlane: {deployment: {replicas: 1, extraArgs: {controllerManager: ["--v=3"]}}}
  kubernetes: {version: v1.33.13}
EOF
}

# start_kamaji: what it does with extraArgs: the Deployment's args are its own and those, sorted.
start_kamaji() {
  cat >"$CASE_DIR/kamaji.jq" <<'EOF'
def container($tcp; $name; $key; $own):
  {name: $name, image: "tenant.local/\($name):\($tcp.spec.kubernetes.version)", command: [$name],
   args: ($own + ($tcp.spec.controlPlane.deployment.extraArgs[$key] // []) | sort)};
. as $tcp | {apiVersion: "apps/v1", kind: "Deployment", metadata: {name: .metadata.name, namespace: .metadata.namespace,
  ownerReferences: [{apiVersion, kind, name: .metadata.name, uid: .metadata.uid, controller: true}]},
 spec: {replicas: .spec.controlPlane.deployment.replicas, selector: {matchLabels: {tcp: .metadata.name}},
  template: {metadata: {labels: {tcp: .metadata.name}}, spec: {nodeSelector: {type: "hosting"}, containers: [
   container($tcp; "kube-apiserver"; "apiServer"; ["--secure-port=6443"]), container($tcp; "kube-scheduler"; "scheduler"; ["--leader-elect=true"]),
   container($tcp; "kube-controller-manager"; "controllerManager"; ["--leader-elect=true"])]}}}}
EOF
  cat >"$CASE_DIR/kamaji" <<EOF
#!/bin/bash
kubectl=$TOOLS_BIN/$VERSION/kubectl
while sleep 0.3; do
  "\$kubectl" get tcp a -n tenant -o json 2>&1 | jq -f "$CASE_DIR/kamaji.jq" | "\$kubectl" apply --server-side --field-manager=kamaji -f -
done
EOF
  start kamaji bash "$CASE_DIR/kamaji"
}
