# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Files as people have them: what is theirs stays, byte for byte.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

# foreign_lines_kept NAME: every line that went away held flags of gates or runtime-config.
foreign_lines_kept() {
  local gone
  gone=$(changes "$CASE_DIR/before" "$1" | grep '^<' | grep -vE 'feature-gates|runtime-config|=(true|false)' || true)
  assert_equal "$gone" '' "lines that are gone from $1"
  note "$1: $(changes "$CASE_DIR/before" "$1" | tr -d '\r' | tr '\n' ' ')"
}

odd_apiserver() { # odd indentation, an anchor, the kube: prefix, a runtime-config of the user's, comments beyond ASCII
  local file=$MANIFESTS/kube-apiserver.yaml
  sed -E -e 's/^(    - )kube-apiserver$/&   # größer als nötig — ☸\n\1--feature-gates=kube:APIResponseCompression=false\n\1--runtime-config=admissionregistration.k8s.io\/v1beta1=true/' \
    -e 's/^(    livenessProbe:)$/\1 \&probe/' -e 's/^  hostNetwork: true$/  hostNetwork:    true   # ← host/' "$file" >"$NODE/new"
  mv "$NODE/new" "$file"
}

odd_controller_manager() { # CRLF, repeats
  local file=$MANIFESTS/kube-controller-manager.yaml
  sed -E -e 's/^(    - )kube-controller-manager$/&\n\1--feature-gates=ContextualLogging=true\n\1--feature-gates=APIServerIdentity=false/' "$file" | sed 's/$/\r/' >"$NODE/new"
  mv "$NODE/new" "$file"
}

odd_scheduler() { # a sidecar first, args instead of command, two-argument notation, no newline at the end
  local file=$MANIFESTS/kube-scheduler.yaml
  sed -E -e '/^  - command:$/,/^    image:/{
    s/^  - command:$/  - name: sidecar\n    image: node.local\/sidecar:1\n    command: [sleep, "100000"]\n  - args:/
    /^    - kube-scheduler$/d
    s/^(    image: .*)$/    - --feature-gates\n    # the next word belongs to the one above\n    - ContextualLogging=true\n    command: ["kube-scheduler"]\n\1/
  }' "$file" >"$NODE/new"
  printf %s "$(cat "$NODE/new")" >"$NODE/new2"
  mv "$NODE/new2" "$file"
}

# case: other gates, repeats, two-argument notation, kube: prefix, comments, CRLF, anchors, args, a sidecar first: only our change shows
# timeout: 600
case_user_flags_kept() {
  use_cluster 1.33 kubelet
  odd_apiserver
  odd_controller_manager
  odd_scheduler
  printf '# ours: ☸\nfeatureGates:   # of the user\n    NodeSwap: true\n' >>"$NODE/kubelet/config.yaml"
  "$NODE/restart-kubelet"
  eventually 80 gate_is kube-apiserver APIResponseCompression 0
  eventually 80 gate_is kube-scheduler DynamicResourceAllocation 0
  eventually 80 gate_is kube-controller-manager APIServerIdentity 0
  keep_files "$CASE_DIR/before"
  start_both
  dra_on dra 'deletionPolicy: Revert'
  eventually 400 condition_is dra Ready True
  assert dra_is_on
  assert gate_is kube-apiserver APIResponseCompression 0
  assert gate_is kube-controller-manager APIServerIdentity 0
  assert gate_is kube-controller-manager ContextualLogging 1
  assert gate_is kube-scheduler ContextualLogging 1
  assert gate_is kubelet NodeSwap 1
  local file
  for file in kube-apiserver.yaml kube-controller-manager.yaml kube-scheduler.yaml config.yaml; do foreign_lines_kept "$file"; done
  assert_equal "$(grep -c $'\r$' "$MANIFESTS/kube-controller-manager.yaml")" "$(wc -l <"$MANIFESTS/kube-controller-manager.yaml")" 'lines with CRLF'
  kubectl delete draconfiguration dra --timeout=150s >/dev/null
  assert same_files "$CASE_DIR/before"
}

# kubelet_says LINE...: in config.yaml of where it answers; the stand-in for the kubelet listens at one place all the time.
kubelet_says() {
  sed -E -i -e '/^(healthzPort|healthzBindAddress):/d' "$NODE/kubelet/config.yaml"
  printf '%s\n' "$@" >>"$NODE/kubelet/config.yaml"
}

kubelet_report() { kubectl get nodedra cp-1 -o json | jq -r '.status.components[] | select(.name == "kubelet") | "\(.state) \(.reason // "") \(.message // "")"'; }
kubelet_reports() { [[ $(kubelet_report) =~ $1 ]]; }

# case: a kubelet that does not answer before the edit is not edited nor restarted, on its node alone; it goes on when it answers
# timeout: 300
case_kubelet_not_answering() {
  use_cluster 1.33 kubelet
  kubelet_says "healthzPort: $((PORT + 19))" # nobody is there
  cp "$NODE/kubelet/config.yaml" "$CASE_DIR/config.yaml"
  start_both
  dra_on dra
  eventually 180 kubelet_reports "^Unreadable KubeletNotAnswering .*127.0.0.1:$((PORT + 19))/healthz.* is not changed"
  assert_same_file "$CASE_DIR/config.yaml" "$NODE/kubelet/config.yaml"
  assert refuse_log 'the kubelet is restarted'
  refuse condition_is dra NodesUpdated 'False NodeFailed'
  eventually 180 gate_is kube-apiserver DynamicResourceAllocation 1 # the others are not held
  kubelet_says "healthzPort: $((PORT + 6))"
  eventually 240 condition_is dra Ready True
  assert dra_is_on
  assert grep -q 'info  node: the kubelet is restarted node=cp-1 component=kubelet object=NodeDRAConfiguration/cp-1' "$CASE_DIR/agent.log"
}

refuse_log() { ! grep -q "$1" "$CASE_DIR/agent.log"; }

# case: a health endpoint that is turned off: the kubelet's metrics tell that it is well
# timeout: 300
case_kubelet_healthz_off() {
  use_cluster 1.33 kubelet
  kubelet_says 'healthzPort: 0'
  start_both
  dra_on dra
  eventually 240 condition_is dra Ready True
  assert dra_is_on
}

# case: a key that is twice in the kubelet's configuration: file and line are told, the control plane is not held, and it goes on when it is corrected
# timeout: 300
case_kubelet_key_twice() {
  use_cluster 1.33 kubelet
  local lines
  cp "$NODE/kubelet/config.yaml" "$CASE_DIR/well.yaml"
  printf 'featureGates: {NodeSwap: true}\nfeatureGates: {NodeSwap: true}\n' >>"$NODE/kubelet/config.yaml"
  cp "$NODE/kubelet/config.yaml" "$CASE_DIR/config.yaml"
  lines=$(wc -l <"$NODE/kubelet/config.yaml")
  start_both
  dra_on dra
  eventually 120 kubelet_reports "^Unreadable ManifestInvalid .*kubelet/config.yaml:$lines:1: key \"featureGates\" is there twice"
  eventually 180 gate_is kube-apiserver DynamicResourceAllocation 1
  assert_same_file "$CASE_DIR/config.yaml" "$NODE/kubelet/config.yaml"
  refuse condition_is dra NodesUpdated 'False NodeFailed'
  cp "$CASE_DIR/well.yaml" "$NODE/kubelet/config.yaml"
  eventually 240 condition_is dra Ready True
}

# case: a file that is not what it should be is reported and stays as it is
case_not_a_manifest() {
  use_cluster 1.33
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: kube-scheduler\n' >"$MANIFESTS/kube-scheduler.yaml" # the runner keeps the old pod
  keep_files "$CASE_DIR/before"
  start_both
  dra_on dra
  eventually 120 said_of_the_manifest
  sleep 2
  assert same_files "$CASE_DIR/before"
}

said_of_the_manifest() { [[ $(conditions dra) == *ManifestInvalid* ]]; }
