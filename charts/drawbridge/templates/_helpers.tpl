{{/* The name of everything of one part: drawbridge.name (list $ "agent"). */}}
{{- define "drawbridge.name" -}}
{{- $root := index . 0 -}}
{{- $chart := $root.Values.nameOverride | default "drawbridge" -}}
{{- $base := ternary $root.Release.Name (printf "%s-%s" $root.Release.Name $chart) (contains $chart $root.Release.Name) -}}
{{- printf "%s-%s" ($root.Values.fullnameOverride | default $base | trunc 50 | trimSuffix "-") (index . 1) -}}
{{- end }}

{{/* The ServiceAccount of one part (controller or agent). */}}
{{- define "drawbridge.account" -}}
{{- $account := (index (index . 0).Values (index . 1)).serviceAccount | default dict -}}
{{- $account.name | default (include "drawbridge.name" .) -}}
{{- end }}

{{/* Whether a controller, this one or one of another cluster, sees to drivers here: "true" or nothing. */}}
{{- define "drawbridge.drives" -}}
{{- if or .Values.controller.enabled .Values.controller.driverAccounts .Values.smokeTest.fromElsewhere }}true{{ end -}}
{{- end }}

{{- define "drawbridge.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Values.nameOverride | default "drawbridge" }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "drawbridge.labels" -}}
{{ include "drawbridge.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Of the pods of one part, beside the selector's. */}}
{{- define "drawbridge.podLabels" -}}
{{ include "drawbridge.labels" . }}
{{- with (index (index . 0).Values (index . 1)).podLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "drawbridge.image" -}}
{{- $root := index . 0 -}}
{{- $which := index . 1 -}}
{{- $image := index $root.Values.image $which -}}
{{- $name := required (printf "image.%s.repository: where the image made from the Dockerfile's target %s is" $which $which) $image.repository -}}
{{- with $root.Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- $place := printf "%s:%s" $name ($image.tag | default $root.Chart.AppVersion) -}}
{{- if $image.digest }}{{ $place = printf "%s@%s" (ternary $place $name (ne ($image.tag | default "") "")) $image.digest }}{{ end -}}
{{- $place -}}
{{- end }}
