{{/* The name of everything of one part: drawbridge.name (list $ "agent"). */}}
{{- define "drawbridge.name" -}}
{{- $root := index . 0 -}}
{{- $base := ternary $root.Release.Name (printf "%s-drawbridge" $root.Release.Name) (contains "drawbridge" $root.Release.Name) -}}
{{- printf "%s-%s" ($base | trunc 50 | trimSuffix "-") (index . 1) -}}
{{- end }}

{{/* Whether a controller, this one or one of another cluster, sees to drivers here: "true" or nothing. */}}
{{- define "drawbridge.drives" -}}
{{- if or .Values.controller.enabled .Values.controller.driverAccounts .Values.smokeTest.fromElsewhere }}true{{ end -}}
{{- end }}

{{- define "drawbridge.selector" -}}
app.kubernetes.io/name: drawbridge
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "drawbridge.labels" -}}
{{ include "drawbridge.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "drawbridge.image" -}}
{{- $root := index . 0 -}}
{{- $which := index . 1 -}}
{{- $image := index $root.Values.image $which -}}
{{- $place := printf "%s:%s" (required (printf "image.%s.repository: where the image made from the Dockerfile's target %s is" $which $which) $image.repository) ($image.tag | default $root.Chart.AppVersion) -}}
{{- if $image.digest }}{{ $place = printf "%s@%s" (ternary $place $image.repository (ne ($image.tag | default "") "")) $image.digest }}{{ end -}}
{{- $place -}}
{{- end }}
