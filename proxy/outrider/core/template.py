"""Templates of tasks: what a kind of task may get, and what it normally does (GOVERNANCE §2)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from outrider.core.errors import ConfigError
from outrider.core.grant import Grant, parse_grant
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Sensitivity

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_KEYS: Final = ("description", "owner", "grant", "usual", "register")
_USUAL: Final = frozenset({"tools", "effects", "destinations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """`data.outrider.templates[name]`. `usual` is None where nothing is said of it; it asks for no
    sensitivity, so it is read as covering any."""

    name: str
    grant: Grant
    usual: Grant | None
    document: JsonObject


Templates = Mapping[str, Template]


def parse_templates(document: Json) -> Templates:
    """All of `data.outrider.templates`. Raises `ConfigError` naming the key."""
    if document is None:
        return MappingProxyType({})
    if not isinstance(document, dict):
        raise ConfigError("data.outrider.templates is no object by name")
    return MappingProxyType({name: _template(name, entry) for name, entry in document.items()})


def _template(name: str, entry: Json) -> Template:
    where = f"data.outrider.templates.{name}"
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"data.outrider.templates: {name!r} is no name of a template; give {NAME.pattern}"
        )
    if not isinstance(entry, dict) or "grant" not in entry:
        raise ConfigError(f"{where}: give {{grant}}")
    for key in entry:
        if key not in _KEYS:
            raise ConfigError(f"{where}.{key} is unknown; give {', '.join(_KEYS)}")
    usual, grant = entry.get("usual"), entry["grant"]
    return Template(
        name=name,
        grant=parse_grant(entry["grant"], f"{where}.grant"),
        usual=None if usual is None else parse_usual(_filled(usual, grant), f"{where}.usual"),
        document=entry,
    )


def _filled(usual: Json, grant: Json) -> Json:
    """`usual` where what it does not speak of is as granted."""
    if not isinstance(usual, dict) or not isinstance(grant, dict):
        return usual
    return {**{key: grant[key] for key in sorted(_USUAL) if key in grant}, **usual}


def parse_usual(document: Json, where: str) -> Grant:
    """What a task normally does, as a grant. Raises `ConfigError`."""
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: give {', '.join(sorted(_USUAL))}")
    for key in document:
        if key not in _USUAL:
            raise ConfigError(f"{where}.{key} is unknown; give {', '.join(sorted(_USUAL))}")
    return parse_grant({**document, "sensitivity": Sensitivity.SECRET.value}, where)
