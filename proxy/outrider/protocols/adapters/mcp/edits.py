"""What obligations change in an answer, and what of our own never comes from an upstream."""

from typing import Final

import orjson

from outrider.core.errors import ObligationError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Edits
from outrider.protocols.adapters.mcp.names import has_invisible
from outrider.protocols.adapters.mcp.spec import OWN_META

_OWN: Final = f'"{OWN_META}'.encode()
_DESCRIPTION_BYTES: Final = 8192
_STRUCTURED: Final = "/result/structuredContent"


def encode_clean(message: JsonObject) -> bytes:
    """The bytes of `message` without `_meta` keys that only we may write."""
    data = orjson.dumps(message)
    if _OWN not in data:
        return data
    _strip(message)
    return orjson.dumps(message)


def _strip(message: JsonObject) -> None:
    level: list[Json] = [message]
    while level:
        node = level.pop()
        if isinstance(node, dict):
            meta = node.get("_meta")
            if isinstance(meta, dict):
                for key in [key for key in meta if key.startswith(OWN_META)]:
                    del meta[key]
            level.extend(node.values())
        elif isinstance(node, list):
            level.extend(node)


def suspicion(definition: JsonObject) -> str | None:
    """Why a definition is never trusted on first use, or None."""
    for member in ("description", "instructions"):
        text = definition.get(member)
        if isinstance(text, str) and len(text.encode()) > _DESCRIPTION_BYTES:
            return "long_description"
    level: list[Json] = [definition]
    while level:
        node = level.pop()
        if isinstance(node, str):
            if has_invisible(node):
                return "invisible_characters"
        elif isinstance(node, dict):
            level.extend(node.keys())
            level.extend(node.values())
        elif isinstance(node, list):
            level.extend(node)
    return None


def restricts(edits: Edits) -> bool:
    """Whether `edits` ask anything of the answer itself."""
    bounds = (edits.response_bytes, edits.records)
    return bool(edits.redactions) or bounds != (None, None)


def apply(message: JsonObject, edits: Edits) -> int:
    """Redact in place; returns how many places were hit."""
    hits = sum(_redact(message, redaction) for redaction in edits.redactions)
    if any(redaction.pointer.startswith(_STRUCTURED) for redaction in edits.redactions):
        _follow(message)
    return hits


def bound(message: JsonObject, records: int) -> None:
    """Raises `ObligationError` where the result holds more records than policy allows."""
    if _records(message) > records:
        raise ObligationError("the answer holds more records than policy allows")


def _redact(message: JsonObject, redaction: RedactObligation) -> int:
    *path, last = (
        part.replace("~1", "/").replace("~0", "~") for part in redaction.pointer.split("/")[1:]
    )
    node: Json = message
    for key in path:
        node = _step(node, key)
    if isinstance(node, dict) and last in node:
        node[last] = redaction.replacement
        return 1
    if isinstance(node, list) and _is_index(last) and int(last) < len(node):
        node[int(last)] = redaction.replacement
        return 1
    return 0


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdecimal()


def _step(node: Json, key: str) -> Json:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list) and _is_index(key) and int(key) < len(node):
        return node[int(key)]
    return None


def _follow(message: JsonObject) -> None:
    """Text that repeats structured content must not say what was redacted from it."""
    result = message.get("result")
    if isinstance(result, dict) and "structuredContent" in result:
        text = orjson.dumps(result["structuredContent"]).decode()
        result["content"] = [{"type": "text", "text": text}]


def _records(message: JsonObject) -> int:
    result = message.get("result")
    if not isinstance(result, dict):
        return 0
    structured = result.get("structuredContent")
    if isinstance(structured, list):
        return len(structured)
    if isinstance(structured, dict):
        return max(
            (len(value) for value in structured.values() if isinstance(value, list)), default=1
        )
    content = result.get("content") or result.get("contents") or result.get("messages")
    return len(content) if isinstance(content, list) else 0
