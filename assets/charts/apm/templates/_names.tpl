{{- define "apm.labels" -}}
app.kubernetes.io/name: apm
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: apm
{{- end }}
{{- define "apm.image" -}}
{{ required "image is not set: build one by the Dockerfile of apm, push it, and name it by --set image=REGISTRY/apm:TAG" .Values.image | quote }}
{{- end }}
{{- define "apm.tokens" -}}
{{ .Values.tokens.secret | default (printf "%s-tokens" .Release.Name) }}
{{- end }}
