# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2153,SC2154 # used by the cases; from case.sh and capi.sh
# Clusters as Giant Swarm makes them: an App or a HelmRelease, a miniature chart (giantswarm/chart) of which the real helm makes what comes of it, and the
# real Cluster API that carries that out on machines in memory (lib/capi.sh).
#
#   use_giantswarm [CHART]          a new cluster with Cluster API, App and HelmRelease, and the stand-in for their operators, which deploys that chart
#   giantswarm_chart VERSION        a copy of the chart with that version of the chart "cluster"; its folder
#   giantswarm_app, giantswarm_release      the cluster one by an App or by a HelmRelease, with values of its user's; rolled out, and the rights that the controller has there
#   gates_of COMPONENT              what the KubeadmControlPlane one says: apiServer, controllerManager, scheduler
#   kubelet_gates KIND NAME         what the file for kubelets of a KubeadmControlPlane or a KubeadmConfigTemplate says
#   config_maps                     our ConfigMaps there

# shellcheck source=capi.sh
source "$E2E/lib/capi.sh"

use_giantswarm() {
  use_capi 1.33 dra
  kubectl apply -f "$E2E/giantswarm/crds.yaml" >/dev/null
  kubectl wait --for=condition=Established --timeout=60s crd/apps.application.giantswarm.io crd/helmreleases.helm.toolkit.fluxcd.io >/dev/null
  mkdir -p "$CASE_DIR/values"
  start operator "$E2E/giantswarm/operator" "$TOOLS_BIN/$VERSION/kubectl" "$(tools_path helm)" "${1:-$E2E/giantswarm/chart}" "$CASE_DIR/values" default
}

giantswarm_chart() {
  cp -r "$E2E/giantswarm/chart" "$CASE_DIR/chart-$1"
  sed -i "s/^version: .*/version: $1/" "$CASE_DIR/chart-$1/charts/cluster/Chart.yaml"
  echo "$CASE_DIR/chart-$1"
}

giantswarm_app() {
  kubectl apply -f - >/dev/null <<'END'
apiVersion: v1
kind: ConfigMap
metadata: {name: one-userconfig, namespace: default, labels: {giantswarm.io/cluster: one}}
data:
  values: |
    cluster: {internal: {advancedConfiguration: {controlPlane: {controllerManager: {featureGates: [{name: CronJobsScheduledAnnotation, enabled: true}]}}}}}
---
apiVersion: application.giantswarm.io/v1alpha1
kind: App
metadata: {name: one, namespace: default}
spec:
  catalog: cluster
  name: cluster-memory
  namespace: default
  version: 1.0.0
  kubeConfig: {inCluster: true}
  userConfig: {configMap: {name: one-userconfig, namespace: default}}
END
  giantswarm_over apps
}

giantswarm_release() {
  kubectl apply -f - >/dev/null <<'END'
apiVersion: v1
kind: ConfigMap
metadata: {name: one-userconfig, namespace: default}
data:
  values: |
    cluster: {internal: {advancedConfiguration: {controlPlane: {controllerManager: {featureGates: [{name: CronJobsScheduledAnnotation, enabled: true}]}}}}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: one, namespace: default}
spec:
  interval: 5m
  valuesFrom: [{kind: ConfigMap, name: one-userconfig, valuesKey: values}]
  values: {global: {controlPlane: {replicas: 1}}}
END
  giantswarm_over helmreleases
}

giantswarm_over() {
  eventually 150 kcp_over one
  eventually 120 workers_over one-workers
  chart_roles giantswarm-rbac.yaml --set 'giantSwarm[0].namespace=default,giantSwarm[0].kubeconfigSecrets[0]=one-kubeconfig' | kubectl apply -f - >/dev/null
  keep_specs "$CASE_DIR/before"
  kubectl get "$1" one -o json | jq -S .spec >"$CASE_DIR/object"
}

gates_of() { args_of "clusterConfiguration.$1.extraArgs" | jq -r '.[] | select(.name == "feature-gates").value'; }

kubelet_gates() {
  capi_get "$1" "$2" | jq -r '[.. | .files? // empty | .[]? | select(.path == "/etc/kubernetes/patches/kubeletconfiguration.yaml").content][0] | @base64d' |
    sed -n '/^featureGates:/,$p' | sed '1d; /:/!d; s/^ *//; s/: /=/' | paste -sd ,
}

config_maps() { kubectl get configmaps -l drawbridge.dev/cluster=one -o json | jq -r '.items[].metadata.name'; }
