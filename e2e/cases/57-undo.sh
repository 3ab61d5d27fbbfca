# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What must not undo a cluster: files that people leave beside the manifests or half written, a second scheduler, somebody else who writes a manifest, a worker
# that looks like a control plane. Everything that runs stays as it is, the object says what is wrong, and it is as before when the cause has gone.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

# the_cluster: what must be the same before and after: the processes, and what the status says was tried.
the_cluster() {
  local component
  for component in "${CONTROL_PLANE[@]}" kubelet; do echo "$component $(started_at "$component")"; done
  dracfg dra | jq -c '[.status.failedRevision, [.status.history[]? | .result]]'
}

ready() {
  use_cluster 1.33 kubelet
  start_both
  dra_on dra
  eventually 200 condition_is dra Ready True
  the_cluster >"$CASE_DIR/before"
}

still_the_same() {
  the_cluster >"$CASE_DIR/now"
  assert_same_file "$CASE_DIR/before" "$CASE_DIR/now"
  assert dra_is_on
}

nothing_was_given_up() { assert_equal "$(dracfg dra | jq -c '[.status.failedRevision, [.status.history[]? | .result]]')" "$1"; }

# case: a copy is kept beside a manifest while DRA is on: reported with both names, nothing restarts, and without it all is as before
# timeout: 200
case_ready_then_copy() {
  ready
  cp "$MANIFESTS/kube-controller-manager.yaml" "$MANIFESTS/kube-controller-manager.yaml.before-change"
  eventually 120 condition_is dra ControlPlaneUpdated 'False ManifestInvalid'
  assert_match "$(condition_message dra ControlPlaneUpdated)" 'kube-controller-manager.yaml and .*kube-controller-manager.yaml.before-change both are'
  assert dra_is_on
  rm "$MANIFESTS/kube-controller-manager.yaml.before-change"
  eventually 120 condition_is dra Ready True
  still_the_same
}

# case: a copy appears in the middle of a roll-out: it waits, gives nothing up, and goes on when the copy has gone
# timeout: 240
case_copy_midway() {
  use_cluster 1.33 kubelet
  start_both
  dra_on dra
  eventually 200 gate_is kube-apiserver DynamicResourceAllocation 1
  cp "$MANIFESTS/kube-scheduler.yaml" "$MANIFESTS/kube-scheduler.yaml.before-change"
  eventually 120 condition_is dra ControlPlaneUpdated 'False ManifestInvalid'
  assert gate_is kube-apiserver DynamicResourceAllocation 1
  nothing_was_given_up '[null,[]]'
  rm "$MANIFESTS/kube-scheduler.yaml.before-change"
  eventually 200 condition_is dra Ready True
  assert dra_is_on
  nothing_was_given_up '[null,["Applied"]]'
}

# case: a manifest is half written before the first roll-out: nothing begins, and when it is whole the roll-out comes by itself
# timeout: 240
case_half_written_then_whole() {
  use_cluster 1.33 kubelet
  start_both
  cp -p "$MANIFESTS/kube-scheduler.yaml" "$NODE/whole"
  printf 'apiVersion: v1\nkind: Pod\nmetadata: {name: kube-scheduler\n' >"$MANIFESTS/kube-scheduler.yaml" # the runner keeps the old pod
  dra_on dra
  eventually 120 condition_is dra ControlPlaneUpdated 'False ManifestInvalid'
  assert condition_is dra Degraded 'True ManifestInvalid' # nothing was tried, so no RollbackFailed
  assert gate_is kube-apiserver DynamicResourceAllocation 0
  mv "$NODE/whole" "$MANIFESTS/kube-scheduler.yaml"
  eventually 200 condition_is dra Ready True # and nobody has annotated anything
  assert dra_is_on
  nothing_was_given_up '[null,["Applied"]]'
}

# keep_putting_back: as a configuration management does with its own copy of the scheduler's manifest.
keep_putting_back() {
  while sleep 0.3; do
    cmp -s "$NODE/theirs" "$MANIFESTS/kube-scheduler.yaml" && continue
    cp "$NODE/theirs" "$MANIFESTS/.theirs" && mv "$MANIFESTS/.theirs" "$MANIFESTS/kube-scheduler.yaml"
  done
}

# case: somebody puts a manifest back each time: that component is told, the others keep the gate; when the flags are set there it is Ready again
# timeout: 300
case_ready_then_fight() {
  use_cluster 1.33 kubelet
  cp -p "$MANIFESTS/kube-scheduler.yaml" "$NODE/theirs"
  start_both
  dra_on dra
  eventually 200 condition_is dra Ready True
  cp -p "$MANIFESTS/kube-scheduler.yaml" "$NODE/with-gates"
  keep_putting_back &
  STARTED+=("$!")
  eventually 240 condition_is dra ControlPlaneUpdated 'False FileConflict'
  assert gates_are 1 DynamicResourceAllocation kube-apiserver kube-controller-manager kubelet
  assert served_is v1beta1
  nothing_was_given_up '[null,["Applied"]]'
  note 'the flags are set where the file comes from'
  cp "$NODE/with-gates" "$NODE/theirs.new"
  mv "$NODE/theirs.new" "$NODE/theirs"
  eventually 200 condition_is dra Ready True
  eventually 60 dra_is_on # the kubelet may have been behind: it still ends one process for each of the files before
  eventually 60 condition_is dra Ready True
}

# second_scheduler LABEL: the standard program with a name, a port and a configuration of its own, as a static pod.
second_scheduler() {
  cat >"$NODE/batch.yaml" <<EOF
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: $CLUSTER/scheduler.conf}
leaderElection: {leaderElect: false}
profiles: [{schedulerName: batch-scheduler}]
EOF
  sed -E -e "s/component: kube-scheduler/component: $1/; s/name: kube-scheduler$/name: batch-scheduler/" \
    -e "s#--secure-port=$((PORT + 5))#--secure-port=$((PORT + 13))#; s/port: $((PORT + 5))/port: $((PORT + 13))/" \
    -e "s#^    - --kubeconfig=.*#    - --config=$NODE/batch.yaml#; /leader-elect/d" "$MANIFESTS/kube-scheduler.yaml" >"$NODE/batch-scheduler"
  mv "$NODE/batch-scheduler" "$MANIFESTS/batch-scheduler.yaml"
  cp "$MANIFESTS/batch-scheduler.yaml" "$NODE/batch-before"
}

# case: a second scheduler as a static pod is somebody else's: named, never written, and DRA goes on in the real one
# timeout: 240
case_second_scheduler() {
  use_cluster 1.33 kubelet
  second_scheduler batch-scheduler
  start_both
  dra_on dra
  eventually 200 condition_is dra Ready True
  assert dra_is_on
  assert_match "$(condition_message dra ControlPlaneUpdated)" 'left alone: .*/batch-scheduler.yaml beside kube-scheduler on cp-1'
  assert_same_file "$NODE/batch-before" "$MANIFESTS/batch-scheduler.yaml"
}

batch_runs() { pgrep -f -- "--config=$NODE/batch.yaml" >/dev/null; }

# case: a second scheduler that has kubeadm's own label and runs while the real one is edited: it stays as it is, and DRA goes on in the real one
# timeout: 240
case_labelled_scheduler() {
  use_cluster 1.33 kubelet
  second_scheduler kube-scheduler
  eventually 120 batch_runs
  start_both
  dra_on dra
  eventually 200 condition_is dra Ready True
  assert dra_is_on
  assert batch_runs
  assert_match "$(condition_message dra ControlPlaneUpdated)" 'left alone: .*/batch-scheduler.yaml beside kube-scheduler on cp-1'
  assert_same_file "$NODE/batch-before" "$MANIFESTS/batch-scheduler.yaml"
}

# case: a mirror pod of a node that is no control plane is named and does nothing
# timeout: 200
case_worker_claims() {
  ready
  kubectl apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Node
metadata: {name: worker-1, annotations: {kwok.x-k8s.io/node: fake}}
---
apiVersion: v1
kind: Pod
metadata:
  name: kube-apiserver-worker-1
  namespace: kube-system
  labels: {component: kube-apiserver, tier: control-plane}
  annotations: {kubernetes.io/config.mirror: "0123456789"}
spec:
  nodeName: worker-1
  hostNetwork: true
  containers: [{name: kube-apiserver, image: "node.local/kube-apiserver:v1.20.0", command: [kube-apiserver]}]
EOF
  eventually 120 is_named 'not counted, .*: kube-apiserver on worker-1'
  assert condition_is dra Ready True
  still_the_same
}

is_named() { [[ $(condition_message dra ControlPlaneUpdated) =~ $1 ]]; }
