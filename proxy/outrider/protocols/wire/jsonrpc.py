"""JSON-RPC 2.0 as MCP uses it: what a message is, and the error objects we write.

Laws: one object is one message; a member that the specification does not name is refused; an id
is a string or a safe integer and goes back exactly as it came (PROTOCOLS §12, 5-11).
"""

from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import orjson

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.strict_json import fold_clash

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

RpcId: TypeAlias = str | int

_SAFE_INTEGER: Final = (1 << 53) - 1
_ID_BYTES: Final = 256
_METHOD_BYTES: Final = 256
_REQUEST: Final = frozenset({"jsonrpc", "id", "method", "params"})
_NOTIFICATION: Final = frozenset({"jsonrpc", "method", "params"})
_RESULT: Final = frozenset({"jsonrpc", "id", "result"})
_ERROR: Final = frozenset({"jsonrpc", "id", "error"})


class Kind(StrEnum):
    REQUEST = "request"
    NOTIFICATION = "notification"
    RESPONSE = "response"


# Members of enums are looked up on every access (Python 3.11), so hot ones are bound once.
_REQUEST_KIND: Final = Kind.REQUEST
_NOTIFICATION_KIND: Final = Kind.NOTIFICATION
_RESPONSE_KIND: Final = Kind.RESPONSE


class Message(NamedTuple):
    """One message. `id` is None for a notification and for an error that answers nothing known."""

    kind: Kind
    id: RpcId | None
    method: str
    value: JsonObject


def is_id(value: Json) -> bool:
    """Whether `value` may stand as an id: text up to 256 bytes or an integer within ±(2^53-1)."""
    if type(value) is int:
        return -_SAFE_INTEGER <= value <= _SAFE_INTEGER
    if isinstance(value, str):
        return len(value) <= _ID_BYTES and len(value.encode()) <= _ID_BYTES
    return False


def id_of(value: Json) -> RpcId | None:
    """The id of something that may be no message at all, to address a refusal with."""
    if not isinstance(value, dict):
        return None
    found = value.get("id")
    return found if isinstance(found, str | int) and is_id(found) else None


def read_message(value: Json) -> Message:
    """The one message that `value` is. Raises `MalformedError` with a JSON-RPC code."""
    if not isinstance(value, dict):
        raise _invalid("a message is one JSON object", "batch")
    if value.get("jsonrpc") != "2.0":
        raise _invalid("jsonrpc must be the string 2.0", "version")
    if "method" in value:
        return _read_call(value)
    return _read_response(value)


def _read_call(value: JsonObject) -> Message:
    method = value["method"]
    if not isinstance(method, str) or not 0 < len(method) <= _METHOD_BYTES:
        raise _invalid("method must be a short string", "method")
    if "id" not in value:
        if not value.keys() <= _NOTIFICATION:
            raise _invalid("a notification has a member it must not have", "members")
        return Message(_NOTIFICATION_KIND, None, method, value)
    if not value.keys() <= _REQUEST:
        raise _invalid("a request has a member it must not have", "members")
    found = value["id"]
    if not isinstance(found, str | int) or not is_id(found):
        raise _invalid("id must be a short string or a safe integer", "id")
    return Message(_REQUEST_KIND, found, method, value)


def _read_response(value: JsonObject) -> Message:
    members = value.keys()
    if not (("result" in value and members <= _RESULT) or ("error" in value and members <= _ERROR)):
        raise _invalid("neither a request nor a notification nor a response", "members")
    if "error" in value:
        error = value["error"]
        if not isinstance(error, dict) or not _is_error(error):
            raise _invalid("error must have an integer code and a message", "error")
    found = value.get("id")
    if found is None and "error" in value:
        return Message(_RESPONSE_KIND, None, "", value)
    if not isinstance(found, str | int) or not is_id(found):
        raise _invalid("id must be a short string or a safe integer", "id")
    return Message(_RESPONSE_KIND, found, "", value)


def _is_error(error: JsonObject) -> bool:
    code = error.get("code")
    return (
        isinstance(code, int)
        and not isinstance(code, bool)
        and isinstance(error.get("message"), str)
    )


def refuse_lookalikes(members: JsonObject, names: frozenset[str], where: str) -> None:
    """Refuse a key that another reader would take for one of `names` (PROTOCOLS §2.3)."""
    if not members.keys() <= names and fold_clash(members, names) is not None:
        raise _invalid(f"a key in {where} resembles a protocol key", "key_lookalike")


def _invalid(detail: str, cause: str) -> MalformedError:
    return MalformedError(detail, code=INVALID_REQUEST, cause=cause)


def error_object(
    id_: RpcId | None, code: int, message: str, data: JsonObject | None, *, with_id: bool = True
) -> JsonObject:
    """An error response. Without `with_id` it answers a notification and has no id member."""
    error: JsonObject = {"code": code, "message": message}
    if data:
        error["data"] = data
    if not with_id:
        return {"jsonrpc": "2.0", "error": error}
    return {"jsonrpc": "2.0", "id": id_, "error": error}


def result_object(id_: RpcId | None, result: JsonObject) -> JsonObject:
    return {"jsonrpc": "2.0", "id": id_, "result": result}


def encode(value: Json) -> bytes:
    """The bytes of a message, keys in their order."""
    return orjson.dumps(value)
