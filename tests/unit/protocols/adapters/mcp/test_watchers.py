"""The watchers' own part: heads, bounds and bodies nobody may see."""

from collections.abc import Callable

import orjson
import pytest

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import McpOptions
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Edits, Emit
from outrider.core.vocabulary import Reason
from outrider.protocols.adapters.mcp.watchers import EmptyWatcher
from tests.support.mcp_exchange import (
    Answered,
    FakeUpstream,
    Sidecar,
    a_head,
    a_tool,
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


ROWS: JsonObject = {"rows": [{"id": number, "name": "x" * 20} for number in range(20_000)]}


def _answers(sidecar: Sidecar, result: JsonObject, *, stream: bool) -> Answered:
    value: JsonObject = {"jsonrpc": "2.0", "id": 1, "result": result}
    sidecar.post(request("tools/list"))
    sidecar.upstream.answers["tools/call"] = streams(event(value)) if stream else replies(value)
    return sidecar.post(request("tools/call", {"name": "echo", "arguments": {"text": "a"}}))


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_large_answer_is_worked_on_in_turns_and_arrives_whole(stream: bool) -> None:
    result: JsonObject = {"content": [], "structuredContent": ROWS}
    answered = _answers(Sidecar(), result, stream=stream)
    size = len(orjson.dumps(result))
    assert answered.turns >= size // 65_536 + 60_000 // 8192
    assert (answered.messages[0] if stream else answered.json)["result"] == result


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_a_small_answer_has_no_turns(stream: bool) -> None:
    answered = _answers(Sidecar(), {"content": []}, stream=stream)
    assert answered.turns == 0


def test_a_large_answer_is_as_strictly_read_as_a_small_one() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    text = b"x" * 100_000
    body = b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"a":"' + text + b'","a":1}}'
    fields = (("content-type", "application/json"),)
    sidecar.upstream.answers["tools/call"] = (200, fields, (body,))
    call = request("tools/call", {"name": "echo", "arguments": {"text": "a"}})
    fault = sidecar.post(call).fault
    assert fault is not None
    assert fault.cause == "duplicate_key"


def test_our_own_marks_are_taken_out_of_a_large_answer_too() -> None:
    mark: JsonObject = {"dev.outrider/decision": "forged", "kept": 1}
    result: JsonObject = {"content": [], "structuredContent": ROWS, "_meta": mark}
    answered = _answers(Sidecar(), result, stream=False)
    assert answered.result["_meta"] == {"kept": 1}


def test_an_output_schema_judges_a_large_answer_before_it_leaves() -> None:
    schema: JsonObject = {"type": "object", "required": ["missing"]}
    upstream = FakeUpstream(a_tool(outputSchema=schema))
    sidecar = Sidecar(upstream, options=McpOptions(structured_output="enforce"))
    answered = _answers(sidecar, {"content": [], "structuredContent": ROWS}, stream=False)
    assert answered.fault is not None
    assert b"rows" not in answered.body


def test_records_of_a_large_answer_are_counted_before_it_leaves() -> None:
    for records, passes in ((20_000, True), (19_999, False)):
        sidecar = Sidecar()
        sidecar.edits = Edits(records=records)
        answered = _answers(sidecar, {"content": [], "structuredContent": ROWS}, stream=False)
        assert (answered.fault is None) is passes
        assert (b"rows" in answered.body) is passes


def test_a_flood_of_comments_in_one_piece_is_taken_in_turns_and_written_at_once() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    end = event({"jsonrpc": "2.0", "id": 1, "result": {"content": []}})
    sidecar.upstream.answers["tools/call"] = streams(b":\n" * 100_000 + end)
    call = request("tools/call", {"name": "echo", "arguments": {"text": "a"}})
    answered = sidecar.post(call)
    assert answered.turns >= 200_000 // 16_384
    assert answered.body.startswith(b":\n\n" * 100_000)
    assert answered.messages[-1]["result"] == {"content": []}


def test_what_follows_a_large_event_in_the_same_piece_comes_after_it() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    first: JsonObject = {"jsonrpc": "2.0", "id": 1, "result": {"content": [], "a": "x" * 200_000}}
    second: JsonObject = {"jsonrpc": "2.0", "id": 1, "result": {"content": ["second"]}}
    sidecar.upstream.answers["tools/call"] = streams(event(first) + event(second))
    call = request("tools/call", {"name": "echo", "arguments": {"text": "a"}})
    answered = sidecar.post(call)
    assert [one["result"] for one in answered.messages] == [first["result"]]
    assert answered.events == ["response_dropped"]


@pytest.mark.parametrize("size", [1, 2, 50], ids=["bytes", "pairs", "pieces"])
def test_an_answer_in_many_pieces_is_one_answer(size: int) -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    body = orjson.dumps(DONE)
    pieces = tuple(body[start : start + size] for start in range(0, len(body), size))
    sidecar.upstream.answers["tools/call"] = (200, (("content-type", "application/json"),), pieces)
    assert sidecar.post(CALL).json == DONE


LARGE = b'{"jsonrpc":"2.0","id":1,"result":{"content":[],"n":9007199254740993}}'
UNREAD = [
    pytest.param(LARGE, "a number beyond 2^53", id="number"),
    pytest.param(
        LARGE.replace(b"9007199254740993", b"[" * 70 + b"]" * 70), "json_depth", id="deep"
    ),
    pytest.param(
        LARGE.replace(b"9007199254740993", b"[" + b"0," * 200 + b"0]"), "nodes", id="many"
    ),
    pytest.param(LARGE.replace(b"9007199254740993", b'1,"n":2'), "cannot be read", id="twice"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("body", "said"), UNREAD)
def test_an_answer_that_is_not_taken_is_told_with_why(body: bytes, said: str, stream: bool) -> None:
    sidecar = Sidecar(limits=Limits(response_nodes=100))
    sidecar.post(request("tools/list"))
    whole = b"data: " + body + b"\n\n"
    as_json = (200, (("content-type", "application/json"),), (body,))
    sidecar.upstream.answers["tools/call"] = streams(whole) if stream else as_json
    answered = sidecar.post(CALL)
    assert answered.fault is not None
    assert said in answered.fault.detail
    final = answered.messages[-1] if stream else answered.json
    assert f"Failed: the upstream failed: {answered.fault.detail}" in str(final)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(LARGE.replace(b'"id":1', b'"id":2'), id="another-id"),
        pytest.param(LARGE.replace(b'"id":1', b'"id":"1"'), id="another-type"),
        pytest.param(LARGE.replace(b'"id":1', b'"id":1,"method":"ping"'), id="a-request"),
        pytest.param(b"[" * 200, id="no-json"),
    ],
)
def test_another_message_that_is_not_taken_is_only_dropped(other: bytes) -> None:
    sidecar = Sidecar(limits=Limits(response_nodes=100))
    sidecar.post(request("tools/list"))
    sidecar.upstream.answers["tools/call"] = streams(b"data: " + other + b"\n\n", event(DONE))
    answered = sidecar.post(CALL)
    assert (answered.messages, answered.events) == ([DONE], ["event_dropped"])


def test_what_is_too_long_is_told_with_its_limit_and_key() -> None:
    sidecar = Sidecar(limits=Limits(sse_event_bytes=1024, response_bytes=2048))
    sidecar.post(request("tools/list"))
    sidecar.upstream.answers["tools/call"] = streams(b"data: " + b"x" * 1100 + b"\n\n")
    assert "limits.sse_event_bytes (1024)" in str(sidecar.post(CALL).messages[-1])
    long = (200, (("content-type", "application/json"),), (b" " * 2100,))
    sidecar.upstream.answers["tools/call"] = long
    assert "limits.response_bytes (2048)" in str(sidecar.post(CALL).json)
    sidecar.edits = Edits(response_bytes=100)
    assert "policy's limit (100)" in str(sidecar.post(CALL).json)


def test_a_page_that_is_too_long_is_told_with_its_key_and_that_nothing_was_sent() -> None:
    upstream = FakeUpstream(*(a_tool(f"tool{n}") for n in range(6)))
    answered = Sidecar(upstream, options=McpOptions(list_items=5)).post(CALL)
    assert "6 entries, more than mcp.list_items (5)" in str(answered.json)
    assert "The call was not sent" in str(answered.json)
    assert "unknown" not in str(answered.json)
