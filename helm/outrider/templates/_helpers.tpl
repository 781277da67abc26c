{{- define "outrider.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "outrider.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "outrider.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "outrider.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "outrider.injector" -}}
{{- printf "%s-injector" (include "outrider.fullname" .) -}}
{{- end -}}

{{/* Immutable once installed: what a Deployment and its Service select by. */}}
{{- define "outrider.selectorLabels" -}}
app.kubernetes.io/name: {{ include "outrider.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/component: injector
{{- end -}}

{{- define "outrider.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63)
  "app.kubernetes.io/name" (include "outrider.name" .)
  "app.kubernetes.io/instance" (.Release.Name | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "outrider" -}}
{{- toYaml (merge $own .Values.commonLabels) -}}
{{- end -}}

{{- define "outrider.serviceAccount" -}}
{{- if .Values.injector.serviceAccount.create -}}
{{- default (include "outrider.injector" .) .Values.injector.serviceAccount.name -}}
{{- else -}}
{{- .Values.injector.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "outrider.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Every image that counts as ours, for the admission policies. */}}
{{- define "outrider.acceptedImages" -}}
{{- toJson (prepend .Values.admissionPolicies.acceptedImages (include "outrider.image" .) | uniq) -}}
{{- end -}}

{{- define "outrider.tlsSecret" -}}
{{- if eq .Values.certificates.mode "provided" -}}
{{- .Values.certificates.provided.secretName -}}
{{- else -}}
{{- printf "%s-tls" (include "outrider.injector" .) -}}
{{- end -}}
{{- end -}}

{{- define "outrider.excludedNamespaces" -}}
{{- toJson (append .Values.webhook.excludedNamespaces .Release.Namespace | uniq) -}}
{{- end -}}

{{/* By version, never by discovery: an offline render sees no admission API at all. */}}
{{- define "outrider.judges" -}}
{{- if and .Values.admissionPolicies.enabled (not .Values.revision) (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) -}}
true
{{- end -}}
{{- end -}}

{{- define "outrider.seesMonitoring" -}}
{{- if or .Values.monitoring.force (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1") -}}
true
{{- end -}}
{{- end -}}

{{- define "outrider.seesSpire" -}}
{{- if or .Values.spire.force (.Capabilities.APIVersions.Has "spire.spiffe.io/v1alpha1") -}}
true
{{- end -}}
{{- end -}}

{{/* Settings of the sidecars, as variables; each value is YAML. */}}
{{- define "outrider.environment" -}}
{{- $set := dict -}}
{{- $texts := dict
  "OUTRIDER_PROFILE" .Values.sidecar.profile
  "OUTRIDER_ENVIRONMENT" .Values.sidecar.environment
  "OUTRIDER_POLICY__ENGINE" .Values.policy.engine
  "OUTRIDER_POLICY__OPA__MODE" .Values.policy.opa.mode
  "OUTRIDER_POLICY__OPA__URL" .Values.policy.opa.url
  "OUTRIDER_POLICY__BUNDLE__URL" .Values.policy.bundle.url
  "OUTRIDER_STORES__KIND" .Values.stores.kind
  "OUTRIDER_STORES__REDIS__URL" .Values.stores.redis.url -}}
{{- range $name, $text := $texts -}}
{{- if $text }}{{ $_ := set $set $name (toJson $text) }}{{ end -}}
{{- end -}}
{{- if .Values.policy.opa.expect -}}
{{- $_ := set $set "OUTRIDER_POLICY__OPA__EXPECT" (toJson .Values.policy.opa.expect) -}}
{{- end -}}
{{- with .Values.policy.bundle -}}
{{- if .url }}{{ $_ := set $set "OUTRIDER_POLICY__BUNDLE__POLL_S" (toString .pollSeconds) }}{{ end -}}
{{- if .maxStalenessSeconds -}}
{{- $_ := set $set "OUTRIDER_POLICY__MAX_STALENESS_S" (toString .maxStalenessSeconds) -}}
{{- end -}}
{{- if .leastSequence -}}
{{- $_ := set $set "OUTRIDER_POLICY__SIGNATURE__LEAST_SEQUENCE" (toString .leastSequence) -}}
{{- end -}}
{{- if .keys -}}
{{- $keys := dict -}}
{{- range $name, $path := .keys }}{{ $_ := set $keys $name (dict "file" $path) }}{{ end -}}
{{- $_ := set $set "OUTRIDER_POLICY__SIGNATURE__KEYS" (toJson $keys) -}}
{{- end -}}
{{- end -}}
{{- toJson (merge (deepCopy .Values.sidecar.variables) $set) -}}
{{- end -}}

{{- define "outrider.testHook" -}}
helm.sh/hook: test
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{/* A file's text, so many columns to the right, and nothing on its empty lines. */}}
{{- define "outrider.indented" -}}
{{- regexReplaceAll "(?m)^ +$" (index . 1 | trim | nindent (index . 0)) "" -}}
{{- end -}}
