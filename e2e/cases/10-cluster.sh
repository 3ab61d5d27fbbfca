# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The test cluster itself, without drawbridge: what stands in for the kubelet does what the kubelet does.
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

ready_pods() { [[ $(kubectl get pods -n kube-system -l tier=control-plane -o json | jq '[.items[].status.conditions[] | select(.type == "Ready" and .status == "True")] | length') == 4 ]]; }
hash_of() { kubectl get pod -n kube-system "$1-cp-1" -o json | jq -r '.metadata.annotations["kubernetes.io/config.hash"]'; }
new_hash() { [[ $(hash_of "$1") != "$2" ]]; }

# case: a control plane of static pods without DRA; editing the manifests by hand turns it on
case_enable_by_hand() {
  use_cluster 1.33 kubelet
  eventually 40 ready_pods
  assert_equal "$(served)" '' 'resource.k8s.io before'
  assert gates_are 0 DynamicResourceAllocation "${CONTROL_PLANE[@]}" kubelet
  local hash component was
  hash=$(hash_of kube-apiserver)
  was=$(started_at etcd)
  edit kube-apiserver 's/^(    - )kube-apiserver$/&\n\1--feature-gates=DynamicResourceAllocation=true\n\1--runtime-config=resource.k8s.io\/v1beta1=true/'
  eventually 60 gate_is kube-apiserver DynamicResourceAllocation 1
  for component in kube-controller-manager kube-scheduler; do
    edit $component "s/^(    - )$component\$/&\n\1--feature-gates=DynamicResourceAllocation=true/"
    eventually 60 gate_is $component DynamicResourceAllocation 1
  done
  printf 'featureGates:\n  DynamicResourceAllocation: true\n' >>"$NODE/kubelet/config.yaml"
  assert gate_is kubelet DynamicResourceAllocation 0
  "$NODE/restart-kubelet"
  eventually 60 gate_is kubelet DynamicResourceAllocation 1
  assert_equal "$(served)" v1beta1 'resource.k8s.io after'
  eventually 40 new_hash kube-apiserver "$hash"
  eventually 40 ready_pods
  assert_match "$(kubectl get pod -n kube-system -l component=kube-scheduler -o yaml)" DynamicResourceAllocation
  assert_equal "$(started_at etcd)" "$was" 'etcd was not to be restarted'
}

# case: comments, dot files, other directories and half-written files restart nothing; a changed object does
case_file_rules() {
  use_cluster 1.33
  local before
  before=$(processes)
  edit kube-scheduler 's/^spec:$/# a word of explanation\n&/'
  cp "$MANIFESTS/kube-scheduler.yaml" "$MANIFESTS/.kube-scheduler-2.yaml"
  mkdir "$MANIFESTS/old" && cp "$MANIFESTS/kube-scheduler.yaml" "$MANIFESTS/old/"
  head -c 300 "$MANIFESTS/kube-controller-manager.yaml" >"$NODE/half" && cp "$MANIFESTS/kube-controller-manager.yaml" "$NODE/whole"
  printf 'spec: [' >>"$NODE/half" && cp "$NODE/half" "$MANIFESTS/kube-controller-manager.yaml"
  sleep 1.5
  assert_equal "$(processes)" "$before" 'nothing was to be restarted'
  cp "$NODE/whole" "$MANIFESTS/kube-controller-manager.yaml"
  sleep 0.5
  assert_equal "$(processes)" "$before" 'the same object was to change nothing'
  edit kube-scheduler 's/^(    - )kube-scheduler$/&\n\1--v=1/'
  eventually 40 restarted kube-scheduler "$(grep ^kube-scheduler <<<"$before" | cut -d' ' -f3)"
}

restarts_of() { kubectl get pod -n kube-system "$1-cp-1" -o json | jq '.status.containerStatuses[0].restartCount'; }
restarts_at_least() { (($(restarts_of "$1") >= $2)); }

# case: a component that refuses its flags is started again and again, with its refusal in its log; a good manifest ends that
case_crash_loop() {
  use_cluster 1.33
  local was
  edit kube-scheduler 's/^(    - )kube-scheduler$/&\n\1--feature-gates=Bogus=true/'
  eventually 60 restarts_at_least kube-scheduler 2
  assert grep -rq 'unrecognized feature gate: Bogus' "$NODE/log/pods"
  refuse pid_of kube-scheduler
  edit kube-scheduler '/Bogus/d'
  eventually 40 pid_of kube-scheduler
  was=$(hash_of kube-scheduler)
  eventually 40 gate_is kube-scheduler DynamicResourceAllocation 0
  assert_match "$was" '^[0-9a-f]{32}$'
}

# case: a kubelet with a gate it does not know stays down until its file is good again
case_kubelet_refuses() {
  use_cluster 1.33 kubelet
  cp "$NODE/kubelet/config.yaml" "$NODE/good.yaml"
  printf 'featureGates:\n  Bogus: true\n' >>"$NODE/kubelet/config.yaml"
  "$NODE/restart-kubelet"
  eventually 60 grep -q 'unrecognized feature gate: Bogus' "$NODE/runner.log"
  refuse curl -sf "http://127.0.0.1:$((PORT + 6))/healthz"
  cp "$NODE/good.yaml" "$NODE/kubelet/config.yaml"
  "$NODE/restart-kubelet"
  eventually 60 curl -sf "http://127.0.0.1:$((PORT + 6))/healthz"
}

# case: when the runner is killed, or a run of test.sh is told to end, nothing of the cluster stays
case_nothing_stays() {
  local run work
  use_cluster 1.33
  assert pid_of etcd
  kill -KILL "$(cat "$NODE/runner.pid")"
  eventually 40 none_left "$CLUSTER"

  note 'a run of its own'
  setsid bash "$E2E/test.sh" cluster/crash_loop >"$CASE_DIR/run.log" 2>&1 &
  run=$!
  STARTED+=("$run")
  eventually 120 has_etcd "$run"
  work=$(work_of "$run")
  forget "$run"
  kill -TERM "$run"
  eventually 60 has_ended "$run"
  assert none_left "$work"
  refuse test -e "$work"
}

none_left() { ! pgrep -f "$1/" >/dev/null; }
has_ended() { ! pgrep -s "$1" >/dev/null; }
# work_of RUN: its directory, out of the environment of its case.
work_of() {
  local pid
  pid=$(pgrep -s "$1" -f run-case.sh | head -n1) || true
  [[ $pid ]] && tr '\0' '\n' <"/proc/$pid/environ" | sed -n 's/^WORK=//p'
}
has_etcd() {
  local work
  work=$(work_of "$1") && [[ $work ]] && pgrep -f "$work/.*etcd"
}

# case: the runner's own unit tests
case_runner_units() {
  install_go
  (cd "$E2E/tools/podrunner" && go vet ./... && go test ./...)
}
