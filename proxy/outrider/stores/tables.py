"""What every store holds to: closed table names, bounded keys, values and rows."""

from typing import Final

import orjson

from outrider.core.errors import StoreUnavailableError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import MANY_KEYS

TABLES: Final = ("pins", "mcp_sessions", "epochs", "keys")
STATES: Final = ("tasks", "books", "history", "memory", "standing", "quarantine")
"""The tables of `core.ports.States`."""
KEY_BYTES: Final = 1024
VALUE_BYTES: Final = 1 << 20
STATE_BYTES: Final = 1 << 18


def checked_table(table: str) -> str:
    """`table`, if it is one of the closed set; another name is a fault of ours (`ValueError`)."""
    if table not in TABLES:
        raise ValueError("not a table of the store")
    return table


def checked_state(table: str) -> str:
    """`table`, if `core.ports.States` has it; another name is a fault of ours (`ValueError`)."""
    if table not in STATES:
        raise ValueError("not a table of states")
    return table


def checked_value(value: bytes | None, limit_bytes: int) -> bytes | None:
    """`value`, if it fits. Raises `StoreUnavailableError`."""
    if value is not None and len(value) > limit_bytes:
        raise StoreUnavailableError("the value is too large to be stored", cause="value")
    return value


def checked_key(key: str) -> str:
    """`key`, if it fits. Raises `StoreUnavailableError`: keys may come from outside."""
    if len(key.encode("utf-8", "surrogatepass")) > KEY_BYTES or not key.isprintable():
        raise StoreUnavailableError("the key cannot be stored", cause="key")
    return key


def encoded(value: JsonObject) -> bytes:
    """The bytes of `value`. Raises `StoreUnavailableError` for one that does not fit."""
    try:
        data = orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise StoreUnavailableError("the value cannot be stored", cause="value") from None
    if len(data) > VALUE_BYTES:
        raise StoreUnavailableError("the value is too large to be stored", cause="value")
    return data


def decoded(data: bytes) -> JsonObject:
    """The value of stored bytes. Raises `StoreUnavailableError` for what is none."""
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise StoreUnavailableError("a stored value cannot be read", cause="value") from None
    if not isinstance(value, dict):
        raise StoreUnavailableError("a stored value is no object", cause="value")
    return value


def written(key: str, value: JsonObject | None) -> list[tuple[str, bytes | None]]:
    """The rows that a put of `value` under `key` comes to, None for one that goes.

    Raises `StoreUnavailableError` for a key or value that does not fit.
    """
    if key != MANY_KEYS:
        return [(checked_key(key), None if value is None else encoded(value))]
    return [(checked_key(one), _row(inner)) for one, inner in (value or {}).items()]


def _row(value: Json) -> bytes | None:
    if value is None or isinstance(value, dict):
        return None if value is None else encoded(value)
    raise StoreUnavailableError("the value is no object", cause="value")


def check_room(rows: int, limit: int) -> None:
    """Raises `StoreUnavailableError` where a table would come to hold more rows than `limit`."""
    if rows > limit:
        raise StoreUnavailableError("the table is full", cause="full")
