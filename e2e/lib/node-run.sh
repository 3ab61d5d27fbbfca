# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153,SC2317 # used by whoever sources this; from node.env; called by others
# Drawbridge on real nodes as processes, for the cases and for the demo; and what is asked of such a node in place of what lib/inspect.sh asks.
#
#   node_rights                    who drawbridge is there, and a kubeconfig for the controller
#   node_controller_command        sets COMMAND: the controller, outside of the nodes
#   node_agent_command DIR INDEX   sets COMMAND: the agent, in the namespaces of the node in DIR
#   node_asked                     pid_of and metrics are those of the node in CLUSTER from now on

node_rights() {
  [[ ! -f $FIRST/drawbridge.conf ]] || return 0
  put -f "$E2E/lib/rbac.yaml" >/dev/null
  node_user "$FIRST/drawbridge.conf" drawbridge:controller
}

node_controller_command() {
  COMMAND=("$DRAWBRIDGE" run --kubeconfig "$FIRST/drawbridge.conf" --lease-namespace drawbridge-system
    --governing-namespace default --governing-namespace kubermatic)
}

node_agent_command() {
  local dir=$1 index=$2
  [[ -f $FIRST/agent-$index.conf ]] || node_user "$FIRST/agent-$index.conf" "drawbridge:agent:node-$index" drawbridge:agents
  COMMAND=(nsenter -t "$(cat "$dir/init.pid")" -m -p -u -i -n -- setpriv --pdeathsig TERM env "PATH=$(node_path "$dir")"
    "$DRAWBRIDGE" agent --node-name "node-$index" --kubeconfig "$FIRST/agent-$index.conf" --client-certificate "$FIRST/agent-$index.conf.crt"
    --client-key "$FIRST/agent-$index.conf.key" --guard "${DRAWBRIDGE%/*}/drawbridge-guard"
    --kubelet-log 'journalctl --unit=kubelet --output=short-unix --no-pager --lines=1000')
}

# node_asked: several nodes may be up on this machine, and the processes of each are seen from outside: the cgroup tells them apart.
node_asked() {
  metrics() { node_metrics "$1"; }
  pid_of() {
    local pid
    for pid in $(pgrep -f "^([^ ]*/)?$1 "); do
      if grep -qE "/$CGROUP(/|\$)" "/proc/$pid/cgroup" 2>/dev/null; then echo "$pid" && return 0; fi
    done
    return 1
  }
}
