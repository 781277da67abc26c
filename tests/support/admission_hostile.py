"""Pods that try to get past, and their near misses: what the injector must say of each.

The admission policies judge the same pods, patched or not.
"""

from dataclasses import dataclass
from typing import Any, Final

from outrider.core.capture import CaptureMode
from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector import names
from outrider.injector.reasons import Reason
from tests.support.admission import a_container, a_pod
from tests.support.admission_shapes import CONFINED, TOKEN, TOKEN_MOUNT


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """`says` stands in the denial; `mode` is the capture mode of the plan. `lifted`: it passes
    where `guardedAnnotations` lists the namespace."""

    pod: JsonObject
    reason: Reason
    says: str
    mode: CaptureMode = CaptureMode.TRANSPARENT
    lifted: bool = False


def _mounting(volume: JsonObject, **mount: Json) -> JsonObject:
    name = volume["name"]
    return a_pod(
        a_container(volumeMounts=[{"name": name, "mountPath": "/x", **mount}]), volumes=[volume]
    )


def _adding(*names: str) -> JsonObject:
    return a_pod(a_container(securityContext={"capabilities": {"add": list(names)}}))


def _with_env(*variables: JsonObject) -> JsonObject:
    return a_pod(a_container(env=list(variables)))


def _option(name: str, value: str | None) -> dict[str, Any]:
    option: JsonObject = {"name": name} if value is None else {"name": name, "value": value}
    return {"dnsConfig": {"options": [option]}}


FAKE: Final[JsonObject] = {
    "name": "outrider",
    "image": "registry.example/agent:1",
    "command": ["sleep", "infinity"],
    "restartPolicy": "Always",
}

_NAMES_LEAD: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "host-aliases": (
        "spec.hostAliases",
        {"hostAliases": [{"ip": "192.0.2.7", "hostnames": ["api.example"]}]},
    ),
    "searches": ("spec.dnsConfig.searches", {"dnsConfig": {"searches": ["evil.example"]}}),
    **{
        f"option-{name}-{value}": ("spec.dnsConfig.options", _option(name, value))
        for name, value in (
            ("ndots", "6"),
            ("ndots", "15"),
            ("ndots", None),
            ("ndots:15", None),
            ("edns0\nsearch evil.example", None),
            ("timeout", "1 ndots:15"),
        )
    },
}
REMOTE_VOLUMES: Final[dict[str, JsonObject]] = {
    "nfs": {"server": "192.0.2.66", "path": "/x"},
    "iscsi": {"targetPortal": "192.0.2.66:3260", "iqn": "iqn.2001-04.com.example:s", "lun": 0},
    "cephfs": {"monitors": ["192.0.2.66:6789"]},
    "rbd": {"monitors": ["192.0.2.66:6789"], "image": "i"},
    "glusterfs": {"endpoints": "e", "path": "p"},
    "flexVolume": {"driver": "x.example/y"},
    "gitRepo": {"repository": "https://192.0.2.66/x.git"},
    "fc": {"targetWWNs": ["50060e801049cfd1"], "lun": 0},
    "quobyte": {"registry": "192.0.2.66:7861", "volume": "v"},
    "azureFile": {"secretName": "s", "shareName": "share"},
    "csi": {"driver": "ebs.csi.aws.com"},
}
"""A source of each kind of volume for which the node connects somewhere itself."""
LOCAL_VOLUMES: Final[dict[str, JsonObject]] = {
    "configMap": {"name": "c"},
    "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]},
    "emptyDir": {},
    "ephemeral": {
        "volumeClaimTemplate": {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
            }
        }
    },
    "persistentVolumeClaim": {"claimName": "c"},
    "projected": {"sources": [{"configMap": {"name": "c"}}]},
}
"""A source of each kind that an agent may mount, of those that every release knows."""
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS: Final = ("postStart", "preStop")


def knocking(place: str, action: JsonObject) -> dict[str, Any]:
    """Fields of a container whose probe or hook at `place` does `action`."""
    return {"lifecycle": {place: action}} if place in _HOOKS else {place: action}


def _asked_at(**more: Json) -> dict[str, JsonObject]:
    """The two actions by which the node connects, with `more` in each."""
    return {"httpGet": {"path": "/x", "port": 80, **more}, "tcpSocket": {"port": 80, **more}}


NODE_CONNECTS: Final[dict[str, dict[str, Any]]] = {
    **{
        f"{place}-{kind}": knocking(place, {kind: action})
        for place in (*_PROBES, *_HOOKS)
        for kind, action in _asked_at(host="169.254.169.254").items()
    },
    **{
        f"readinessProbe-to-{host}": {"readinessProbe": {"tcpSocket": {"host": host, "port": 80}}}
        for host in ("127.0.0.1", "localhost", "::1", "metadata.example", " ")
    },
    "hook-with-headers": knocking(
        "preStop",
        {
            "httpGet": {
                "host": "169.254.169.254",
                "port": "http",
                "httpHeaders": [{"name": "Metadata-Flavor", "value": "Google"}],
            }
        },
    ),
    "second-of-two-probes": {
        "livenessProbe": {"httpGet": {"port": 80}},
        "readinessProbe": {"httpGet": {"host": "192.0.2.66", "port": 80}},
    },
}
"""Fields of a container by which the node connects where the pod says."""
NODE_ASKS_THE_POD: Final[dict[str, dict[str, Any]]] = {
    **{
        f"{place}-{kind}-{name}": knocking(place, {kind: action})
        for place in (*_PROBES, *_HOOKS)
        for name, actions in (("host-absent", _asked_at()), ("host-empty", _asked_at(host="")))
        for kind, action in actions.items()
    },
    **{
        f"{place}-exec": knocking(place, {"exec": {"command": ["true", "host"]}})
        for place in (*_PROBES, *_HOOKS)
    },
    **{f"{place}-grpc": {place: {"grpc": {"port": 80, "service": "host"}}} for place in _PROBES},
    "host-among-headers": {
        "livenessProbe": {
            "httpGet": {"port": 80, "httpHeaders": [{"name": "Host", "value": "192.0.2.66"}]}
        }
    },
    "host-null": {"livenessProbe": {"httpGet": {"host": None, "port": 80}}},
    "hook-that-sleeps": {"lifecycle": {"preStop": {"sleep": {"seconds": 1}}}},
    "no-hooks": {"lifecycle": {}},
}
"""Its near misses: the pod's own address is asked, or nobody's."""
NODE_LISTENS: Final[dict[str, dict[str, Any]]] = {
    "host-port": {"ports": [{"containerPort": 8080, "hostPort": 8080}]},
    "host-port-of-one-address": {
        "ports": [{"containerPort": 8080, "hostPort": 80, "hostIP": "127.0.0.1"}]
    },
    "host-port-second-of-two": {
        "ports": [{"containerPort": 8080}, {"containerPort": 53, "hostPort": 53, "protocol": "UDP"}]
    },
}
"""Fields of a container by which the node listens for it."""
NODE_LISTENS_NOT: Final[dict[str, dict[str, Any]]] = {
    "host-port-0": {"ports": [{"containerPort": 8080, "hostPort": 0}]},
    "host-port-null": {"ports": [{"containerPort": 8080, "hostPort": None}]},
    "host-address-alone": {"ports": [{"containerPort": 8080, "hostIP": "127.0.0.1"}]},
    "no-ports": {"ports": []},
}
UNLESS_GUARDED: Final[dict[str, Hostile]] = {
    **{
        f"node-connects-{name}": Hostile(
            pod=a_pod(a_container(**fields)),
            reason=Reason.HOST_NAMESPACE,
            says="the node would connect there",
            lifted=True,
        )
        for name, fields in NODE_CONNECTS.items()
    },
    "node-connects-for-an-init-container": Hostile(
        pod=a_pod(
            initContainers=[
                a_container(
                    "i",
                    restartPolicy="Always",
                    startupProbe={"httpGet": {"host": "192.0.2.66", "port": 80}},
                )
            ]
        ),
        reason=Reason.HOST_NAMESPACE,
        says="spec.initContainers[0] (i).startupProbe.httpGet.host",
        lifted=True,
    ),
    "node-connects-for-the-second-container": Hostile(
        pod=a_pod(
            a_container(),
            a_container(
                "second", lifecycle={"postStart": {"tcpSocket": {"host": "::1", "port": 80}}}
            ),
        ),
        reason=Reason.HOST_NAMESPACE,
        says="spec.containers[1] (second).lifecycle.postStart.tcpSocket.host",
        lifted=True,
    ),
    **{
        f"node-listens-{name}": Hostile(
            pod=a_pod(a_container(**fields)),
            reason=Reason.HOST_NAMESPACE,
            says="hostPort",
            lifted=True,
        )
        for name, fields in NODE_LISTENS.items()
    },
    "node-listens-for-an-init-container": Hostile(
        pod=a_pod(
            initContainers=[a_container("i", ports=[{"containerPort": 1, "hostPort": 65535}])]
        ),
        reason=Reason.HOST_NAMESPACE,
        says="spec.initContainers[0] (i).ports",
        lifted=True,
    ),
    **{
        f"user-of-the-image-{name}": Hostile(
            pod=pod, reason=Reason.RESERVED_UID, says="set runAsUser", lifted=True
        )
        for name, pod in (
            ("nobody-says", a_pod(securityContext=None)),
            ("non-root-alone", a_pod(securityContext={"runAsUser": None, "runAsNonRoot": True})),
            (
                "one-of-two",
                a_pod(
                    a_container(securityContext={"runAsUser": 7}),
                    a_container("second"),
                    securityContext=None,
                ),
            ),
            (
                "init-container",
                a_pod(
                    a_container(securityContext={"runAsUser": 7}),
                    initContainers=[a_container("i", securityContext={"runAsUser": None})],
                    securityContext=None,
                ),
            ),
        )
    },
    **{
        f"root-{name}": Hostile(
            pod=pod, reason=Reason.RESERVED_UID, says="rewrite /etc/hosts", lifted=True
        )
        for name, pod in (
            ("of-the-pod", a_pod(securityContext={"runAsUser": 0})),
            ("of-a-container", a_pod(a_container(securityContext={"runAsUser": 0}))),
            (
                "one-of-two",
                a_pod(
                    a_container(securityContext={"runAsUser": 7}),
                    a_container("second", securityContext={"runAsUser": None}),
                    securityContext={"runAsUser": 0},
                ),
            ),
            (
                "init-container",
                a_pod(initContainers=[a_container("i", securityContext={"runAsUser": 0})]),
            ),
        )
    },
    **{
        f"path-of-the-node-{path}": Hostile(
            pod=_mounting({"name": "mine", "hostPath": {"path": path}}),
            reason=Reason.RESERVED_MOUNT,
            says="hostPath",
            lifted=True,
        )
        for path in (
            "/proc/1/root/run/spire",
            "/run/containerd",
            "/var/run/docker.sock",
            "/etc",
            "/dev",
            "/run/spire2",
        )
    },
    "device-of-the-node": Hostile(
        pod=a_pod(
            a_container(volumeDevices=[{"name": "mine", "devicePath": "/dev/x"}]),
            volumes=[{"name": "mine", "hostPath": {"path": "/dev/sda", "type": "BlockDevice"}}],
        ),
        reason=Reason.RESERVED_MOUNT,
        says="volumeDevices",
        lifted=True,
    ),
    **{
        f"volume-for-which-the-node-connects-{kind}": Hostile(
            pod=_mounting({"name": "mine", kind: source}),
            reason=Reason.RESERVED_MOUNT,
            says="the node connects" if kind != "csi" else "inlineCsiDrivers",
            lifted=True,
        )
        for kind, source in REMOTE_VOLUMES.items()
    },
    "two-kinds-in-one-volume": Hostile(
        pod=_mounting({"name": "mine", "emptyDir": {}, "nfs": REMOTE_VOLUMES["nfs"]}),
        reason=Reason.RESERVED_MOUNT,
        says="kind nfs",
        lifted=True,
    ),
    "kind-of-tomorrow": Hostile(
        pod=_mounting({"name": "mine", "remote": {"at": "192.0.2.66"}}),
        reason=Reason.RESERVED_MOUNT,
        says="kind remote",
        lifted=True,
    ),
    "init-container-mounts-nfs": Hostile(
        pod=a_pod(
            initContainers=[a_container("i", volumeMounts=[{"name": "n", "mountPath": "/x"}])],
            volumes=[{"name": "n", "nfs": REMOTE_VOLUMES["nfs"]}],
        ),
        reason=Reason.RESERVED_MOUNT,
        says="spec.initContainers[0] (i).volumeMounts",
        lifted=True,
    ),
    "claimed-driver-that-asks-with-a-secret": Hostile(
        pod=_mounting(
            {"name": "data", "csi": {"driver": "x.example", "nodePublishSecretRef": {"name": "n"}}}
        ),
        reason=Reason.RESERVED_MOUNT,
        says="x.example",
        lifted=True,
    ),
    **{
        f"says-where-names-lead-{name}": Hostile(
            pod=a_pod(**changes), reason=Reason.DNS_UNKNOWN, says=says, lifted=True
        )
        for name, (says, changes) in _NAMES_LEAD.items()
    },
}
BEYOND_BASELINE: Final[dict[str, Hostile]] = {
    **{
        f"adds-{name}": Hostile(pod=_adding("CHOWN", name), reason=Reason.CAPABILITY, says=name)
        for name in (
            "SYS_MODULE",
            "DAC_READ_SEARCH",
            "SYS_RAWIO",
            "BPF",
            "PERFMON",
            "SYS_BOOT",
            "CHECKPOINT_RESTORE",
            "cap_sys_module",
            "CAP_CAP_CHOWN",
            "SETFCAP",
            "SETPCAP",
            "OF_NO_KERNEL",
        )
    },
    "unmasked-proc": Hostile(
        pod=a_pod(a_container(securityContext={"procMount": "Unmasked"}), hostUsers=False),
        reason=Reason.CAPABILITY,
        says="procMount",
    ),
}

HOSTILE: Final[dict[str, Hostile]] = {
    **UNLESS_GUARDED,
    **BEYOND_BASELINE,
    **{
        f"host-{field}": Hostile(
            pod=a_pod(**{field: True}), reason=Reason.HOST_NAMESPACE, says=f"spec.{field} is true"
        )
        for field in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
    },
    "windows": Hostile(
        pod=a_pod(os={"name": "windows"}), reason=Reason.UNSUPPORTED_OS, says="spec.os.name"
    ),
    "windows-by-selector": Hostile(
        pod=a_pod(nodeSelector={"kubernetes.io/os": "windows"}),
        reason=Reason.UNSUPPORTED_OS,
        says="spec.nodeSelector.kubernetes.io/os",
    ),
    "host-process": Hostile(
        pod=a_pod(a_container(securityContext={"windowsOptions": {"hostProcess": True}})),
        reason=Reason.UNSUPPORTED_OS,
        says="hostProcess",
    ),
    "fake-sidecar": Hostile(
        pod=a_pod(initContainers=[FAKE]),
        reason=Reason.RESERVED_NAME,
        says="spec.initContainers[0] (outrider)",
    ),
    "sidecar-as-app": Hostile(
        pod=a_pod(a_container(), a_container("outrider")),
        reason=Reason.RESERVED_NAME,
        says="spec.containers[1] (outrider)",
    ),
    "name-of-ours-as-app": Hostile(
        pod=a_pod(a_container(), a_container("outrider-verify")),
        reason=Reason.RESERVED_NAME,
        says="outrider-verify",
    ),
    "name-like-ours": Hostile(
        pod=a_pod(a_container("outrider-agent")), reason=Reason.RESERVED_NAME, says="outrider-agent"
    ),
    "volume-of-ours": Hostile(
        pod=a_pod(volumes=[{"name": "outrider-run", "emptyDir": {}}]),
        reason=Reason.RESERVED_NAME,
        says="spec.volumes[0] (outrider-run)",
    ),
    "workload-volume-of-another-kind": Hostile(
        pod=a_pod(volumes=[{"name": "spiffe-workload-api", "emptyDir": {}}]),
        reason=Reason.RESERVED_NAME,
        says="spec.volumes[0] (spiffe-workload-api)",
    ),
    "uid-of-the-pod": Hostile(
        pod=a_pod(securityContext={"runAsUser": 2102}),
        reason=Reason.RESERVED_UID,
        says="spec.securityContext.runAsUser is 2102",
    ),
    "uid-of-a-container": Hostile(
        pod=a_pod(a_container(securityContext={"runAsUser": 2102})),
        reason=Reason.RESERVED_UID,
        says="spec.containers[0] (agent).securityContext.runAsUser",
    ),
    "uid-of-an-init-container": Hostile(
        pod=a_pod(initContainers=[a_container("i", securityContext={"runAsUser": 2102})]),
        reason=Reason.RESERVED_UID,
        says="spec.initContainers[0] (i)",
    ),
    **{
        f"gid-{field}": Hostile(
            pod=a_pod(securityContext={field: value}), reason=Reason.RESERVED_UID, says=field
        )
        for field, value in (
            ("runAsGroup", 2102),
            ("fsGroup", 2102),
            ("supplementalGroups", [1, 2102]),
        )
    },
    "gid-of-a-container": Hostile(
        pod=a_pod(a_container(securityContext={"runAsGroup": 2102})),
        reason=Reason.RESERVED_UID,
        says="runAsGroup",
    ),
    "privileged": Hostile(
        pod=a_pod(a_container(securityContext={"privileged": True})),
        reason=Reason.CAPABILITY,
        says="privileged",
    ),
    **{
        f"adds-{name}": Hostile(pod=_adding("CHOWN", name), reason=Reason.CAPABILITY, says=name)
        for name in (
            "NET_ADMIN",
            "NET_RAW",
            "SETUID",
            "SETGID",
            "SYS_ADMIN",
            "SYS_PTRACE",
            "ALL",
            "net_admin",
            "CAP_SETUID",
            "cap_net_raw",
        )
    },
    "init-container-adds": Hostile(
        pod=a_pod(
            initContainers=[
                a_container("i", securityContext={"capabilities": {"add": ["NET_ADMIN"]}})
            ]
        ),
        reason=Reason.CAPABILITY,
        says="spec.initContainers[0] (i)",
    ),
    **{
        f"mounts-{name}": Hostile(
            pod=a_pod(a_container(volumeMounts=[{"name": name, "mountPath": "/x"}])),
            reason=Reason.RESERVED_MOUNT,
            says=name,
        )
        for name in ("outrider-run", "outrider-state", "spiffe-workload-api", "outrider-config")
    },
    "init-container-mounts": Hostile(
        pod=a_pod(
            initContainers=[
                a_container("i", volumeMounts=[{"name": "outrider-run", "mountPath": "/x"}])
            ]
        ),
        reason=Reason.RESERVED_MOUNT,
        says="spec.initContainers[0] (i).volumeMounts",
    ),
    "reads-a-file-of-ours-into-env": Hostile(
        pod=_with_env(
            {
                "name": "X",
                "valueFrom": {
                    "fileKeyRef": {"volumeName": "outrider-state", "path": "p", "key": "k"}
                },
            }
        ),
        reason=Reason.RESERVED_MOUNT,
        says="fileKeyRef",
    ),
    "csi-driver-by-another-name": Hostile(
        pod=_mounting({"name": "mine", "csi": {"driver": "csi.spiffe.io", "readOnly": True}}),
        reason=Reason.RESERVED_MOUNT,
        says="csi.spiffe.io",
    ),
    **{
        f"host-path-{path}": Hostile(
            pod=_mounting({"name": "mine", "hostPath": {"path": path}}),
            reason=Reason.RESERVED_MOUNT,
            says="hostPath",
        )
        for path in (
            "/",
            "/run",
            "/run/spire",
            "/run/spire/agent-sockets/",
            "/run/spire/agent-sockets/spire-agent.sock",
            "/var/run/spire",
            "/var/lib",
            "/var/lib/kubelet/pods",
            "//var/./lib//kubelet",
        )
    },
    "token-mounted": Hostile(
        pod=a_pod(a_container(volumeMounts=[TOKEN_MOUNT]), volumes=[TOKEN]),
        reason=Reason.AGENT_SECRET,
        says="token",
    ),
    "token-asked-for": Hostile(
        pod=a_pod(automountServiceAccountToken=True),
        reason=Reason.AGENT_SECRET,
        says="automountServiceAccountToken is true",
    ),
    "secret-volume": Hostile(
        pod=_mounting({"name": "keys", "secret": {"secretName": "upstream"}}),
        reason=Reason.AGENT_SECRET,
        says="a Secret",
    ),
    **{
        f"volume-of-{driver}": Hostile(
            pod=_mounting({"name": "keys", "csi": {"driver": driver, "readOnly": True}}),
            reason=Reason.AGENT_SECRET,
            says="a CSI volume of secrets",
        )
        for driver in names.SECRET_DRIVERS
    },
    "projected-secret": Hostile(
        pod=_mounting(
            {"name": "keys", "projected": {"sources": [{"secret": {"name": "upstream"}}]}}
        ),
        reason=Reason.AGENT_SECRET,
        says="a projected Secret",
    ),
    "projected-certificate": Hostile(
        pod=_mounting(
            {
                "name": "keys",
                "projected": {"sources": [{"podCertificate": {"signerName": "x.example/y"}}]},
            }
        ),
        reason=Reason.AGENT_SECRET,
        says="private key",
    ),
    "secret-in-env": Hostile(
        pod=_with_env(
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "upstream", "key": "k"}}}
        ),
        reason=Reason.AGENT_SECRET,
        says="secretKeyRef",
    ),
    "secret-as-env": Hostile(
        pod=a_pod(a_container(envFrom=[{"secretRef": {"name": "upstream"}}])),
        reason=Reason.AGENT_SECRET,
        says="secretRef",
    ),
    "secret-of-an-init-container": Hostile(
        pod=a_pod(initContainers=[a_container("i", envFrom=[{"secretRef": {"name": "upstream"}}])]),
        reason=Reason.AGENT_SECRET,
        says="spec.initContainers[0] (i)",
    ),
    "istio": Hostile(
        pod=a_pod(a_container(), a_container("istio-proxy")),
        reason=Reason.PORT_CONFLICT,
        says="istio-proxy",
    ),
    **{
        f"port-{port}": Hostile(
            pod=a_pod(a_container(ports=[{"containerPort": port}])),
            reason=Reason.PORT_CONFLICT,
            says=str(port),
        )
        for port in (15000, 15001, 15002, 15006, 15010, 15020)
    },
    "another-proxy": Hostile(
        pod=_with_env({"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}),
        reason=Reason.PROXY_ENV_CONFLICT,
        says="HTTPS_PROXY",
        mode=CaptureMode.COOPERATIVE,
    ),
    "another-proxy-in-small-letters": Hostile(
        pod=_with_env({"name": "no_proxy", "value": "*"}),
        reason=Reason.PROXY_ENV_CONFLICT,
        says="no_proxy",
        mode=CaptureMode.ENFORCE_DROP,
    ),
    "another-proxy-by-reference": Hostile(
        pod=_with_env(
            {
                "name": "HTTP_PROXY",
                "valueFrom": {"configMapKeyRef": {"name": "proxies", "key": "http"}},
            }
        ),
        reason=Reason.PROXY_ENV_CONFLICT,
        says="HTTP_PROXY",
        mode=CaptureMode.ENFORCE_DROP,
    ),
}

NEAR_MISSES: Final[dict[str, JsonObject]] = {
    "host-namespaces-false": a_pod(
        hostNetwork=False, hostPID=False, hostIPC=False, shareProcessNamespace=False
    ),
    "user-namespace": a_pod(hostUsers=False),
    "linux": a_pod(os={"name": "linux"}, nodeSelector={"kubernetes.io/os": "linux"}),
    "uid-2103": a_pod(
        a_container(securityContext={"runAsUser": 2103, "runAsGroup": 2103}),
        securityContext={"fsGroup": 21020, "supplementalGroups": [210, 2101]},
    ),
    "adds-net-bind-service": a_pod(
        a_container(
            securityContext={
                "privileged": False,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            }
        )
    ),
    "spiffe-volume-that-nobody-mounts": a_pod(
        volumes=[{"name": "mine", "csi": {"driver": "csi.spiffe.io", "readOnly": True}}]
    ),
    "host-path-that-nobody-mounts": a_pod(
        volumes=[{"name": "mine", "hostPath": {"path": "/proc/1/root"}}]
    ),
    "each-container-names-its-user": a_pod(
        a_container(securityContext={"runAsUser": 7}),
        initContainers=[a_container("i", securityContext={"runAsUser": 8})],
        securityContext=None,
    ),
    "root-of-the-pod-that-no-container-is": a_pod(
        a_container(securityContext={"runAsUser": 7}), securityContext={"runAsUser": 0}
    ),
    "adds-what-harms-nobody": _adding(
        "AUDIT_WRITE",
        "CAP_CHOWN",
        "dac_override",
        "cap_fowner",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
    ),
    "default-proc": a_pod(a_container(securityContext={"procMount": "Default"})),
    "dns-options": a_pod(
        hostAliases=[],
        dnsConfig={
            "searches": [],
            "options": [
                {"name": "ndots", "value": "5"},
                {"name": "timeout", "value": "15"},
                {"name": "single-request-reopen"},
            ],
        },
    ),
    "config-map-volume": _mounting({"name": "app", "configMap": {"name": "app"}}),
    "secret-volume-that-nobody-mounts": a_pod(
        volumes=[{"name": "keys", "secret": {"secretName": "upstream"}}]
    ),
    **{
        f"volume-of-kind-{kind}": _mounting({"name": "mine", kind: source})
        for kind, source in LOCAL_VOLUMES.items()
    },
    "nfs-that-nobody-mounts": a_pod(
        volumes=[{"name": "mine", "nfs": {"server": "192.0.2.66", "path": "/x"}}]
    ),
    **{
        f"node-asks-the-pod-{name}": a_pod(a_container(**fields))
        for name, fields in NODE_ASKS_THE_POD.items()
    },
    **{
        f"node-listens-not-{name}": a_pod(a_container(**fields))
        for name, fields in NODE_LISTENS_NOT.items()
    },
    "image-pull-secrets": a_pod(imagePullSecrets=[{"name": "registry"}]),
    "config-map-in-env": _with_env(
        {"name": "URL", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "url"}}}
    ),
    "config-map-as-env": a_pod(a_container(envFrom=[{"configMapRef": {"name": "app"}}])),
    "port-15021": a_pod(a_container(ports=[{"containerPort": 15021}, {"containerPort": 8080}])),
    "proxy-variables-where-all-is-redirected": _with_env(
        {"name": "HTTP_PROXY", "value": "http://proxy.example:3128"}
    ),
    "name-that-only-contains-ours": a_pod(a_container("my-outrider"), a_container("out-rider")),
    "confined": a_pod(a_container(securityContext=CONFINED)),
    "annotations-of-a-megabyte": a_pod(annotations={"note": "n" * 200_000}),
}
