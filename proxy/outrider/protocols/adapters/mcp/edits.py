"""What obligations change in an answer, and what of our own never comes from an upstream."""

from collections.abc import Generator
from typing import Final

import orjson

from outrider.core.errors import ObligationError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Edits
from outrider.core.vocabulary import Reason
from outrider.protocols.adapters.mcp.names import has_invisible
from outrider.protocols.adapters.mcp.spec import OWN_META
from outrider.protocols.wire.jsonrpc import INTERNAL_ERROR

_OWN: Final = f'"{OWN_META}'.encode()
_OUR_CODES: Final = range(-31599, -31399)  # as `core.answers` has them, and their like
_OUR_MEMBERS: Final = frozenset(
    {"reason", "reasons", "decision", "pointer", "approval", "approval_url"}
)
_REASONS: Final[frozenset[Json]] = frozenset(reason.value for reason in Reason)
_PIECE: Final = 4096
_SAID_VALUES: Final = 200_000
_DESCRIPTION_BYTES: Final = 8192
_STRUCTURED: Final = "/result/structuredContent"
_WITHHELD: Final[JsonObject] = {"type": "text", "text": "[withheld by policy]"}
_SAID: Final = "the upstream reported an error; policy withholds its words"


def encode_clean(message: JsonObject) -> bytes:
    """The bytes of `message` without `_meta` keys that only we may write."""
    data = orjson.dumps(message)
    if _OWN not in data:
        return data
    _strip(message)
    return orjson.dumps(message)


def cleaned(message: JsonObject) -> Generator[None, None, bytes]:
    """`encode_clean` for a large message: the caller gives its loop a turn at each yield."""
    data = orjson.dumps(message)
    yield
    if _OWN not in data:
        return data
    yield from _stripping(message)
    return orjson.dumps(message)


def _strip(message: JsonObject) -> None:
    for _ in _stripping(message):
        pass


def _stripping(message: JsonObject) -> Generator[None, None, None]:
    seen = 0
    level: list[Json] = [message]
    while level:
        seen += 1
        if seen % _PIECE == 0:
            yield
        node = level.pop()
        if isinstance(node, dict):
            meta = node.get("_meta")
            if isinstance(meta, dict):
                for key in [key for key in meta if key.startswith(OWN_META)]:
                    del meta[key]
            level.extend(node.values())
        elif isinstance(node, list):
            level.extend(node)


def disown(error: JsonObject) -> None:
    """Make an upstream's error one that nobody takes for a refusal of ours: its words stay."""
    code, data = error.get("code"), error.get("data")
    is_ours = isinstance(code, int) and code in _OUR_CODES
    if is_ours:
        error["code"] = INTERNAL_ERROR
    if isinstance(data, dict) and (is_ours or _is_refusal(data)):
        error["data"] = {key: value for key, value in data.items() if key not in _OUR_MEMBERS}
        if not error["data"]:
            del error["data"]


def _is_refusal(data: JsonObject) -> bool:
    """Whether `data` has the form of what we say of a refusal."""
    return "approval_url" in data or ("decision" in data and data.get("reason") in _REASONS)


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
    """Redact in place; returns how many places were hit.

    A pointer says nothing of free text, nor of an answer in another shape than it was written
    for: what could repeat there what is redacted is withheld.
    """
    if not edits.redactions:
        return 0
    pointers = [redaction.pointer for redaction in edits.redactions]
    odd = [pointer for pointer in pointers if _is_odd(message, pointer)]
    hits = sum(_redact(message, redaction) for redaction in edits.redactions)
    if "error" in message:
        message["error"] = _quiet(message["error"], pointers)
        return hits + 1
    result = message.get("result")
    if isinstance(result, dict) and any(one.startswith(_STRUCTURED) for one in pointers):
        hits += _follow(result, fits=not odd, whole=_STRUCTURED in pointers)
    return hits


def bounding(message: JsonObject, records: int) -> Generator[None, None, None]:
    """Raises `ObligationError` where the answer holds more records than policy allows. The caller
    gives its loop a turn at each yield."""
    if (yield from _records(message)) > records:
        raise ObligationError("the answer holds more records than policy allows")


def _redact(message: JsonObject, redaction: RedactObligation) -> int:
    *path, last = _parts(redaction.pointer)
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


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def _is_odd(message: JsonObject, pointer: str) -> bool:
    """Whether structured content has another shape than `pointer` was written for."""
    if not pointer.startswith(_STRUCTURED):
        return False
    node: Json = message
    for key in _parts(pointer):
        if isinstance(node, list) and not _is_index(key):
            return True
        if isinstance(node, str | int | float):  # a string may hold the object that was meant
            return True
        node = _step(node, key)
    return False


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdecimal()


def _step(node: Json, key: str) -> Json:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list) and _is_index(key) and int(key) < len(node):
        return node[int(key)]
    return None


def _follow(result: JsonObject, *, fits: bool, whole: bool) -> int:
    """Text that repeats structured content must not say what was redacted from it."""
    if isinstance(result.get("result"), dict):  # a finished task's own result (2026)
        result["result"] = {"content": [dict(_WITHHELD)]}
    if "structuredContent" in result and (fits or whole):
        text = orjson.dumps(result["structuredContent"]).decode()
        result["content"] = [{"type": "text", "text": text}]
        return 0
    found = result.keys() & {"structuredContent", "content"}
    if not found:
        return 0
    result.pop("structuredContent", None)
    result["content"] = [dict(_WITHHELD)]
    return 1


def _quiet(error: Json, pointers: list[str]) -> JsonObject:
    """An error of which only the code is left, and data that every redaction was written for."""
    known = error if isinstance(error, dict) else {}
    code = known.get("code")
    quiet: JsonObject = {
        "code": code if isinstance(code, int) else INTERNAL_ERROR,
        "message": _SAID,
    }
    if "data" in known and all(pointer.startswith("/error/") for pointer in pointers):
        quiet["data"] = known["data"]
    return quiet


def _records(message: JsonObject) -> Generator[None, None, int]:
    """The length of the longest list anywhere; text that is JSON counts as what it says."""
    seen = 0
    result = message.get("result")
    longest = 1 if isinstance(result, dict) and "structuredContent" in result else 0
    level: list[Json] = [result, message.get("error")]
    while level:
        seen += 1
        if seen % _PIECE == 0:
            yield
        node = level.pop()
        if isinstance(node, str):
            seen += len(node) // _PIECE
            node = _said(node)
        if isinstance(node, dict):
            level.extend(node.values())
        elif isinstance(node, list):
            longest = max(longest, len(node))
            level.extend(node)
    return longest


def _said(text: str) -> Json:
    """The array or object that `text` is, or None."""
    if text.lstrip()[:1] not in {"[", "{"}:
        return None
    if max(text.count(","), text.count("]") + text.count("}")) > _SAID_VALUES:
        raise ObligationError("the answer holds more than can be counted")
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value
