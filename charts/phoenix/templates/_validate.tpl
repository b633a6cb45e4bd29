{{/* What the schema cannot say: of the values among themselves, and, where there is a cluster to ask, of what stands there. */}}
{{- define "phoenix.validate" -}}
{{- include "phoenix.validateRedis" . -}}
{{- include "phoenix.validatePlaces" . -}}
{{- include "phoenix.validateSettings" . -}}
{{- if lookup "v1" "Namespace" "" "kube-system" -}}
{{- include "phoenix.validateSecrets" . -}}
{{- include "phoenix.validateUpgrade" . -}}
{{- end -}}
{{- end }}

{{- define "phoenix.validateRedis" -}}
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
{{- if regexMatch "(?i)@|[?&][^=&]*pass" $redis.url -}}
{{- fail "redis.url holds a password, which has no place in values: put the URL into a Secret with the key url, and name that by redis.existingSecret" -}}
{{- end -}}
{{- if not (regexMatch "^rediss?(\\+sentinel)?://[^\\s#?]+(\\?(&?ssl_(ca_certs|certfile|keyfile)=[^\\s#&]+)+)?$" ($redis.url | default "redis://none")) -}}
{{- fail "redis.url is none of redis://, rediss:// or redis+sentinel://, with a host: write rediss://HOST:6379/0 (after a ? it takes ssl_ca_certs, ssl_certfile and ssl_keyfile)" -}}
{{- end -}}
{{- if $redis.bundled.enabled -}}
{{- include "phoenix.validateRedisPorts" (dict "root" . "url" "redis://phoenix-redis:6379" "what" "redis.bundled.enabled") -}}
{{- else if $redis.url -}}
{{- include "phoenix.validateRedisPorts" (dict "root" . "url" $redis.url "what" "redis.url") -}}
{{- end -}}
{{- end }}

{{/* Our own network policies let out to where the `url` of `what` leads. Nothing of it is told but a port: it may hold a password,
and of one that is not written as it should be nothing is asked here, for half of a password may stand anywhere. */}}
{{- define "phoenix.validateRedisPorts" -}}
{{- $policies := .root.Values.networkPolicies -}}
{{- $open := list -}}
{{- range $policies.redisPorts -}}{{- $open = append $open (. | int64 | toString) -}}{{- end -}}
{{- $usual := ternary "26379" "6379" (regexMatch "^[a-z]+\\+sentinel://" .url) -}}
{{- $shape := "^rediss?(\\+sentinel)?://([^/?#@\\s]*@)?([^/?#@\\s]+)([/?#][^@\\s]*)?$" -}}
{{- range $host := ternary (splitList "," (regexReplaceAll $shape .url "${3}")) list (and $policies.enabled (regexMatch $shape .url)) -}}
{{- $port := regexFind ":[0-9]{1,5}$" $host | trimPrefix ":" | default $usual -}}
{{- if not (has $port $open) -}}
{{- fail (printf "%s leads to port %s, and our network policies let nobody out there: add it to networkPolicies.redisPorts (%s)" $.what $port (join ", " $open)) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "phoenix.validatePlaces" -}}
{{- $makers := .Values.makers.namespaces -}}
{{- if and .Values.exchange.enabled (not (has .Values.exchange.namespace $makers)) -}}
{{- fail (printf "exchange.namespace %q is none of makers.namespaces (%s): its makers could not reach it" .Values.exchange.namespace (join ", " $makers)) -}}
{{- end -}}
{{- if has .Release.Namespace $makers -}}
{{- fail (printf "the release's namespace %q is in makers.namespaces: makers live apart from the operator and Redis; install with --namespace phoenix-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
{{- with .Values.workers.priorityClass -}}
{{- if and .create (hasPrefix "system-" .name) -}}
{{- fail (printf "workers.priorityClass.name %q is Kubernetes' own, as all that begin with system-: set workers.priorityClass.create=false to use it, or take another name" .name) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* A duration as the schema has it, in ms. */}}
{{- define "phoenix.ms" -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get (dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000) (regexFind "[a-z]+$" .)) -}}
{{- end }}

{{/* As operator/phoenix_operator/settings.py has it: what is refused there would be a crash loop here. */}}
{{- define "phoenix.validateSettings" -}}
{{- $settings := .Values.operator.settings -}}
{{- $election := $settings.leaderElection -}}
{{- range list
  (list "resyncPeriod" $settings.resyncPeriod "10s" "24h")
  (list "requestTimeout" $settings.requestTimeout "1s" "2m")
  (list "canaryPeriod" $settings.canaryPeriod "1s" "10m")
  (list "leaderElection.leaseDuration" $election.leaseDuration "1s" "10m")
  (list "leaderElection.renewDeadline" $election.renewDeadline "500ms" "10m")
  (list "leaderElection.retryPeriod" $election.retryPeriod "100ms" "1m")
-}}
{{- $ms := include "phoenix.ms" (index . 1) | int64 -}}
{{- if or (lt $ms (include "phoenix.ms" (index . 2) | int64)) (gt $ms (include "phoenix.ms" (index . 3) | int64)) -}}
{{- fail (printf "operator.settings.%s is %s: write a duration from %s to %s" (index . 0) (index . 1) (index . 2) (index . 3)) -}}
{{- end -}}
{{- end -}}
{{- $lease := include "phoenix.ms" $election.leaseDuration | int64 -}}
{{- $renew := include "phoenix.ms" $election.renewDeadline | int64 -}}
{{- $retry := include "phoenix.ms" $election.retryPeriod | int64 -}}
{{- if not (and (lt (mul $retry 12) (mul $renew 10)) (lt $renew $lease)) -}}
{{- fail (printf "operator.settings.leaderElection: retryPeriod %s × 1.2 < renewDeadline %s < leaseDuration %s does not hold, and two operators would act at once (2s, 10s and 15s are good)" $election.retryPeriod $election.renewDeadline $election.leaseDuration) -}}
{{- end -}}
{{- with .Values.workers.resources -}}
{{- if and (eq .preset "Dedicated") .cpu (not (regexMatch "^[0-9]+$" (toString .cpu))) -}}
{{- fail (printf "workers.resources.cpu is %v: a Dedicated worker gets whole CPUs; write an integer such as 1, or workers.resources.preset=Shared" .cpu) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Secrets that are named are there. Of a namespace that is not there yet nothing can be asked. */}}
{{- define "phoenix.validateSecrets" -}}
{{- $redis := .Values.redis -}}
{{- range $namespace := ternary (prepend .Values.makers.namespaces .Release.Namespace) list (not (empty $redis.existingSecret)) -}}
{{- $own := eq $namespace $.Release.Namespace -}}
{{- if or $own (lookup "v1" "Namespace" "" $namespace) -}}
{{- $data := default dict (default dict (lookup "v1" "Secret" $namespace $redis.existingSecret)).data -}}
{{- range $key := ternary (list "url" "users.acl") (list "url") (and $own $redis.bundled.enabled) -}}
{{- if not (hasKey $data $key) -}}
{{- fail (printf "redis.existingSecret: there is no Secret %q with the key %s in the namespace %s: make it there first, and in each namespace of makers that is there (deploy/new-secrets prints some for the bundled Redis), or leave redis.existingSecret empty" $redis.existingSecret $key $namespace) -}}
{{- end -}}
{{- end -}}
{{- $where := printf "redis.existingSecret: the url in the Secret %q of the namespace %s" $redis.existingSecret $namespace -}}
{{- include "phoenix.validateRedisPorts" (dict "root" $ "url" (get $data "url" | b64dec | splitList "\n" | first | trim) "what" $where) -}}
{{- end -}}
{{- end -}}
{{- $exchange := .Values.exchange -}}
{{- if and $exchange.enabled $exchange.existingSecret (lookup "v1" "Namespace" "" $exchange.namespace) -}}
{{- $data := default dict (default dict (lookup "v1" "Secret" $exchange.namespace $exchange.existingSecret)).data -}}
{{- if not (and (hasKey $data "apiKey") (or (hasKey $data "apiSecret") (hasKey $data "publicKey"))) -}}
{{- fail (printf "exchange.existingSecret: there is no Secret %q with the keys apiKey, and apiSecret or publicKey, in the namespace %s: make it there first, or leave exchange.existingSecret empty" $exchange.existingSecret $exchange.namespace) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* An upgrade takes nothing from under makers: not the operator's rights, the workers' account, their policies, the Secret of Redis. */}}
{{- define "phoenix.validateUpgrade" -}}
{{- $left := dict -}}
{{- range $kind := ternary (list "MarketMaker" "TradingAccount") list .Release.IsUpgrade -}}
{{- if $.Capabilities.APIVersions.Has (printf "phoenix.trading/v1alpha1/%s" $kind) -}}
{{- range (lookup "phoenix.trading/v1alpha1" $kind "" "").items -}}
{{- $namespace := .metadata.namespace -}}
{{- if not (has $namespace $.Values.makers.namespaces) -}}
{{- $_ := set $left $namespace (append (get $left $namespace | default list) (printf "%s %s" $kind .metadata.name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $namespace, $names := $left -}}
{{- $mine := list (lookup "v1" "ServiceAccount" $namespace "phoenix-worker") -}}
{{- if not $.Values.makers.everywhere -}}
{{- $mine = append $mine (lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" "phoenix-operator") -}}
{{- end -}}
{{- range $mine -}}
{{- if include "phoenix.owns" (dict "root" $ "object" .) -}}
{{- fail (printf "makers.namespaces leaves out %s, where there is %s: the upgrade would take from under it the operator's rights, the workers' account, network policies and the Secret of Redis; name the namespace again, or delete what is there first: kubectl delete mm,ta -n %s --all" $namespace (join ", " $names) $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
