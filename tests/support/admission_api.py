"""The rules on pods that no schema holds: what kube-apiserver's validation says no to."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from outrider.injector import quantity

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
KEY_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
ANNOTATIONS_BYTES = 256 << 10
PROBES = ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle")


def api_faults(pod: dict[str, Any]) -> list[str]:
    """Everything an API server would refuse `pod` for, though its schema takes it."""
    spec = pod["spec"]
    found = [*_metadata(pod.get("metadata") or {}), *_names(spec), *_volumes(spec)]
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    for group in ("initContainers", "containers"):
        for body in spec.get(group) or ():
            where = f"{group}/{body['name']}"
            is_sidecar = body.get("restartPolicy") == "Always"
            found += [f"{where}: {what}" for what in _container(body, volumes)]
            if "restartPolicy" in body and (group == "containers" or not is_sidecar):
                found.append(f"{where}: restartPolicy is not for it")
            if group == "initContainers" and not is_sidecar:
                found += [f"{where}: {name} on a plain init one" for name in PROBES if name in body]
    return found


def _metadata(metadata: dict[str, Any]) -> Iterator[str]:
    annotations = metadata.get("annotations") or {}
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > ANNOTATIONS_BYTES:
        yield "annotations: too long"
    for key in (*annotations, *(metadata.get("labels") or {})):
        prefix, _, name = key.rpartition("/")
        if not KEY_NAME.fullmatch(name) or not all(
            map(DNS_LABEL.fullmatch, prefix.split(".") * bool(prefix))
        ):
            yield f"key {key!r} is not valid"
    for key, value in (metadata.get("labels") or {}).items():
        if not LABEL_VALUE.fullmatch(value):
            yield f"label {key} is {value!r}"


def _names(spec: dict[str, Any]) -> Iterator[str]:
    bodies = [*(spec.get("initContainers") or ()), *spec["containers"]]
    names = Counter(body["name"] for body in bodies)
    yield from (f"container {name} stands twice" for name, times in names.items() if times > 1)
    yield from (f"container name {name!r}" for name in names if not DNS_LABEL.fullmatch(name))


def _volumes(spec: dict[str, Any]) -> Iterator[str]:
    volumes = spec.get("volumes") or ()
    names = Counter(volume["name"] for volume in volumes)
    yield from (f"volume {name} stands twice" for name, times in names.items() if times > 1)
    for volume in volumes:
        if not DNS_LABEL.fullmatch(volume["name"]):
            yield f"volume name {volume['name']!r}"
        if len([key for key, value in volume.items() if key != "name" and value is not None]) != 1:
            yield f"volume {volume['name']} has not one source"


def _container(body: dict[str, Any], volumes: set[str]) -> Iterator[str]:
    mounts = body.get("volumeMounts") or ()
    yield from (f"no volume {one['name']}" for one in mounts if one["name"] not in volumes)
    paths = Counter(mount["mountPath"] for mount in mounts)
    yield from (f"{path} is mounted twice" for path, times in paths.items() if times > 1)
    yield from _ports(body.get("ports") or ())
    yield from _security(body.get("securityContext") or {})
    yield from _resources(body.get("resources") or {})
    for name in ("startupProbe", "livenessProbe"):
        if (body.get(name) or {}).get("successThreshold", 1) != 1:
            yield f"{name}.successThreshold"
    for variable in body.get("env") or ():
        if "value" in variable and variable.get("valueFrom") is not None:
            yield f"env {variable['name']} has both"
    if body.get("terminationMessagePolicy", "File") not in {"File", "FallbackToLogsOnError"}:
        yield "terminationMessagePolicy"


def _ports(ports: Any) -> Iterator[str]:
    names = Counter(port["name"] for port in ports if "name" in port)
    yield from (f"port name {name} stands twice" for name, times in names.items() if times > 1)
    yield from (f"port name {name!r}" for name in names if not PORT_NAME.fullmatch(name))
    for port in ports:
        if not 1 <= port["containerPort"] <= 65535 or port.get("protocol", "TCP") not in {
            "TCP",
            "UDP",
            "SCTP",
        }:
            yield f"port {port}"


def _security(context: dict[str, Any]) -> Iterator[str]:
    added = (context.get("capabilities") or {}).get("add") or ()
    if context.get("allowPrivilegeEscalation") is False and (
        context.get("privileged") or {"SYS_ADMIN", "CAP_SYS_ADMIN"} & set(added)
    ):
        yield "allowPrivilegeEscalation is false beside what needs it"
    if context.get("runAsNonRoot") and context.get("runAsUser") == 0:
        yield "runAsNonRoot beside runAsUser 0"  # the kubelet's, at the start


def _resources(resources: dict[str, Any]) -> Iterator[str]:
    limits = resources.get("limits") or {}
    for name, asked in (resources.get("requests") or {}).items():
        if name in limits and quantity.amount(asked) > quantity.amount(limits[name]):
            yield f"request of {name} is more than its limit"
