{{/*
The rules of admission, in CEL. Each template is one expression that is true for a pod that may be;
`variables.bound` are the containers a rule binds, `variables.others` all but ours.

Laws: what is missing is read as absent, never skipped; ours is who stands where we put ours, under
our name and from our image; lists come from values that the schema has held to plain characters.
*/}}

{{/* An expression as one quoted line. */}}
{{- define "outrider.cel" -}}
{{- regexReplaceAll "\\s+" . " " | replace "\"" "'" | quote -}}
{{- end -}}

{{- define "outrider.rules.ours" -}}
["outrider", "outrider-net-init", "outrider-verify"]
{{- end -}}

{{/* Variables that every pod policy starts with. */}}
{{- define "outrider.rules.variables" -}}
{{- $v := .Values -}}
{{- $mode := squote $v.capture.mode -}}
{{- $ours := include "outrider.rules.ours" . -}}
{{- $variables := list
  (list "accepted" (include "outrider.acceptedImages" .))
  (list "annotations" "object.metadata.?annotations.orValue({})")
  (list "guarded" (printf "request.namespace in %s" (toJson $v.guardedAnnotations.namespaces)))
  (list "captureMode" (printf "variables.guarded ? variables.annotations[?'config.outrider.dev/capture-mode'].orValue(%s) : %s" $mode $mode))
  (list "cooperative" "variables.captureMode == 'cooperative'")
  (list "classic" (printf "request.namespace in %s" (toJson $v.classicSidecar.namespaces)))
  (list "inits" "object.spec.?initContainers.orValue([])")
  (list "ephemeral" "object.spec.?ephemeralContainers.orValue([])")
  (list "volumes" "object.spec.?volumes.orValue([])")
  (list "others" (printf "variables.inits.filter(c, !(c.name in %s && c.image in variables.accepted)) + object.spec.containers.filter(c, !(variables.classic && c.name == 'outrider' && c.image in variables.accepted))" $ours))
  (list "bound" (printf "variables.others.filter(c, !(%s))" (include "outrider.rules.trusted" .)))
  (list "secretsAllowed" (printf "request.namespace in %s" (toJson $v.agentSecrets.exceptions)))
  (list "reservedVolumes" (printf "%s + variables.volumes.filter(v, %s).map(v, v.name)" (include "outrider.rules.volumes" .) (include "outrider.rules.reserved" .)))
  (list "tokenVolumes" "variables.volumes.filter(v, v.?projected.?sources.orValue([]).exists(s, has(s.serviceAccountToken) || has(s.podCertificate))).map(v, v.name)")
  (list "secretVolumes" "variables.volumes.filter(v, has(v.secret) || v.?projected.?sources.orValue([]).exists(s, has(s.secret))).map(v, v.name)") -}}
{{- range $variables }}
- name: {{ index . 0 }}
  expression: {{ include "outrider.cel" (index . 1) }}
{{- end }}
{{- end -}}

{{/* Whether container `c` is the platform's own. */}}
{{- define "outrider.rules.trusted" -}}
{{- range .Values.trustedContainers -}}
(c.name == {{ .name | squote }} && c.image.startsWith({{ .imagePrefix | squote }})) || {{ end -}}
false
{{- end -}}

{{/* Volumes of ours; the run folder has a rule of its own. */}}
{{- define "outrider.rules.volumes" -}}
["outrider-state", "spiffe-workload-api", "outrider-config", "outrider-policy"]
{{- end -}}

{{/* Whether volume `v` is another way to them: by driver or by place on the node, above it and below
     it, not by name. */}}
{{- define "outrider.rules.reserved" -}}
{{- $folder := printf "%s/" (clean .Values.identity.hostPath) -}}
{{- $folders := list $folder "/var/lib/kubelet/" -}}
{{- if hasPrefix "/run/" $folder }}{{ $folders = append $folders (printf "/var%s" $folder) }}{{ end -}}
{{- if hasPrefix "/var/run/" $folder }}{{ $folders = append $folders (trimPrefix "/var" $folder) }}{{ end -}}
v.?csi.?driver.orValue('') in {{ toJson (list "csi.spiffe.io" .Values.identity.csiDriver | uniq) }}
|| (has(v.hostPath) && ['/' + v.hostPath.path.split('/').filter(s, s != '' && s != '.').join('/') + '/'].exists(f,
  f == '//' || {{ toJson $folders }}.exists(r, r.startsWith(f) || f.startsWith(r))))
{{- end -}}

{{- define "outrider.rules.capabilities" -}}
["ALL", "NET_ADMIN", "NET_RAW", "SETUID", "SETGID", "SYS_ADMIN", "SYS_PTRACE"]
{{- end -}}

{{/* 1: the sidecar is there, native, and ours. */}}
{{- define "outrider.rules.1" -}}
variables.inits.exists(c, c.name == 'outrider' && c.?restartPolicy.orValue('') == 'Always' && c.image in variables.accepted)
|| (variables.classic && object.spec.containers.exists(c, c.name == 'outrider' && c.image in variables.accepted))
{{- end -}}

{{/* 2: capture stands before anything else runs. */}}
{{- define "outrider.rules.2" -}}
variables.cooperative
|| (variables.inits.size() > 2 && variables.inits[0].name == 'outrider-net-init' && variables.inits[1].name == 'outrider'
    && variables.inits[2].name == 'outrider-verify' && variables.inits[0].image in variables.accepted
    && variables.inits[2].image in variables.accepted)
|| (variables.classic && variables.inits.size() > 0 && variables.inits[0].name == 'outrider-net-init'
    && variables.inits[0].image in variables.accepted && !variables.inits.exists(c, c.name == 'outrider'))
{{- end -}}

{{/* 3: nothing of the node, and no shared processes. */}}
{{- define "outrider.rules.3" -}}
!(object.spec.?hostNetwork.orValue(false) || object.spec.?hostPID.orValue(false)
  || object.spec.?hostIPC.orValue(false) || object.spec.?shareProcessNamespace.orValue(false))
{{- end -}}

{{/* 4: uid and gid 2102 are the sidecar's alone; `.` is the list of containers. */}}
{{- define "outrider.rules.4" -}}
{{ . }}.all(c, c.?securityContext.?runAsUser.orValue(0) != 2102 && c.?securityContext.?runAsGroup.orValue(0) != 2102)
{{- end -}}

{{- define "outrider.rules.4pod" -}}
object.spec.?securityContext.?runAsUser.orValue(0) != 2102
&& object.spec.?securityContext.?runAsGroup.orValue(0) != 2102
&& object.spec.?securityContext.?fsGroup.orValue(0) != 2102
&& !(2102 in object.spec.?securityContext.?supplementalGroups.orValue([]))
{{- end -}}

{{/* 5: no capability to go round. Runtimes differ in case and in CAP_, so both are read. */}}
{{- define "outrider.rules.5" -}}
{{ . }}.all(c, !c.?securityContext.?privileged.orValue(false)
  && c.?securityContext.?capabilities.?add.orValue([]).all(a,
    !((a.upperAscii().startsWith('CAP_') ? a.upperAscii().substring(4) : a.upperAscii()) in {{ include "outrider.rules.capabilities" . }})))
{{- end -}}

{{/* 6: what runtimes grant by default is given up. */}}
{{- define "outrider.rules.6" -}}
variables.cooperative || {{ . }}.all(c,
  'ALL' in c.?securityContext.?capabilities.?drop.orValue([])
  || ['SETUID', 'SETGID', 'NET_RAW'].all(n, n in c.?securityContext.?capabilities.?drop.orValue([])))
{{- end -}}

{{/* 7: nobody else gets at our volumes or at the Workload API; the platform's own may at the run
     folder. The dot is a list of two: the containers, and those of them that are bound. */}}
{{- define "outrider.rules.7" -}}
{{ index . 0 }}.all(c, c.?volumeMounts.orValue([]).all(m, !(m.name in variables.reservedVolumes))
  && c.?env.orValue([]).all(e, !(e.?valueFrom.?fileKeyRef.?volumeName.orValue('') in variables.reservedVolumes)))
&& {{ index . 1 }}.all(c, c.?volumeMounts.orValue([]).all(m, m.name != 'outrider-run')
  && c.?env.orValue([]).all(e, e.?valueFrom.?fileKeyRef.?volumeName.orValue('') != 'outrider-run'))
{{- end -}}

{{/* 10: no token of the service account, and no key that the cluster's own CA vouches for. */}}
{{- define "outrider.rules.10" -}}
variables.secretsAllowed || {{ . }}.all(c, c.?volumeMounts.orValue([]).all(m, !(m.name in variables.tokenVolumes)))
{{- end -}}

{{/* 11: no Secret as files. */}}
{{- define "outrider.rules.11" -}}
variables.secretsAllowed || {{ . }}.all(c, c.?volumeMounts.orValue([]).all(m, !(m.name in variables.secretVolumes)))
{{- end -}}

{{/* 12: no Secret as environment. */}}
{{- define "outrider.rules.12" -}}
variables.secretsAllowed || {{ . }}.all(c,
  !c.?env.orValue([]).exists(e, has(e.valueFrom) && has(e.valueFrom.secretKeyRef))
  && !c.?envFrom.orValue([]).exists(e, has(e.secretRef)))
{{- end -}}
