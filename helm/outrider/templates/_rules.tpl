{{/*
The rules of admission, in CEL. Each template is one expression that is true for a pod that may be;
`variables.bound` are the containers a rule binds, `variables.others` all but ours.

Laws: what is missing is read as absent, never skipped; ours is who stands where we put ours, under
our name, from our image and in our shape; lists come from values that the schema has held to plain
characters.
*/}}

{{/* An expression as one quoted line. */}}
{{- define "outrider.cel" -}}
{{- regexReplaceAll "\\s+" . " " | replace "\"" "'" | quote -}}
{{- end -}}

{{- define "outrider.rules.ours" -}}
["outrider", "outrider-net-init", "outrider-verify"]
{{- end -}}

{{/* Names of containers that nobody debugs: ours, and those that may be the platform's. */}}
{{- define "outrider.rules.untouched" -}}
{{- $names := include "outrider.rules.ours" . | fromJsonArray -}}
{{- range .Values.trustedContainers }}{{ $names = append $names .name }}{{ end -}}
{{- toJson ($names | uniq) -}}
{{- end -}}

{{/* Variables that every pod policy starts with. */}}
{{- define "outrider.rules.variables" -}}
{{- $v := .Values -}}
{{- $mode := squote $v.capture.mode -}}
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
  (list "own" (printf "variables.inits.filter(c, %s).map(c, c.name)" (include "outrider.rules.shape" .)))
  (list "ownApp" (printf "variables.classic ? object.spec.containers.filter(c, c.name == 'outrider' && (%s)).map(c, c.name) : []" (include "outrider.rules.shape" .)))
  (list "others" "variables.inits.filter(c, !(c.name in variables.own)) + object.spec.containers.filter(c, !(c.name in variables.ownApp))")
  (list "bound" (printf "variables.others.filter(c, !(%s))" (include "outrider.rules.trusted" .)))
  (list "secretsAllowed" (printf "request.namespace in %s" (toJson $v.agentSecrets.exceptions)))
  (list "reservedVolumes" (printf "%s + variables.volumes.filter(v, %s).map(v, v.name)" (include "outrider.rules.volumes" .) (include "outrider.rules.reserved" .)))
  (list "foreignVolumes" (printf "variables.cooperative || variables.guarded ? [] : variables.volumes.filter(v, !(%s)).map(v, v.name)" (include "outrider.rules.kinds" .)))
  (list "tokenVolumes" "variables.volumes.filter(v, v.?projected.?sources.orValue([]).exists(s, has(s.serviceAccountToken) || has(s.podCertificate))).map(v, v.name)")
  (list "secretVolumes" (printf "variables.volumes.filter(v, has(v.secret) || v.?csi.?driver.orValue('') in %s || v.?projected.?sources.orValue([]).exists(s, has(s.secret))).map(v, v.name)" (include "outrider.rules.secretDrivers" .))) -}}
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

{{/* Whether container `c` of an accepted image is one of ours as the injector makes it. The image alone
     is nobody's excuse: with another command, probe, mount or variable it would do an author's work
     under our uid. The service account's token, where a pod has one, is mounted by the API server
     into every container. */}}
{{- define "outrider.rules.shape" -}}
{{- $token := "m.mountPath == '/var/run/secrets/kubernetes.io/serviceaccount'" -}}
{{- $run := "['/usr/local/bin/outrider', 'capture', 'verify', '--mode', m]" -}}
c.name in {{ include "outrider.rules.ours" . }} && c.image in variables.accepted
&& !c.?securityContext.?privileged.orValue(false) && !c.?securityContext.?allowPrivilegeEscalation.orValue(true)
&& c.?securityContext.?procMount.orValue('Default') == 'Default'
&& c.?securityContext.?readOnlyRootFilesystem.orValue(false)
&& c.?securityContext.?seccompProfile.?type.orValue('') == 'RuntimeDefault'
&& c.?securityContext.?runAsGroup.orValue(-1) == c.?securityContext.?runAsUser.orValue(-2)
&& c.?securityContext.?capabilities.?drop.orValue([]) == ['ALL']
&& c.?terminationMessagePath.orValue('/dev/termination-log') == '/dev/termination-log'
&& c.?envFrom.orValue([]).size() == 0 && c.?volumeDevices.orValue([]).size() == 0 && !has(c.lifecycle)
&& !c.?livenessProbe.?exec.hasValue() && !c.?readinessProbe.?exec.hasValue()
&& {{ include "outrider.rules.asked" . }} && {{ include "outrider.rules.heard" . }}
&& (c.name == 'outrider'
  ? c.?command.orValue([]) == ['/usr/local/bin/outrider', 'run'] && c.?args.orValue([]).size() == 0
    && c.?securityContext.?runAsUser.orValue(0) == 2102
    && c.?securityContext.?capabilities.?add.orValue([]).size() == 0
    && c.?startupProbe.?httpGet.hasValue()
    && c.?env.orValue([]).all(e, e.name.startsWith('OUTRIDER_') || e.name in ['SPIFFE_ENDPOINT_SOCKET', 'TMPDIR'])
    && c.?volumeMounts.orValue([]).all(m, {{ $token }}
      || (!has(m.subPath) && !has(m.subPathExpr) && m.mountPath == {
        'outrider-run': '/run/outrider', 'outrider-state': '/var/lib/outrider', 'outrider-config': '/etc/outrider',
        'outrider-policy': '/etc/outrider-policy', 'spiffe-workload-api': '/spiffe-workload-api'}[?m.name].orValue('')))
  : c.?env.orValue([]).size() == 0 && c.?volumeMounts.orValue([]).all(m, {{ $token }})
    && (c.name == 'outrider-net-init'
      ? c.?command.orValue([]) == ['/usr/bin/nft'] && c.?args.orValue([]).size() == 1
        && c.args[0].startsWith('table inet outrider') && !has(c.restartPolicy)
        && c.?securityContext.?runAsUser.orValue(-1) in {{ ternary "[0, 65534]" "[65534]" .Values.netInit.runAsRoot }}
        && c.?securityContext.?capabilities.?add.orValue([]) == ['NET_ADMIN']
      : c.?args.orValue([]).size() == 0 && c.?securityContext.?runAsUser.orValue(0) == 65534
        && c.?securityContext.?capabilities.?add.orValue([]).size() == 0
        && ['transparent', 'enforce-drop'].exists(m, has(c.restartPolicy)
          ? c.restartPolicy == 'Always' && c.?command.orValue([]) == {{ $run }} + ['--watch']
            && c.?startupProbe.?exec.?command.orValue([]) == {{ $run }}
          : c.?command.orValue([]) == {{ $run }})))
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

{{/* CSI drivers whose volumes hold nothing but secrets; rule 11 judges those. */}}
{{- define "outrider.rules.secretDrivers" -}}
["csi.cert-manager.io", "secrets-store.csi.k8s.io", "spiffe.csi.cert-manager.io"]
{{- end -}}

{{/* Whether volume `v` is of a kind by which no node sends for its pod: what NFS, iSCSI and their
     like send is the node's own, and caught by no rule of the pod's. One without a kind is an
     emptyDir. */}}
{{- define "outrider.rules.kinds" -}}
{{- $drivers := concat (include "outrider.rules.secretDrivers" . | fromJsonArray) .Values.inlineCsiDrivers -}}
dyn(v).all(k, k in ['name', 'configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'persistentVolumeClaim', 'projected', 'secret'])
&& (!has(v.csi) || v.csi.?driver.orValue('') in {{ toJson $drivers }})
{{- end -}}

{{/* What Pod Security `baseline` lets be added; agents not even what gives others rights. */}}
{{- define "outrider.rules.baseline" -}}
["AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"]
{{- end -}}

{{- define "outrider.rules.capability" -}}
(a.upperAscii().startsWith('CAP_') ? a.upperAscii().substring(4) : a.upperAscii())
{{- end -}}

{{/* 1: the sidecar is there, native, and ours. */}}
{{- define "outrider.rules.1" -}}
variables.inits.exists(c, c.name == 'outrider' && c.?restartPolicy.orValue('') == 'Always' && c.name in variables.own)
|| variables.ownApp.size() > 0
{{- end -}}

{{/* 2: capture stands before anything else runs. */}}
{{- define "outrider.rules.2" -}}
variables.cooperative
|| (variables.inits.size() > 2 && variables.inits[0].name == 'outrider-net-init' && variables.inits[1].name == 'outrider'
    && variables.inits[2].name == 'outrider-verify' && variables.own == ['outrider-net-init', 'outrider', 'outrider-verify'])
|| (variables.classic && variables.inits.size() > 0 && variables.inits[0].name == 'outrider-net-init'
    && variables.own == ['outrider-net-init'] && !variables.inits.exists(c, c.name == 'outrider'))
{{- end -}}

{{/* 3: nothing of the node, and no shared processes. */}}
{{- define "outrider.rules.3" -}}
!(object.spec.?hostNetwork.orValue(false) || object.spec.?hostPID.orValue(false)
  || object.spec.?hostIPC.orValue(false) || object.spec.?shareProcessNamespace.orValue(false))
{{- end -}}

{{/* 13: an author does not say where the names lead that a policy grants. An option is written out as
     it stands, so `ndots:15` may be a name. */}}
{{- define "outrider.rules.13" -}}
variables.cooperative || variables.guarded
|| ({{ with .Values.capture.dnsServers }}object.spec.?dnsConfig.?nameservers.orValue([]).all(n, n in {{ toJson . }}) && {{ end -}}
    object.spec.?hostAliases.orValue([]).size() == 0 && object.spec.?dnsConfig.?searches.orValue([]).size() == 0
    && object.spec.?dnsConfig.?options.orValue([]).all(o, o.?name.orValue('').matches('^[a-z0-9-]+$')
      && (o.name == 'ndots' ? o.?value.orValue('') in ['0', '1', '2', '3', '4', '5'] : o.?value.orValue('').matches('^[0-9]*$'))))
{{- end -}}

{{/* Whether the node connects nowhere but to the pod for container `c`: with a host, a probe or hook
     is the kubelet's connection to where the pod says, caught by no rule of the pod's. */}}
{{- define "outrider.rules.asked" -}}
{{- range $at, $place := list "livenessProbe" "readinessProbe" "startupProbe" "lifecycle.?postStart" "lifecycle.?preStop" -}}
{{- if $at }} && {{ end -}}
c.?{{ $place }}.?httpGet.?host.orValue('') == '' && c.?{{ $place }}.?tcpSocket.?host.orValue('') == ''
{{- end -}}
{{- end -}}

{{/* Whether the node listens nowhere for container `c`. */}}
{{- define "outrider.rules.heard" -}}
c.?ports.orValue([]).all(p, p.?hostPort.orValue(0) == 0)
{{- end -}}

{{/* 14: the node connects nowhere for a pod, and lets nobody in to it. */}}
{{- define "outrider.rules.14asked" -}}
variables.cooperative || variables.guarded || {{ . }}.all(c, {{ include "outrider.rules.asked" . }})
{{- end -}}

{{- define "outrider.rules.14heard" -}}
variables.cooperative || variables.guarded || {{ . }}.all(c, {{ include "outrider.rules.heard" . }})
{{- end -}}

{{/* 4: uid and gid 2102 are the sidecar's alone; `.` is the list of containers. */}}
{{- define "outrider.rules.4" -}}
{{ . }}.all(c, c.?securityContext.?runAsUser.orValue(0) != 2102 && c.?securityContext.?runAsGroup.orValue(0) != 2102)
{{- end -}}

{{/* 4: who names no user runs as the image's own, which may be 2102; the platform's containers too,
     whose image an author may choose among many. */}}
{{- define "outrider.rules.4user" -}}
variables.cooperative || variables.guarded || object.spec.?securityContext.?runAsUser.hasValue()
|| {{ . }}.all(c, c.?securityContext.?runAsUser.hasValue())
{{- end -}}

{{/* 4: the files of name resolution are one for all containers of a pod, and root's to write. */}}
{{- define "outrider.rules.4root" -}}
variables.cooperative || variables.guarded
|| {{ . }}.all(c, c.?securityContext.?runAsUser.orValue(object.spec.?securityContext.?runAsUser.orValue(1)) != 0)
{{- end -}}

{{- define "outrider.rules.4pod" -}}
object.spec.?securityContext.?runAsUser.orValue(0) != 2102
&& object.spec.?securityContext.?runAsGroup.orValue(0) != 2102
&& object.spec.?securityContext.?fsGroup.orValue(0) != 2102
&& !(2102 in object.spec.?securityContext.?supplementalGroups.orValue([]))
{{- end -}}

{{/* 5: no capability to go round. Runtimes differ in case and in CAP_, so both are read. The dot is a
     list of two, as in 7. */}}
{{- define "outrider.rules.5" -}}
{{ index . 0 }}.all(c, !c.?securityContext.?privileged.orValue(false)
  && c.?securityContext.?procMount.orValue('Default') == 'Default'
  && c.?securityContext.?capabilities.?add.orValue([]).all(a,
    {{ include "outrider.rules.capability" . }} in {{ include "outrider.rules.baseline" . }}))
&& {{ index . 1 }}.all(c, c.?securityContext.?capabilities.?add.orValue([]).all(a,
  !({{ include "outrider.rules.capability" . }} in ['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID'])))
{{- end -}}

{{/* 6: what runtimes grant by default is given up, and no file of the image's brings it back. */}}
{{- define "outrider.rules.6" -}}
variables.cooperative || {{ . }}.all(c,
  'ALL' in c.?securityContext.?capabilities.?drop.orValue([])
  || ['SETUID', 'SETGID', 'NET_RAW'].all(n, n in c.?securityContext.?capabilities.?drop.orValue([])))
{{- end -}}

{{- define "outrider.rules.6files" -}}
variables.cooperative || {{ . }}.all(c, !c.?securityContext.?allowPrivilegeEscalation.orValue(true))
{{- end -}}

{{/* 7: nobody else gets at our volumes, at the Workload API, at the node's files or at what the node
     fetches for a pod; the platform's own may at the run folder. The dot is a list of two: the containers, and those of them that are
     bound. */}}
{{- define "outrider.rules.7" -}}
{{ index . 0 }}.all(c, (c.?volumeMounts.orValue([]).map(m, m.name) + c.?volumeDevices.orValue([]).map(d, d.name)).all(n,
    !(n in variables.reservedVolumes) && !(n in variables.foreignVolumes))
  && c.?env.orValue([]).all(e, !(e.?valueFrom.?fileKeyRef.?volumeName.orValue('') in variables.reservedVolumes)))
&& {{ index . 1 }}.all(c, c.?volumeMounts.orValue([]).all(m, m.name != 'outrider-run')
  && c.?env.orValue([]).all(e, e.?valueFrom.?fileKeyRef.?volumeName.orValue('') != 'outrider-run'))
{{- end -}}

{{/* 7: what bears the name of a volume of ours is one: nobody brings the sidecar files of their own. */}}
{{- define "outrider.rules.7volumes" -}}
variables.volumes.all(v, v.name in ['outrider-run', 'outrider-state'] ? has(v.emptyDir)
  : v.name in ['outrider-config', 'outrider-policy'] ? has(v.configMap)
  : v.name != 'spiffe-workload-api' || v.?csi.?driver.orValue('') in {{ toJson (list "csi.spiffe.io" .Values.identity.csiDriver | uniq) }}
    || v.?hostPath.?path.orValue('') == {{ squote .Values.identity.hostPath }})
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
