"""MCP's mirrored header fields: read strictly, compared with the body, written anew.

Law: policy is decided on the body; a mirrored field only has to agree (PROTOCOLS §4.2).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from outrider.core.errors import MalformedError
from outrider.core.exchange import Headers
from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.adapters.mcp.spec import HEADER_MISMATCH, JSON, SSE

PARAM_PREFIX: Final = "mcp-param-"
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_PLAIN: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,15})(?:\.0+)?")
_UNWANTED: Final = re.compile(r";\s*[qQ]=0(?:\.0*)?\s*(?:;|$)")
_START: Final = "=?base64?"
_END: Final = "?="
_PRIMITIVE: Final = ("string", "integer", "boolean")


def routing_fields(headers: Headers) -> dict[str, str]:
    """Every `mcp-*` field by name. Raises `MalformedError` where one stands twice."""
    found: dict[str, str] = {}
    for name, value in headers:
        if name.startswith("mcp-"):
            if name in found:
                raise mismatch("a routing header stands twice", "header_twice")
            found[name] = value
    return found


def mismatch(detail: str, cause: str = "header_mismatch") -> MalformedError:
    return MalformedError(detail, code=HEADER_MISMATCH, cause=cause)


def decode(value: str) -> str:
    """What a field says: itself, or the text in its `=?base64?…?=` wrapping, read strictly."""
    if not (value.startswith(_START) and value.endswith(_END)):
        return value  # any other spelling is a literal, and so differs from what it wraps
    coded = value[len(_START) : -len(_END)]
    try:
        raw = base64.b64decode(coded, validate=True)
        text = raw.decode()
    except (binascii.Error, ValueError):
        raise mismatch("an encoded header cannot be read", "sentinel") from None
    if base64.b64encode(raw).decode() != coded:
        raise mismatch("an encoded header has stray bits", "sentinel")
    return text


def encode(text: str) -> str:
    """The field value for `text`: plain where it may stand so, else wrapped."""
    if _PLAIN.fullmatch(text) and not text.startswith(_START):
        return text
    return _START + base64.b64encode(text.encode()).decode() + _END


def accepts_both(accept: str | None) -> bool:
    """Whether an Accept field takes JSON and an event stream, as MCP demands of a client."""
    if accept == "application/json, text/event-stream":
        return True
    if accept is None:
        return False
    taken = _wanted(accept)
    return _takes(JSON, taken) and _takes(SSE, taken)


def accepts_stream(accept: str | None) -> bool:
    if accept is None:
        return False
    return _takes(SSE, _wanted(accept))


def _wanted(accept: str) -> set[str]:
    return {
        part.partition(";")[0].strip().lower()
        for part in accept.split(",")
        if not _UNWANTED.search(part)
    }


def _takes(media: str, taken: set[str]) -> bool:
    return media in taken or "*/*" in taken or media.partition("/")[0] + "/*" in taken


def is_json(content_type: str | None) -> bool:
    """`application/json`, with no charset or utf-8 and nothing else."""
    if content_type == JSON:
        return True
    return content_type is not None and media_type(content_type) == (JSON, True)


def media_type(content_type: str) -> tuple[str, bool]:
    """The media type in lower case, and whether its parameters are none or charset=utf-8."""
    if content_type == JSON:
        return JSON, True
    media, _, rest = content_type.partition(";")
    parameters = [field.strip().lower() for field in rest.split(";") if field.strip()]
    fine = all(field in {"charset=utf-8", 'charset="utf-8"'} for field in parameters)
    return media.strip().lower(), fine and len(parameters) <= 1


def mirrored_params(schema: Json) -> dict[str, tuple[tuple[str, ...], str]] | None:
    """`x-mcp-header` of an input schema: field name -> (path of properties, type).

    None where one of them breaks the rules, so that the tool must be dropped (PROTOCOLS §4.2).
    """
    found: dict[str, tuple[tuple[str, ...], str]] = {}
    if not isinstance(schema, dict):
        return found
    total = _count(schema)
    level: list[tuple[tuple[str, ...], JsonObject]] = [((), schema)]
    while level:
        path, node = level.pop()
        properties = node.get("properties")
        if not isinstance(properties, dict):
            continue
        for key, inner in properties.items():
            if not isinstance(inner, dict):
                continue
            if "x-mcp-header" in inner and not _add(found, inner, (*path, key)):
                return None
            level.append(((*path, key), inner))
    # One that stands where no chain of properties leads cannot be mirrored.
    return found if len(found) == total else None


def _add(
    found: dict[str, tuple[tuple[str, ...], str]], inner: JsonObject, path: tuple[str, ...]
) -> bool:
    name, kind = inner["x-mcp-header"], inner.get("type")
    if not isinstance(name, str) or not _TOKEN.fullmatch(name) or kind not in _PRIMITIVE:
        return False
    field = PARAM_PREFIX + name.lower()
    if field in found:
        return False
    found[field] = (path, str(kind))
    return True


def _count(value: Json) -> int:
    """How many schemas carry `x-mcp-header`, wherever they stand (a property may be so named)."""
    total = 0
    level: list[tuple[Json, bool]] = [(value, False)]
    while level:
        node, names = level.pop()
        if isinstance(node, dict):
            total += "x-mcp-header" in node and not names
            level.extend(
                (inner, key == "properties" and not names)
                for key, inner in node.items()
                if names or key not in {"default", "const", "enum", "examples"}
            )
        elif isinstance(node, list):
            level.extend((inner, False) for inner in node)
    return total


def check_params(
    fields: Mapping[str, str],
    wanted: Mapping[str, tuple[tuple[str, ...], str]],
    arguments: JsonObject,
) -> Headers:
    """Refuse mirrored arguments that differ from the body; returns them as they must leave.

    Fields the pinned schema does not know go on as they came, and are never used.
    """
    leaving: list[tuple[str, str]] = []
    for field, (path, _) in wanted.items():
        value = _at(arguments, path)
        sent = fields.get(field)
        if value is None:
            if sent is not None:
                raise mismatch("a header mirrors an argument that is not there", "param_header")
            continue
        if sent is None or not _same(decode(sent), value):
            raise mismatch("an argument's header is missing or differs", "param_header")
        leaving.append((field, encode(_text(value))))
    for field, sent in fields.items():
        if field.startswith(PARAM_PREFIX) and field not in wanted:
            decode(sent)
            leaving.append((field, sent))
    return tuple(leaving)


def _at(arguments: JsonObject, path: tuple[str, ...]) -> Json:
    node: Json = arguments
    for key in path:
        if not isinstance(node, dict):
            return None
        node = node.get(key)
    return node


def _same(text: str, value: Json) -> bool:
    if isinstance(value, bool | str):
        return text == _text(value)
    if isinstance(value, int | float):
        return _INTEGER.fullmatch(text) is not None and float(text) == float(value)
    return False


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
