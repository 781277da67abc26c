{{/* The file that `outrider injector run --settings` reads; it refuses a key it does not know. */}}
{{- define "outrider.settings" -}}
{{- $injector := include "outrider.injector" . -}}
{{- $v := .Values -}}
image: {{ include "outrider.image" . | quote }}
acceptedImages: {{ toJson $v.admissionPolicies.acceptedImages }}
imagePullPolicy: {{ $v.image.pullPolicy | quote }}
revision: {{ $v.revision | quote }}
optOut:
  namespaces: {{ toJson $v.optOut.namespaces }}
guardedAnnotations:
  namespaces: {{ toJson $v.guardedAnnotations.namespaces }}
agentSecrets:
  exceptions: {{ toJson $v.agentSecrets.exceptions }}
classicSidecar:
  namespaces: {{ toJson $v.classicSidecar.namespaces }}
hardenAppContainers: {{ $v.hardenAppContainers | quote }}
trustedContainers: {{ toJson $v.trustedContainers }}
inlineCsiDrivers: {{ toJson $v.inlineCsiDrivers }}
capture:
  mode: {{ $v.capture.mode | quote }}
  watch: {{ $v.capture.watch }}
  dnsServers: {{ toJson $v.capture.dnsServers }}
  skipOutboundPorts: {{ toJson $v.capture.skipOutboundPorts }}
  skipSubnets: {{ toJson $v.capture.skipSubnets }}
netInit:
  runAsRoot: {{ $v.netInit.runAsRoot }}
identity:
  source: {{ $v.identity.source | quote }}
  csiDriver: {{ $v.identity.csiDriver | quote }}
  hostPath: {{ $v.identity.hostPath | quote }}
  socketName: {{ $v.identity.socketName | quote }}
resources:
  preset: {{ $v.sidecar.resources.preset | quote }}
  cpuRequest: {{ $v.sidecar.resources.cpuRequest | quote }}
  memoryRequest: {{ $v.sidecar.resources.memoryRequest | quote }}
  memoryLimit: {{ $v.sidecar.resources.memoryLimit | quote }}
sidecar:
  logLevel: {{ $v.sidecar.logLevel | quote }}
  startupTimeoutS: {{ $v.sidecar.startupTimeoutSeconds }}
  shutdownGraceS: {{ $v.sidecar.shutdownGraceSeconds }}
  inbound: {{ $v.sidecar.inbound }}
  {{- with $v.sidecar.configMap }}
  configMap: {{ . | quote }}
  {{- end }}
  {{- with $v.sidecar.policyConfigMap }}
  policyConfigMap: {{ . | quote }}
  {{- end }}
  environment: {{ include "outrider.environment" . }}
webhook:
  addresses:
    {{- range $v.injector.listen }}
    - {{ include "outrider.address" (dict "host" . "port" $v.injector.port) }}
    {{- end }}
  telemetryAddresses:
    {{- range $v.injector.listen }}
    - {{ include "outrider.address" (dict "host" . "port" $v.injector.telemetryPort) }}
    {{- end }}
  bodyBytes: {{ int $v.webhook.bodyBytes }}
  delayS: {{ $v.injector.delaySeconds }}
  graceS: {{ $v.injector.graceSeconds }}
certificates:
  mode: {{ $v.certificates.mode | quote }}
  {{- if eq $v.certificates.mode "self" }}
  namespace: {{ .Release.Namespace | quote }}
  service: {{ $injector }}
  secret: {{ include "outrider.tlsSecret" . | quote }}
  lease: {{ $injector }}
  configuration: {{ $injector }}
  {{- end }}
logLevel: {{ $v.injector.logLevel | quote }}
{{- end -}}

{{- define "outrider.address" -}}
{{- if contains ":" .host -}}
{{- printf "[%s]:%d" .host (int .port) | quote -}}
{{- else -}}
{{- printf "%s:%d" .host (int .port) | quote -}}
{{- end -}}
{{- end -}}
