"""Reading the manifest: every key and value is from a closed set, or the whole is refused."""

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar

from outrider.core.catalogue import (
    UNDECLARED,
    ArgumentEntry,
    Manifest,
    Offers,
    ResultField,
    ToolEntry,
    Unwrap,
    UpstreamEntry,
)
from outrider.core.constraints import is_pointer
from outrider.core.destinations import argument_pointer, host_of
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.result_paths import parse_path
from outrider.core.vocabulary import ActionEffect, FieldLabel, Impact, Role, Sensitivity
from outrider.core.zones import Zones, parse_zones

ARGUMENT_TYPES: Final = frozenset(
    {"email", "url", "path", "iban", "phone", "id", "number", "date", "text"}
)
TAGS: Final = frozenset(
    {
        "guard",
        "backup",
        "log",
        "list_principals",
        "read_role",
        "write_role",
        "encode",
        "consent",
        "memory",
        "spawn",
        "deploy",
        "autostart",
    }
)
LABELS: Final = frozenset(label.value for label in FieldLabel)
_WARNING: Final = frozenset({FieldLabel.UNTRUSTED, FieldLabel.SECRET, FieldLabel.PII})
MATCHES: Final = frozenset({"exact"})

_UPSTREAM_KEYS: Final = frozenset(
    {
        "owner",
        "escalation",
        "review_by",
        "destination",
        "credential",
        "tenant",
        "default",
        "tools",
        "operations",
    }
)
_DEFAULT_KEYS: Final = frozenset({"effect", "reversible", "impact", "sensitivity"})
_TOOL_KEYS: Final = _DEFAULT_KEYS | {
    "arguments",
    "confirmed",
    "offers",
    "records",
    "result",
    "tags",
    "unwrap",
}
_OPERATION_KEYS: Final = _TOOL_KEYS | {"operation_id", "opaque", "array_fields"}
_ARGUMENT_KEYS: Final = frozenset({"role", "type", "confirmed"})
_RESULT_KEYS: Final = frozenset({"path", "label", "match", "when", "creates", "confirmed"})
_WHEN_KEYS: Final = frozenset({"argument", "prefix"})
_OFFERS_KEYS: Final = frozenset({"items", "name", "upstream"})
_UNWRAP_KEYS: Final = frozenset({"name", "arguments", "upstream"})
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STEP: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_OPERATION: Final = re.compile(r"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /\S*")
_Word = TypeVar("_Word", bound=StrEnum)


def read_manifest(
    document: Json, zones: Json, hosts: Mapping[str, str], *, guesses: bool
) -> Manifest:  # fmt: skip
    """See `core.manifest.parse_manifest`."""
    data = _map({} if document is None else document, "manifest")
    networks = parse_zones(zones)
    upstreams = {
        name: _upstream(name, entry, networks, host_of(hosts.get(name)))
        for name, entry in data.items()
    }
    _check_unwraps(upstreams)
    if not guesses:
        for name, upstream in upstreams.items():
            _dread(upstream.tools, as_object(as_object(data[name]).get("tools")))
            _dread(upstream.operations, as_object(as_object(data[name]).get("operations")))
    return Manifest(
        upstreams=upstreams,
        zones=networks,
        hosts=dict(hosts),
        document=data,
    )


def _upstream(name: str, document: Json, zones: Zones, host: str | None) -> UpstreamEntry:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of an upstream; give {_NAME.pattern}")
    entry = _known(document, _UPSTREAM_KEYS, name)
    _check_ownership(entry, name)
    destination = _known(entry.get("destination", {}), frozenset({"zone"}), f"{name}.destination")
    if entry.get("credential", "none") != "none":
        raise ConfigError(
            f"{name}.credential is {entry['credential']!r}; give none or leave it out"
        )
    default = _default(entry.get("default", {}), f"{name}.default")
    return UpstreamEntry(
        name=name,
        owner=_text(entry, "owner", name),
        zone=_text(destination, "zone", f"{name}.destination") or zones.zone_of(host),
        takes_credential="credential" not in entry,
        tenant=_text(entry, "tenant", name),
        default=default,
        tools={
            tool: _tool(_known(inner, _TOOL_KEYS, where), default, where, upstream=name)
            for tool, inner, where in _entries(entry, "tools", name)
        },
        operations={
            operation: _operation(operation, inner, default, where, upstream=name)
            for operation, inner, where in _entries(entry, "operations", name)
        },
    )


def _entries(entry: JsonObject, key: str, name: str) -> list[tuple[str, Json, str]]:
    where = f"{name}.{key}"
    inner = _map(entry.get(key, {}), where)
    return [(one, value, f"{where}.{one}") for one, value in inner.items()]


def _dread(entries: dict[str, ToolEntry], said: JsonObject) -> None:
    """What nobody confirmed counts only as far as it is graver than nothing said."""
    for key, entry in entries.items():
        if as_object(said[key]).get("confirmed") is False:
            sensitivity = max(entry.sensitivity, UNDECLARED.sensitivity, key=lambda word: word.rank)
            entries[key] = replace(
                entry,
                effect=UNDECLARED.effect,
                reversible=False,
                impact=UNDECLARED.impact,
                sensitivity=sensitivity,
                result=tuple(filter(_warns, entry.result)),
            )


def _warns(line: ResultField) -> bool:
    """True for a line that makes nothing trusted."""
    return line.label in _WARNING and not line.creates


def _check_ownership(entry: JsonObject, name: str) -> None:
    """Who answers for an upstream is for whoever checks reviews; here it is held to its form."""
    _text(entry, "escalation", name)
    due = _text(entry, "review_by", name)
    if due is not None and not _DAY.fullmatch(due):
        raise ConfigError(f"{name}.review_by is {due!r}; give a day such as 2027-11-30")


def _default(document: Json, where: str) -> ToolEntry:
    entry = _known(document, _DEFAULT_KEYS, where)
    return ToolEntry(
        effect=_word(entry, "effect", ActionEffect, UNDECLARED.effect, where),
        reversible=_flag(entry, "reversible", where, default=False),
        impact=_word(entry, "impact", Impact, UNDECLARED.impact, where),
        sensitivity=_word(entry, "sensitivity", Sensitivity, UNDECLARED.sensitivity, where),
        declared=False,
    )


def _tool(entry: JsonObject, default: ToolEntry, where: str, *, upstream: str) -> ToolEntry:
    """A declared entry. Unsaid: a read is reversible and of low impact, all else the opposite.

    A meta-tool (`unwrap`) is judged as what it is until its inner call can be: execute,
    irreversible, of high impact, whatever stands beside it.
    """
    _flag(entry, "confirmed", where, default=True)
    sensitivity = _word(entry, "sensitivity", Sensitivity, default.sensitivity, where)
    effect = _word(entry, "effect", ActionEffect, default.effect, where)
    reads = effect is ActionEffect.READ
    reversible = _flag(entry, "reversible", where, default=reads)
    impact = _word(entry, "impact", Impact, Impact.LOW if reads else Impact.HIGH, where)
    unwrap = _unwrap(entry, where, upstream)
    if unwrap is not None:
        effect, reversible, impact = ActionEffect.EXECUTE, False, Impact.HIGH
    return ToolEntry(
        effect=effect,
        reversible=reversible,
        impact=impact,
        sensitivity=sensitivity,
        arguments=_arguments(entry, where),
        tags=_words(entry, "tags", TAGS, where),
        result=_result(entry, where),
        records=_path(entry, "records", where) if "records" in entry else None,
        unwrap=unwrap,
        offers=_offers(entry, where, upstream),
    )


def _unwrap(entry: JsonObject, where: str, upstream: str) -> Unwrap | None:
    if "unwrap" not in entry:
        return None
    where = f"{where}.unwrap"
    said = _known(entry["unwrap"], _UNWRAP_KEYS, where)
    named = _text(said, "upstream", where) or upstream
    return Unwrap(
        name=_pointer(said, "name", where),
        arguments=_pointer(said, "arguments", where),
        upstream=_pointer(said, "upstream", where) if named.startswith("$") else named,
    )


def _offers(entry: JsonObject, where: str, upstream: str) -> Offers | None:
    if "offers" not in entry:
        return None
    where = f"{where}.offers"
    said = _known(entry["offers"], _OFFERS_KEYS, where)
    return Offers(
        items=_names(said, "items", where),
        name=_names(said, "name", where),
        upstream=_text(said, "upstream", where) or upstream,
    )


def _names(entry: JsonObject, key: str, where: str) -> tuple[str, ...]:
    """A path of names alone, as its steps."""
    return tuple(_pointer(entry, key, where).split("/")[1:])


def _pointer(entry: JsonObject, key: str, where: str) -> str:
    """A path of plain names such as `$.call.tool`, as a JSON pointer."""
    path = _text(entry, key, where) or ""
    head, *steps = path.split(".")
    if head != "$" or not steps or not all(map(_STEP.fullmatch, steps)):
        raise ConfigError(f"{where}.{key} is {path!r}; give a path of names such as $.tool")
    return "".join(f"/{step}" for step in steps)


def _check_unwraps(upstreams: Mapping[str, UpstreamEntry]) -> None:
    for upstream in upstreams.values():
        for kind, entries in (("tools", upstream.tools), ("operations", upstream.operations)):
            for name, entry in entries.items():
                inner = entry.unwrap.upstream if entry.unwrap else upstream.name
                listed = entry.offers.upstream if entry.offers else upstream.name
                where = f"{upstream.name}.{kind}.{name}"
                if not inner.startswith("/") and inner not in upstreams:
                    raise ConfigError(
                        f"{where}.unwrap.upstream is {inner!r}; give an upstream of the manifest, "
                        "or a path such as $.server"
                    )
                if listed not in upstreams:
                    raise ConfigError(
                        f"{where}.offers.upstream is {listed!r}; give an upstream of the manifest"
                    )


def _operation(
    key: str, document: Json, default: ToolEntry, where: str, *, upstream: str
) -> ToolEntry:  # fmt: skip
    if not _OPERATION.fullmatch(key) or not is_template(key.partition(" ")[2]):
        raise ConfigError(f"{where}: give METHOD /template, with {{name}} for a whole segment")
    entry = _known(document, _OPERATION_KEYS, where)
    return replace(
        _tool(entry, default, where, upstream=upstream),
        opaque=_flag(entry, "opaque", where, default=False),
        operation_id=_text(entry, "operation_id", where),
        array_fields=frozenset(_words(entry, "array_fields", None, where)),
    )


def is_template(path: str) -> bool:
    """True for a path of whole literals and whole `{name}` segments, no name twice."""
    names: list[str] = []
    for segment in path.split("/")[1:]:
        if segment.startswith("{") and segment.endswith("}"):
            names.append(segment[1:-1])
        elif "{" in segment or "}" in segment or "?" in segment or "#" in segment:
            return False
    return all(names) and len(set(names)) == len(names) and not any("{" in one for one in names)


def _arguments(entry: JsonObject, where: str) -> tuple[ArgumentEntry, ...]:
    where = f"{where}.arguments"
    found: list[ArgumentEntry] = []
    for name, document in _map(entry.get("arguments", {}), where).items():
        argument = _known(document, _ARGUMENT_KEYS, f"{where}.{name}")
        _flag(argument, "confirmed", f"{where}.{name}", default=True)
        pointer = argument_pointer(name)
        if not name or not is_pointer(pointer) or "role" not in argument:
            raise ConfigError(f"{where}.{name}: give a name or JSON pointer, and a role")
        kind = _text(argument, "type", f"{where}.{name}")
        if kind is not None and kind not in ARGUMENT_TYPES:
            raise _not_one_of(f"{where}.{name}.type", kind, ARGUMENT_TYPES)
        role = _word(argument, "role", Role, Role.CONTENT, f"{where}.{name}")
        found.append(ArgumentEntry(pointer=pointer, role=role, type=kind))
    return tuple(found)


def _result(entry: JsonObject, where: str) -> tuple[ResultField, ...]:
    """The lines of `result`. Trust that nobody confirmed is not given: such a line is left out
    where it would make something trusted, and holds where it warns."""
    listed = entry.get("result", [])
    where = f"{where}.result"
    if not isinstance(listed, list):
        raise ConfigError(f"{where}: give a list")
    found: list[ResultField] = []
    for document in listed:
        line = _known(document, _RESULT_KEYS, where)
        label = _text(line, "label", where)
        if label is not None and label not in LABELS:
            raise _not_one_of(f"{where}.label", label, LABELS)
        match = _text(line, "match", where)
        if match is not None and match not in MATCHES:
            raise _not_one_of(f"{where}.match", match, MATCHES)
        read = ResultField(
            path=_path(line, "path", where),
            label=None if label is None else FieldLabel(label),
            exact=match is not None,
            creates=_flag(line, "creates", where, default=False),
            when=_when(line, where),
        )
        confirmed = _flag(line, "confirmed", where, default=True)
        if confirmed or _warns(read):
            found.append(read)
    return tuple(found)


def _when(line: JsonObject, where: str) -> tuple[str, str] | None:
    if "when" not in line:
        return None
    where = f"{where}.when"
    condition = _known(line["when"], _WHEN_KEYS, where)
    name, prefix = _text(condition, "argument", where), _text(condition, "prefix", where)
    if name is None or prefix is None:
        raise ConfigError(f"{where}: give an argument and the prefix its value must have")
    pointer = argument_pointer(name)
    if not is_pointer(pointer):
        raise ConfigError(f"{where}.argument is {name!r}; give a name or JSON pointer")
    return pointer, prefix


def _path(entry: JsonObject, key: str, where: str) -> tuple[str, ...]:
    text = _text(entry, key, where)
    if text is None:
        raise ConfigError(f"{where}: each line needs a {key} such as $.items[*].id")
    try:
        return parse_path(text)
    except ValueError as error:
        raise ConfigError(f"{where}.{key} is {text!r}; {error}") from None


# --- closed readers -------------------------------------------------------------------------


def _map(value: Json, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: give a map")
    return value


def _known(value: Json, keys: frozenset[str], where: str) -> JsonObject:
    entry = _map(value, where)
    for key in entry:
        if key not in keys:
            raise ConfigError(f"{where}.{key} is unknown; give one of {', '.join(sorted(keys))}")
    return entry


def _text(entry: JsonObject, key: str, where: str) -> str | None:
    value = entry.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ConfigError(f"{where}.{key} is {value!r}; give a string")
    return value


def _flag(entry: JsonObject, key: str, where: str, *, default: bool) -> bool:
    value = entry.get(key, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{where}.{key} is {value!r}; give true or false")
    return value


def _word(
    entry: JsonObject, key: str, words: type[_Word], default: _Word, where: str
) -> _Word:  # fmt: skip
    value = entry.get(key, default.value)
    for word in words:
        if value == word.value and isinstance(value, str):
            return word
    raise _not_one_of(f"{where}.{key}", value, [word.value for word in words])


def _words(
    entry: JsonObject, key: str, allowed: frozenset[str] | None, where: str
) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list):
        raise ConfigError(f"{where}.{key}: give a list")
    found: list[str] = []
    for value in values:
        if not isinstance(value, str) or (allowed is not None and value not in allowed):
            raise _not_one_of(f"{where}.{key}", value, allowed or ["any string"])
        found.append(value)
    return tuple(found)


def _not_one_of(where: str, value: Json, allowed: "frozenset[str] | list[str]") -> ConfigError:
    return ConfigError(f"{where} is {value!r}; give one of {', '.join(sorted(allowed))}")
