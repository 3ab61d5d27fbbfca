# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Our own client against real API servers.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl

client_on() {
  use_cluster "$1"
  local program
  program=$(find "$ROOT/build/dev" -name test_kube_real -type f | head -n1)
  [[ $program ]] || die 'test_kube_real was not built'
  "$program"
  cluster_is_clean
}

# case: requests, list, watch, apply, patch, conflicts on 1.33
case_on_1_33() { client_on 1.33; }

# case: the same on 1.37
case_on_1_37() { client_on 1.37; }

# plugin NAME SCRIPT: a credential plugin that notes what it is told, and who asks.
plugin() {
  cat >"$CASE_DIR/bin/$1" <<EOF
#!/bin/bash
printf '%s' "\$KUBERNETES_EXEC_INFO" >"$CASE_DIR/told.\$ASKS"
printf '%s\n' "\$*" >>"$CASE_DIR/asked.\$ASKS"
answer() { printf '{"kind": "ExecCredential", "apiVersion": "%s", "status": {"expirationTimestamp": "%s", %s}}\n' \
  "\$(jq -r .apiVersion <<<"\$KUBERNETES_EXEC_INFO")" "\$(date -u -d '14 minutes' +%FT%TZ)" "\$1"; }
$2
EOF
  chmod +x "$CASE_DIR/bin/$1"
}

# token_of ACCOUNT: as JSON of a status
token_of() { printf '"token": "%s"' "$(kubectl create token -n default "$1" --duration=10m)"; }

# user FILE YAML [CLUSTER-YAML]: a kubeconfig with this user
user() {
  printf 'clusters: [{name: c, cluster: {server: "https://127.0.0.1:%s", certificate-authority: "%s"%s}}]\nusers: [{name: u, user: %s}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n' \
    "$PORT" "$CLUSTER/pki/ca.crt" "${3:+, $3}" "$2" >"$1"
}

by_kubectl() { ASKS=kubectl "$TOOLS_BIN/$VERSION/kubectl" --kubeconfig "$1" get draconfigurations -n default; }
by_us() { ASKS=us "$DRAWBRIDGE" --kubeconfig "$1" status; }

# as_whom COMMAND...: nobody here has any rights, and the API server says who asked.
as_whom() {
  local said
  said=$("$@" 2>&1 </dev/null || true)
  grep -o 'User "[^"]*"' <<<"$said" || printf '%s\n' "$said"
}

# same_as FILE USER: the API server knows us by that name, and kubectl with the same kubeconfig; a plugin is told the same by both.
same_as() {
  rm -f "$CASE_DIR"/told.* "$CASE_DIR"/asked.*
  assert_equal "$(as_whom by_kubectl "$1")" "User \"$2\"" "kubectl with $(basename "$1")"
  assert_equal "$(as_whom by_us "$1")" "User \"$2\"" "drawbridge with $(basename "$1")"
  [[ -e $CASE_DIR/told.kubectl ]] || return 0
  assert_equal "$(jq -S . "$CASE_DIR/told.us")" "$(jq -S . "$CASE_DIR/told.kubectl")" "what the plugin of $(basename "$1") is told"
  assert_equal "$(head -n1 "$CASE_DIR/asked.us")" "$(head -n1 "$CASE_DIR/asked.kubectl")" 'its arguments'
}

plugins() {
  local k=$CASE_DIR name
  for name in eks gke aks oidc; do kubectl create serviceaccount -n default "$name" >/dev/null; done
  note 'EKS: aws with arguments and a variable of the kubeconfig, which counts more than ours'
  plugin aws "[[ \$AWS_PROFILE == prod ]] || exit 3; answer '$(token_of eks)'"
  user "$k/eks" '{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws, args: [--region, eu-west-1, eks, get-token, --cluster-name, prod, --output, json], env: [{name: AWS_PROFILE, value: prod}]}}'
  AWS_PROFILE=other same_as "$k/eks" system:serviceaccount:default:eks
  assert_equal "$(<"$k/asked.us")" '--region eu-west-1 eks get-token --cluster-name prod --output json'

  note 'GKE: no arguments, the cluster is told'
  plugin gke-gcloud-auth-plugin "answer '$(token_of gke)'"
  user "$k/gke" '{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: gke-gcloud-auth-plugin, installHint: "Install gke-gcloud-auth-plugin for use with kubectl", provideClusterInfo: true}}' \
    'tls-server-name: kubernetes, extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: prod}}]'
  same_as "$k/gke" system:serviceaccount:default:gke
  assert_equal "$(jq -r '.spec.cluster | "\(.server) \(.["tls-server-name"]) \(.config.audience) \(.["certificate-authority-data"])"' "$k/told.us")" \
    "https://127.0.0.1:$PORT kubernetes prod $(base64 -w0 "$CLUSTER/pki/ca.crt")"

  note 'AKS: what it says to the person arrives there, and is no part of the answer'
  plugin kubelogin "echo 'To sign in, open a browser and enter the code ABC' >&2; answer '$(token_of aks)'"
  user "$k/aks" '{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin, args: [get-token, --environment, AzurePublicCloud, --server-id, s, --client-id, c, --tenant-id, t, --login, devicecode], env: null, provideClusterInfo: false}}'
  same_as "$k/aks" system:serviceaccount:default:aks
  assert_match "$(by_us "$k/aks" 2>&1 || true)" 'enter the code ABC'

  note "OIDC: a plugin of kubectl's own"
  plugin kubectl-oidc_login "answer '$(token_of oidc)'"
  user "$k/oidc" '{exec: {apiVersion: client.authentication.k8s.io/v1, command: kubectl, args: [oidc-login, get-token, "--oidc-issuer-url=https://issuer.example"], interactiveMode: IfAvailable}}'
  same_as "$k/oidc" system:serviceaccount:default:oidc

  note 'a certificate in place of a token; a path relative to the kubeconfig'
  local pki=$k/pki
  mkdir "$pki" && cp "$CLUSTER"/pki/ca.* "$pki"
  cluster_cert ca alice /O=people/CN=alice clientAuth
  plugin certificate "answer '\"clientCertificateData\": $(jq -Rs . "$pki/alice.crt"), \"clientKeyData\": $(jq -Rs . "$pki/alice.key")'"
  user "$k/certificate" '{exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/certificate, interactiveMode: Never, provideClusterInfo: true}}'
  same_as "$k/certificate" alice

  note 'on a terminal it may ask; without one it is told so, or not run at all'
  # shellcheck disable=SC2016 # for the plugin to expand
  plugin asks 'read -r -p "password: " word; [[ $word == sesame ]] || exit 9; '"answer '$(token_of aks)'"
  user "$k/asks" '{exec: {apiVersion: client.authentication.k8s.io/v1, command: asks, interactiveMode: Always}}'
  export DRAWBRIDGE ASKS=us
  printf 'sesame\n' | timeout 60 script -qefc "$DRAWBRIDGE --kubeconfig $k/asks status" /dev/null >"$k/terminal" || true
  assert_match "$(<"$k/terminal")" 'password: '
  assert_match "$(<"$k/terminal")" 'User "system:serviceaccount:default:aks"'
  assert_equal "$(jq .spec.interactive "$k/told.us")" true
  assert_match "$(as_whom by_kubectl "$k/asks")" 'standard input is not a terminal'
  assert_match "$(as_whom by_us "$k/asks")" 'standard input is not a terminal'
}

plugins_that_fail() {
  local k=$CASE_DIR code=0
  note 'one that is not installed: the kubeconfig says how to'
  user "$k/missing" '{exec: {apiVersion: client.authentication.k8s.io/v1, command: not-here, interactiveMode: Never, installHint: "Install it: brew install not-here"}}'
  by_us "$k/missing" >"$k/said" 2>&1 || code=$?
  assert_equal "$code" 4
  for asks in by_us by_kubectl; do
    assert_match "$("$asks" "$k/missing" 2>&1 || true)" 'executable not-here not found'
    assert_match "$("$asks" "$k/missing" 2>&1 || true)" 'brew install not-here'
  done
  plugin fails 'exit 7'
  user "$k/fails" '{exec: {apiVersion: client.authentication.k8s.io/v1, command: fails, interactiveMode: Never}}'
  for asks in by_us by_kubectl; do assert_match "$("$asks" "$k/fails" 2>&1 || true)" 'fails failed with exit code 7'; done

  note 'a token that the server does not take: it is asked once more, and then it is the end'
  plugin wrong "answer '\"token\": \"wrong\"'"
  user "$k/wrong" '{exec: {apiVersion: client.authentication.k8s.io/v1, command: wrong, interactiveMode: Never}}'
  code=0
  rm -f "$k"/asked.*
  by_us "$k/wrong" >"$k/said" 2>&1 || code=$?
  assert_equal "$code" 3
  assert_equal "$(wc -l <"$k/asked.us")" 2

  note 'a controller runs none'
  rm -f "$k"/asked.*
  code=0
  ASKS=controller timeout 60 "$DRAWBRIDGE" run --kubeconfig "$k/eks" --health-probe-bind-address=0 >"$k/said" 2>&1 || code=$?
  assert_equal "$code" 3
  assert_match "$(<"$k/said")" 'exec plugins are not run'
  [[ ! -e $k/asked.controller ]] || die 'the controller ran it'
}

files_and_proxies() {
  local k=$CASE_DIR
  note 'a token in a file beside the kubeconfig, and several files: the first that names a thing has it'
  mkdir "$k/a" "$k/b"
  kubectl create token -n default eks >"$k/a/token"
  kubectl create token -n default gke >"$k/b/token"
  user "$k/a/config" '{tokenFile: token}'
  user "$k/b/config" '{tokenFile: token}'
  same_as "$k/a/config" system:serviceaccount:default:eks
  printf 'contexts: [{name: second, context: {cluster: c, user: u, namespace: kube-public}}]\ncurrent-context: second\n' >"$k/second"
  for asks in "$TOOLS_BIN/$VERSION/kubectl get draconfigurations" "$DRAWBRIDGE status"; do
    # shellcheck disable=SC2086 # words
    assert_match "$(KUBECONFIG=$k/not-there:$k/second:$k/b/config:$k/a/config $asks 2>&1 || true)" 'User "system:serviceaccount:default:gke".*namespace "?kube-public'
    # shellcheck disable=SC2086
    assert_match "$(KUBECONFIG=$k/second:$k/a/config:$k/b/config $asks --context x 2>&1 || true)" 'User "system:serviceaccount:default:eks".*namespace "?default'
    # shellcheck disable=SC2086
    assert_match "$(KUBECONFIG=$k/a/config $asks -n kube-system 2>&1 || true)" 'User "system:serviceaccount:default:eks".*namespace "?kube-system'
    # shellcheck disable=SC2086
    assert_match "$(KUBECONFIG=$k/a/config $asks -A 2>&1 || true)" 'User "system:serviceaccount:default:eks".*at the cluster scope'
  done

  note 'a proxy, whatever NO_PROXY says, and the name that the certificate is checked for'
  start git-proxy python3 "$E2E/lib/git-proxy.py" "$((PORT + 9))" who:word
  eventually 60 port_is_open "$((PORT + 9))"
  user "$k/proxy" '{tokenFile: a/token}' "proxy-url: 'http://who:word@127.0.0.1:$((PORT + 9))'"
  NO_PROXY=127.0.0.1 no_proxy=127.0.0.1 same_as "$k/proxy" system:serviceaccount:default:eks
  assert_equal "$(grep -c "^CONNECT 127.0.0.1:$PORT" "$k/git-proxy.log")" 2 'connections by the proxy'
  user "$k/name" '{tokenFile: a/token}' 'tls-server-name: kubernetes.default'
  same_as "$k/name" system:serviceaccount:default:eks
  user "$k/other-name" '{tokenFile: a/token}' 'tls-server-name: other.example'
  [[ $(as_whom by_us "$k/other-name") != User* ]] || die 'the name was not checked'
}

port_is_open() { (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# case: kubeconfigs as kubectl reads them: credential plugins as those of EKS, GKE, AKS and OIDC, certificates, terminals, files, several files, proxies; the API server names the same user for both
case_kubeconfigs() {
  use_cluster 1.33
  mkdir "$CASE_DIR/bin"
  export PATH=$CASE_DIR/bin:$TOOLS_BIN/$VERSION:$PATH
  plugins
  plugins_that_fail
  files_and_proxies
  kubectl delete serviceaccount -n default eks gke aks oidc >/dev/null
  cluster_is_clean
}
