"""Packs: policy for one kind of work in one file, laid over a tree as a folder would be.

A pack is YAML: `about`, and by name what `outrider/<name>/data.yaml` would hold (agents, calendar,
templates, …; `manifest` by upstream). `rules` changes settings of codes that the tree has, key by
key. `suites` are its tests, each with `base` (the name of a fixture) and `cases`.

Law: OPA reads no file of that name out of a bundle, so packs may lie in the tree they are made for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import orjson

from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_object

SUFFIX: Final = ".yaml"
_SECTIONS: Final = frozenset(
    {"agents", "calendar", "exceptions", "groups", "shadow", "templates", "tiers", "zones"}
)
_KEYS: Final = _SECTIONS | {"about", "manifest", "rules", "suites"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """The files a pack stands for, and what it changes in `data.outrider.rules`."""

    name: str
    files: dict[str, bytes]
    rules: JsonObject


def unpack(name: str, document: Json) -> Pack:
    """The pack in `document`, which stood in the file `name` (without its suffix).

    Raises `ConfigError` for a key nobody knows, and for what is no object.
    """
    if not isinstance(document, dict):
        raise ConfigError(f"{name}: a pack is an object")
    stray = sorted(document.keys() - _KEYS)
    if stray:
        raise ConfigError(f"{name}: {stray[0]} is nothing a pack holds")
    for key in document.keys() - {"about"}:
        if not isinstance(document[key], dict):
            raise ConfigError(f"{name}: {key} is no object")
    files = {file: orjson.dumps(value) for file, value in _files(name, document)}
    return Pack(name=name, files=files, rules=as_object(document.get("rules")))


def _files(name: str, document: JsonObject) -> Iterator[tuple[str, Json]]:
    for key in sorted(document.keys() & _SECTIONS):
        yield f"outrider/{key}/data.json", document[key]
    for upstream, entry in as_object(document.get("manifest")).items():
        if not upstream.replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"{name}: {upstream!r} is no name of an upstream")
        yield f"outrider/manifest/{upstream}/data.json", entry
    for suite, entry in as_object(document.get("suites")).items():
        whole = as_object(entry)
        base = f"../../fixtures/{whole.get('base')}.yaml"
        yield f"packs/{name}/{suite}.suite.yaml", {**whole, "suite": suite, "base": base}


def change_rules(data: JsonObject, pack: Pack) -> None:
    """Change settings in `data` (`{"outrider": …}`) as the pack says, each key of limits apart.

    Raises `ConfigError` for a code that the tree does not have.
    """
    rules = as_object(as_object(data.get("outrider")).get("rules"))
    for code, changes in pack.rules.items():
        present = rules.get(code)
        if not isinstance(present, dict) or not isinstance(changes, dict):
            raise ConfigError(f"{pack.name}: the tree has no settings of {code} to change")
        for key, value in changes.items():
            old = present.get(key)
            merge = isinstance(old, dict) and isinstance(value, dict)
            present[key] = {**as_object(old), **as_object(value)} if merge else value
