"""A refusal in MCP's own words (PROTOCOLS §4.8).

tools/call gets a result that the agent's model reads (form B), other requests a JSON-RPC error
(A), both with status 200, since clients die of anything else. Faults of framing keep their HTTP
status, on the modern wire those of content too. A refused notification is taken on the legacy
wire, where nobody reads an error to one and a client that meets a status of 4xx sends nothing
more; on the modern one it gets an error without an id.
"""

from typing import Final

import orjson

from outrider.core.answers import Refusal
from outrider.core.exchange import Headers, RequestHead
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Refused
from outrider.core.vocabulary import Reason
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.eras import VERSION_FIELD
from outrider.protocols.adapters.mcp.spec import Era
from outrider.protocols.adapters.mcp.turn import Envelope
from outrider.protocols.wire.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    Kind,
    error_object,
    result_object,
)
from outrider.protocols.wire.sse import encode_event

_JSON_HEAD: Final[Headers] = (("content-type", spec.JSON), ("cache-control", "no-store"))
_PLAIN_STATUS: Final = frozenset(
    {Reason.UNAUTHENTICATED, Reason.MALFORMED, Reason.TOO_LARGE, Reason.SLOW_CLIENT}
)
_OF_CONTENT: Final = frozenset({Reason.MALFORMED, Reason.TOO_LARGE})
# Refusals of a notification whose status is passed on: nobody read it, or the upstream failed.
_UNREAD: Final = (_PLAIN_STATUS - {Reason.MALFORMED}) | {
    Reason.UPSTREAM_ERROR,
    Reason.UPSTREAM_UNAVAILABLE,
}
_TOLD: Final = "notifications/"
_NAMED: Final = frozenset(
    {
        "prompts/get",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
    }
)
# What a refusal is called where nobody said no.
_VERBS: Final = {
    Reason.HELD: "Held",
    Reason.UPSTREAM_ERROR: "Failed",
    Reason.UPSTREAM_UNAVAILABLE: "Failed",
    Reason.MALFORMED: "Refused",
    Reason.TOO_LARGE: "Refused",
    Reason.OVERLOAD: "Refused",
}
_UNSENT: Final = "The call was not sent: its tool was looked up first."
_TEXT_LIMIT: Final = 200


def refuse(
    refusal: Refusal, head: RequestHead, envelope: Envelope | None, *, begun: bool
) -> Refused:
    """The bytes of a refusal. With `begun` an event stream has started: only `body` is sent, and
    it is empty where no response is owed on it."""
    if begun:
        if envelope is None or envelope.kind is not Kind.REQUEST or envelope.id is None:
            return Refused(status=200, headers=(), body=b"")
        body = encode_event(orjson.dumps(_object(refusal, head, envelope)))
        return Refused(status=200, headers=(), body=body)
    if _is_told(refusal, envelope):
        return Refused(status=202, headers=(), body=b"")
    status = _status(refusal, envelope)
    headers = _JSON_HEAD
    if status == 405:
        headers = (*headers, ("allow", ", ".join(refusal.allow_methods or ("POST",))))
    if status != 200 and refusal.answer.retry_after_s is not None:
        headers = (*headers, ("retry-after", str(refusal.answer.retry_after_s)))
    return Refused(
        status=status, headers=headers, body=orjson.dumps(_object(refusal, head, envelope))
    )


def _is_told(refusal: Refusal, envelope: Envelope | None) -> bool:
    """Whether this refuses a legacy notification: the record alone says so."""
    return (
        envelope is not None
        and envelope.era is Era.LEGACY
        and envelope.kind is Kind.NOTIFICATION
        and envelope.method.startswith(_TOLD)
        and refusal.status is None
        and refusal.reason not in _UNREAD
    )


def _is_mild(refusal: Refusal, envelope: Envelope) -> bool:
    """Whether a legacy request is refused for what it says, not for how it came."""
    return (
        envelope.mild
        and envelope.kind is Kind.REQUEST
        and envelope.id is not None
        and refusal.status is None
        and refusal.reason in _OF_CONTENT
    )


def _status(refusal: Refusal, envelope: Envelope | None) -> int:
    answer = refusal.answer
    if refusal.status is not None and refusal.reason is not Reason.UPSTREAM_ERROR:
        return refusal.status
    if envelope is not None and _is_mild(refusal, envelope):
        return 200
    if envelope is None or refusal.reason in _PLAIN_STATUS:
        return answer.http
    if envelope.kind is Kind.REQUEST and envelope.id is not None:
        missing = refusal.reason is Reason.UNRECOGNISED and _code(refusal, envelope)
        return 404 if missing == METHOD_NOT_FOUND and _is_unknown_method(envelope) else 200
    # On the legacy wire 404 would say that the session is over.
    return 400 if answer.http == 404 else answer.http


def _is_unknown_method(envelope: Envelope) -> bool:
    return envelope.era is Era.MODERN and envelope.method != "tools/call"


def _code(refusal: Refusal, envelope: Envelope | None) -> int:
    named = envelope is not None and envelope.method in _NAMED and refusal.code is None
    if refusal.reason is Reason.UNRECOGNISED and named:
        return INVALID_PARAMS  # hidden and unknown names look alike
    return refusal.code if refusal.code is not None else refusal.answer.rpc


def _object(refusal: Refusal, head: RequestHead, envelope: Envelope | None) -> JsonObject:
    if envelope is not None and _is_shown(refusal, envelope):
        return _result(refusal, envelope)
    data: JsonObject = {"reason": refusal.reason.value, "decision": refusal.decision_id}
    if refusal.reasons:
        data["reasons"] = _codes(refusal)
    if refusal.pointer is not None:
        data["pointer"] = refusal.pointer
    if refusal.seen:
        data["provenance"] = refusal.seen
    code = _code(refusal, envelope)
    if code == spec.UNSUPPORTED_VERSION:
        data["supported"] = [*spec.MODERN_VERSIONS]
        data["requested"] = (head.header(VERSION_FIELD) or "")[:64]
    return error_object(
        envelope.id if envelope is not None else None,
        code,
        _line(refusal),
        data,
        with_id=envelope is None or envelope.kind is not Kind.NOTIFICATION,
    )


def _is_shown(refusal: Refusal, envelope: Envelope) -> bool:
    """Whether a refused call is a result, for its model to read."""
    if envelope.method != "tools/call" or envelope.kind is not Kind.REQUEST:
        return False
    if refusal.reason in _PLAIN_STATUS:
        return envelope.shown and _is_mild(refusal, envelope)
    return refusal.status is None


def _result(refusal: Refusal, envelope: Envelope) -> JsonObject:
    """Form B: what a model can read and act on."""
    verb = _VERBS.get(refusal.reason, "Denied")
    advice = refusal.answer.advice
    if refusal.reason is Reason.UPSTREAM_ERROR and envelope.unsent:
        advice = _UNSENT
    text = f"{verb}: {_line(refusal)}. {advice} Decision id: {refusal.decision_id}."
    decision: JsonObject = {
        "id": refusal.decision_id,
        "reason": refusal.reason.value,
        "reasons": _codes(refusal),
        "approval": None,
        "approval_url": None,
    }
    if refusal.pointer is not None:
        decision["pointer"] = refusal.pointer
    if refusal.seen:
        decision["provenance"] = refusal.seen
    result: JsonObject = {
        "content": [{"type": "text", "text": text}],
        "isError": True,
        "_meta": {spec.META_DECISION: decision},
    }
    if envelope.era is Era.MODERN:
        result["resultType"] = "complete"
    return result_object(envelope.id, result)


def _line(refusal: Refusal) -> str:
    """Why, in one line. Of what is not known here nothing more is said, whatever the cause."""
    if refusal.reason is Reason.UNRECOGNISED:
        return refusal.answer.title
    said = next((entry for entry in refusal.reasons if entry.message), None)
    message = ""
    if said is not None:  # policy's words are cut, ours are not
        ours = said.code == refusal.reason.value
        message = said.message if ours else said.message[:_TEXT_LIMIT]
    detail = refusal.detail
    if refusal.pointer is not None:
        detail = f"{detail}: {refusal.pointer[:_TEXT_LIMIT]}"
    why = [part for part in (detail, message) if part]
    return ": ".join([refusal.answer.title, *why])


def _codes(refusal: Refusal) -> list[Json]:
    return [entry.code for entry in refusal.reasons]
