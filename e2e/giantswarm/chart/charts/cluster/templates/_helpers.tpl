{{- /* What all objects have. */}}
{{- define "labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
giantswarm.io/cluster: {{ .Release.Name }}
cluster.x-k8s.io/cluster-name: {{ .Release.Name }}
release.giantswarm.io/version: {{ .Values.global.release.version | quote }}
{{- end }}

{{- /* The gates of two lists, those that this version of Kubernetes is to have: a later one of a name counts. A map as YAML. */}}
{{- define "gates" -}}
{{- $gates := dict }}
{{- $version := .version }}
{{- range concat (.provider | default list) (.internal | default list) }}
{{- $least := .minKubernetesVersion | default "0.0.0" }}
{{- $end := .maxKubernetesVersion | default "99.0.0" }}
{{- if and (semverCompare (printf ">=%s" $least) $version) (semverCompare (printf "<%s" $end) $version) }}
{{- $_ := set $gates .name .enabled }}
{{- end }}
{{- end }}
{{- toYaml $gates }}
{{- end }}

{{- /* The same of one component of the control plane, as a flag: (list $ "apiServer"). */}}
{{- define "flag" -}}
{{- $values := (index . 0).Values }}
{{- $provider := index $values.providerIntegration.controlPlane.kubeadmConfig.clusterConfiguration (index . 1) }}
{{- $internal := index $values.internal.advancedConfiguration.controlPlane (index . 1) }}
{{- $words := list }}
{{- $gates := include "gates" (dict "provider" $provider.featureGates "internal" $internal.featureGates "version" $values.providerIntegration.kubernetesVersion) }}
{{- range $name, $on := fromYaml $gates }}
{{- $words = append $words (printf "%s=%t" $name $on) }}
{{- end }}
{{- join "," $words }}
{{- end }}

{{- define "containerd" -}}
version = 2
[plugins."io.containerd.grpc.v1.cri"]
enable_cdi = {{ .Values.global.components.containerd.cdi.enabled }}
cdi_spec_dirs = {{ toJson .Values.global.components.containerd.cdi.specDirs }}
{{- end }}

{{- define "containerd.secret" -}}
{{ .Release.Name }}-containerd-{{ include "containerd" . | sha256sum | trunc 5 }}
{{- end }}

{{- /* Of every node: a patch for kubeadm, in base64 as all files are. */}}
{{- define "files" -}}
{{- $kubelet := include "gates" (dict "provider" .Values.providerIntegration.kubeadmConfig.featureGates "internal" .Values.internal.advancedConfiguration.kubelet.featureGates "version" .Values.providerIntegration.kubernetesVersion) }}
- path: /etc/kubernetes/patches/kubeletconfiguration.yaml
  permissions: "0644"
  encoding: base64
  content: {{ printf "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nmaxPods: 110\nfeatureGates:\n%s\n" (indent 2 $kubelet) | b64enc }}
- path: /etc/containerd/config.toml
  permissions: "0644"
  contentFrom: {secret: {name: {{ include "containerd.secret" . }}, key: config.toml}}
{{- end }}

{{- define "node" -}}
nodeRegistration: {criSocket: "unix:///run/containerd/containerd.sock"}
patches: {directory: /etc/kubernetes/patches}
{{- end }}
