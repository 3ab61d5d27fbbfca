# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Crash anywhere, and the next pass resumes.
# needs: drawbridge
# tools: 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.33/kubelet

# where: component and phase that the journal or the object speak of now; changes with each step.
where() { { md5sum "$NODE/drawbridge/journal.json" 2>/dev/null || true; files; } | md5sum; }

# kill_at_each_step WHAT: kills what whenever something has changed on the node, and starts it again, until all is done.
kill_at_each_step() {
  local last='' now kills=0 quiet=0 end=$((SECONDS + 240))
  # kubectl may have to wait for an API server that restarts: it is asked only when the node has been quiet for a while.
  until ((quiet >= 20)) && settled dra >/dev/null 2>&1; do
    ((SECONDS < end)) || die "not done after $kills kills: $(conditions dra)"
    now=$(where)
    if [[ $now != "$last" ]]; then
      case $1 in
        agent)
          kill_hard "$AGENT"
          start_agent
          ;;
        controller)
          kill_hard "$CONTROLLER"
          kubectl delete lease -n drawbridge-system drawbridge --ignore-not-found >/dev/null 2>&1 || true # no need to wait for it to run out
          start_controller
          ;;
      esac
      kills=$((kills + 1))
      quiet=0
      last=$(where)
      sleep 0.3
    fi
    quiet=$((quiet + 1))
    sleep 0.1
  done
  note "$kills kills of the $1"
  ((kills >= 3)) || die "only $kills kills: the case shows nothing"
}

killed() { # agent|controller
  use_cluster 1.33 kubelet
  keep_files "$CASE_DIR/before"
  start_both
  dra_on dra
  kill_at_each_step "$1"
  assert dra_is_on
  assert served_is v1beta1
  local component
  for component in "${CONTROL_PLANE[@]}"; do
    assert_equal "$(restarts "$component")" 1 "restarts of $component"
    note "$(changes "$CASE_DIR/before" "$component.yaml")"
  done
}

# case: the agent is killed at every step of a roll-out: it ends in the same state, each component restarted once
# timeout: 720
case_agent_killed() { killed agent; }

# case: the controller is killed at every step of a roll-out
# timeout: 720
case_controller_killed() { killed controller; }

# case: the API server is away for 30 s in the middle of a roll-out: nothing is lost
# timeout: 720
case_api_away() {
  use_cluster 1.33 kubelet
  start_both
  dra_on dra 'rollout: {componentTimeout: 120s, minReady: 0s}'
  eventually 120 gate_is kube-apiserver DynamicResourceAllocation 1
  fault kube-apiserver 'sleep 30
real "$@"'
  kill -KILL "$(pid_of kube-apiserver)"
  sleep 20
  refuse kubectl get --raw /readyz
  unfault kube-apiserver
  eventually 300 condition_is dra Ready True
  assert dra_is_on
  local component
  for component in kube-controller-manager kube-scheduler; do assert_equal "$(restarts "$component")" 1 "restarts of $component"; done
}
