# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2317 # from case.sh; called by it
# What doctor finds of autoscalers, schedulers, drivers and operators, by the objects that these projects make, on a real API server. What it says to do helps.
# needs: drawbridge
# tools: kwok 1.33/kube-apiserver 1.33/kube-controller-manager 1.33/kube-scheduler 1.33/kubectl 1.36/kube-apiserver 1.36/kube-controller-manager 1.36/kube-scheduler 1.36/kubectl 1.37/kube-apiserver 1.37/kube-controller-manager 1.37/kube-scheduler 1.37/kubectl

# shellcheck source=../lib/driver.sh
source "$E2E/lib/driver.sh"

# finding CHECK [KUBECONFIG]: what doctor says of it, as "VERDICT: DETAIL"
finding() {
  "$DRAWBRIDGE" doctor -o json --kubeconfig "${2:-$KUBECONFIG}" >"$CASE_DIR/findings.json" || (($? == 1))
  jq -r --arg check "$1" '.[] | select(.check == $check) | "\(.verdict): \(.detail)"' "$CASE_DIR/findings.json"
}
remedy() { jq -r --arg check "$1" '.[] | select(.check == $check).fix' "$CASE_DIR/findings.json"; }

# deployment NAMESPACE NAME ACCOUNT CONTAINER
deployment() {
  put -f - >/dev/null <<END
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: $1, name: $2}
spec:
  replicas: 0
  selector: {matchLabels: {app: $2}}
  template:
    metadata: {labels: {app: $2}}
    spec: {serviceAccountName: $3, containers: [{name: main, $4}]}
END
}

# role NAME NAMESPACE ACCOUNT VERBS RESOURCES
role() {
  kubectl create clusterrole "$1" --verb="$4" --resource="$5" >/dev/null
  kubectl create clusterrolebinding "$1" --clusterrole="$1" --serviceaccount="$2:$3" >/dev/null
}

# as_account NAMESPACE ACCOUNT [FLAG...]: a kubeconfig with a token of it.
as_account() {
  local file=$CASE_DIR/$2.kubeconfig
  cp "$KUBECONFIG" "$file"
  kubectl --kubeconfig "$file" config set-credentials "$2" --token="$(kubectl create token -n "$1" "$2" "${@:3}")" >/dev/null
  kubectl --kubeconfig "$file" config set-context --current --user="$2" >/dev/null
  echo "$file"
}

# patch_status KUBECONFIG CLAIM JSON
patch_status() { kubectl --kubeconfig "$1" patch resourceclaim "$2" --subresource=status --type=merge -p "$3" 2>&1; }

autoscalers() {
  note 'autoscalers, with the commands of their own manifests'
  kubectl create namespace karpenter >/dev/null
  kubectl create serviceaccount -n kube-system cluster-autoscaler >/dev/null
  kubectl create serviceaccount -n karpenter karpenter >/dev/null
  deployment kube-system cluster-autoscaler cluster-autoscaler \
    "image: 'registry.k8s.io/autoscaling/cluster-autoscaler:v$VERSION', command: [./cluster-autoscaler, --v=4, --cloud-provider=clusterapi]"
  deployment karpenter karpenter karpenter 'image: public.ecr.aws/karpenter/controller:1.13.0, env: [{name: KARPENTER_SERVICE, value: karpenter}]'
  assert_match "$(finding 'cluster-autoscaler kube-system/cluster-autoscaler')" '^warning: without --enable-dynamic-resource-allocation=true'
  eval "$(remedy 'cluster-autoscaler kube-system/cluster-autoscaler')" >/dev/null
  assert_match "$(finding 'cluster-autoscaler kube-system/cluster-autoscaler')" '^ok: '
  assert_match "$(finding 'Karpenter karpenter/karpenter')" '^warning: IGNORE_DRA_REQUESTS is not set'
  eval "$(remedy 'Karpenter karpenter/karpenter' | sed 's/, and in .*//')" >/dev/null
  assert_match "$(finding 'Karpenter karpenter/karpenter')" '^ok: '
}

schedulers() {
  local account
  note 'a scheduler of before 1.36: what it allocates is refused, until it is given what doctor says'
  kubectl create namespace volcano-system >/dev/null
  kubectl create serviceaccount -n volcano-system volcano-scheduler >/dev/null
  deployment volcano-system volcano-scheduler volcano-scheduler 'image: docker.io/volcanosh/vc-scheduler:v1.14.2'
  role volcano-scheduler volcano-system volcano-scheduler update,patch,get,list resourceclaims.resource.k8s.io,resourceclaims.resource.k8s.io/status
  account=$(as_account volcano-system volcano-scheduler)
  refuse patch_status "$account" user '{"status":{"reservedFor":[]}}'
  assert_match "$(patch_status "$account" user '{"status":{"reservedFor":[]}}' || true)" 'resourceclaims/binding'
  assert_match "$(finding 'rights of scheduler volcano-system/volcano-scheduler')" '^failed: .*may update and patch resourceclaims/status and not resourceclaims/binding'
  eval "$(remedy 'rights of scheduler volcano-system/volcano-scheduler')" >/dev/null
  eventually 20 patch_status "$account" user '{"status":{"reservedFor":[{"resource":"pods","name":"user","uid":"'"$(kubectl get pod user -o jsonpath='{.metadata.uid}')"'"}]}}'
  assert_match "$(finding 'rights of scheduler volcano-system/volcano-scheduler')" '^ok: '

  note 'a second kube-scheduler, with the role of the first'
  kubectl create serviceaccount -n kube-system second >/dev/null
  kubectl create clusterrolebinding second --clusterrole=system:kube-scheduler --serviceaccount=kube-system:second >/dev/null
  deployment kube-system second second "image: registry.k8s.io/kube-scheduler:v$VERSION"
  assert_match "$(finding 'rights of scheduler kube-system/second')" '^ok: '

  note 'pods that wait for a scheduler that leaves claims alone'
  kubectl create configmap -n volcano-system volcano-scheduler-configmap --from-literal=volcano-scheduler.conf='actions: "enqueue, allocate"
tiers:
- plugins:
  - name: priority
- plugins:
  - name: predicates
  - name: nodeorder
' >/dev/null
  put -f - >/dev/null <<END
apiVersion: v1
kind: Pod
metadata: {name: batch}
spec:
  schedulerName: volcano
  resourceClaims: [{name: gpu, resourceClaimName: user}]
  containers: [{name: main, image: node.local/busybox:1, resources: {claims: [{name: gpu}]}}]
END
  assert_match "$(finding 'scheduler volcano')" '^warning: predicate.DynamicResourceAllocationEnable is not set, and off in Volcano 1.14; 1 pod with claims waits for it: default/batch$'
  assert_match "$(remedy 'scheduler volcano')" 'kubectl edit configmap -n volcano-system volcano-scheduler-configmap$'
}

drivers() {
  local account status
  note 'a driver of before 1.36 that writes the status of its devices'
  kubectl create namespace gpu >/dev/null
  kubectl create serviceaccount -n gpu plugin >/dev/null
  role plugin gpu plugin update,get resourceclaims.resource.k8s.io,resourceclaims.resource.k8s.io/status
  put -f - >/dev/null <<END
apiVersion: apps/v1
kind: DaemonSet
metadata: {namespace: gpu, name: plugin}
spec:
  selector: {matchLabels: {app: plugin}}
  template:
    metadata: {labels: {app: plugin}}
    spec:
      nodeSelector: {pool: gpu}
      serviceAccountName: plugin
      containers: [{name: main, image: example.com/driver:1, env: [{name: DRIVER_NAME, value: gpu.example.com}]}]
      volumes: [{name: registry, hostPath: {path: /var/lib/kubelet/plugins_registry}}]
END
  account=$(as_account gpu plugin --bound-object-kind=Node --bound-object-name=kwok-node-0)
  kubectl get resourceclaim user -o json | jq '.status.devices = [.status.allocation.devices.results[0] | {driver, pool, device, data: {healthy: true}}]' >"$CASE_DIR/status.json"
  ! status=$(kubectl --kubeconfig "$account" replace --subresource=status -f "$CASE_DIR/status.json" 2>&1) || die 'the status was not refused'
  assert_match "$status" 'resourceclaims/driver'
  assert_match "$(finding 'rights of driver gpu/plugin')" '^warning: .*may update resourceclaims/status and not resourceclaims/driver'
  eval "$(remedy 'rights of driver gpu/plugin')" >/dev/null 2>"$CASE_DIR/kubectl.txt"
  eventually 20 kubectl --kubeconfig "$account" replace --subresource=status -f "$CASE_DIR/status.json"
  assert_match "$(finding 'rights of driver gpu/plugin')" '^ok: '

  note 'a pool that is kept for its devices, and a driver that does not tolerate that'
  assert_equal "$(finding 'driver gpu/plugin')" ''
  kubectl label node kwok-node-0 pool=gpu giantswarm.io/machine-pool=berlin-gpu >/dev/null
  kubectl taint node kwok-node-0 example.com/gpu=Exists:NoSchedule >/dev/null
  assert_match "$(finding 'driver gpu/plugin')" '^warning: it does not run on node kwok-node-0 \(pool berlin-gpu\), which has the taint example.com/gpu=Exists:NoSchedule'
  kubectl patch daemonset -n gpu plugin --type merge -p '{"spec":{"template":{"spec":{"tolerations":[{"key":"example.com/gpu","operator":"Exists","effect":"NoSchedule"}]}}}}' >/dev/null
  assert_equal "$(finding 'driver gpu/plugin')" ''
  kubectl label node kwok-node-0 pool- giantswarm.io/machine-pool- >/dev/null
  kubectl taint node kwok-node-0 example.com/gpu- >/dev/null
}

operators() {
  local kind version plural
  note "NVIDIA's operator twice, and its device plugin beside the driver"
  for kind in v1alpha1/GPUCluster/gpuclusters v1/ClusterPolicy/clusterpolicies; do
    IFS=/ read -r version kind plural <<<"$kind"
    put -f - >/dev/null <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $plural.nvidia.com}
spec:
  group: nvidia.com
  scope: Cluster
  names: {kind: $kind, plural: $plural, singular: ${kind,,}}
  versions: [{name: $version, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
END
    kubectl wait --for=condition=Established "crd/$plural.nvidia.com" --timeout=30s >/dev/null
    printf 'apiVersion: nvidia.com/%s\nkind: %s\nmetadata: {name: gpus}\nspec: {}\n' "$version" "$kind" | put -f - >/dev/null
  done
  assert_match "$(finding 'GPUCluster and ClusterPolicy')" '^warning: .*GPUCluster gpus and ClusterPolicy gpus'
  eval "$(remedy 'GPUCluster and ClusterPolicy' | sed 's/.*: //')" >/dev/null
  assert_equal "$(finding 'GPUCluster and ClusterPolicy')" ''
  fake_slice kwok-node-0 gpu.nvidia.com 1
  kubectl patch node kwok-node-0 --subresource=status --type=merge -p '{"status":{"capacity":{"nvidia.com/gpu":"1"},"allocatable":{"nvidia.com/gpu":"1"}}}' >/dev/null
  assert_match "$(finding 'device plugin beside gpu.nvidia.com')" '^failed: .*nvidia.com/gpu away on 1 node where gpu.nvidia.com publishes the same devices: kwok-node-0;'
  kubectl patch node kwok-node-0 --subresource=status --type=merge -p '{"status":{"allocatable":{"nvidia.com/gpu":"0"}}}' >/dev/null
  assert_equal "$(finding 'device plugin beside gpu.nvidia.com')" ''
}

# Each check by itself is not known, and says which right it lacks.
who_may_not_look() {
  local account
  note 'who may read slices, claims and DaemonSets alone'
  kubectl create serviceaccount -n default reader >/dev/null
  role reader default reader get,list resourceslices.resource.k8s.io,resourceclaims.resource.k8s.io,daemonsets.apps
  account=$(as_account default reader)
  assert_match "$(finding 'cluster-autoscaler and Karpenter' "$account")" '^unknown: .*cannot list resource "deployments"'
  assert_match "$(finding 'rights of schedulers' "$account")" '^unknown: .*cannot list resource "deployments"'
  assert_match "$(finding 'rights on resourceclaims/binding and resourceclaims/driver' "$account")" '^unknown: .*cannot create resource "subjectaccessreviews"'
  assert_match "$(finding 'GPUCluster and ClusterPolicy' "$account")" '^unknown: .*cannot list resource "gpuclusters"'
  assert_match "$(finding ResourceClaims "$account")" '^ok: 1 in all'
}

beside_dra() {
  use_cluster "$1"
  start_kwok
  fake_node kwok-node-0
  eventually 30 kubectl get serviceaccount default
  printf 'apiVersion: resource.k8s.io/v1\nkind: DeviceClass\nmetadata: {name: gpu.example.com}\nspec: {selectors: [{cel: {expression: "device.driver == '"'gpu.example.com'"'"}}]}\n' | put -f - >/dev/null
  fake_slice kwok-node-0 gpu.example.com 2
  claim_pod user
  eventually 60 claim_allocated user
  autoscalers
  schedulers
  drivers
  operators
  who_may_not_look
}

# case: on 1.36: autoscalers without DRA, rights that schedulers and drivers lack since 1.36, a device plugin and a driver on one node, both resources of NVIDIA's operator and pods of a scheduler without DRA are found, each with a remedy that helps; who may not look is told which right that takes
# timeout: 240
case_beside_dra_on_1_36() { beside_dra 1.36; }

# case: the same on 1.37
# timeout: 240
case_beside_dra_on_1_37() { beside_dra 1.37; }

# case: on 1.33 without DRA: a cluster-autoscaler of 1.35, which waits for an API that is not served, is found, and one of the cluster's own minor is let be
case_autoscaler_without_its_api() {
  local check='cluster-autoscaler kube-system/cluster-autoscaler'
  use_cluster 1.33
  deployment kube-system cluster-autoscaler cluster-autoscaler "image: 'registry.k8s.io/autoscaling/cluster-autoscaler:v1.35.0', command: [./cluster-autoscaler]"
  assert_match "$(finding "$check")" '^failed: its 1.35 waits for resource.k8s.io/v1, which this 1.33 does not serve'
  kubectl set image -n kube-system deployment/cluster-autoscaler main=registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0 >/dev/null
  assert_equal "$(finding "$check")" ''
}
