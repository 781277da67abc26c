"""`params._meta` and what else stands beside the arguments (PROTOCOLS §1, §4.4, §12 case 72).

Law: what is neither checked here nor taken out before a message leaves is told to policy, as the
member `params._meta` of the arguments. Only the top level counts; below it, `_meta` is data.
"""

from typing import Final

import orjson

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json, JsonObject
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.turn import Turn
from outrider.protocols.wire.jsonrpc import INVALID_PARAMS, is_id

LEVELS: Final = frozenset(
    {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
)
META: Final = "_meta"
TOLD: Final = "params._meta"
_PROGRESS: Final = "progressToken"
# What a client says of itself in every modern request is judged only where it says much.
_SELF_BYTES: Final = 1024
_OWNERS: Final = frozenset({"mcp", "modelcontextprotocol"})
# Written anew or taken out before the message leaves.
_TRACE: Final = frozenset({"traceparent", "tracestate", "baggage"})
_OF_ITSELF: Final = frozenset({spec.META_CAPABILITIES, spec.META_CLIENT})
_MODERN_ALONE: Final = _OF_ITSELF | {spec.META_VERSION, spec.META_LOG_LEVEL}
_PLAIN_LEGACY: Final = frozenset({_PROGRESS})
_PLAIN: Final = _MODERN_ALONE | _PLAIN_LEGACY


def drop_reserved(turn: Turn) -> None:
    """Take reserved keys that no client may send out of the message (case 72)."""
    meta = turn.params.get(META)
    if not isinstance(meta, dict) or meta.keys() <= (_PLAIN if turn.is_modern else _PLAIN_LEGACY):
        return
    for key in [key for key in meta if _is_forged(key, modern=turn.is_modern)]:
        del meta[key]


def told(turn: Turn, arguments: JsonObject | None) -> JsonObject | None:
    """`arguments` with what `_meta` adds to them. Raises `MalformedError`."""
    if arguments is not None and TOLD in arguments:
        raise MalformedError(
            "an argument is called as what is told beside the arguments",
            code=INVALID_PARAMS,
            cause="meta",
        )
    meta = turn.params.get(META)
    if not isinstance(meta, dict) or not meta:
        return arguments
    extra: JsonObject = {
        key: value for key, value in meta.items() if not _is_settled(key, value, turn.is_modern)
    }
    if not extra:
        return arguments
    return {**(arguments or {}), TOLD: extra}


def told_params(turn: Turn) -> JsonObject | None:
    """All of params as arguments; None where there is nothing to judge."""
    members: JsonObject = {key: value for key, value in turn.params.items() if key != META}
    return told(turn, members or None)


def without_own(value: JsonObject) -> JsonObject:
    """`value`, its own `_meta` rid of the keys that only we may write."""
    meta = value.get(META)
    if isinstance(meta, dict):
        for key in [key for key in meta if key.startswith(spec.OWN_META)]:
            del meta[key]
    return value


def _is_settled(key: str, value: Json, modern: bool) -> bool:
    """Whether `key` needs no judging: it says what it may say, or does not leave as it came."""
    if key == _PROGRESS:
        return is_id(value)
    if key in _TRACE or key.startswith(spec.OWN_META):
        return True
    if not modern or key not in _MODERN_ALONE:
        return False
    if key in _OF_ITSELF:
        return len(orjson.dumps(value)) <= _SELF_BYTES
    return key == spec.META_VERSION or (isinstance(value, str) and value in LEVELS)


def _is_forged(key: str, *, modern: bool) -> bool:
    """Whether `key` has a reserved prefix, and is none that a client of this wire may send."""
    if key in _MODERN_ALONE:
        return not modern
    if key == spec.META_RELATED_TASK:
        return modern
    prefix, slash, _ = key.partition("/")
    labels = prefix.lower().split(".")
    return bool(slash) and len(labels) > 1 and labels[1] in _OWNERS
