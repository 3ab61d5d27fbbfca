# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2153 # used by the cases; from case.sh
# For cases about spec.driver: a small chart, an account that may install it, nodes and slices of kwok.

HELM=$(tools_path helm)

# helm_run ARGUMENT...: as an administrator.
helm_run() { HOME=$CASE_DIR "$HELM" "$@"; }

# pack_shapes: the chart of shapes; prints the file.
pack_shapes() {
  mkdir -p "$CASE_DIR/charts"
  helm_run package "$E2E/driver/shapes" --destination "$CASE_DIR/charts" >/dev/null
  echo "$CASE_DIR/charts/test-shapes-0.1.0.tgz"
}

# pack_chart [VERSION]: into $CASE_DIR/charts; prints the file.
pack_chart() {
  mkdir -p "$CASE_DIR/charts"
  helm_run package "$E2E/driver/chart" --version "${1:-0.1.0}" --destination "$CASE_DIR/charts" >/dev/null
  echo "$CASE_DIR/charts/test-driver-${1:-0.1.0}.tgz"
}

# use_driver_cluster MINOR [OPTION...]: with kwok and an account that may install the chart.
use_driver_cluster() {
  use_cluster "$@"
  start_kwok
  eventually 60 api -f -o /dev/null "$API/api/v1/namespaces/default/serviceaccounts/default"
  put -f "$E2E/driver/installer.yaml" >/dev/null
}

# start_driver_controller [FLAG...]
# helm is who it is under the chart; $HELM_PROGRAM, a program of the case's own in helm's place, is the controller itself and reads what it likes.
start_driver_controller() {
  local account=(--helm-service-account drawbridge-system/drawbridge-helm)
  [[ -z ${HELM_PROGRAM:-} ]] || account=()
  start_controller --helm "${HELM_PROGRAM:-$HELM}" --helm-dir "$CASE_DIR/helm" --chart-root "$CASE_DIR/charts" "${account[@]}" \
    --smoke-test-image node.local/busybox:1 "$@"
}

# driver_on NAME LINE...: a DRAConfiguration that only looks at the flags and installs the chart; the lines are of spec.driver.
driver_on() {
  local name=$1
  shift
  {
    printf 'featureGates: {DynamicResourceAllocation: true}\nplatform: {type: Observe}\n%s\ndriver:\n  serviceAccountName: installer\n' "${SPEC_MORE:-}"
    printf '  %s\n' "$@"
  } | configure "$name"
}

# fake_node NAME: a node of kwok, Ready.
fake_node() {
  put -f - >/dev/null <<END
apiVersion: v1
kind: Node
metadata:
  name: $1
  annotations: {node.alpha.kubernetes.io/ttl: "0", kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/hostname: $1, kubernetes.io/os: linux, type: kwok, devices.example.com: "true"}
status:
  allocatable: {cpu: "96", memory: 1T, pods: "110"}
  capacity: {cpu: "96", memory: 1T, pods: "110"}
END
}

# fake_slice NODE DRIVER DEVICES: as its driver would publish it.
fake_slice() {
  local version i wrap='' end=''
  version=$(served)
  version=${version%% *}
  [[ $version != v1beta1 ]] || wrap='basic: {' end='}'
  {
    printf 'apiVersion: resource.k8s.io/%s\nkind: ResourceSlice\nmetadata: {name: %s-%s}\nspec:\n' "$version" "$1" "$2"
    printf '  driver: %s\n  nodeName: %s\n  pool: {name: %s, generation: 1, resourceSliceCount: 1}\n  devices:\n' "$2" "$1" "$1"
    for ((i = 0; i < $3; i++)); do printf '  - {name: gpu-%s, %sattributes: {index: {int: %s}}%s}\n' "$i" "$wrap" "$i" "$end"; done
  } | put -f - >/dev/null
}

release() { api -f "$API/api/v1/namespaces/$1/secrets?labelSelector=owner%3Dhelm,name%3D$2"; }
revisions() { release "$1" "$2" | jq '.items | length'; }
release_is() { [[ $(release "$1" "$2" | jq -r '[.items[].metadata.labels] | sort_by(.version | tonumber) | last | .status // "none"') == "$3" ]]; }
no_release() { [[ $(revisions "$1" "$2") == 0 ]]; }

# spec_driver NAME JSON: a merge patch of spec.driver.
spec_driver() { patch_at "$(dracfg_at "$1")" "{\"spec\":{\"driver\":$2}}"; }

# claim_pod NAME [CLASS]: a claim and a pod that uses it, on CLAIM_NODE if that is set.
claim_pod() {
  local version exactly="{deviceClassName: ${2:-gpu.example.com}}" request
  version=$(served)
  version=${version%% *}
  request="exactly: $exactly"
  [[ $version != v1beta1 ]] || request="deviceClassName: ${2:-gpu.example.com}"
  put -f - >/dev/null <<END
apiVersion: resource.k8s.io/$version
kind: ResourceClaim
metadata: {name: $1}
spec: {devices: {requests: [{name: gpu, $request}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  tolerations: [{operator: Exists}]
  nodeSelector: {${CLAIM_NODE:+"kubernetes.io/hostname: $CLAIM_NODE"}}
  terminationGracePeriodSeconds: 0
  resourceClaims: [{name: gpu, resourceClaimName: $1}]
  containers: [{name: main, image: node.local/busybox:1, args: [sleep, "100000"], resources: {claims: [{name: gpu}]}}]
END
}

claim_allocated() { [[ $(kubectl get resourceclaim "$1" -o json | jq '.status.reservedFor | length') == 1 ]]; }
