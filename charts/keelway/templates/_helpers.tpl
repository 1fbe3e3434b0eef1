{{- define "keelway.name" -}}
{{- printf "%s-manager" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- define "keelway.labels" -}}
app.kubernetes.io/name: keelway
app.kubernetes.io/component: manager
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
