# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Components that do not come back: the files from before are put back, the object says so, and it is not tried again and again.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

# shellcheck disable=SC2016 # for the shell of the fault
# The test's own argument, added whenever ours are there: the table cannot know of it.
REFUSES='[[ $* != *DynamicResourceAllocation=true* ]] || real "$@" --feature-gates=InjectedByTheTest=true
real "$@"'
# shellcheck disable=SC2016
SLEEPS='[[ $* != *DynamicResourceAllocation=true* ]] || exec sleep 1000
real "$@"'

# put_back REASON: what must be so after a failure, whatever failed.
put_back() {
  eventually 300 condition_is dra Degraded True
  eventually 120 same_files "$CASE_DIR/before"
  eventually 120 served_is ''
  eventually 120 gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}"
  eventually 120 condition_is dra Ready False # an API server that has just started refuses everything until it has read its roles
  assert_match "$(conditions dra)" "$1"
  note "$(condition_message dra Degraded)"
}

# no_retry: for some seconds nothing is written and nothing restarts.
no_retry() {
  { files && processes; } >"$CASE_DIR/quiet-1"
  sleep 8
  { files && processes; } >"$CASE_DIR/quiet-2"
  assert_same_file "$CASE_DIR/quiet-1" "$CASE_DIR/quiet-2" 'it was tried again'
}

failing() { # COMPONENT FAULT SECONDS
  use_cluster 1.33 kubelet
  keep_files "$CASE_DIR/before"
  fault "$1" "$2"
  start_both
  dra_on dra "rollout: {componentTimeout: ${3}s, minReady: 0s}"
}

# fixed: the cause is gone, and a change of the spec starts it again.
fixed() {
  unfault "$1"
  dra_on dra 'rollout: {componentTimeout: 61s, minReady: 0s}' 'runtimeConfig: {resource.k8s.io/v1beta2: "true"}'
  eventually 300 condition_is dra Ready True
  assert dra_is_on
  assert served_is 'v1beta1 v1beta2'
  condition_is dra Degraded False
}

# case: the API server refuses the injected argument: put back, API back, Degraded with the refusing line, no retry, fixed by a spec change
# timeout: 840
case_apiserver_refuses() {
  failing kube-apiserver "$REFUSES" 60
  put_back ComponentCrashed
  assert_match "$(conditions dra)" 'InjectedByTheTest'
  no_retry
  fixed kube-apiserver
}

# case: the scheduler refuses: the whole revision is put back, the components that were well included
# timeout: 600
case_scheduler_refuses() {
  failing kube-scheduler "$REFUSES" 60
  put_back 'ComponentCrashed|RolledBack'
  no_retry
}

# case: the API server starts and never gets ready: put back after componentTimeout
# timeout: 600
case_apiserver_never_ready() {
  failing kube-apiserver "$SLEEPS" 15
  put_back 'ComponentNotReady|ComponentCrashed'
  no_retry
}

# case: the kubelet does not start with the new configuration: its file is put back
# timeout: 600
case_kubelet_refuses() {
  use_cluster 1.33 kubelet
  keep_files "$CASE_DIR/before"
  # shellcheck disable=SC2016 # for the shell of the fault
  fault kubelet 'config=
while (($#)); do [[ $1 != --config ]] || config=$2; shift; done
! grep -q DynamicResourceAllocation "$config" || { echo "Error: injected: err=refused feature gate" >&2; exit 1; }
echo "mkdir /dev/null: not a directory"; exit 1'
  start_both
  dra_on dra 'rollout: {componentTimeout: 15s, minReady: 0s}'
  eventually 400 condition_is dra Degraded True
  assert_match "$(conditions dra)" 'KubeletNotReady|NodeFailed'
  eventually 60 assert_same_file "$CASE_DIR/before/config.yaml" "$NODE/kubelet/config.yaml"
  eventually 60 curl -sf "http://127.0.0.1:$((PORT + 6))/healthz"
  no_retry
}
