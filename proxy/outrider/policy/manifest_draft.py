"""A first manifest for an upstream, as text that people go on with.

Laws: every guess says `confirmed: false` on a line or in a map of its own; nothing a server says
of itself is written but names, and those only as data; the text reads back as what was drafted.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

import orjson

from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.policy.manifest_guess import guess_operation, guess_role, guess_tool, promised
from outrider.policy.openapi import ApiOperation

MOST_TOOLS: Final = 5000
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
_NOT_PLAIN: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_HEAD: Final = ("owner", "escalation", "review_by", "destination", "credential", "default")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)


def from_tools(tools: Iterable[JsonObject]) -> JsonObject:
    """`tools` of a manifest from what `tools/list` gave."""
    return {str(tool["name"]): guess_tool(tool) for tool in list(tools)[:MOST_TOOLS]}


def from_operations(operations: Iterable[ApiOperation]) -> JsonObject:
    """`operations` of a manifest from an OpenAPI document."""
    found: JsonObject = {}
    for operation in operations:
        entry = guess_operation(operation)
        if operation.operation_id is not None:
            entry["operation_id"] = operation.operation_id
        if operation.array_fields:
            entry["array_fields"] = [*operation.array_fields]
        found[operation.key] = entry
    return found


def from_traffic(inputs: Iterable[JsonObject], upstream: str | None = None) -> JsonObject:
    """`{upstream: {tools, operations}}` from recorded queries (`outrider.input/v1`).

    What was called and with which arguments is all that traffic says: each is execute until
    somebody looks.
    """
    found: dict[str, dict[str, JsonObject]] = {}
    for query in inputs:
        resource, action = as_object(query.get("resource")), as_object(query.get("action"))
        name = str(as_object(resource.get("properties")).get("upstream"))
        kind = {"tool": "tools", "api": "operations"}.get(str(resource.get("type")))
        properties = as_object(action.get("properties"))
        if kind is None or properties.get("phase") != "request" or upstream not in (None, name):
            continue
        called = str(resource.get("id")).removeprefix(f"{name}/")
        if kind == "operations" and not re.match(r"[A-Z]+ /", called):
            continue  # the protocol's own, or an operation that is declared already
        entries = found.setdefault(name, {}).setdefault(kind, {})
        if called in entries or len(entries) < MOST_TOOLS:
            entry = entries.setdefault(called, {"effect": "execute", "confirmed": False})
            _seen(as_object(entry), as_object(properties.get("arguments")))
    return {name: {**kinds} for name, kinds in found.items()}


def _seen(entry: JsonObject, arguments: JsonObject) -> None:
    known = as_object(entry.get("arguments"))
    for name, value in arguments.items():
        if name not in known and len(known) < 200 and name and not name.startswith("/"):
            role, kind = guess_role(name, _schema_of(value))
            guess: JsonObject = {"role": role, "confirmed": False}
            known[name] = guess | ({"type": kind} if kind else {})
    if known:
        entry["arguments"] = known


def _schema_of(value: Json) -> JsonObject:
    """What a value says of its schema."""
    if isinstance(value, list):
        return _schema_of(value[0]) if value else {}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number"}
    if isinstance(value, str) and _EMAIL.fullmatch(value):
        return {"type": "string", "format": "email"}
    if isinstance(value, str) and _URL.fullmatch(value):
        return {"type": "string", "format": "uri"}
    return {"type": "string"}


# --- as text --------------------------------------------------------------------------------


def as_text(upstream: JsonObject, heading: str) -> str:
    """The upstream's `data.yaml`. `heading` is our own sentence."""
    lines = [f"# {heading}", "# Each `confirmed: false` is a guess: look at it, then delete it."]
    lines += [f"{key}: {_flow(upstream[key])}" for key in _HEAD if key in upstream]
    for kind in ("tools", "operations"):
        entries = as_object(upstream.get(kind))
        if entries:
            lines.append(f"{kind}:")
        for name, entry in entries.items():
            lines += _entry(name, as_object(entry))
    return "\n".join(lines) + "\n"


def _entry(name: str, entry: JsonObject) -> list[str]:
    spoken = str(entry.get("operation_id") or name.rpartition("/")[2])
    promise = promised(spoken)
    maybe = f"  # perhaps {promise}, by its name" if promise not in (None, "read") else ""
    lines = [f"  {_key(name)}:"]
    for key, value in entry.items():
        if key == "arguments":
            lines.append("    arguments:")
            lines += [f"      {_key(one)}: {_flow(said)}" for one, said in as_object(value).items()]
        else:
            lines.append(f"    {key}: {_flow(value)}{maybe if key == 'effect' else ''}")
    return lines


def _key(name: str) -> str:
    plain = _PLAIN_KEY.fullmatch(name) and name.lower() not in _NOT_PLAIN
    return name if plain else _quoted(name)


def _flow(value: Json) -> str:
    """A value on one line. JSON is YAML; words stand without quotes where they can."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return _key(value)
    return orjson.dumps(value).decode()


def _quoted(text: str) -> str:
    """In quotes and in ASCII: the same text in every reader, with nothing that does not show."""
    written = orjson.dumps(text).decode()
    return "".join(char if " " <= char <= "~" else _escaped(ord(char)) for char in written)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"
