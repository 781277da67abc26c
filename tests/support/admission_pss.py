"""Pod Security Standards, as kube-apiserver's own admission judges them (v1.29 to v1.36)."""

from collections.abc import Iterator
from typing import Any

BASELINE_ADDS = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
RESTRICTED_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")


def baseline(pod: dict[str, Any]) -> list[str]:
    """What `pod` breaks of the level `baseline`."""
    spec = pod["spec"]
    found = [f"{field} is true" for field in HOST_FIELDS if spec.get(field)]
    found += [
        f"volume {volume['name']}: hostPath"
        for volume in spec.get("volumes") or ()
        if volume.get("hostPath") is not None
    ]
    if _seccomp(spec.get("securityContext")) == "Unconfined":
        found.append("pod: seccomp Unconfined")
    for body in _bodies(spec):
        found += [f"{body['name']}: {what}" for what in _baseline_container(body)]
    return found


def restricted(pod: dict[str, Any]) -> list[str]:
    """What `pod` breaks of the level `restricted`, the level `baseline` included."""
    spec = pod["spec"]
    found = baseline(pod)
    found += [
        f"volume {volume['name']}: {kind}"
        for volume in spec.get("volumes") or ()
        for kind in volume
        if kind not in {"name", "hostPath", *RESTRICTED_VOLUMES}
    ]
    pod_context = spec.get("securityContext") or {}
    for body in _bodies(spec):
        context = body.get("securityContext") or {}
        found += [f"{body['name']}: {what}" for what in _restricted_container(context, pod_context)]
    return found


def _bodies(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def _baseline_container(body: dict[str, Any]) -> Iterator[str]:
    context = body.get("securityContext") or {}
    if context.get("privileged"):
        yield "privileged"
    added = set((context.get("capabilities") or {}).get("add") or ())
    yield from (f"adds {name}" for name in sorted(added - BASELINE_ADDS))
    if any(port.get("hostPort") for port in body.get("ports") or ()):
        yield "hostPort"
    if _seccomp(context) == "Unconfined":
        yield "seccomp Unconfined"
    if context.get("procMount", "Default") != "Default":
        yield "procMount"


def _restricted_container(context: dict[str, Any], pod: dict[str, Any]) -> Iterator[str]:
    if context.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    non_root = context.get("runAsNonRoot", pod.get("runAsNonRoot"))
    if non_root is not True:
        yield "runAsNonRoot"
    if 0 in {context.get("runAsUser"), pod.get("runAsUser")}:
        yield "runAsUser 0"
    if (_seccomp(context) or _seccomp(pod)) not in {"RuntimeDefault", "Localhost"}:
        yield "seccomp"
    capabilities = context.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield "does not drop ALL"
    more = set(capabilities.get("add") or ()) & BASELINE_ADDS - {"NET_BIND_SERVICE"}
    yield from (f"adds {name}" for name in sorted(more))


def _seccomp(context: dict[str, Any] | None) -> str | None:
    kind: str | None = ((context or {}).get("seccompProfile") or {}).get("type")
    return kind
