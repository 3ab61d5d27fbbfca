# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153 # from demo.sh, and for it
# The demo on a Kubernetes that has DRA on by itself: features of it, proof that they are on, a claim that uses them, and the way to the next minor.

# features_config [LINE...]: the DRAConfiguration of this demo, with more lines of spec.
features_config() {
  printf 'apiVersion: drawbridge.dev/v1alpha1\nkind: DRAConfiguration\nmetadata: {name: dra, namespace: default}\nspec:\n  features: [PartitionableDevices, PoolStatus]\n'
  (($# == 0)) || printf '  %s\n' "$@"
}

config_refused() { [[ $(kubectl get dracfg dra -o json | jq -r '.status.conditions[]? | select(.type == "ConfigValid").reason') == "$1" ]]; }
pods_run() { [[ $(kubectl get pods half-1 half-2 -o jsonpath='{.items[*].status.phase}') == 'Running Running' ]]; }
counted() { [[ $(kubectl get resourcepoolstatusrequest gpus -o jsonpath='{.status.pools[0].allocatedDevices}') == 2 ]]; }
mirrored() { [[ $(kubectl get pod -n kube-system -l component=kube-scheduler -o json | jq -c '.items[].spec.containers[0].command') == *"$1"* ]]; }

# half NAME: a claim of half a GPU and a pod that uses it.
half() {
  cat <<END
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: $1}
spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: half-gpu}}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  nodeSelector: {type: kwok}
  tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
  containers: [{name: main, image: none, resources: {claims: [{name: gpu}]}}]
  resourceClaims: [{name: gpu, resourceClaimName: $1}]
END
}

# gpu_of_two: a class, and the slices of one GPU that is given in two halves.
gpu_of_two() {
  cat <<'END'
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: half-gpu}
spec: {selectors: [{cel: {expression: device.driver == 'gpu.example.com'}}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: kwok-node-0-counters}
spec:
  driver: gpu.example.com
  nodeName: kwok-node-0
  pool: {name: kwok-node-0, generation: 1, resourceSliceCount: 2}
  sharedCounters: [{name: gpu-0, counters: {memory: {value: 40Gi}}}]
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: kwok-node-0-devices}
spec:
  driver: gpu.example.com
  nodeName: kwok-node-0
  pool: {name: kwok-node-0, generation: 1, resourceSliceCount: 2}
  devices:
  - {name: half-1, consumesCounters: [{counterSet: gpu-0, counters: {memory: {value: 20Gi}}}]}
  - {name: half-2, consumesCounters: [{counterSet: gpu-0, counters: {memory: {value: 20Gi}}}]}
END
}

pool_status() {
  printf 'apiVersion: resource.k8s.io/v1alpha3\nkind: ResourcePoolStatusRequest\nmetadata: {name: gpus}\nspec: {driver: gpu.example.com}\n'
}

demo_features() {
  SPACE=default CONFIG=dra GATE=DRAResourcePoolStatus
  local from version name
  step "5. What is there by itself, and what has to be asked for"
  show "$DRAWBRIDGE" features --kubernetes "$MINOR"
  show "$DRAWBRIDGE" features PoolStatus --kubernetes "$MINOR"

  step "6. Two features are asked for; one of them is alpha, and that is refused until it is allowed"
  features_config >"$DIR/dra.yaml"
  show cat "$DIR/dra.yaml"
  show kubectl apply -f "$DIR/dra.yaml"
  soon 30 'the refusal' -- config_refused AlphaNotAllowed
  show_pipe "kubectl get dracfg dra -o json | jq -r '.status.conditions[] | select(.type == \"ConfigValid\").message'"
  say "nothing was touched. With allowAlpha it goes out:"
  features_config 'allowAlpha: true' >"$DIR/dra.yaml"
  show "$DRAWBRIDGE" plan -f "$DIR/dra.yaml" || true # 1: there are changes
  watch_along
  show kubectl apply -f "$DIR/dra.yaml"
  from=$SECONDS
  wait_ready
  sleep 1
  quiet
  say "Ready after $((SECONDS - from)) s; each component said so itself:"
  show_pipe "kubectl get dracfg dra -o json | jq -r '.status.features[] | \"\(.name) \(.state): \(.message)\"'"
  show kubectl get dracfg
  show kubectl api-resources --api-group=resource.k8s.io

  step "7. A GPU in two halves: two claims, two pods, and what is left of the pool"
  demo_kwok
  soon 30 'service account default' -- kubectl get serviceaccount default
  show kubectl apply -f "$E2E/seeds/kwok-2-node.yaml"
  gpu_of_two >"$DIR/gpu.yaml"
  show cat "$DIR/gpu.yaml"
  show kubectl apply -f "$DIR/gpu.yaml"
  for name in half-1 half-2; do half "$name"; printf -- '---\n'; done >"$DIR/pods.yaml"
  show kubectl apply -f "$DIR/pods.yaml"
  soon 60 'two pods with half a GPU each' -- pods_run
  show_pipe "kubectl get resourceclaims -o json | jq -r '.items[] | \"\(.metadata.name) has \(.status.allocation.devices.results[0].device)\"'"
  show kubectl get pods -o wide
  pool_status >"$DIR/pool.yaml"
  show kubectl apply -f "$DIR/pool.yaml"
  soon 60 'the answer of the pool' -- counted
  show_pipe "kubectl get resourcepoolstatusrequest gpus -o json | jq -c '.status.pools[] | {poolName, totalDevices, allocatedDevices, availableDevices}'"

  step "8. The way to 1.38, where DRA's own gate is gone and a component that still gets it exits"
  say "somebody's leftover: --feature-gates=DynamicResourceAllocation=true in the scheduler's manifest"
  sed -E 's/^( *)- kube-scheduler$/\1- kube-scheduler\n\1- --feature-gates=DynamicResourceAllocation=true/' "$MANIFESTS/kube-scheduler.yaml" >"$MANIFESTS/.kube-scheduler.tmp"
  mv "$MANIFESTS/.kube-scheduler.tmp" "$MANIFESTS/kube-scheduler.yaml"
  soon 90 'the leftover in its mirror pod' -- mirrored DynamicResourceAllocation=true
  show "$DRAWBRIDGE" plan --prepare-for 1.38 || say "(exit code 1: the upgrade would break)"
  features_config 'allowAlpha: true' 'upgrade: {prepareFor: "1.38"}' >"$DIR/dra.yaml"
  show kubectl apply -f "$DIR/dra.yaml"
  soon 60 'Upgradeable' -- is_upgradeable False
  show_pipe "kubectl get dracfg dra -o json | jq -r '.status.conditions[] | select(.type == \"Upgradeable\").message'"
  say "taken out:"
  sed '/feature-gates=DynamicResourceAllocation=true/d' "$MANIFESTS/kube-scheduler.yaml" >"$MANIFESTS/.kube-scheduler.tmp"
  mv "$MANIFESTS/.kube-scheduler.tmp" "$MANIFESTS/kube-scheduler.yaml"
  soon 90 'Upgradeable' -- is_upgradeable True
  soon 60 'the mirror pod without it' -- not_mirrored
  show "$DRAWBRIDGE" plan --prepare-for 1.38
  show kubectl get dracfg -o wide
}

is_upgradeable() { [[ $(kubectl get dracfg dra -o json | jq -r '.status.conditions[]? | select(.type == "Upgradeable").status') == "$1" ]]; }
not_mirrored() { ! mirrored DynamicResourceAllocation=true; }
