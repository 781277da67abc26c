"""`make chart`: README's table and the schema's descriptions from the comments of values.yaml.

Copies of rules and dashboards are taken from deploy/ at the same time. A test holds all of them
equal to what this writes.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from tests.support.chart import CHART, ROOT, Object

VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"
README: Final = CHART / "README.md"
COPIES: Final = (
    (ROOT / "deploy" / "prometheus" / "rules", "*.yaml", CHART / "files" / "rules"),
    (ROOT / "deploy" / "grafana" / "dashboards", "*.json", CHART / "files" / "dashboards"),
)
_BEGIN: Final = "<!-- values: written by `make chart` -->\n"
_END: Final = "<!-- end of values -->\n"
_COMMENT: Final = re.compile(r"^( *)# (-- )?(.*)$")
_KEY: Final = re.compile(r"^( *)([A-Za-z0-9_./-]+):(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A commented key."""

    path: tuple[str, ...]
    text: str
    default: object

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


def values() -> dict[str, Any]:
    """values.yaml, as it is read."""
    found: dict[str, Any] = yaml.safe_load(VALUES.read_text("utf-8"))
    return found


def commented() -> Iterator[Value]:
    """Every key that a `# --` stands before, in order."""
    held: list[str] | None = None
    path: list[str] = []
    whole = values()
    for line in VALUES.read_text("utf-8").splitlines():
        if (comment := _COMMENT.match(line)) is not None:
            if comment[2]:
                held = [comment[3]]
            elif held is not None:
                held.append(comment[3])
        elif (key := _KEY.match(line)) is not None:
            path = [*path[: len(key[1]) // 2], key[2]]
            if held is not None:
                yield Value(path=tuple(path), text=" ".join(held), default=_at(whole, path))
            held = None
        else:
            held = None


def _at(whole: Object, path: list[str]) -> object:
    found: Any = whole
    for key in path:
        found = found[key]
    return found


def uncommented() -> list[str]:
    """Keys of values.yaml without a comment; those of a free map are values, not keys."""
    known = {one.path for one in commented()}
    return [".".join(path) for path in _paths(values()) if path not in known]


def _paths(found: Object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    schema = schema_at(above)
    for key, value in found.items():
        if above and "properties" not in schema:
            return
        yield (*above, key)
        if isinstance(value, dict):
            yield from _paths(value, (*above, key))


def schema_document() -> Object:
    """values.schema.json, as it is read."""
    found: Object = orjson.loads(SCHEMA.read_bytes())
    return found


def schema_at(path: tuple[str, ...], document: Object | None = None) -> Object:
    """The schema of the value at `path`, references followed."""
    whole = document if document is not None else schema_document()
    found: Object = whole
    for key in path:
        found = resolved(found, whole).get("properties", {}).get(key, {})
    return resolved(found, whole)


def resolved(found: Object, whole: Object) -> Object:
    """`found`, or what it refers to."""
    reference = found.get("$ref")
    if reference is None:
        return found
    target: Object = whole["$defs"][reference.removeprefix("#/$defs/")]
    return target


def leaves() -> list[Value]:
    """Keys that are set, not folded out: the rows of the table that have a default."""
    found = list(commented())
    above = {one.path[:-1] for one in found}
    return [one for one in found if one.path not in above]


def table() -> str:
    """README's table."""
    rows = ["| Key | Default | Meaning |", "| --- | --- | --- |"]
    plain = {one.path for one in leaves()}
    for one in commented():
        default = f"`{_shown(one.default)}`" if one.path in plain else ""
        rows.append(f"| `{one.dotted}` | {default} | {one.text.replace('|', '&#124;')} |")
    return "\n".join(rows) + "\n"


def _shown(default: object) -> str:
    return orjson.dumps(default).decode().replace("|", "&#124;")


def readme(before: str) -> str:
    """README with the table that the values give it."""
    head, _, rest = before.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return head + _BEGIN + "\n" + table() + "\n" + _END + tail


def schema(before: bytes) -> bytes:
    """The schema with the descriptions that the values give it."""
    document: Object = orjson.loads(before)
    for one in commented():
        place: Object = document
        for key in one.path:
            place = place["properties"][key]
        place.pop("description", None)
        ordered = {"description": one.text, **place}
        place.clear()
        place.update(ordered)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def stale_copies() -> list[str]:
    """Files in the chart that are not what deploy/ has, in either direction."""
    found = []
    for source, pattern, copy in COPIES:
        here = {path.name: path.read_bytes() for path in source.glob(pattern)}
        there = {path.name: path.read_bytes() for path in copy.glob(pattern)}
        found += sorted(name for name in here | there if here.get(name) != there.get(name))
    return found


def _copy() -> None:
    for source, pattern, copy in COPIES:
        for path in copy.glob(pattern):
            path.unlink()
        copy.mkdir(parents=True, exist_ok=True)
        for path in source.glob(pattern):
            shutil.copyfile(path, copy / path.name)


def main() -> None:
    """Write all of it."""
    README.write_text(readme(README.read_text("utf-8")), "utf-8")
    SCHEMA.write_bytes(schema(SCHEMA.read_bytes()))
    _copy()
    left = [Path(name).name for name in stale_copies()]
    print(f"wrote {README.name}, {SCHEMA.name} and copies {left or ''}".rstrip(), file=sys.stderr)


if __name__ == "__main__":
    main()
