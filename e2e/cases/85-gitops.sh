# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153 # PORT is cluster.sh's
# Configuration pulled from git: real servers, real signatures, commits of every kind, and a roll-out that a commit began.
# needs: drawbridge
# tools: helm 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet
# shellcheck source=../lib/git.sh
source "$E2E/lib/git.sh"

# gitops: servers, a controller, and the right to read some Secrets by name, as the chart gives it.
gitops() {
  use_cluster 1.33
  git_servers_up "$CASE_DIR/git" $((PORT + 12))
  chart_roles configsource-rbac.yaml --set "configSources[0].namespace=default,configSources[0].secrets={git,signers},configSources[0].appliedConfigMaps={values}" \
    --set 'configSources[0].kubermaticConfigurations=true' | kubectl apply -f - >/dev/null
  gitops_controller
}

gitops_controller() { start_controller --git-file-root "$GIT_DIR_E2E/srv" --git-pack-max-mib 2; }

gitops_clean() {
  kubectl delete configsources --all >/dev/null # first: each puts back what it applied
  kubectl delete kubermaticconfigurations,draconfigurations --all --wait=false >/dev/null
  eventually 180 none_of kubermaticconfigurations,draconfigurations
  kubectl delete role,rolebinding drawbridge-controller-configsource >/dev/null
  kubectl delete secret,configmap git signers values --ignore-not-found >/dev/null
  cluster_is_clean
}

# source_is NAME LINE...: a ConfigSource in default with these lines of spec.
source_is() {
  {
    printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: ConfigSource\nmetadata: {name: %s, namespace: default}\nspec:\n' "$1"
    printf '  %s\n' "${@:2}"
    [[ " ${*:2} " == *interval:* ]] || printf '  interval: 1h\n' # looks are asked for
  } | put_at "$(cfgsrc_at "$1")"
}

# secret NAME KEY=VALUE...: VALUE @FILE is a file's content. It may be sent to the hosts of $HOSTS, the case's own where that is not set.
secret() {
  local arg args=()
  for arg in "${@:2}"; do
    if [[ $arg == *=@* ]]; then args+=("--from-file=${arg%%=@*}=${arg#*=@}"); else args+=("--from-literal=$arg"); fi
  done
  kubectl create secret generic "$1" "${args[@]}" --dry-run=client -o yaml |
    kubectl annotate --local -f - "drawbridge.dev/hosts=${HOSTS-localhost:$GIT_PORT,127.0.0.1:$GIT_PORT}" -o yaml | put -f - >/dev/null
}

cfgsrc_at() { echo "apis/drawbridge.dev/v1alpha1/namespaces/default/configsources/$1"; }
cfgsrc() { api -f "$API/$(cfgsrc_at "$1")"; }

source_condition_is() { cfgsrc "$1" | says_of "$2" "$3"; }
source_message() { cfgsrc "$1" | condition_of "$2" | tail -n +2; }
source_status() { cfgsrc "$1" | jq -r --arg field "$2" '.status[$field] // ""'; }
source_status_is() { # a look in vain starts no jq
  local object
  object=$(cfgsrc "$1") && [[ ! $3 || $object == *"\"$2\":\"$3\""* ]] && [[ $(jq -r --arg field "$2" '.status[$field] // ""' <<<"$object") == "$3" ]]
}

# look NAME: the repository is looked at now, and what came of it is reported.
look() {
  local now
  now=$(date +%s%N)
  patch_at "$(cfgsrc_at "$1")" "{\"metadata\":{\"annotations\":{\"drawbridge.dev/reconcile-requested-at\":\"$now\"}}}"
  eventually 240 source_status_is "$1" lastHandledReconcileAt "$now"
}

# observed NAME [GATE]: a DRAConfiguration that nothing is rolled out for.
observed() {
  printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: DRAConfiguration\nmetadata: {name: %s}\nspec:\n  platform: {type: Observe}\n  featureGates: {%s: true}\n' \
    "$1" "${2:-DynamicResourceAllocation}"
}

gate_of() { dracfg "$1" 2>/dev/null | jq -r '.spec.featureGates | keys | join(",")'; }

# fails_with NAME CONDITION REASON WORDS
fails_with() {
  eventually 180 source_condition_is "$1" "$2" "False $3"
  assert_match "$(source_message "$1" "$2")" "$4"
  refuse source_condition_is "$1" Ready True
}

# case: https with basic, token, CA and proxy, ssh with a key and known hosts, git and file; what each refuses has its reason; limits of time and size; a repository that is away
# timeout: 960
case_servers() {
  gitops
  local base=https://localhost:$GIT_PORT dir=$GIT_DIR_E2E user
  user=$(id -un)
  observed first >"$GIT_WORK/first.yaml"
  git_commit first
  note 'each way leads to the same commit'
  secret git ca.crt=@"$dir/pki/ca.crt" username=git password=git-word
  source_is clusters "url: $base/basic/config.git" 'secretRef: {name: git}'
  eventually 180 source_condition_is clusters Ready 'True AsExpected'
  assert_equal "$(source_status clusters lastAppliedRevision)" "main@sha1:$GIT_HEAD"
  assert_equal "$(gate_of first)" DynamicResourceAllocation
  eventually 120 condition_is first SourceReady True
  arrives() { # URL KEY=VALUE...
    note "$*"
    secret git "${@:2}"
    source_is clusters "url: $1" 'secretRef: {name: git}'
    eventually 180 source_condition_is clusters Ready 'True AsExpected'
    assert_equal "$(source_status clusters lastAppliedRevision)" "main@sha1:$GIT_HEAD"
  }
  arrives "$base/token/config.git" ca.crt=@"$dir/pki/ca.crt" bearerToken=token-word
  arrives "$base/open/config.git" ca.crt=@"$dir/pki/ca.crt" "proxy=http://proxy:proxy-word@127.0.0.1:$((GIT_PORT + 3))"
  grep -q "^CONNECT localhost:$GIT_PORT" "$CASE_DIR/git-proxy.log" || die 'it did not go through the proxy'
  arrives "ssh://$user@localhost:$((GIT_PORT + 1))$GIT_BARE" identity=@"$dir/ssh/client" known_hosts=@"$dir/ssh/known_hosts"
  arrives "ssh://$user@localhost:$((GIT_PORT + 1))/$GIT_BARE" identity=@"$dir/ssh/client-locked" passphrase=key-word known_hosts=@"$dir/ssh/known_hosts"
  arrives "file://$GIT_BARE"

  note 'each refusal has its reason, and what was applied stays'
  local patience=1m
  refused() { # CONDITION-REASON WORDS URL KEY=VALUE...
    secret git "${@:4}"
    source_is clusters "url: $3" 'secretRef: {name: git}' "timeout: $patience"
    look clusters
    fails_with clusters Fetched "$1" "$2"
    assert_match "$(source_message clusters Fetched)" "in force: main@sha1:$GIT_HEAD"
    assert_equal "$(source_status clusters lastAppliedRevision)" "main@sha1:$GIT_HEAD"
  }
  refused AuthenticationFailed 'refused the credentials' "$base/basic/config.git" ca.crt=@"$dir/pki/ca.crt" username=git password=wrong
  HOSTS=git.example.org refused SecretNotForHost "kubectl annotate secret git -n default drawbridge.dev/hosts=localhost:$GIT_PORT" \
    "$base/basic/config.git" ca.crt=@"$dir/pki/ca.crt" username=git password=git-word
  HOSTS='' refused SecretNotForHost 'it allows no host yet' "$base/token/config.git" ca.crt=@"$dir/pki/ca.crt" bearerToken=token-word
  refused CertificateRefused 'not trusted' "$base/basic/config.git" username=git password=git-word
  refused CertificateRefused 'not for this name' "https://127.0.0.1:$GIT_PORT/basic/config.git" ca.crt=@"$dir/pki/ca.crt" username=git password=git-word
  refused HostKeyRefused 'known_hosts' "ssh://$user@localhost:$((GIT_PORT + 1))$GIT_BARE" identity=@"$dir/ssh/client" \
    known_hosts="[elsewhere]:$((GIT_PORT + 1)) $(cut -d' ' -f1,2 "$dir/ssh/host.pub")"
  refused HostKeyRefused 'known_hosts' "ssh://$user@localhost:$((GIT_PORT + 1))$GIT_BARE" identity=@"$dir/ssh/client" \
    known_hosts="[localhost]:$((GIT_PORT + 1)) $(cut -d' ' -f1,2 "$dir/ssh/client.pub")"
  refused AuthenticationFailed '.' "ssh://$user@localhost:$((GIT_PORT + 1))$GIT_BARE" identity=@"$dir/pki/tls.key" known_hosts=@"$dir/ssh/known_hosts"
  refused GitUnreachable 'redirect' "$base/away/config.git" ca.crt=@"$dir/pki/ca.crt"
  refused GitUnreachable 'localhost' "https://localhost:$((GIT_PORT + 5))/config.git"
  note 'what anybody on the way could change is not asked for without signatures'
  refused InsecureTransport 'spec.verify' "git://localhost:$((GIT_PORT + 2))/config.git"
  patience=5s
  refused FetchTimedOut 'spec.timeout' "https://localhost:$((GIT_PORT + 4))/config.git"
  patience=1m
  refused InvalidConfiguration 'outside of --git-file-root' "file://$GIT_WORK"
  eventually 120 condition_is first SourceReady 'False InvalidConfiguration'
  head -c 4000000 /dev/urandom >"$GIT_WORK/large"
  local good=$GIT_HEAD
  git_commit large
  GIT_HEAD=$good
  refused LimitReached 'larger than is allowed' "file://$GIT_BARE"
  assert_equal "$(gate_of first)" DynamicResourceAllocation

  note 'the repository goes away: what was applied stays and is kept in place, and both objects say since when'
  git -C "$GIT_WORK" reset -q --hard HEAD~1
  git -C "$GIT_WORK" push -q --force origin HEAD
  secret git unused=
  source_is clusters "url: file://$GIT_BARE" 'interval: 10s'
  eventually 180 source_condition_is clusters Ready 'True AsExpected'
  mv "$GIT_BARE" "$GIT_BARE.away"
  fails_with clusters Fetched GitUnreachable "in force: main@sha1:$GIT_HEAD; last success: 20[0-9T:-]+Z"
  eventually 120 condition_is first SourceReady 'False GitUnreachable'
  assert_match "$(condition_message first SourceReady)" 'last success: 20'
  assert_match "$(source_message clusters Fetched)" "$(source_status clusters lastFetchedAt)"
  set_gate first DRAAdminAccess
  eventually 120 gate_is_one first DynamicResourceAllocation
  never_within 3 source_condition_is clusters Ready True # a pass for an object is no look
  mv "$GIT_BARE.away" "$GIT_BARE"
  eventually 240 source_condition_is clusters Ready 'True AsExpected'
  eventually 120 condition_is first SourceReady True

  note 'no credential outside of the worker'
  ! grep -aqE 'git-word|token-word|proxy-word|key-word|BEGIN OPENSSH' "$CASE_DIR/controller.log" || die 'a credential is in the log'
  eventually 120 no_worker
  gitops_clean
}

# case: known_hosts as ssh-keyscan prints it works in every order and with CRLF; host keys that cannot be agreed on are HostKeyRefused and not the credentials' fault
# timeout: 300
case_host_keys() {
  gitops
  local dir=$GIT_DIR_E2E/ssh user url kind order
  user=$(id -un)
  observed first >"$GIT_WORK/first.yaml"
  git_commit first
  for kind in rsa ecdsa; do ssh-keygen -q -t "$kind" -N '' -f "$dir/host-$kind"; done
  cp "$dir/host.pub" "$dir/host-ed25519.pub"
  git_sshd_on $((GIT_PORT + 6)) host-rsa host-ecdsa host
  git_sshd_on $((GIT_PORT + 7)) host-rsa
  known() { for kind in "${@:2}"; do printf '[localhost]:%s %s\n' "$1" "$(cut -d' ' -f1,2 "$dir/host-$kind.pub")"; done; }
  trusting() { # PORT KINDS-FILE
    secret git identity=@"$dir/client" known_hosts=@"$2"
    source_is clusters "url: ssh://$user@localhost:$1$GIT_BARE" 'secretRef: {name: git}'
    look clusters
  }
  for order in 'rsa ecdsa ed25519' 'ecdsa ed25519 rsa' 'ed25519 rsa ecdsa'; do
    note "known_hosts with $order"
    # shellcheck disable=SC2086 # words
    known $((GIT_PORT + 6)) $order >"$dir/keyscan"
    trusting $((GIT_PORT + 6)) "$dir/keyscan"
    eventually 120 source_condition_is clusters Ready 'True AsExpected'
    sed 's/$/\r/' "$dir/keyscan" >"$dir/keyscan-crlf"
    trusting $((GIT_PORT + 6)) "$dir/keyscan-crlf"
    eventually 120 source_condition_is clusters Ready 'True AsExpected'
  done
  note 'a kind that the server has not, and one that it has'
  { known $((GIT_PORT + 7)) ed25519 && known $((GIT_PORT + 6)) rsa ecdsa; } >"$dir/keyscan"
  trusting $((GIT_PORT + 6)) "$dir/keyscan"
  eventually 120 source_condition_is clusters Ready 'True AsExpected'
  note 'an RSA host key alone'
  known $((GIT_PORT + 7)) rsa >"$dir/keyscan"
  trusting $((GIT_PORT + 7)) "$dir/keyscan"
  fails_with clusters Fetched HostKeyRefused 'ssh-keyscan -t ed25519,ecdsa'
  gitops_clean
}

# The worker is gone, and so is its directory.
no_worker() { [[ -z $(pgrep -P "$CONTROLLER") && -z $(find "${TMPDIR:-/tmp}" -maxdepth 1 -name "drawbridge-git-$CONTROLLER-*") ]]; }

# nothing_of NAME REASON WORDS: the commit is refused whole, with these words.
nothing_of() {
  look "$1"
  fails_with "$1" Applied "$2" "$3"
  assert_equal "$(source_status "$1" lastAppliedRevision)" "main@sha1:$GOOD" 'in force'
  assert_equal "$(source_status "$1" lastAttemptedRevision)" "main@sha1:$GIT_HEAD" 'attempted'
  assert_equal "$(gate_of first)" DynamicResourceAllocation
  refuse kubectl get draconfiguration third
}

applied() { # NAME
  look "$1"
  eventually 180 source_condition_is "$1" Ready 'True AsExpected'
  assert_equal "$(source_status "$1" lastAppliedRevision)" "main@sha1:$GIT_HEAD"
  GOOD=$GIT_HEAD
}

# metric NAME LABEL: of all objects together.
metric() { curl -sf "http://127.0.0.1:$((PORT + 8))/metrics" | grep "^$1{" | grep -F "$2" | awk '{ all += $NF } END { print all + 0 }'; }
# series NAME LABEL: how many there are.
series() { curl -sf "http://127.0.0.1:$((PORT + 8))/metrics" | grep "^$1{" | grep -cF "$2" || true; }

event_is() { # REASON WORDS
  kubectl get events -o json | jq -e --arg reason "$1" --arg words "$2" '[.items[] | select(.reason == $reason and (.message | contains($words)))] | length > 0' >/dev/null
}

# passes: of ConfigSources, until now.
passes() { metric controller_runtime_reconcile_total 'controller="configsource"'; }
passes_since() { (($(passes) > $1)); }

# generations NAME: of the KubermaticConfiguration and the DRAConfiguration; each write of a spec makes a new one.
generations() { kubectl get kubermaticconfiguration,draconfiguration "$1" -o jsonpath='{.items[*].metadata.generation}'; }

no_series() { [[ $(series "$1" "$2") == 0 ]]; }
refused_by_policy() {
  local said
  said=$(kubectl create -f "$1" 2>&1) || { [[ $said == *'not the eighth'* ]] && return; }
  echo "$said"
  kubectl delete -f "$1" --ignore-not-found >/dev/null
  return 1
}

source_of() { [[ $(kubectl get draconfiguration "$1" -o json | jq -r '.metadata.annotations["drawbridge.dev/source"]') == "$2" ]]; }
gate_is_one() { [[ $(gate_of "$1") == "$2" ]]; }
set_gate() { patch_at "$(dracfg_at "$1")" "{\"spec\":{\"featureGates\":{\"DynamicResourceAllocation\":null,\"$2\":true}}}"; }

# case: a commit is applied whole or not at all; deleted files are pruned, drift is put back, a branch that moves back needs a word, and what opted out is left alone
# timeout: 960
case_commits() {
  gitops
  local GOOD dir=$GIT_WORK/prod
  mkdir "$dir"
  observed first >"$dir/first.yaml"
  observed second >"$dir/second.yaml"
  # shellcheck disable=SC2016 # for sed
  local names_values='$a\  driver: {engine: External, preset: Example, valuesFrom: [{kind: ConfigMap, name: values}]}'
  sed -i "$names_values" "$dir/second.yaml"
  printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: values}\ndata: {values.yaml: "a: 1"}\n' >"$dir/values.yml"
  cp "$dir/values.yml" "$dir/values.kept" # no document
  echo 'not: [yaml' >"$GIT_WORK/elsewhere.yaml"
  git_commit first
  source_is clusters "url: file://$GIT_BARE" 'ref: {branch: main}' 'path: prod' 'prune: true'
  applied clusters
  assert_equal "$(kubectl get configmap values -o jsonpath='{.data.values\.yaml}')" 'a: 1'
  assert_equal "$(cfgsrc clusters | jq -c '[.status.inventory[] | "\(.kind)/\(.name)"]')" \
    '["ConfigMap/values","DRAConfiguration/first","DRAConfiguration/second"]'
  assert_match "$(kubectl get cfgsrc clusters)" "file://$GIT_BARE.*main@sha1:$GIT_HEAD +True +Applied revision"
  eventually 120 event_is Applied "DRAConfiguration second, of $GIT_HEAD"

  note 'one bad file, and nothing of the commit is applied'
  observed first DRAPrioritizedList >"$dir/first.yaml"
  observed third >"$dir/a-third.yaml"
  printf 'a: 1\nb: x: y\n' >"$dir/broken.yaml"
  git_commit malformed
  nothing_of clusters InvalidDocument 'prod/broken.yaml:2:5'
  rm "$dir/broken.yaml"
  ln -s /etc/passwd "$dir/broken.yaml"
  git_commit link
  nothing_of clusters InvalidDocument 'prod/broken.yaml is a symbolic link'
  rm "$dir/broken.yaml"
  observed fourth | sed 's/name: fourth/&, namespace: kube-system/' >"$dir/fourth.yaml"
  git_commit namespace
  nothing_of clusters InvalidDocument 'prod/fourth.yaml: .*its own namespace alone, default'
  observed Not_A_Name >"$dir/fourth.yaml"
  git_commit refused-by-the-server
  nothing_of clusters InvalidDocument 'prod/fourth.yaml: .*Not_A_Name'

  note 'corrected: applied, and what is gone is pruned'
  rm "$dir/fourth.yaml" "$dir/second.yaml" "$dir/values.yml"
  git_commit corrected
  applied clusters
  assert_equal "$(gate_of first)" DRAPrioritizedList
  assert_equal "$(gate_of third)" DynamicResourceAllocation
  refuse kubectl get draconfiguration second
  refuse kubectl get configmap values
  eventually 120 event_is Pruned "DRAConfiguration second, which $GIT_HEAD does not have"

  note 'drift'
  set_gate first DRAAdminAccess
  eventually 120 gate_is_one first DRAPrioritizedList
  kubectl delete draconfiguration third --wait=false >/dev/null
  eventually 120 gate_is_one third DynamicResourceAllocation
  kubectl annotate draconfiguration third drawbridge.dev/source- >/dev/null
  eventually 120 source_of third default/clusters

  note 'a branch that moves back'
  git -C "$GIT_WORK" reset -q --hard HEAD~1
  observed first DRAAdminAccess >"$dir/first.yaml"
  rm "$dir/fourth.yaml"
  git_commit other
  look clusters
  fails_with clusters Fetched NonFastForward "does not descend from $GOOD"
  assert_equal "$(gate_of first)" DRAPrioritizedList
  kubectl annotate configsource clusters "drawbridge.dev/accept-non-fast-forward=$GOOD" >/dev/null
  look clusters
  fails_with clusters Fetched NonFastForward 'does not descend'
  kubectl annotate configsource clusters "drawbridge.dev/accept-non-fast-forward=$GIT_HEAD" --overwrite >/dev/null
  applied clusters
  assert_equal "$(gate_of first)" DRAAdminAccess

  note 'one object belongs to one source'
  source_is other "url: file://$GIT_BARE" 'path: prod'
  fails_with other Applied SourceConflict 'default/clusters'
  kubectl delete configsource other >/dev/null

  note 'left alone, and suspended'
  kubectl annotate draconfiguration first drawbridge.dev/sync=disabled >/dev/null
  set_gate first DRAPrioritizedList
  rm "$dir/first.yaml"
  git_commit gone
  applied clusters
  assert_match "$(gate_of first)" 'DRAPrioritizedList'
  observed fifth >"$dir/fifth.yaml"
  git_commit fifth
  kubectl patch configsource clusters --type merge -p '{"spec":{"suspend":true}}' >/dev/null
  eventually 120 source_condition_is clusters Ready 'False Suspended'
  local before
  before=$(passes)
  set_gate third DRAAdminAccess
  kubectl annotate configsource clusters drawbridge.dev/reconcile-requested-at=while-suspended --overwrite >/dev/null
  eventually 120 passes_since "$before"
  never_within 3 kubectl get draconfiguration fifth
  assert_equal "$(gate_of third)" DRAAdminAccess 'suspended, and drift was put back'
  kubectl patch configsource clusters --type merge -p '{"spec":{"suspend":false}}' >/dev/null
  eventually 180 kubectl get draconfiguration fifth
  eventually 120 gate_is_one third DynamicResourceAllocation

  note 'a KubermaticConfiguration beside the DRAConfiguration of its name: neither fights the other'
  printf 'apiVersion: kubermatic.k8c.io/v1\nkind: KubermaticConfiguration\nmetadata: {name: sixth}\nspec: {featureGates: {DynamicResourceAllocation: true}}\n' \
    >"$dir/kubermatic.yaml"
  observed sixth | sed /featureGates/d >"$dir/sixth.yaml"
  cp "$dir/values.kept" "$dir/values.yml"
  observed second >"$dir/second.yaml"
  sed -i "$names_values" "$dir/second.yaml"
  git_commit kubermatic
  applied clusters
  eventually 120 gate_is_one sixth DynamicResourceAllocation
  look clusters
  local written
  written=$(generations sixth)
  look clusters
  look clusters
  assert_equal "$(generations sixth)" "$written" 'generations'
  assert_equal "$(gate_of sixth)" DynamicResourceAllocation

  note 'what nobody watches is put back at the next look'
  kubectl patch configmap values --type merge -p '{"data":{"values.yaml":"a: 2"}}' >/dev/null
  look clusters
  assert_equal "$(kubectl get configmap values -o jsonpath='{.data.values\.yaml}')" 'a: 1'
  rm "$dir/kubermatic.yaml" "$dir/sixth.yaml"
  git_commit 'without sixth'
  applied clusters
  eventually 120 none_of kubermaticconfiguration,draconfiguration sixth

  note 'what a dry run lets through and an apply does not: the rest of that commit is remembered, and pruned with it'
  kubectl apply -f - >/dev/null <<'END'
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: not-the-eighth}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [drawbridge.dev], apiVersions: ["*"], operations: [CREATE], resources: [draconfigurations]}]}
  validations: [{expression: 'has(request.dryRun) && request.dryRun || object.metadata.name != "eighth"', message: not the eighth}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: not-the-eighth}
spec: {policyName: not-the-eighth, validationActions: [Deny]}
END
  observed eighth >"$dir/eighth.yaml"
  eventually 120 refused_by_policy "$dir/eighth.yaml"
  GOOD=$GIT_HEAD
  observed a-seventh >"$dir/a-seventh.yaml"
  git_commit 'refused half way'
  look clusters
  eventually 120 source_condition_is clusters Applied False
  assert_match "$(source_message clusters Applied)" 'not the eighth'
  assert kubectl get draconfiguration a-seventh -o name
  refuse kubectl get draconfiguration eighth
  assert_equal "$(source_status clusters lastAppliedRevision)" "main@sha1:$GOOD" 'half applied'
  assert_equal "$(cfgsrc clusters | jq '[.status.inventory[] | select(.name == "a-seventh")] | length')" 1
  rm "$dir/a-seventh.yaml" "$dir/eighth.yaml"
  git_commit 'neither'
  applied clusters
  eventually 120 dracfg_gone a-seventh
  kubectl delete validatingadmissionpolicy,validatingadmissionpolicybinding not-the-eighth >/dev/null

  note 'a source that is deleted leaves what it applied, and its metrics go'
  assert_equal "$(series drawbridge_configsource_info 'name="clusters"')" 1 'one revision is in force'
  assert_equal "$(metric drawbridge_configsource_info "main@sha1:$GIT_HEAD")" 1
  kubectl delete configsource clusters >/dev/null
  eventually 120 no_series drawbridge_configsource_ready 'name="clusters"'
  eventually 120 condition_is fifth SourceReady 'False NotFound'
  assert_equal "$(gate_of fifth)" DynamicResourceAllocation
  gitops_clean
}

# case: only commits that an allowed signer signed are applied, by ssh and by OpenPGP; everything else fails closed
# timeout: 720
case_signatures() {
  gitops
  local GOOD keys=$GIT_DIR_E2E/keys url="url: git://localhost:$((GIT_PORT + 2))/config.git"
  mkdir -m 700 "$keys" "$keys/gpg"
  ssh-keygen -q -t ed25519 -N '' -f "$keys/ops"
  ssh-keygen -q -t ed25519 -N '' -f "$keys/other"
  sign() { # KEY MESSAGE: an ssh-signed commit
    git -C "$GIT_WORK" config gpg.format ssh
    git -C "$GIT_WORK" config user.signingkey "$keys/$1"
    git_commit "$2" -S
  }
  refused_signature() { # REASON WORDS
    look clusters
    fails_with clusters SourceVerified "$1" "$2"
    assert_equal "$(source_status clusters lastAppliedRevision)" "${GOOD:+main@sha1:$GOOD}" 'in force'
  }
  observed first >"$GIT_WORK/first.yaml"
  git_commit unsigned
  source_is clusters "$url" 'verify: {secretRef: {name: signers}}'
  eventually 120 source_condition_is clusters Fetched 'False NotFound'
  refuse kubectl get draconfiguration first
  secret signers allowed_signers="ops@example.org $(cut -d' ' -f1,2 "$keys/ops.pub")"
  refused_signature SignatureMissing 'is not signed'
  refuse kubectl get draconfiguration first
  sign other stranger
  refused_signature SignerUnknown 'no allowed signer'
  refuse kubectl get draconfiguration first
  sign ops good
  applied clusters
  assert_equal "$(source_status clusters signer)" ops@example.org
  assert_match "$(source_message clusters SourceVerified)" 'Signed by ops@example.org'
  # a good signature, taken from another commit
  git -C "$GIT_WORK" cat-file commit HEAD | sed 's/^good$/forged/' >"$keys/forged"
  git -C "$GIT_WORK" commit -q --allow-empty -m x
  sed -i "s/^tree .*/&\nparent $GOOD/; /^parent/{/$GOOD/!d}" "$keys/forged"
  git -C "$GIT_WORK" reset -q --hard "$(git -C "$GIT_WORK" hash-object -t commit -w "$keys/forged")"
  git -C "$GIT_WORK" push -q origin HEAD
  refused_signature SignatureInvalid 'does not fit'

  note 'OpenPGP'
  gpg() { command gpg --homedir "$keys/gpg" --batch -q --pinentry-mode loopback --passphrase '' "$@"; }
  # shellcheck disable=SC2016 # for the script
  printf '#!/bin/sh\nexec gpg --homedir %s --batch --pinentry-mode loopback --passphrase "" "$@"\n' "$keys/gpg" >"$keys/sign"
  chmod 755 "$keys/sign"
  gpg --quick-gen-key pgp@example.org ed25519 sign never 2>/dev/null
  secret signers release.asc="$(gpg --armor --export pgp@example.org)"
  git -C "$GIT_WORK" config gpg.format openpgp
  git -C "$GIT_WORK" config gpg.program "$keys/sign"
  git -C "$GIT_WORK" config user.signingkey pgp@example.org
  git_commit pgp -S
  gpgconf --homedir "$keys/gpg" --kill all
  applied clusters
  assert_match "$(source_status clusters signer)" '^[0-9A-F]{40}$'

  note 'an empty list of signers lets nobody pass, not even what was applied'
  secret signers allowed_signers=''
  refused_signature SignerUnknown 'no armored public key'
  assert_equal "$(gate_of first)" DynamicResourceAllocation
  gitops_clean
}

rss_kib() { awk '/^VmRSS/ {print $2}' "/proc/$CONTROLLER/status"; }

looks() { metric drawbridge_configsource_fetches_total "result=\"$1\""; }
looks_reach() { (($(looks unchanged) >= $1)) || { looks unchanged && return 1; }; }

# api_writes: how often anybody changed objects of ours, or tried to; dry runs do not count.
api_writes() {
  metrics kube-apiserver | grep '^apiserver_request_total{' | grep -E 'group="(drawbridge.dev|kubermatic.k8c.io)"' | grep -F 'dry_run=""' |
    grep -E 'verb="(APPLY|CREATE|DELETE|PATCH|POST|PUT|UPDATE)"' | awk '{ all += $NF } END { print all + 0 }'
}

# open_files: of the controller; four workers that run just now have three pipes each.
open_files() { find "/proc/$CONTROLLER/fd" | wc -l; }

POLLED=(1 2 3 4 5 6 7 8 9 10)
all_polled() {
  local n
  for n in "${POLLED[@]}"; do source_condition_is "source-$n" Ready 'True AsExpected' || return 1; done
}

# case: fifty looks without a change, of ten sources each at its interval, fetch nothing, write nothing and leave nothing behind
# timeout: 960
case_polls() {
  export ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1 # what was freed shall not count
  gitops
  local n posts files memory writes began
  for n in "${POLLED[@]}"; do mkdir "$GIT_WORK/$n" && observed "polled-$n" >"$GIT_WORK/$n/config.yaml"; done
  git_commit first
  secret git ca.crt=@"$GIT_DIR_E2E/pki/ca.crt"
  for n in "${POLLED[@]}"; do
    source_is "source-$n" "url: https://localhost:$GIT_PORT/open/config.git" 'secretRef: {name: git}' "path: '$n'" 'interval: 10s'
  done
  eventually 240 all_polled
  eventually 240 looks_reach $(($(looks unchanged) + 15)) # everybody has settled, and nothing is new to the allocator
  memory=$(rss_kib)
  posts=$(grep -c 'POST .*git-upload-pack' "$GIT_DIR_E2E/nginx/access.log")
  files=$(open_files)
  writes=$(api_writes)
  began=$(looks unchanged)
  eventually 480 looks_reach $((began + 50))
  assert_equal "$(api_writes)" "$writes" 'writes to the API server'
  assert_equal "$(grep -c 'POST .*git-upload-pack' "$GIT_DIR_E2E/nginx/access.log")" "$posts" 'fetches'
  note "memory: $memory KiB before, $(rss_kib) KiB after fifty looks"
  (($(rss_kib) < memory + 4096)) || die "memory grew from $memory to $(rss_kib) KiB"
  (($(open_files) <= files + 12)) || die "file descriptors stay open: $files, then $(open_files)"
  assert_equal "$(looks fetched)" ${#POLLED[@]}
  assert_equal "$(metric drawbridge_configsource_info "main@sha1:$GIT_HEAD")" ${#POLLED[@]}
  assert_equal "$(metric drawbridge_configsource_ready 'namespace="default"')" ${#POLLED[@]}

  note 'the count is one that moves: one commit, and each source fetches and one object is written'
  observed polled-1 DRAPrioritizedList >"$GIT_WORK/1/config.yaml"
  git_commit second
  look source-1
  eventually 120 gate_is_one polled-1 DRAPrioritizedList
  (($(api_writes) > writes)) || die 'writes are not counted'
  (($(grep -c 'POST .*git-upload-pack' "$GIT_DIR_E2E/nginx/access.log") > posts)) || die 'fetches are not counted'
  kubectl delete configsources --all >/dev/null
  eventually 120 no_worker
  gitops_clean
}

# shellcheck disable=SC2016 # for the shell of the fault
REFUSES='[[ $* != *DynamicResourceAllocation=true* ]] || real "$@" --feature-gates=InjectedByTheTest=true
real "$@"'

# rolled NAME LINE...: the file of a DRAConfiguration that is rolled out.
rolled() {
  printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: DRAConfiguration\nmetadata: {name: dra}\nspec:\n  rollout: {componentTimeout: 60s, minReady: 0s}\n' >"$GIT_WORK/dra.yaml"
  printf '  %s\n' "$@" >>"$GIT_WORK/dra.yaml"
}

good_is_head() { source_status_is clusters lastKnownGoodRevision "main@sha1:$GIT_HEAD"; }

# case: a commit turns DRA on and its revert turns it off; a commit whose roll-out had to be put back makes the source hold until the branch moves on
# timeout: 1200
case_rollout() {
  gitops
  start_agent
  keep_files "$CASE_DIR/before"
  local good bad
  rolled 'featureGates: {}'
  git_commit off
  good=$GIT_HEAD
  source_is clusters "url: file://$GIT_BARE"
  eventually 180 good_is_head

  note 'a commit that the scheduler does not survive'
  fault kube-scheduler "$REFUSES"
  rolled 'featureGates: {DynamicResourceAllocation: true}'
  git_commit on
  bad=$GIT_HEAD
  look clusters
  eventually 400 source_status_is clusters heldRevision "main@sha1:$bad"
  eventually 120 source_status_is clusters lastAppliedRevision "main@sha1:$good"
  eventually 120 source_condition_is clusters Ready 'False Held'
  eventually 400 condition_is dra Ready True # until then the API server restarts once more
  eventually 120 same_files "$CASE_DIR/before"
  assert_match "$(source_message clusters Ready)" "$bad.*kube-scheduler"
  eventually 120 condition_is dra SourceReady 'False Held'
  look clusters
  note 'another controller knows it too'
  kill_hard "$CONTROLLER"
  gitops_controller
  look clusters
  look clusters
  assert_equal "$(source_status clusters lastAppliedRevision)" "main@sha1:$good" 'held'
  assert_equal "$(source_status clusters heldRevision)" "main@sha1:$bad" 'held'
  assert_equal "$(gate_of dra)" ''
  assert same_files "$CASE_DIR/before"

  note 'the branch moves on: DRA goes on'
  unfault kube-scheduler
  rolled 'featureGates: {DynamicResourceAllocation: true}' 'allowAlpha: true'
  git_commit 'on again'
  look clusters
  eventually 400 good_is_head
  assert dra_is_on
  assert_equal "$(source_status clusters heldRevision)" ''
  eventually 120 condition_is dra SourceReady True

  note 'its revert: DRA goes off'
  git -C "$GIT_WORK" revert --no-edit HEAD HEAD~1 >/dev/null
  git_commit off
  look clusters
  eventually 400 good_is_head
  eventually 120 served_is ''
  eventually 120 gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}"
  eventually 120 same_files "$CASE_DIR/before"
  kubectl delete configsources,draconfigurations --all --wait=false >/dev/null
}
