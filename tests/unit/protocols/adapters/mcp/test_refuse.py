"""PROTOCOLS §4.8, §8: every reason in MCP's words, by form."""

import orjson
import pytest

from outrider.core.answers import ANSWERS, Refusal
from outrider.core.decision import ReasonEntry
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.vocabulary import Reason
from outrider.protocols.adapters.mcp.refuse import refuse
from outrider.protocols.adapters.mcp.spec import Era
from outrider.protocols.adapters.mcp.turn import Envelope
from outrider.protocols.wire.jsonrpc import Kind
from tests.support.mcp_exchange import a_head

PLAIN = {Reason.UNAUTHENTICATED, Reason.MALFORMED, Reason.TOO_LARGE, Reason.SLOW_CLIENT}


def _envelope(method: str = "tools/call", era: Era = Era.LEGACY, **more: object) -> Envelope:
    kind = (
        Kind.REQUEST
        if "id" in more or method != "notifications/initialized"
        else (Kind.NOTIFICATION)
    )
    id_ = more.get("id", "7" if kind is Kind.REQUEST else None)
    assert id_ is None or isinstance(id_, str | int)
    return Envelope(era=era, kind=kind, id=id_, method=method)


def _refusal(reason: Reason = Reason.POLICY, **more: object) -> Refusal:
    return Refusal(reason=reason, decision_id="d-1", **more)  # type: ignore[arg-type]


def _object(body: bytes) -> JsonObject:
    return as_object(orjson.loads(body))


@pytest.mark.parametrize("era", list(Era))
@pytest.mark.parametrize("reason", list(Reason))
def test_a_refused_call_is_a_result_that_its_model_can_read(reason: Reason, era: Era) -> None:
    refused = refuse(_refusal(reason), a_head(), _envelope(era=era), begun=False)
    answer = _object(refused.body)
    assert answer["id"] == "7"
    if reason in PLAIN:
        assert refused.status == ANSWERS[reason].http
        assert as_object(answer["error"])["code"] == ANSWERS[reason].rpc
        return
    result = as_object(answer["result"])
    assert (refused.status, result["isError"]) == (200, True)
    assert result.get("resultType") == ("complete" if era is Era.MODERN else None)
    decision = as_object(as_object(result["_meta"])["dev.outrider/decision"])
    assert (decision["id"], decision["reason"]) == ("d-1", reason.value)
    assert ANSWERS[reason].advice in str(result["content"])


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in PLAIN])
def test_any_other_refused_request_is_an_error_with_status_200(reason: Reason) -> None:
    refused = refuse(_refusal(reason), a_head(), _envelope("prompts/list"), begun=False)
    answer = _object(refused.body)
    assert (refused.status, as_object(answer["error"])["code"]) == (200, ANSWERS[reason].rpc)


@pytest.mark.parametrize(
    ("envelope", "status", "code"),
    [
        pytest.param(_envelope("vendor/x"), 200, -32601, id="legacy"),
        pytest.param(_envelope("vendor/x", Era.MODERN), 404, -32601, id="modern"),
        pytest.param(_envelope("prompts/get", Era.MODERN), 200, -32602, id="hidden-name"),
        pytest.param(_envelope("resources/read"), 200, -32602, id="hidden-resource"),
        pytest.param(
            _envelope("notifications/initialized", Era.MODERN), 400, -32601, id="notification"
        ),
    ],
)
def test_what_is_not_known_here(envelope: Envelope, status: int, code: int) -> None:
    refused = refuse(_refusal(Reason.UNRECOGNISED), a_head(), envelope, begun=False)
    assert refused.status == status
    assert as_object(_object(refused.body)["error"])["code"] == code


def test_a_refused_notification_gets_an_error_without_an_id_on_the_modern_wire() -> None:
    told = _envelope("notifications/initialized", Era.MODERN)
    refused = refuse(_refusal(), a_head(), told, begun=False)
    assert refused.status == 403
    assert "id" not in _object(refused.body)


@pytest.mark.parametrize("reason", list(Reason))
def test_a_refused_notification_is_taken_on_the_legacy_wire(reason: Reason) -> None:
    told = _envelope("notifications/initialized")
    refused = refuse(_refusal(reason), a_head(), told, begun=False)
    failed = {Reason.UPSTREAM_ERROR, Reason.UPSTREAM_UNAVAILABLE}
    if reason in failed | PLAIN - {Reason.MALFORMED}:
        assert refused.status == ANSWERS[reason].http
        return
    assert (refused.status, refused.headers, refused.body) == (202, (), b"")


def test_what_says_another_thing_than_no_keeps_its_status() -> None:
    told = _envelope("notifications/initialized")
    over = _refusal(Reason.UNRECOGNISED, status=404)  # of a session that has ended
    assert refuse(over, a_head(), told, begun=False).status == 404
    stream = Envelope(era=Era.LEGACY, kind=Kind.NOTIFICATION, id=None, method="GET")
    assert refuse(_refusal(), a_head(), stream, begun=False).status == 403


def test_before_a_message_is_known_the_status_speaks() -> None:
    overload = refuse(_refusal(Reason.OVERLOAD), a_head(), None, begun=False)
    assert (overload.status, dict(overload.headers)["retry-after"]) == (503, "1")
    assert _object(overload.body)["id"] is None
    assert refuse(_refusal(Reason.UNAUTHENTICATED), a_head(), None, begun=False).status == 401
    origin = _refusal(Reason.UNRECOGNISED, status=403)
    assert refuse(origin, a_head(), None, begun=False).status == 403


def test_case_53_within_a_stream_the_same_object_is_the_last_event() -> None:
    for envelope in (_envelope(), _envelope("prompts/list")):
        plain = refuse(_refusal(), a_head(), envelope, begun=False)
        begun = refuse(_refusal(), a_head(), envelope, begun=True)
        assert begun.body == b"event: message\ndata: " + plain.body + b"\n\n"
    notification = _envelope("notifications/initialized")
    assert refuse(_refusal(), a_head(), notification, begun=True).body == b""
    assert refuse(_refusal(), a_head(), None, begun=True).body == b""


def test_policys_own_reasons_are_told_and_cut() -> None:
    entry = ReasonEntry(code="SQ-04", message="m" * 500)
    refused = refuse(_refusal(reasons=(entry,)), a_head(), _envelope(), begun=False)
    result = as_object(_object(refused.body)["result"])
    decision = as_object(as_object(result["_meta"])["dev.outrider/decision"])
    assert decision["reasons"] == ["SQ-04"]
    assert "m" * 200 in str(result["content"])
    assert "m" * 201 not in str(result["content"])


def test_the_argument_that_the_grant_does_not_take_is_named() -> None:
    refusal = _refusal(Reason.GRANT, detail="no such argument is granted", pointer="/a~1b/0")
    result = as_object(_object(refuse(refusal, a_head(), _envelope(), begun=False).body)["result"])
    assert "no such argument is granted: /a~1b/0. " in str(result["content"])
    decision = as_object(as_object(result["_meta"])["dev.outrider/decision"])
    assert decision["pointer"] == "/a~1b/0"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (Reason.POLICY, "Denied"),
        (Reason.HELD, "Held"),
        (Reason.UPSTREAM_ERROR, "Failed"),
        (Reason.UPSTREAM_UNAVAILABLE, "Failed"),
        (Reason.OVERLOAD, "Refused"),
    ],
)
def test_only_what_was_denied_is_called_so(reason: Reason, word: str) -> None:
    result = _object(refuse(_refusal(reason), a_head(), _envelope(), begun=False).body)["result"]
    assert f"'{word}: {ANSWERS[reason].title}" in str(result)


def test_case_65_unknown_and_hidden_read_the_same() -> None:
    hidden = refuse(_refusal(Reason.UNRECOGNISED), a_head(), _envelope(), begun=False)
    unknown = refuse(
        _refusal(Reason.UNRECOGNISED, detail="no such name"), a_head(), _envelope(), begun=False
    )
    assert hidden == unknown
