"""The watchers' own part: heads, bounds and bodies nobody may see."""

from collections.abc import Callable

import pytest

from outrider.config.settings import Limits
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Emit
from outrider.core.vocabulary import Reason
from outrider.protocols.adapters.mcp.watchers import EmptyWatcher
from tests.support.mcp_exchange import (
    Answered,
    Sidecar,
    a_head,
    event,
    legacy_headers,
    replies,
    request,
    streams,
)

CALL: JsonObject = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})
TOLD: JsonObject = {"jsonrpc": "2.0", "method": "notifications/initialized"}
DONE: JsonObject = {"jsonrpc": "2.0", "id": 1, "result": {"content": []}}


def test_what_an_upstream_says_to_a_notification_is_not_passed_on() -> None:
    sidecar = Sidecar()
    sidecar.upstream.answers["notifications/initialized"] = (
        200,
        (("content-type", "text/html"),),
        (b"<p>hello</p>",),
    )
    answered = sidecar.post(TOLD)
    assert (answered.status, answered.body, answered.headers) == (202, b"", {})


@pytest.mark.parametrize(("chunks", "taken"), [(16, True), (17, False)])
def test_a_body_that_nobody_reads_is_bounded(chunks: int, taken: bool) -> None:
    sidecar = Sidecar()
    body = (b"x" * 4096,) * chunks
    sidecar.upstream.answers["notifications/initialized"] = (202, (), body)
    answered = sidecar.post(TOLD)
    assert (answered.fault is None) is taken
    if answered.fault is not None:
        assert answered.fault.reason is Reason.UPSTREAM_ERROR


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_notification_that_was_not_taken_is_an_error_without_an_id(status: int) -> None:
    sidecar = Sidecar()
    sidecar.upstream.answers["notifications/initialized"] = (status, (), ())
    answered = sidecar.post(TOLD)
    assert answered.fault is not None
    assert answered.fault.reason is Reason.UPSTREAM_ERROR
    assert "id" not in answered.json


def test_an_answer_is_bounded() -> None:
    sidecar = Sidecar(limits=Limits(response_bytes=1024))
    sidecar.post(request("tools/list"))
    long: JsonObject = {"content": [{"type": "text", "text": "x" * 2000}]}
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": long})
    answered = sidecar.post(CALL)
    assert answered.fault is not None
    assert b"xxx" not in answered.body


def test_a_stream_is_never_cached_or_held_back() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    sidecar.upstream.answers["tools/call"] = streams(event(DONE))
    assert sidecar.post(CALL).headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }


def test_event_ids_pass_on_the_legacy_wire_alone() -> None:
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.post(request("tools/list"), legacy_headers("s-1"))
    priming = b"id: e0\nretry: 300\ndata: \n\n"
    sidecar.upstream.answers["tools/call"] = streams(priming, event(DONE, "e1"))
    legacy = sidecar.post(CALL, legacy_headers("s-1"))
    assert legacy.body.startswith(priming + b"id: e1\n")
    sidecar.modern(request("tools/list"))
    assert b"id: " not in sidecar.modern(CALL).body


@pytest.mark.parametrize("chunks", [0, 2])
def test_what_is_to_be_stored_comes_once_and_waits_for_no_body(chunks: int) -> None:
    watcher = EmptyWatcher(status=202, headers=(), steps=(Emit(data=b""),))
    assert watcher.streaming is False
    given = [watcher.feed(b"anything") for _ in range(chunks)]
    assert [*given, watcher.end()][0] == [Emit(data=b"")]
    assert not any([*given, watcher.end()][1:])
    assert watcher.end() == []


LOSSES = [
    pytest.param(
        lambda sidecar: sidecar.post(CALL, legacy_headers("s-1")), "tools/call", id="call"
    ),
    pytest.param(
        lambda sidecar: sidecar.post(TOLD, legacy_headers("s-1")), str(TOLD["method"]), id="told"
    ),
    pytest.param(
        lambda sidecar: sidecar.exchange(a_head("GET", legacy_headers("s-1")), None),
        "GET",
        id="stream",
    ),
    pytest.param(
        lambda sidecar: sidecar.exchange(
            a_head("GET", (*legacy_headers("s-1"), ("last-event-id", "e1"))), None
        ),
        "GET",
        id="resumed",
    ),
]


@pytest.mark.parametrize("body", [(), (b"not found",) * 3], ids=["empty", "body"])
@pytest.mark.parametrize(("attempt", "method"), LOSSES)
def test_a_session_that_the_upstream_lost_is_forgotten_in_the_store_too(
    attempt: Callable[[Sidecar], Answered], method: str, body: tuple[bytes, ...]
) -> None:
    sidecar = Sidecar()
    (bound,) = sidecar.open_session("s-1").stored
    sidecar.upstream.answers["tools/call"] = streams(event(DONE, "e1"))
    sidecar.post(request("tools/list"), legacy_headers("s-1"))
    sidecar.post(CALL, legacy_headers("s-1"))
    sidecar.upstream.answers[method] = (404, (("content-type", "text/plain"),), body)
    answered = attempt(sidecar)
    assert answered.status == 404
    assert answered.fault is not None
    assert (answered.fault.reason, answered.fault.code) == (Reason.UNRECOGNISED, -32001)
    assert [(one.key, one.value) for one in answered.stored] == [(bound.key, None)]
    before = len(sidecar.upstream.received)
    assert attempt(sidecar).status == 404
    assert len(sidecar.upstream.received) == before
