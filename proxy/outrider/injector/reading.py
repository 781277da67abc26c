"""A pod as the rules read it: null is absent, and what has the wrong shape is refused.

Law: nothing here changes the pod; each part knows its path, so that a denial names the field.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from outrider.core.jsonvalue import Json, JsonObject
from outrider.injector.reasons import DeniedError, Reason

MOST_ENTRIES: Final = 256
MOST_VOLUMES: Final = 1024
MOST_TEXTS: Final = 4096
PATH_CHARS: Final = 4096
_SHOWN: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod. `group` is its list in the spec, `index` its place there."""

    group: str
    index: int
    name: str
    body: JsonObject

    @property
    def where(self) -> str:
        """Its path and name, for a denial."""
        return f"spec.{self.group}[{self.index}] ({shown(self.name)})"


Place = str | Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    body: JsonObject
    metadata: JsonObject
    spec: JsonObject
    labels: dict[str, str]
    annotations: dict[str, str]
    init_containers: tuple[Container, ...]
    containers: tuple[Container, ...]
    volumes: tuple[JsonObject, ...]

    def every_container(self) -> Iterator[Container]:
        yield from self.init_containers
        yield from self.containers


def read_pod(body: Json) -> Pod:
    """Raises `DeniedError` with `malformed` for what is no pod, naming the field."""
    whole = members(body, "the pod")
    metadata = members(whole.get("metadata"), "metadata")
    if not whole.get("spec"):
        raise malformed("spec", what="is missing")
    spec = members(whole["spec"], "spec")
    containers = _containers(spec, "containers")
    if not containers:
        raise malformed("spec.containers", what="is empty")
    volumes = tuple(objects(spec.get("volumes"), "spec.volumes", most=MOST_VOLUMES))
    for place, volume in enumerate(volumes):
        text(volume.get("name"), f"spec.volumes[{place}].name")
        _host_path(volume, f"spec.volumes[{place}].hostPath")
    return Pod(
        body=whole,
        metadata=metadata,
        spec=spec,
        labels=_texts(metadata.get("labels"), "metadata.labels"),
        annotations=_texts(metadata.get("annotations"), "metadata.annotations"),
        init_containers=_containers(spec, "initContainers"),
        containers=containers,
        volumes=volumes,
    )


def members(value: Json, *where: Place) -> JsonObject:
    """`value` as an object, null as an empty one. Raises `DeniedError`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(*where, what="is no object")
    return value


def entries(value: Json, *where: Place, most: int = MOST_ENTRIES) -> list[Json]:
    """`value` as a list, null as an empty one. Raises `DeniedError`: a list is judged whole before
    an API server has told how long it may be."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise malformed(*where, what="is no list")
    if len(value) > most:
        raise malformed(*where, what=f"has more than {most} entries")
    return value


def objects(value: Json, *where: Place, most: int = MOST_ENTRIES) -> list[JsonObject]:
    """`entries` that are objects. Raises `DeniedError`."""
    listed = entries(value, *where, most=most)
    found = [item for item in listed if isinstance(item, dict)]
    if len(found) != len(listed):
        raise malformed(*where, what="holds what is no object")
    return found


def words(value: Json, *where: Place) -> list[str]:
    """`entries` that are texts. Raises `DeniedError`."""
    listed = entries(value, *where)
    found = [item for item in listed if isinstance(item, str)]
    if len(found) != len(listed):
        raise malformed(*where, what="holds what is no text")
    return found


def text(value: Json, where: str) -> str:
    """`value` as text that is not empty. Raises `DeniedError`."""
    if not isinstance(value, str) or not value:
        raise malformed(where, what="is no text")
    return value


def malformed(*where: Place, what: str) -> DeniedError:
    """The path is put together here: most are never told."""
    path = ".".join(one.where if isinstance(one, Container) else one for one in where)
    return DeniedError(Reason.MALFORMED, f"{path} {what}")


def shown(value: object) -> str:
    """`value` in one short line: it is the author's, and it goes into messages."""
    whole = value if isinstance(value, str) else repr(value)
    line = "".join(char if char.isprintable() else "�" for char in whole[: _SHOWN + 1])
    return line if len(whole) <= _SHOWN else line[:_SHOWN] + "…"


def _host_path(volume: JsonObject, where: str) -> None:
    """Raises `DeniedError` for a path of the node that no API server takes, before anything
    compares it."""
    path = members(volume.get("hostPath"), where).get("path")
    if path is None:
        return
    if not isinstance(path, str):
        raise malformed(where, "path", what="is no text")
    if len(path) > PATH_CHARS:
        raise malformed(where, "path", what=f"is longer than {PATH_CHARS} characters")
    if "/../" in f"/{path}/":
        raise malformed(where, "path", what="has a part that is ..")


def _containers(spec: JsonObject, group: str) -> tuple[Container, ...]:
    return tuple(
        Container(
            group=group,
            index=place,
            name=text(body.get("name"), f"spec.{group}[{place}].name"),
            body=body,
        )
        for place, body in enumerate(objects(spec.get(group), f"spec.{group}"))
    )


def _texts(value: Json, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    given = members(value, where)
    if len(given) > MOST_TEXTS:
        raise malformed(where, what=f"has more than {MOST_TEXTS} entries")
    for key, item in given.items():
        if not isinstance(item, str):
            raise malformed(where, shown(key), what="is no text")
        found[key] = item
    return found
