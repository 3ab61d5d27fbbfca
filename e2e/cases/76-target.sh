# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# spec.cluster: the controller in one cluster, all that it configures in another one, reached by the kubeconfig of a Secret.
# needs: drawbridge
# tools: kwok 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl helm

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
  use_cluster 1.37 # test clusters of one version begin as copies of one etcd, with the same UIDs
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
  assert_match "$(condition_message dra DriverReady)" 'serviceAccountName: in another cluster it is needed'
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

# --- many of them ---------------------------------------------------------------------------------------------------------------------

GOOD=195 TRIES=25
BAD=(dead silent flapping flooding paging slow)

# target_yaml NAME SECRET: one that only looks.
target_yaml() {
  printf '%s\n' 'apiVersion: drawbridge.dev/v1alpha1' 'kind: DRAConfiguration' "metadata: {name: $1, namespace: default}" \
    "spec: {featureGates: {DynamicResourceAllocation: true}, platform: {type: Observe}, cluster: {kubeconfigSecretRef: {name: $2}}}" ---
}

# secret_yaml NAME FILE
secret_yaml() { printf '%s\n' 'apiVersion: v1' 'kind: Secret' "metadata: {name: $1, namespace: default}" "data: {value: $(base64 -w0 "$2")}" ---; }

# bad_targets: a server, a Secret and a DRAConfiguration for each kind of BAD. Nobody listens where the first one leads.
bad_targets() {
  local i kind port
  for i in "${!BAD[@]}"; do
    kind=${BAD[i]} port=$((PORT + 12 + i))
    [[ $kind == dead ]] || start "$kind" python3 "$E2E/lib/bad-target.py" "$kind" "$port" "$CLUSTER/pki/apiserver.crt" "$CLUSTER/pki/apiserver.key"
    sed "s|server: .*|server: https://127.0.0.1:$port|" "$CASE_DIR/far.conf" >"$CASE_DIR/$kind.conf"
  done
  for kind in "${BAD[@]}"; do
    secret_yaml "$kind" "$CASE_DIR/$kind.conf"
    target_yaml "$kind" "$kind"
  done >"$CASE_DIR/bad.yaml"
  kubectl create -f "$CASE_DIR/bad.yaml" >/dev/null
}

all_observed() {
  (($(kubectl get dracfg -o json | jq '[.items[] | select(.metadata.name | startswith("good-")) | select(.status.kubernetesVersion and .status.observedGeneration == .metadata.generation)] | length') == GOOD))
}

observed() { [[ $(kubectl get dracfg "$1" -o jsonpath='{.status.observedGeneration}') == "$2" ]]; }

# change_to_status NAME GENERATION: MEDIAN, in microseconds, of TRIES times from the event of a changed spec to that of the status that was written for it, as one watch tells
# both. Each change is of another target, and makes this generation of its DRAConfiguration.
change_to_status() {
  local i follower
  : >"$CASE_DIR/$1.events"
  curl -sSN --max-time 600 --cacert "$API_CA" --cert "$ADMIN.crt" --key "$ADMIN.key" "$API/apis/drawbridge.dev/v1alpha1/namespaces/default/draconfigurations?watch=1" \
    > >(while read -r line; do printf '[%s,%s]\n' "${EPOCHREALTIME/./}" "$line"; done >"$CASE_DIR/$1.events") &
  follower=$!
  eventually 20 test -s "$CASE_DIR/$1.events"
  for ((i = 1; i <= TRIES; i++)); do
    kubectl patch dracfg "good-$i" --type merge -p "{\"spec\":{\"rollout\":{\"minReady\":\"$2s\"}}}" >/dev/null
    eventually 60 observed "good-$i" "$2"
  done
  eventually 20 has_all_times "$1" "$2"
  stop "$follower"
  MEDIAN=$(sort -n "$CASE_DIR/$1.times" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')
}

has_all_times() {
  jq -s -r --argjson generation "$2" '[.[] | {at: .[0], name: .[1].object.metadata.name, made: .[1].object.metadata.generation, seen: .[1].object.status.observedGeneration}]
    | map(select(.made == $generation)) | group_by(.name)[] | [(map(select(.seen != .made)) | min_by(.at)), (map(select(.seen == .made)) | min_by(.at))]
    | select(all) | .[1].at - .[0].at' "$CASE_DIR/$1.events" >"$CASE_DIR/$1.times" 2>/dev/null
  (($(wc -l <"$CASE_DIR/$1.times") == TRIES))
}

# A ratio, not a time. Whoever waits for one of them is 15 s late, some hundred times as late as without; on a machine with ten times the work that it has cores for, the noise of
# other programs makes four of one. What it is of a release build is in docs/performance.md.
# case: 201 targets, six of them dead, silent, flapping, flooding, paging and slow: from a change to its status it takes the others as long as without those
# timeout: 900
case_lanes() {
  local i names without with after
  two_clusters
  names=$(seq -f 'good-%.0f' -s, "$GOOD")
  chart_roles target-rbac.yaml --set "targetClusters[0].namespace=default,targetClusters[0].kubeconfigSecrets={$names,$(IFS=,; echo "${BAD[*]}")}" | kubectl apply -f - >/dev/null
  for ((i = 1; i <= GOOD; i++)); do
    secret_yaml "good-$i" "$CASE_DIR/far.conf"
    target_yaml "good-$i" "good-$i"
  done >"$CASE_DIR/good.yaml"
  kubectl create -f "$CASE_DIR/good.yaml" >/dev/null
  eventually 180 all_observed
  change_to_status without 2
  without=$MEDIAN
  bad_targets
  eventually 120 bad_are_known
  note "$(kubectl get dracfg "${BAD[@]}" -o json | jq -r '.items[] | "\(.metadata.name): \(.status.conditions[] | select(.type == "ConfigValid").message)"')"
  change_to_status with 3
  with=$MEDIAN
  assert bad_are_known
  kubectl delete -f "$CASE_DIR/bad.yaml" --wait=false >/dev/null
  change_to_status after 4
  after=$MEDIAN
  note "median of $TRIES changes: $without us without the six, $with us with them, $after us after them"
  ((with <= 10 * (without > after ? without : after))) || die "with them it takes $with us, without $without us, after them $after us"
}

bad_are_known() {
  local words
  words=$(kubectl get dracfg "${BAD[@]}" -o json | jq -r '.items[] | "\(.metadata.name) \([.status.conditions[]?.message] | join(" "))"')
  [[ $words == *"dead "*'Failed to connect'* && $words == *"silent "*'has not said all within 15 s'* ]]
}
