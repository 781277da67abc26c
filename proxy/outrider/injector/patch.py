"""The JSON Patch (RFC 6902) that makes a pod ours: `add`, `remove` and `replace` alone.

Laws: a list of the user's is never replaced; what is there already, equal, is not added again;
our init containers stand first, and are moved there when something was put before them; the
operations refer to places as they are when their turn comes: fields of containers first, then
removals from the highest place down, then insertions from the first place up.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.injector.checks import proxy_variables, unhardened
from outrider.injector.names import RESERVED_PREFIX, SIDECAR, VOLUMES
from outrider.injector.others import Others
from outrider.injector.parts import Parts
from outrider.injector.reading import Container, Pod, shown
from outrider.injector.reasons import DeniedError, Reason
from outrider.injector.sameness import same_container, same_volume, token_volumes

Op = JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A pod's containers: those that are ours, proven by content, and the author's."""

    ours: tuple[Container, ...]
    others: tuple[Container, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Labels and annotations a pod must carry."""

    labels: dict[str, str]
    annotations: dict[str, str]


def split(pod: Pod, parts: Parts) -> Split:
    """Tell our containers from the author's.

    Raises `DeniedError` with `reserved_name` for a name of ours with another content, in the wrong
    list, or twice, and for a volume of that kind.
    """
    wanted = {("initContainers", str(body["name"])): body for body in parts.init_containers} | {
        ("containers", str(body["name"])): body for body in parts.containers
    }
    tokens = token_volumes(pod.volumes)
    ours: list[Container] = []
    others: list[Container] = []
    seen: set[str] = set()
    for one in pod.every_container():
        if not one.name.startswith(RESERVED_PREFIX):
            others.append(one)
            continue
        body = wanted.get((one.group, one.name))
        if body is None or one.name in seen:
            raise _reserved(f"{one.where}: names that begin with {RESERVED_PREFIX} are ours")
        field = same_container(one.body, body, tokens)
        if field is not None:
            raise _reserved(
                f"{one.where}.{field} is not what the injector would write: take the container "
                "away, it is added; or let other webhooks leave it alone"
            )
        seen.add(one.name)
        ours.append(one)
    _refuse_volumes(pod, parts)
    return Split(ours=tuple(ours), others=tuple(others))


def _refuse_volumes(pod: Pod, parts: Parts) -> None:
    wanted = {str(volume["name"]): volume for volume in parts.volumes}
    for place, volume in enumerate(pod.volumes):
        name = str(volume["name"])
        if name not in VOLUMES and not name.startswith(RESERVED_PREFIX):
            continue
        if name not in wanted or not same_volume(volume, wanted[name]):
            raise _reserved(f"spec.volumes[{place}] ({shown(name)}): the name is ours")


def _reserved(message: str) -> DeniedError:
    return DeniedError(Reason.RESERVED_NAME, message)


def operations(
    pod: Pod, parts: Parts, parted: Split, others: Others, *, harden: bool, proxied: bool
) -> tuple[Op, ...]:
    """What is to be done to the containers and volumes of `pod`; nothing where all stands."""
    found: list[Op] = []
    for one in parted.others:
        path = f"/spec/{one.group}/{one.index}"
        if proxied:
            found += _proxy_ops(one, path)
        if harden and not others.is_trusted(one):
            found += _harden_ops(one, path)
    found += _volume_ops(pod, parts)
    found += _init_ops(pod, parts, parted)
    present = {one.name for one in parted.ours}
    for body in parts.containers:
        if body["name"] not in present:
            found.append(_add("/spec/containers/-", body))
    return tuple(found)


def mark_ops(pod: Pod, marks: Marks) -> tuple[Op, ...]:
    """Labels and annotations: set where absent or other; the map only made where there is none."""
    found: list[Op] = []
    wanted: JsonObject = {}
    for group, values, have in (
        ("labels", marks.labels, pod.labels),
        ("annotations", marks.annotations, pod.annotations),
    ):
        if pod.metadata.get(group) is None:
            wanted[group] = dict(values)
            continue
        for key, value in sorted(values.items()):
            if have.get(key) != value:
                op = "replace" if key in have else "add"
                path = f"/metadata/{group}/{_escaped(key)}"
                found.append({"op": op, "path": path, "value": value})
    if pod.body.get("metadata") is None:
        return (_add("/metadata", wanted),)
    return (*(_add(f"/metadata/{group}", value) for group, value in wanted.items()), *found)


def _volume_ops(pod: Pod, parts: Parts) -> Iterator[Op]:
    present = {str(volume["name"]) for volume in pod.volumes}
    missing: list[Json] = [volume for volume in parts.volumes if volume["name"] not in present]
    if missing and pod.spec.get("volumes") is None:
        yield _add("/spec/volumes", missing)
        return
    for volume in missing:
        yield _add("/spec/volumes/-", volume)


def _init_ops(pod: Pod, parts: Parts, parted: Split) -> Iterator[Op]:
    """Ours to the front, in order; found ones keep what the API server added to them."""
    wanted = [str(body["name"]) for body in parts.init_containers]
    standing = [one.name for one in pod.init_containers]
    if standing[: len(wanted)] == wanted:
        return
    found = {one.name: one for one in parted.ours if one.group == "initContainers"}
    bodies: list[Json] = [
        found[str(body["name"])].body if body["name"] in found else body
        for body in parts.init_containers
    ]
    if pod.spec.get("initContainers") is None:
        yield _add("/spec/initContainers", bodies)
        return
    for one in sorted(found.values(), key=lambda one: one.index, reverse=True):
        yield {"op": "remove", "path": f"/spec/initContainers/{one.index}"}
    for place, body in enumerate(bodies):
        yield _add(f"/spec/initContainers/{place}", body)


def _proxy_ops(one: Container, path: str) -> Iterator[Op]:
    present = {as_object(variable).get("name") for variable in as_list(one.body.get("env"))}
    missing: list[Json] = [
        {"name": name, "value": value}
        for name, value in proxy_variables().items()
        if name not in present
    ]
    if missing and one.body.get("env") is None:
        yield _add(f"{path}/env", missing)
        return
    for variable in missing:
        yield _add(f"{path}/env/-", variable)


def _harden_ops(one: Container, path: str) -> Iterator[Op]:
    may_gain, kept = unhardened(one)
    path = f"{path}/securityContext"
    context = as_object(one.body.get("securityContext"))
    capabilities = as_object(context.get("capabilities"))
    if one.body.get("securityContext") is None:
        yield _add(path, {"allowPrivilegeEscalation": False, "capabilities": {"drop": _list(kept)}})
        return
    if may_gain:
        # `add` puts a member in place of one that is there (RFC 6902 §4.1)
        yield _add(f"{path}/allowPrivilegeEscalation", False)
    if not kept:
        return
    if context.get("capabilities") is None:
        yield _add(f"{path}/capabilities", {"drop": _list(kept)})
    elif capabilities.get("drop") is None:
        yield _add(f"{path}/capabilities/drop", _list(kept))
    else:
        for name in kept:
            yield _add(f"{path}/capabilities/drop/-", name)


def _list(words: Iterable[str]) -> list[Json]:
    return list(words)


def _add(path: str, value: Json) -> Op:
    return {"op": "add", "path": path, "value": value}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def sidecar_image(pod: Pod) -> str | None:
    """The image of a container that goes by the sidecar's name, if one stands there."""
    for one in pod.every_container():
        if one.name == SIDECAR:
            image = one.body.get("image")
            return image if isinstance(image, str) else None
    return None
