{{/* A pod of the chart's own that asks something once, and says in words what it found. */}}
{{- define "phoenix.question" -}}
restartPolicy: Never
{{- include "phoenix.pullSecrets" .root }}
securityContext:
  {{- include "phoenix.podSecurityContext" .root | nindent 2 }}
containers:
  - name: phoenix
    image: {{ include "phoenix.image" .root }}
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    command: {{ concat (list "python" "-m" "phoenix_operator.questions") .ask | toJson }}
    terminationMessagePolicy: FallbackToLogsOnError
    resources:
      requests: {cpu: 50m, memory: 128Mi}
      limits: {memory: 128Mi}
    securityContext:
      {{- include "phoenix.containerSecurityContext" .root | nindent 6 }}
{{- end }}
