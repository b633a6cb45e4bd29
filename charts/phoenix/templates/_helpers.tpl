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

{{/* What the schema cannot say. Of a Secret that is named it is asked whether it is there, where there is a cluster to ask. */}}
{{- define "phoenix.validate" -}}
{{- $redis := .Values.redis -}}
{{- if and $redis.bundled.enabled $redis.url -}}
{{- fail "redis.url names a Redis of yours, and redis.bundled.enabled brings another: set redis.bundled.enabled=false, or leave the URL out" -}}
{{- end -}}
{{- if and $redis.url $redis.existingSecret -}}
{{- fail "redis.url and redis.existingSecret both name a Redis: keep one" -}}
{{- end -}}
{{- if not (or $redis.bundled.enabled $redis.url $redis.existingSecret) -}}
{{- fail "there is no Redis: set redis.bundled.enabled=true, or name yours by redis.existingSecret (a Secret with the key url), or by redis.url where it wants no password" -}}
{{- end -}}
{{- if contains "@" $redis.url -}}
{{- fail "redis.url holds a password, which has no place in values: put the URL into a Secret with the key url, and name that by redis.existingSecret" -}}
{{- end -}}
{{- if not (regexMatch "^(rediss?|redis\\+sentinel|rediss\\+sentinel)://.+$" ($redis.url | default "redis://none")) -}}
{{- fail "redis.url is none of redis://, rediss:// or redis+sentinel://, with a host: write rediss://HOST:6379/0" -}}
{{- end -}}
{{- if and .Values.exchange.enabled (not (has .Values.exchange.namespace .Values.makers.namespaces)) -}}
{{- fail (printf "exchange.namespace %q is none of makers.namespaces (%s): its makers could not reach it" .Values.exchange.namespace (join ", " .Values.makers.namespaces)) -}}
{{- end -}}
{{- if has .Release.Namespace .Values.makers.namespaces -}}
{{- fail (printf "the release's namespace %q is in makers.namespaces: makers live apart from the operator and Redis; install with --namespace phoenix-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- if and $redis.existingSecret (lookup "v1" "Namespace" "" "kube-system") -}}
{{- $keys := ternary (list "url" "users.acl") (list "url") $redis.bundled.enabled -}}
{{- $there := lookup "v1" "Secret" .Release.Namespace $redis.existingSecret -}}
{{- range $key := $keys -}}
{{- if not (hasKey (default dict (default dict $there).data) $key) -}}
{{- fail (printf "redis.existingSecret: there is no Secret %q with the key %s in the namespace %s: make it there and in each namespace of makers first (deploy/new-secrets prints some), or leave redis.existingSecret empty" $redis.existingSecret $key $.Release.Namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
