"""What only the sidecar may mount (KUBERNETES §6, rule 7), and what of the node nobody may.

Law: a path of the node leads wherever its links lead (`/proc/1/root`, a runtime's socket), so
outside cooperative mode no comparison of texts decides: every hostPath is refused.
"""

from collections.abc import Iterator
from typing import Final

from outrider.core.capture import CaptureMode
from outrider.injector.names import RUN_VOLUME, VOLUMES
from outrider.injector.others import Others
from outrider.injector.plan import Plan
from outrider.injector.reading import Container, Pod, members, objects, shown
from outrider.injector.reasons import DeniedError, Reason

MOST_VARIABLES: Final = 4096


def refuse_mounts(pod: Pod, others: Others, plan: Plan, namespace: str) -> None:
    """Raises `DeniedError` for a container with a volume that is not for it."""
    anywhere = (
        plan.capture.mode is CaptureMode.COOPERATIVE
        or namespace in plan.exceptions.guarded_annotations
    )
    refused = _reserved_volumes(pod, plan, anywhere=anywhere)
    for one in others.every:
        for field, name in volume_uses(one):
            if name not in refused or (name == RUN_VOLUME and others.is_trusted(one)):
                continue
            raise DeniedError(
                Reason.RESERVED_MOUNT,
                f"{one.where}.{field} takes volume {shown(name)}: {refused[name]}",
            )


def _reserved_volumes(pod: Pod, plan: Plan, *, anywhere: bool) -> dict[str, str]:
    """Volumes that only the sidecar may mount, by name, and why. `anywhere`: paths of the node
    pass that do not reach its identity."""
    refused = dict.fromkeys(VOLUMES, "it is the sidecar's own")
    drivers = {plan.identity.driver, "csi.spiffe.io"}
    for place, volume in enumerate(pod.volumes):
        where, name = f"spec.volumes[{place}]", str(volume["name"])
        driver = members(volume.get("csi"), f"{where}.csi").get("driver")
        if isinstance(driver, str) and driver in drivers:
            refused[name] = f"its CSI driver, {shown(driver)}, gives the sidecar's identity"
        if volume.get("hostPath") is None:
            continue
        path = members(volume["hostPath"], f"{where}.hostPath").get("path")
        if not anywhere:
            refused.setdefault(name, "a hostPath can reach the sidecar and its identity by links")
        for reserved in (*plan.reserved_paths, plan.identity.host_path):
            if isinstance(path, str) and _overlap(path, reserved):
                refused[name] = f"its hostPath reaches {reserved} of the node"
    return refused


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


def _overlap(one: str, other: str) -> bool:
    """Whether one path is the other, or above or below it, however it is written."""
    first, second = _parts(one), _parts(other)
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]


def _parts(path: str) -> list[str]:
    """The names of `path`, in which no `..` is: a pod with one is never read this far."""
    found = [part for part in path.split("/") if part not in {"", "."}]
    return found[1:] if found[:2] == ["var", "run"] else found  # /var/run is /run on every node
