{{/* Labels of every object. Not those of pods: another release must not roll what has not changed. */}}
{{- define "phoenix.labels" -}}
app.kubernetes.io/part-of: phoenix
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "phoenix.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "phoenix.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Who every pod is. The standard `restricted`, whatever the values say. */}}
{{- define "phoenix.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.podSecurity }}
{{- if .runAsUser }}
runAsUser: {{ .runAsUser | int64 }}
{{- end }}
{{- if .runAsGroup }}
runAsGroup: {{ .runAsGroup | int64 }}
{{- end }}
{{- if .fsGroup }}
fsGroup: {{ .fsGroup | int64 }}
{{- end }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "phoenix.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The Secret with the URL of Redis: of the same name in the release's namespace and in the makers'. */}}
{{- define "phoenix.redisSecret" -}}
{{ .Values.redis.existingSecret | default "phoenix-redis" }}
{{- end }}

{{- define "phoenix.exchangeSecret" -}}
{{ .Values.exchange.existingSecret | default "simulator-key" }}
{{- end }}

{{/* The operator's configuration (operator/phoenix_operator/settings.py). */}}
{{- define "phoenix.settings" -}}
{{- $workers := .Values.workers -}}
{{- $settings := dict
  "image" ($workers.image | default (include "phoenix.image" .))
  "imagePullPolicy" .Values.image.pullPolicy
  "imagePullSecrets" .Values.image.pullSecrets
  "serviceAccountName" "phoenix-worker"
  "redisSecret" (dict "name" (include "phoenix.redisSecret" .) "key" "url")
  "redisUrlFile" "/etc/phoenix/redis/url"
  "namespaces" (ternary (list) .Values.makers.namespaces .Values.makers.everywhere)
  "nodeSelector" $workers.nodeSelector
  "tolerations" $workers.tolerations
  "podLabels" $workers.podLabels
  "podAnnotations" $workers.podAnnotations
  "propagatedLabels" $workers.propagatedLabels
  "maxConcurrentRolls" ($workers.maxConcurrentRolls | int64)
  "rollOnUpgrade" $workers.rollOnUpgrade
  "outageThreshold" $workers.outageThreshold
  "workers" (.Values.operator.settings.workers | int64)
  "resyncPeriod" .Values.operator.settings.resyncPeriod
  "requestTimeout" .Values.operator.settings.requestTimeout
  "canaryPeriod" .Values.operator.settings.canaryPeriod
  "logLevel" .Values.operator.logLevel
-}}
{{- $resources := dict "preset" $workers.resources.preset -}}
{{- range $key := list "cpu" "memory" -}}
{{- with get $workers.resources $key }}{{ $_ := set $resources $key (toString .) }}{{ end -}}
{{- end -}}
{{- $_ := set $settings "resources" $resources -}}
{{- with $workers.priorityClass.name }}{{ $_ := set $settings "priorityClassName" . }}{{ end -}}
{{- $security := dict -}}
{{- range $key := list "runAsUser" "runAsGroup" "fsGroup" -}}
{{- $id := get $.Values.podSecurity $key -}}
{{- $_ := set $security $key (ternary nil (int64 (default 0 $id)) (empty $id)) -}}
{{- end -}}
{{- $_ := set $settings "podSecurity" $security -}}
{{- $_ := set $settings "leaderElection" (merge (dict "leaseNamespace" .Release.Namespace) .Values.operator.settings.leaderElection) -}}
{{ toYaml $settings }}
{{- end }}

{{/* "true" where objects of the Prometheus operator are wanted. */}}
{{- define "phoenix.monitors" -}}
{{- if or (eq .wanted "Always") (and (eq .wanted "Auto") (.root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) -}}true{{- end -}}
{{- end }}

{{/* Ports of TCP, for a network policy. */}}
{{- define "phoenix.ports" -}}
{{- range $index, $port := . }}{{ if $index }}, {{ end }}{protocol: TCP, port: {{ $port | int64 }}}{{ end }}
{{- end }}

{{/* "true" where an object that is there is this release's. */}}
{{- define "phoenix.owns" -}}
{{- $told := default dict (default dict (default dict .object).metadata).annotations -}}
{{- $release := .root.Release -}}
{{- if and (eq (get $told "meta.helm.sh/release-name") $release.Name) (eq (get $told "meta.helm.sh/release-namespace") $release.Namespace) -}}true{{- end -}}
{{- end }}

{{/* "true" where the release makes a namespace, or has made it: one that somebody else made is left as it is. */}}
{{- define "phoenix.makesNamespace" -}}
{{- if .root.Values.makers.createNamespaces -}}
{{- $there := lookup "v1" "Namespace" "" .namespace -}}
{{- if or (not $there) (include "phoenix.owns" (dict "root" .root "object" $there)) -}}true{{- end -}}
{{- end -}}
{{- end }}
