# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# spec.cluster: the controller in one cluster, all that it configures in another one, reached by the kubeconfig of a Secret.
# needs: drawbridge
# tools: kwok 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubectl helm

# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

FAR_VALUES=() # of the chart there

# far_cluster TEMPLATE...: FAR, with the rights that these templates of a chart without a controller give, and no others.
far_cluster() {
  local kind namespace name template
  use_cluster 1.33 kubelet
  FAR=$CLUSTER
  keep_files "$CASE_DIR/before"
  kubectl get clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts -A --no-headers -o custom-columns=KIND:.kind,NS:.metadata.namespace,NAME:.metadata.name |
    while read -r kind namespace name; do
      [[ $name != drawbridge-controller* && $name != drawbridge-helm* ]] || kubectl delete "$kind" "$name" -n "${namespace/<none>/default}" >/dev/null
    done
  kubectl delete crd draconfigurations.drawbridge.dev configsources.drawbridge.dev >/dev/null
  for template in "$@"; do
    chart_roles "$template.yaml" --set controller.enabled=false "${FAR_VALUES[@]}"
    echo ---
  done | kubectl apply -f - >/dev/null
  cp "$CLUSTER/drawbridge.conf" "$CASE_DIR/far.conf"
}

# home_cluster: HOME_CLUSTER, in use afterwards.
home_cluster() {
  use_cluster 1.36 # test clusters of one version begin as copies of one etcd, with the same UIDs
  HOME_CLUSTER=$CLUSTER
  chart_roles target-rbac.yaml --set 'targetClusters[0].namespace=default,targetClusters[0].kubeconfigSecrets[0]=far' | kubectl apply -f - >/dev/null
  keep_files "$CASE_DIR/home-before"
}

# two_clusters: both, and the controller in the second.
two_clusters() {
  far_cluster controller-rbac target-rbac
  home_cluster
  start_controller
}

far() { cluster_use "$FAR"; }
home() { cluster_use "$HOME_CLUSTER"; }

# put_secret FILE
put_secret() { kubectl create secret generic far --from-file=value="$1" --dry-run=client -o yaml | kubectl apply -f - >/dev/null; }

CLUSTER_REF='cluster: {kubeconfigSecretRef: {name: far}}'

far_is_on() { (far && dra_is_on); }
far_has_none() { (far && none_of nodedraconfigurations); }

# case: another cluster by a kubeconfig: no Secret, no agent, then on; the home cluster untouched; a token that is refused and a Secret that is gone keep the last good state; Revert
# timeout: 600
case_kubeconfig() {
  two_clusters
  dra_on dra "$CLUSTER_REF" 'deletionPolicy: Revert'
  eventually 60 condition_is dra ConfigValid 'Unknown NotFound'
  assert_match "$(condition_message dra ConfigValid)" 'Secret default/far, key value'
  put_secret "$CASE_DIR/far.conf"
  eventually 120 condition_is dra ControlPlaneUpdated 'False AgentMissing'
  assert_match "$(condition_message dra ControlPlaneUpdated)" 'controller.enabled=false'
  far
  start_agent
  home
  eventually 300 condition_is dra Ready True
  assert far_is_on
  assert same_files "$CASE_DIR/home-before"
  assert none_of nodedraconfigurations
  assert_equal "$(served)" 'v1' 'what the home cluster serves'
  assert_equal "$(kubectl get dracfg dra -o jsonpath='{.status.clusterUID}')" "$(far && kubectl get namespace kube-system -o jsonpath='{.metadata.uid}')"
  assert_match "$(kubectl get dracfg dra)" 'Kubeadm +v1.33.13 +v1beta1 +4/4'
  plan_is_empty

  sed "s/client-certificate-data: .*/token: revoked/; /client-key-data/d" "$CASE_DIR/far.conf" >"$CASE_DIR/revoked.conf"
  put_secret "$CASE_DIR/revoked.conf"
  eventually 60 refused
  assert_match "$(kubectl get dracfg dra)" 'Kubeadm +v1.33.13 +v1beta1 +4/4'
  kubectl delete secret far >/dev/null
  eventually 60 condition_is dra ConfigValid 'Unknown NotFound'
  put_secret "$CASE_DIR/far.conf"
  eventually 60 condition_is dra Ready True

  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  far
  assert same_files "$CASE_DIR/before"
  assert none_of nodedraconfigurations
}

refused() { [[ $(kubectl get dracfg dra -o json) == *Unauthorized* ]]; }

plan_is_empty() {
  local code=0
  "$DRAWBRIDGE" plan --live dra --kubeconfig "$KUBECONFIG" >"$CASE_DIR/plan" || code=$?
  assert_equal "$code" 0 "exit code of plan: $(cat "$CASE_DIR/plan")"
}

# case: two DRAConfigurations that lead to one cluster by two Secrets have one writer; one whose Secret leads to another cluster later is refused
# timeout: 480
case_identity() {
  two_clusters
  far
  start_agent
  home
  chart_roles target-rbac.yaml --set 'targetClusters[0].namespace=default,targetClusters[0].kubeconfigSecrets={far,again}' | kubectl apply -f - >/dev/null
  put_secret "$CASE_DIR/far.conf"
  kubectl create secret generic again --from-file=value="$CASE_DIR/far.conf" >/dev/null
  dra_on dra "$CLUSTER_REF"
  eventually 300 condition_is dra Ready True
  dra_on younger 'cluster: {kubeconfigSecretRef: {name: again}}'
  eventually 60 condition_is younger Stalled 'True TargetConflict'
  put_secret "$CLUSTER/drawbridge.conf" # which leads home
  eventually 60 condition_is dra ConfigValid 'False InvalidConfiguration'
  assert_match "$(condition_message dra ConfigValid)" 'is in the cluster whose namespace kube-system has UID'
  assert condition_is younger Stalled 'True TargetConflict'
  assert far_is_on
  assert same_files "$CASE_DIR/home-before"
  assert none_of nodedraconfigurations
}

# case: a driver in the other cluster: its chart by helm as the account there, devices, the smoke test; a kubeconfig that is refused leaves it as it is; Revert. Nothing of it is asked of the home cluster
# timeout: 800
case_driver() {
  local chart
  FAR_VALUES=(--set 'controller.driverAccounts[0].namespace=default,controller.driverAccounts[0].name=installer')
  far_cluster controller-rbac target-rbac helm-rbac smoke-test
  start_kwok
  eventually 60 api -f -o /dev/null "$API/api/v1/namespaces/default/serviceaccounts/default"
  put -f "$E2E/driver/installer.yaml" >/dev/null
  fake_node gpu-1
  start_agent
  home_cluster
  chart=$(pack_chart)
  put_secret "$CASE_DIR/far.conf"
  start_driver_controller --smoke-test-timeout 10s
  dra_on dra "$CLUSTER_REF" 'deletionPolicy: Revert' 'smokeTest: {enabled: true, deviceClassName: gpu.example.com}' \
    "driver: {chart: {path: $chart}, release: gpu, namespace: gpu}"
  eventually 300 condition_is dra DriverReady 'False InvalidConfiguration'
  assert_match "$(condition_message dra DriverReady)" 'serviceAccountName: together with spec.cluster it is needed'
  spec_driver dra '{"serviceAccountName":"installer"}'
  eventually 120 condition_is dra DriverReady 'True AsExpected'
  eventually 60 condition_is dra DevicesPublished 'False NoResourceSlices'
  far
  assert release_is gpu gpu deployed
  assert kubectl get daemonset -n gpu gpu-kubelet-plugin
  fake_slice gpu-1 gpu.example.com 8
  home
  eventually 120 condition_is dra SmokeTestPassed True
  eventually 60 condition_is dra Ready True
  assert_match "$(condition_message dra SmokeTestPassed)" '\(resource.k8s.io/v1beta1\) of gpu.example.com got gpu-[0-7] .* ran on gpu-1'
  assert_match "$(kubectl get dracfg dra)" 'gpu +8 +True'
  assert far_is_on
  note "$(conditions dra)"

  note 'refused, and back'
  sed "s/client-certificate-data: .*/token: revoked/; /client-key-data/d" "$CASE_DIR/far.conf" >"$CASE_DIR/revoked.conf"
  put_secret "$CASE_DIR/revoked.conf"
  eventually 60 refused
  eventually 60 condition_is dra DriverReady 'Unknown APIServerUnreachable'
  assert condition_is dra SmokeTestPassed True
  assert_match "$(kubectl get dracfg dra)" 'gpu +8 +Unknown'
  put_secret "$CASE_DIR/far.conf"
  eventually 60 condition_is dra Ready True
  assert_equal "$(far && revisions gpu gpu)" 1 revisions

  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  assert same_files "$CASE_DIR/home-before"
  assert no_release gpu gpu
  assert not_found api/v1/namespaces/gpu
  rights_words "$CLUSTER/audit.json" >"$CASE_DIR/home-asked"
  refuse grep -E 'resource.k8s.io|daemonsets|serviceaccounts|controller-as|smoke-test|secrets .* gpu$' "$CASE_DIR/home-asked"
  far
  assert no_release gpu gpu
  eventually 60 none_of daemonsets,pods -n gpu
  assert none_of pods -n drawbridge-smoke-test
  assert same_files "$CASE_DIR/before"
  assert none_of nodedraconfigurations
}

# --- several controllers ---

REPLICAS=() # pids; of one that does not run: ''

# start_replica I [FLAG...]
start_replica() {
  local args i=$1
  shift
  mapfile -t args < <(controller_args 0)
  start "controller-$i" "$DRAWBRIDGE" "${args[@]/127.0.0.1:0/0}" "$@"
  REPLICAS[i]=$STARTED_PID
}

# shares: how many of the shards each of those that run has, in order.
shares() {
  kubectl get lease -n drawbridge-system -o json |
    jq -r '[.items[] | select(.metadata.name | contains("-shard-")) | .spec.holderIdentity] | group_by(.) | map(length) | sort | join(" ")'
}
shares_are() { assert_equal "$(shares)" "$1" 'shards'; }

# worker: writes down which one's log says that a pass of dra went through since this was called; false when none has.
worker() {
  local i lines=()
  for i in "${!REPLICAS[@]}"; do lines[i]=$(wc -l <"$CASE_DIR/controller-$i.log"); done
  kubectl annotate dracfg dra drawbridge.dev/reconcile-requested-at="$(date +%s.%N)" --overwrite >/dev/null
  sleep 1
  for i in "${!REPLICAS[@]}"; do
    [[ ${REPLICAS[i]} ]] || continue
    ! tail -n "+$((lines[i] + 1))" "$CASE_DIR/controller-$i.log" | grep 'default/dra: PLAN ->' >/dev/null || { echo "$i" >"$CASE_DIR/worker" && return 0; }
  done
  return 1
}
works_not() { worker && [[ $(cat "$CASE_DIR/worker") != "$1" ]]; }

epoch_of_far() { (far && kubectl get nodedraconfiguration cp-1 -o jsonpath='{.spec.epoch}'); }
made_again() { [[ $(far && kubectl get nodedraconfiguration cp-1 -o jsonpath='{.metadata.uid}') == *-* ]]; }
rewrite_far() {
  (far && kubectl delete nodedraconfiguration cp-1 >/dev/null)
  eventually 60 made_again
}

# case: three controllers share clusters: one is killed, one stands still and goes on, one comes; each time another one works for the cluster, under a later epoch. Then one alone without shards
# timeout: 600
case_shards() {
  local i first second epochs=()
  far_cluster controller-rbac target-rbac
  start_agent
  home_cluster
  chart_roles controller-rbac.yaml --set controller.shards=4 | kubectl apply -f - >/dev/null 2>&1
  put_secret "$CASE_DIR/far.conf"
  for i in 1 2 3; do start_replica "$i" --shards 4; done
  dra_on dra "$CLUSTER_REF" 'deletionPolicy: Revert'
  eventually 300 condition_is dra Ready True
  assert far_is_on
  eventually 60 shares_are '1 1 2'
  epochs+=("$(epoch_of_far)")

  eventually 60 worker
  first=$(cat "$CASE_DIR/worker")
  kill_hard "${REPLICAS[first]}"
  REPLICAS[first]=''
  eventually 60 works_not "$first"
  rewrite_far
  epochs+=("$(epoch_of_far)")
  eventually 60 shares_are '2 2'

  second=$(cat "$CASE_DIR/worker")
  kill -STOP "${REPLICAS[second]}"
  eventually 60 works_not "$second"
  rewrite_far
  epochs+=("$(epoch_of_far)")
  kill -CONT "${REPLICAS[second]}"
  eventually 60 shares_are '2 2'
  eventually 60 worker
  rewrite_far
  epochs+=("$(epoch_of_far)")

  start_replica "$first" --shards 4
  eventually 60 shares_are '1 1 2'
  assert condition_is dra Ready True
  assert_equal "$(printf '%s\n' "${epochs[@]}" | sort -n | uniq)" "$(printf '%s\n' "${epochs[@]}" | uniq)" 'epochs never go back'
  ((epochs[1] > epochs[0] && epochs[2] > epochs[1])) || fail "epochs: ${epochs[*]}"

  for i in 1 2 3; do
    forget "${REPLICAS[i]}"
    stop "${REPLICAS[i]}"
    REPLICAS[i]=''
  done
  assert_equal "$(shares)" '4' 'shards that nobody has'
  start_replica 1
  eventually 90 worker
  kubectl delete draconfiguration dra --wait=false >/dev/null
  eventually 300 dracfg_gone dra
  far
  assert same_files "$CASE_DIR/before"
  assert none_of nodedraconfigurations
}
