# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # from case.sh
# spec.cluster: the controller in one cluster, all that it configures in another one, reached by the kubeconfig of a Secret.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubectl helm

# two_clusters: FAR, with an agent and the rights of a chart without a controller; and HOME, in use afterwards, with the controller.
two_clusters() {
  use_cluster 1.33 kubelet
  FAR=$CLUSTER
  keep_files "$CASE_DIR/before"
  kubectl delete clusterrole,clusterrolebinding drawbridge-controller >/dev/null
  kubectl delete crd draconfigurations.drawbridge.dev configsources.drawbridge.dev >/dev/null
  for template in controller-rbac target-rbac; do
    chart_roles "$template.yaml" --set controller.enabled=false
    echo ---
  done | kubectl apply -f - >/dev/null
  cp "$CLUSTER/drawbridge.conf" "$CASE_DIR/far.conf"
  use_cluster 1.36 # test clusters of one version begin as copies of one etcd, with the same UIDs
  HOME_CLUSTER=$CLUSTER
  chart_roles target-rbac.yaml --set 'targetClusters[0].namespace=default,targetClusters[0].kubeconfigSecrets[0]=far' | kubectl apply -f - >/dev/null
  keep_files "$CASE_DIR/home-before"
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
