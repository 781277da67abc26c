"""What only the sidecar may mount (KUBERNETES §6, rule 7), and what of the node nobody may.

Laws: a path of the node leads wherever its links lead (`/proc/1/root`, a runtime's socket), so
outside cooperative mode no comparison of texts decides: every hostPath is refused. What a volume of
NFS, iSCSI and their like sends leaves the node itself, past every rule of the pod's: only kinds
pass that are known not to.
"""

import posixpath
from collections.abc import Iterator
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.names import (
    RUN_VOLUME,
    SECRET_DRIVERS,
    SPIFFE_DRIVER,
    VOLUME_KINDS,
    VOLUMES,
)
from outrider.injector.others import Others
from outrider.injector.plan import Plan
from outrider.injector.reading import Container, Pod, members, objects, shown
from outrider.injector.reasons import DeniedError, Reason

MOST_VARIABLES: Final = 4096


def refuse_mounts(pod: Pod, others: Others, plan: Plan, *, eased: bool) -> None:
    """Raises `DeniedError` for a container with a volume that is not for it. `eased`: all kinds
    pass, and paths of the node that do not reach the sidecar's identity."""
    refused = _reserved_volumes(pod, plan, eased=eased)
    for one in others.every:
        for field, name in volume_uses(one):
            if name not in refused or (name == RUN_VOLUME and others.is_trusted(one)):
                continue
            raise DeniedError(
                Reason.RESERVED_MOUNT,
                f"{one.where}.{field} takes volume {shown(name)}: {refused[name]}",
            )


def _reserved_volumes(pod: Pod, plan: Plan, *, eased: bool) -> dict[str, str]:
    """Volumes that only the sidecar may mount, by name, and why."""
    refused = dict.fromkeys(VOLUMES, "it is the sidecar's own")
    reserved = [(path, _plain(path)) for path in (*plan.reserved_paths, plan.identity.host_path)]
    for place, volume in enumerate(pod.volumes):
        where, name = f"spec.volumes[{place}]", str(volume["name"])
        driver = members(volume.get("csi"), f"{where}.csi").get("driver")
        if driver in (plan.identity.driver, SPIFFE_DRIVER):
            refused[name] = f"its CSI driver, {shown(driver)}, gives the sidecar's identity"
        why = None if eased else _foreign(volume, driver, plan)
        if why is not None:
            refused.setdefault(name, why)
        if volume.get("hostPath") is None:
            continue
        path = members(volume["hostPath"], f"{where}.hostPath").get("path")
        found = _plain(path) if isinstance(path, str) else None
        for said, folder in reserved:
            if found is not None and (found.startswith(folder) or folder.startswith(found)):
                refused[name] = f"its hostPath reaches {said} of the node"
    return refused


def _foreign(volume: JsonObject, driver: Json, plan: Plan) -> str | None:
    """Why the kind of a volume is not for agents; None where it is. Without a kind it is an
    emptyDir."""
    if volume.get("hostPath") is not None:
        return "a hostPath can reach the sidecar and its identity by links"
    for key, value in volume.items():
        if value is not None and key != "name" and key not in VOLUME_KINDS:
            return f"for a volume of kind {shown(key)} the node connects where the pod says"
    if volume.get("csi") is None or driver in SECRET_DRIVERS:
        return None
    if isinstance(driver, str) and driver in plan.inline_drivers:
        return None
    return f"its CSI driver, {shown(driver)}, is not under inlineCsiDrivers: the node may connect"


def volume_uses(one: Container) -> Iterator[tuple[str, str]]:
    """Volumes a container can read: field and volume name."""
    for field in ("volumeMounts", "volumeDevices"):
        for mount in objects(one.body.get(field), one, field):
            yield field, str(mount.get("name"))
    for variable in objects(one.body.get("env"), one, "env", most=MOST_VARIABLES):
        if variable.get("valueFrom") is None:
            continue
        source = members(variable["valueFrom"], one, "env.valueFrom")
        file = members(source.get("fileKeyRef"), one, "env.valueFrom.fileKeyRef")
        if file:
            yield "env.valueFrom.fileKeyRef", str(file.get("volumeName"))


def _plain(path: str) -> str:
    """`path` as its names alone, each behind a `/`, with one at its end. No `..` is in it: a pod
    with one is never read this far."""
    found = posixpath.normpath(f"/{path}").strip("/")
    if found.startswith("var/run/") or found == "var/run":
        found = found.removeprefix("var/")  # /var/run is /run on every node
    return f"/{found}/" if found else "/"
