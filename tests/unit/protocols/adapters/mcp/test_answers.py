"""PROTOCOLS §12, streams, results and what servers ask: what passes, is changed, is dropped."""

from dataclasses import replace

import orjson
import pytest

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import McpOptions
from outrider.core.action import Ask
from outrider.core.answers import Refusal
from outrider.core.catalogue import Manifest, ResultField, Unwrap
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.obligation import RedactObligation
from outrider.core.ports import Edits
from outrider.core.vocabulary import ActionEffect, FieldLabel, Phase, Reason
from outrider.core.zones import Zones
from outrider.protocols.adapters.mcp.edits import _OUR_CODES
from tests.support.mcp_exchange import (
    AGENT,
    OTHER,
    Answered,
    FakeUpstream,
    Sidecar,
    a_declared,
    a_head,
    a_tool,
    an_entry,
    event,
    legacy_headers,
    modern,
    modern_headers,
    replies,
    request,
    streams,
)

CALL: JsonObject = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}})
DONE: JsonObject = {
    "jsonrpc": "2.0",
    "id": 1,
    "result": {"content": [{"type": "text", "text": "done"}], "resultType": "complete"},
}
PROGRESS: JsonObject = {
    "jsonrpc": "2.0",
    "method": "notifications/progress",
    "params": {"progressToken": 1, "progress": 0.5, "message": "half"},
}
MESSAGE: JsonObject = {
    "jsonrpc": "2.0",
    "method": "notifications/message",
    "params": {"level": "info", "data": "secret"},
}


def _told(*chunks: bytes, verdict: bool = True, era: str = "legacy") -> Sidecar:
    def judge(ask: Ask) -> bool:
        return verdict or ask.phase is not Phase.RESPONSE

    sidecar = Sidecar(verdict=judge)
    sidecar.modern(request("tools/list")) if era == "modern" else sidecar.post(
        request("tools/list")
    )
    sidecar.upstream.answers["tools/call"] = streams(*chunks)
    return sidecar


def test_case_43_any_split_gives_the_same_events() -> None:
    whole = b"\xef\xbb\xbf: hi\r\n" + event(PROGRESS) + event(DONE).replace(b"\n", b"\r\n")
    expected = _told(whole).post(CALL)
    assert expected.messages == [PROGRESS, DONE]
    for cut in range(1, len(whole)):
        split = _told(whole[:cut], whole[cut:]).post(CALL)
        assert split.body == expected.body
    assert _told(*(whole[at : at + 1] for at in range(len(whole)))).post(CALL).body == expected.body


def test_case_43_an_unterminated_last_event_is_no_event() -> None:
    answered = _told(event(DONE).rstrip(b"\n")).post(CALL)
    assert answered.fault is not None
    assert answered.fault.reason is Reason.UPSTREAM_ERROR
    assert DONE not in answered.messages


def test_case_44_comments_pass_at_once() -> None:
    answered = _told(b": still here\n", event(DONE)).post(CALL)
    assert answered.body.startswith(b": still here\n\n")
    assert answered.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize(
    "chunk",
    [b"data: " + b"x" * 2048 + b"\n\n", b"data: x\n" * 400, b"x" * 2048],
    ids=["case-45-long-line", "case-45-many-lines", "case-45-endless"],
)
def test_a_long_event_cuts_the_stream(chunk: bytes) -> None:
    sidecar = _told(event(PROGRESS), chunk)
    limited = Sidecar(sidecar.upstream, limits=Limits(sse_event_bytes=1024))
    limited.post(request("tools/list"))
    answered = limited.post(CALL)
    assert answered.fault is not None
    assert answered.fault.reason is Reason.UPSTREAM_ERROR
    final = answered.messages[-1]
    assert (final["id"], "result" in final) == (1, True)


DROPPED = [
    pytest.param(b"event: other\ndata: {}\n\n", "event_dropped", id="case-46-unknown-event"),
    pytest.param(b"data: hello\n\n", "event_dropped", id="case-46-no-json"),
    pytest.param(
        event({"jsonrpc": "2.0", "id": 2, "result": {}}), "response_dropped", id="case-47"
    ),
    pytest.param(
        event({"jsonrpc": "2.0", "id": "1", "result": {}}), "response_dropped", id="case-47-type"
    ),
    pytest.param(
        event({"jsonrpc": "2.0", "method": "notifications/made_up"}),
        "notification_dropped",
        id="unknown-notification",
    ),
    pytest.param(event([DONE]), "message_dropped", id="batch"),
    pytest.param(event({**PROGRESS, "extra": 1}), "message_dropped", id="extra-member"),
]


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(("chunk", "note"), DROPPED)
def test_what_is_not_the_answer_is_dropped_and_noted(chunk: bytes, note: str, era: str) -> None:
    sidecar = _told(chunk, event(DONE), era=era)
    answered = sidecar.modern(CALL) if era == "modern" else sidecar.post(CALL)
    assert answered.messages == [DONE]
    assert answered.events == [note]


def test_case_47_a_second_final_response_is_dropped() -> None:
    answered = _told(event(DONE), event(DONE)).post(CALL)
    assert answered.messages == [DONE]
    assert answered.events == ["response_dropped"]


SAMPLING: JsonObject = request("sampling/createMessage", {"messages": [], "maxTokens": 5}, 70)


def test_case_48_a_request_on_a_modern_stream_is_dropped() -> None:
    answered = _told(event(SAMPLING), event(DONE), era="modern").modern(CALL)
    assert answered.messages == [DONE]
    assert answered.events == ["server_request_dropped"]


@pytest.mark.parametrize("passes", [True, False])
def test_case_48_a_request_on_a_legacy_stream_is_decided(passes: bool) -> None:
    answered = _told(event(SAMPLING), event(DONE), verdict=passes).post(CALL)
    assert answered.messages[:1] == ([SAMPLING] if passes else [_ended(answered, SAMPLING)])
    assert answered.messages[1:] == ([DONE] if passes else [])
    asked = [ask for ask in answered.asked if ask.phase is Phase.RESPONSE]
    assert [(ask.name, ask.effect) for ask in asked] == [
        ("sampling/createMessage", ActionEffect.EXECUTE)
    ]


def _ended(answered: Answered, asked: JsonObject) -> JsonObject:
    """The one final answer to a call whose server asked what it may not: it would hang else."""
    final = answered.messages[-1]
    result = as_object(final["result"])
    assert (final["id"], result["isError"]) == (1, True)
    assert f"the server asked the agent for {asked['method']}" in str(result["content"])
    assert answered.fault is not None
    assert answered.fault.reason is Reason.POLICY
    assert "server_request_dropped" in answered.events
    return final


def test_a_refused_request_on_a_stream_that_serves_no_call_ends_nothing() -> None:
    sidecar = Sidecar(verdict=lambda ask: ask.phase is not Phase.RESPONSE)
    sidecar.open_session("s-1")
    sidecar.upstream.answers["GET"] = streams(event(SAMPLING), event(PROGRESS))
    fields = (("accept", "text/event-stream"), ("mcp-session-id", "s-1"))
    answered = sidecar.exchange(a_head("GET", fields), None)
    assert (answered.messages, answered.fault) == ([PROGRESS], None)
    assert answered.events == ["server_request_dropped"]


ELICITATIONS = [
    pytest.param({"mode": "url", "url": "https://a.example/x", "message": ""}, True, id="https"),
    pytest.param({"mode": "url", "url": "http://a.example/x", "message": ""}, False, id="plain"),
    pytest.param({"mode": "url", "url": "https://u:p@a.example/", "message": ""}, False, id="user"),
    pytest.param({"message": "", "requestedSchema": {"properties": {"name": {}}}}, True, id="form"),
    pytest.param(
        {"message": "", "requestedSchema": {"properties": {"Password": {}}}}, False, id="password"
    ),
]


@pytest.mark.parametrize(("params", "passes"), ELICITATIONS)
def test_an_elicitation_asks_for_no_secret_and_no_plain_url(
    params: JsonObject, passes: bool
) -> None:
    asked = request("elicitation/create", params, 7)
    answered = _told(event(asked), event(DONE)).post(CALL)
    assert answered.messages == ([asked, DONE] if passes else [_ended(answered, asked)])


def test_case_52_a_stream_that_dies_ends_in_our_words() -> None:
    answered = _told(event(PROGRESS), era="modern").modern(CALL)
    final = answered.messages[-1]
    assert answered.fault is not None
    assert answered.fault.reason is Reason.UPSTREAM_ERROR
    assert final["id"] == 1
    result = final["result"]
    assert isinstance(result, dict)
    assert (result["isError"], result["resultType"]) == (True, "complete")


def _listening(*chunks: bytes) -> Sidecar:
    def judge(ask: Ask) -> bool:
        return ask.resource not in {"note://secret", "prompts/list"}

    sidecar = Sidecar(verdict=judge)
    sidecar.upstream.answers["subscriptions/listen"] = streams(*chunks)
    return sidecar


def _tell(method: str, id_: Json = 1, **params: Json) -> bytes:
    meta: JsonObject = {"io.modelcontextprotocol/subscriptionId": id_}
    return event({"jsonrpc": "2.0", "method": method, "params": {"_meta": meta, **params}})


def test_case_54_denied_uris_leave_filter_and_acknowledgement() -> None:
    ended = event({"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete"}})
    uris: list[Json] = ["note://open", "note://secret"]
    sidecar = _listening(
        _tell(
            "notifications/subscriptions/acknowledged",
            notifications={
                "toolsListChanged": True,
                "promptsListChanged": True,
                "resourcesListChanged": True,
                "resourceSubscriptions": uris,
            },
        ),
        _tell("notifications/resources/updated", uri="note://secret"),
        _tell("notifications/resources/updated", uri="note://open"),
        _tell("notifications/resources/updated", id_="1", uri="note://open"),
        _tell("notifications/prompts/list_changed"),
        _tell("notifications/tools/list_changed", None),
        _tell("notifications/tools/list_changed"),
        ended,
    )
    wanted: JsonObject = {
        "toolsListChanged": True,
        "promptsListChanged": True,  # denied
        "resourcesListChanged": False,
        "resourceSubscriptions": uris,
    }
    answered = sidecar.modern(request("subscriptions/listen", {"notifications": wanted}))
    assert answered.sent is not None
    assert isinstance(answered.sent.body, bytes)
    sent = orjson.loads(answered.sent.body)["params"]["notifications"]
    assert sent == {
        "toolsListChanged": True,
        "resourcesListChanged": False,
        "resourceSubscriptions": ["note://open"],
    }
    assert [one.get("method") for one in answered.messages] == [
        "notifications/subscriptions/acknowledged",
        "notifications/resources/updated",
        "notifications/tools/list_changed",
        None,
    ]
    acknowledged = answered.messages[0]["params"]
    assert isinstance(acknowledged, dict)
    assert acknowledged["notifications"] == {
        "toolsListChanged": True,
        "resourceSubscriptions": ["note://open"],
    }


ANSWERS = [
    pytest.param((200, (("content-type", "text/html"),), (b"<p>",)), id="case-55-html"),
    pytest.param((200, (), (b"{}",)), id="case-55-no-type"),
    pytest.param((500, (("content-type", "application/json"),), (b"{}",)), id="server-error"),
    pytest.param((403, (("content-type", "application/json"),), (b"{}",)), id="forbidden"),
    pytest.param(replies({"jsonrpc": "2.0", "id": 2, "result": {}}), id="case-47-json-foreign"),
    pytest.param(replies({"jsonrpc": "2.0", "id": 1, "result": []}), id="result-array"),
    pytest.param(replies([DONE]), id="batch"),
    pytest.param(
        (200, (("content-type", "application/json"),), (b'{"jsonrpc":"2.0","id":1,"id":1}',)),
        id="duplicate-key",
    ),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_another_kind_becomes_our_error(answer: tuple[int, tuple, tuple]) -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    sidecar.upstream.answers["tools/call"] = answer
    answered = sidecar.post(CALL)
    assert answered.fault is not None
    assert answered.fault.reason is Reason.UPSTREAM_ERROR
    assert (answered.status, answered.result["isError"]) == (200, True)


def test_case_55_json_and_stream_carry_the_same() -> None:
    stream = _told(event(DONE)).post(CALL)
    sidecar = Sidecar()
    sidecar.upstream.answers["tools/call"] = replies(DONE)
    plain = sidecar.post(CALL)
    assert stream.messages == [plain.json]
    assert [ask.name for ask in stream.asked] == [ask.name for ask in plain.asked][-1:]


@pytest.mark.parametrize("outside", [True, False], ids=["case-26-plain", "case-26-only-in-tasks"])
def test_a_denied_capability_reaches_no_upstream(outside: bool) -> None:
    def judge(ask: Ask) -> bool:
        return ask.resource not in {"sampling/createMessage", "roots/list"}

    wanted: JsonObject = {
        "sampling": {},
        "elicitation": {"form": {}},
        "roots": {"listChanged": True},
        "tasks": {"requests": {"sampling": {"createMessage": {}}, "elicitation": {"create": {}}}},
    }
    if not outside:
        del wanted["sampling"]
    kept: JsonObject = {
        "elicitation": {"form": {}},
        "tasks": {"requests": {"elicitation": {"create": {}}}},
    }
    sidecar = Sidecar(verdict=judge)
    message = modern(CALL, {"io.modelcontextprotocol/clientCapabilities": dict(wanted)})
    answered = sidecar.post(message, modern_headers(message))
    assert answered.sent is not None
    assert isinstance(answered.sent.body, bytes)
    meta = orjson.loads(answered.sent.body)["params"]["_meta"]
    assert meta["io.modelcontextprotocol/clientCapabilities"] == kept
    params: JsonObject = {
        "protocolVersion": "2025-11-25",
        "capabilities": orjson.loads(orjson.dumps(wanted)),
        "clientInfo": {"name": "t", "version": "1"},
    }
    begun = sidecar.post(request("initialize", params), legacy_headers(version=None))
    assert begun.sent is not None
    assert isinstance(begun.sent.body, bytes)
    assert orjson.loads(begun.sent.body)["params"]["capabilities"] == kept


def test_case_72_only_top_level_meta_counts_and_ours_goes_nowhere() -> None:
    sidecar = Sidecar()
    params: JsonObject = {
        "name": "echo",
        "arguments": {"text": "hi", "_meta": {"dev.outrider/task": "tsk_inner"}},
        "_meta": {"dev.outrider/task": "tsk_1", "dev.outrider/decision": {}, "own": 1},
    }
    answered = sidecar.post(request("tools/call", params))
    head = a_head(headers=legacy_headers())
    body = orjson.dumps(request("tools/call", params))
    parsed = sidecar.adapter.parse(sidecar.inbound(head, body, "spiffe://acme.test/agent/one"))
    assert parsed.task_name == "tsk_1"
    assert answered.sent is not None
    assert isinstance(answered.sent.body, bytes)
    sent = orjson.loads(answered.sent.body)["params"]
    assert sent["_meta"] == {"own": 1}
    assert sent["arguments"] == params["arguments"]


def test_case_72_an_upstream_cannot_write_our_meta() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    item: JsonObject = {"type": "text", "text": "x", "_meta": {"dev.outrider/decision": {}}}
    forged: JsonObject = {"content": [item], "_meta": {"dev.outrider/decision": {"id": "d"}}}
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": forged})
    answered = sidecar.post(CALL)
    assert b"dev.outrider" not in answered.body


def test_case_73_trace_context_is_ours_and_baggage_stops() -> None:
    params: JsonObject = {
        "name": "echo",
        "arguments": {"text": "hi"},
        "_meta": {"traceparent": "nonsense", "tracestate": "a=b", "baggage": "x" * 9000},
    }
    answered = Sidecar().post(request("tools/call", params))
    assert answered.sent is not None
    assert isinstance(answered.sent.body, bytes)
    ours = f"00-{'1' * 32}-{'2' * 16}-01"
    assert orjson.loads(answered.sent.body)["params"]["_meta"] == {"traceparent": ours}
    assert ("traceparent", ours) in answered.sent.headers


STRUCTURED = [
    pytest.param("alert", {"n": "x"}, True, ["structured_output"], id="case-74-alert"),
    pytest.param("enforce", {"n": "x"}, False, [], id="case-74-enforce"),
    pytest.param("enforce", {"n": 1}, True, [], id="case-74-fits"),
    pytest.param("off", {"n": "x"}, True, [], id="case-74-off"),
]


@pytest.mark.parametrize(("mode", "content", "passes", "notes"), STRUCTURED)
def test_structured_content_is_held_against_the_output_schema(
    mode: str, content: JsonObject, passes: bool, notes: list[str]
) -> None:
    schema: JsonObject = {"type": "object", "properties": {"n": {"type": "integer"}}}
    upstream = FakeUpstream(a_tool(outputSchema=schema))
    sidecar = Sidecar(upstream, options=McpOptions(structured_output=mode))  # type: ignore[arg-type]
    sidecar.post(request("tools/list"))
    result: JsonObject = {"content": [], "structuredContent": content}
    upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": result})
    answered = sidecar.post(CALL)
    assert (answered.fault is None) is passes
    assert answered.events == notes


def test_redaction_reaches_the_text_that_repeats_structured_content() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    result: JsonObject = {
        "content": [{"type": "text", "text": '{"iban":"DE1"}'}],
        "structuredContent": {"iban": "DE1", "name": "A"},
    }
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": result})
    sidecar.edits = Edits(redactions=(RedactObligation(pointer="/result/structuredContent/iban"),))
    answered = sidecar.post(CALL)
    assert b"DE1" not in answered.body
    assert answered.result["structuredContent"] == {"iban": "[redacted]", "name": "A"}
    assert answered.events == ["redacted"]


def test_case_75_where_results_are_redacted_free_text_of_notifications_is_withheld() -> None:
    sidecar = _told(event(PROGRESS), event(MESSAGE), event(DONE))
    sidecar.edits = Edits(redactions=(RedactObligation(pointer="/result/content"),))
    answered = sidecar.post(CALL)
    assert b"half" not in answered.body
    assert b"secret" not in answered.body
    assert len(answered.messages) == 2


IBAN = Edits(redactions=(RedactObligation(pointer="/result/structuredContent/iban"),))


@pytest.mark.parametrize("streamed", [True, False])
def test_an_error_says_nothing_of_what_is_redacted(streamed: bool) -> None:
    error: JsonObject = {"code": -32000, "message": "no DE1", "data": {"iban": "DE1"}}
    message: JsonObject = {"jsonrpc": "2.0", "id": 1, "error": error}
    sidecar = _told(event(message))
    if not streamed:
        sidecar.upstream.answers["tools/call"] = replies(message)
    sidecar.edits = IBAN
    answered = sidecar.post(CALL)
    assert b"-32000" in answered.body
    assert b"DE1" not in answered.body
    assert answered.events == ["redacted"]


def test_comments_keep_a_redacted_stream_alive_without_their_words() -> None:
    sidecar = _told(b": DE1\n", event(DONE))
    sidecar.edits = IBAN
    answered = sidecar.post(CALL)
    assert answered.body.startswith(b":\n\n")
    assert b"DE1" not in answered.body


@pytest.mark.parametrize(
    ("task", "edits", "passes"),
    [("t-1", Edits(), True), ("t-9", Edits(), False), ("t-1", IBAN, False)],
    ids=["own", "foreign", "redacted"],
)
def test_what_is_told_of_a_task_reaches_its_owner_alone(
    task: str, edits: Edits, passes: bool
) -> None:
    told: JsonObject = {"taskId": task, "status": "completed", "statusMessage": "DE1"}
    notice: JsonObject = {"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": told}
    sidecar = _told(event(notice), event(DONE))
    sidecar.sessions.give_handle(subject=AGENT, upstream="crm", handle="t-1")
    sidecar.edits = edits
    assert (b"DE1" in sidecar.post(CALL).body) is passes


SECRET = ResultField(path=("v",), label=FieldLabel.SECRET)
PLATFORM = ResultField(path=("v",), label=FieldLabel.PLATFORM)
NAMED = Unwrap(name="/tool", arguments="/args", upstream="crm")


@pytest.mark.parametrize(
    ("said", "result", "passes"),
    [
        pytest.param({"result": (SECRET,)}, True, False, id="secret"),
        pytest.param({"records": ("rows",)}, True, False, id="counted"),
        pytest.param({"unwrap": NAMED}, True, False, id="meta-tool"),
        pytest.param({"result": (PLATFORM,)}, True, True, id="not-guarded"),
        pytest.param({"result": (SECRET,)}, False, True, id="no-result"),
    ],
)
def test_what_a_task_came_to_is_not_told_aside_where_it_is_guarded(
    said: dict[str, object], result: bool, passes: bool
) -> None:
    params: JsonObject = {"taskId": "t-1", "status": "completed", "statusMessage": "over"}
    if result:
        params["result"] = {"structuredContent": {"v": "hunter2"}}
    notice: JsonObject = {"jsonrpc": "2.0", "method": "notifications/tasks", "params": params}
    sidecar = _told(event(notice), event(DONE), era="modern")
    entry = an_entry(echo=a_declared(), dig=replace(a_declared(), **said))
    sidecar.manifest = Manifest(upstreams={"crm": entry}, zones=Zones())
    sidecar.sessions.give_handle(subject=AGENT, upstream="crm", handle="t-1", tool="dig")
    message = modern(CALL)
    answered = sidecar.post(message, modern_headers(message))
    assert (b"over" in answered.body) is passes
    assert answered.events == ([] if passes else ["notification_dropped"])


@pytest.mark.parametrize("asked", [True, False])
def test_log_messages_come_on_the_modern_wire_only_where_asked_for(asked: bool) -> None:
    sidecar = _told(event(MESSAGE), event(DONE), era="modern")
    level: JsonObject = {"io.modelcontextprotocol/logLevel": "info"} if asked else {}
    message = modern(CALL, level)
    answered = sidecar.post(message, modern_headers(message))
    assert len(answered.messages) == (2 if asked else 1)


def test_limits_of_policy_cut_the_answer() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    sidecar.edits = Edits(response_bytes=16)
    assert sidecar.post(CALL).fault is not None
    sidecar.edits = Edits(records=1)
    many: JsonObject = {"content": [{"type": "text", "text": "a"}] * 2}
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": many})
    answered = sidecar.post(CALL)
    assert answered.fault is not None
    assert answered.fault.reason is Reason.OBLIGATION


# --- input required, request state ---

ASKS_INPUT: JsonObject = {
    "jsonrpc": "2.0",
    "id": 1,
    "result": {
        "resultType": "input_required",
        "requestState": "upstream-state",
        "inputRequests": {
            "who": {
                "method": "elicitation/create",
                "params": {"message": "?", "requestedSchema": {"properties": {"name": {}}}},
            }
        },
    },
}


def _asked_for_input() -> tuple[Sidecar, Json]:
    sidecar = Sidecar()
    sidecar.modern(request("tools/list"))
    sidecar.upstream.answers["tools/call"] = replies(ASKS_INPUT)
    answered = sidecar.modern(CALL)
    del sidecar.upstream.answers["tools/call"]
    return sidecar, answered.result["requestState"]


def _again(state: Json, arguments: JsonObject | None = None, name: str = "echo") -> JsonObject:
    params: JsonObject = {
        "name": name,
        "arguments": arguments or {"text": "hi"},
        "requestState": state,
        "inputResponses": {"who": {"action": "accept", "content": {"name": "A"}}},
    }
    return request("tools/call", params, 2)


def test_request_state_is_sealed_and_comes_back_byte_for_byte() -> None:
    sidecar, state = _asked_for_input()
    assert isinstance(state, str)
    assert "upstream-state" not in state
    answered = sidecar.modern(_again(state))
    assert answered.status == 200
    assert answered.sent is not None
    assert isinstance(answered.sent.body, bytes)
    assert orjson.loads(answered.sent.body)["params"]["requestState"] == "upstream-state"
    assert [(ask.name, ask.effect) for ask in answered.asked] == [
        ("tools/call", None),
        ("elicitation/create", ActionEffect.SHARE),
    ]


def test_case_59_a_state_that_was_not_issued_for_this_request_is_refused() -> None:
    sidecar, state = _asked_for_input()
    assert isinstance(state, str)
    hostile: list[tuple[JsonObject, str]] = [
        (_again(state[:-4] + "AAAA"), ""),
        (_again("upstream-state"), ""),
        (_again(7), ""),
        (_again(state, {"text": "other"}), ""),
        (_again(state), OTHER),
    ]
    for message, subject in hostile:
        answered = sidecar.modern(message, **({"subject": subject} if subject else {}))
        assert (answered.status, answered.code) == (400, -32602)
    assert sidecar.upstream.methods.count("tools/call") == 1
    assert sidecar.modern(_again(state)).status == 200
    replayed = sidecar.modern(_again(state))
    assert (replayed.status, replayed.code) == (400, -32602)


def test_case_59_a_state_expires() -> None:
    sidecar, state = _asked_for_input()
    sidecar.clock.now_s += 3600
    assert sidecar.modern(_again(state)).code == -32602


def test_what_a_server_asks_within_a_result_is_decided() -> None:
    sidecar = Sidecar(verdict=lambda ask: ask.phase is not Phase.RESPONSE)
    sidecar.modern(request("tools/list"))
    sidecar.upstream.answers["tools/call"] = replies(ASKS_INPUT)
    answered = sidecar.modern(CALL)
    assert answered.fault is not None
    assert b"upstream-state" not in answered.body


def test_case_59_a_task_belongs_to_the_subject_it_was_given_to() -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    made: JsonObject = {"task": {"taskId": "t-1", "status": "working"}}
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": made})
    assert sidecar.post(CALL).status == 200
    fetch = request("tasks/get", {"taskId": "t-1"}, 2)
    assert sidecar.post(fetch).status == 200
    assert sidecar.post(fetch, subject=OTHER).code == -32602
    assert sidecar.post(request("tasks/get", {"taskId": "t-2"}, 2)).code == -32602
    listed: JsonObject = {"tasks": [{"taskId": "t-1"}, {"taskId": "t-9"}]}
    sidecar.upstream.answers["tasks/list"] = replies({"jsonrpc": "2.0", "id": 1, "result": listed})
    assert sidecar.post(request("tasks/list", {})).result["tasks"] == [{"taskId": "t-1"}]


def test_an_upstream_that_sends_nothing_but_noise_is_cut() -> None:
    noise = event({"jsonrpc": "2.0", "method": "notifications/made_up"})
    answered = _told(noise * 200, event(DONE)).post(CALL)
    assert answered.fault is not None
    assert len(answered.notes) <= 100


RESTRICTIONS = [
    pytest.param(Edits(redactions=(RedactObligation(pointer="/result/a"),)), False, id="redact"),
    pytest.param(Edits(response_bytes=1000), False, id="bytes"),
    pytest.param(Edits(records=5), False, id="records"),
    pytest.param(Edits(headers=(("x-tenant", "a"),)), True, id="header-alone"),
    pytest.param(Edits(), True, id="nothing"),
]
TASKS: list[JsonObject] = [
    {"task": {"taskId": "t-1", "status": "working"}},
    {"resultType": "task", "taskId": "t-1"},
]


@pytest.mark.parametrize(("edits", "passes"), RESTRICTIONS)
def test_a_call_whose_answer_policy_changes_leaves_as_no_task(edits: Edits, passes: bool) -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    sidecar.edits = edits
    params: JsonObject = {"name": "echo", "arguments": {"text": "hi"}, "task": {"ttl": 60}}
    answered = sidecar.post(request("tools/call", params))
    assert ("tools/call" in sidecar.upstream.methods) is passes
    assert (answered.fault is None) is passes
    if answered.fault is not None:
        assert answered.fault.reason is Reason.OBLIGATION


@pytest.mark.parametrize("made", TASKS, ids=["2025", "2026"])
@pytest.mark.parametrize(("edits", "passes"), RESTRICTIONS)
def test_an_upstream_makes_no_task_of_a_call_whose_answer_policy_changes(
    edits: Edits, passes: bool, made: JsonObject
) -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    sidecar.edits = edits
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": made})
    answered = sidecar.post(CALL)
    assert (answered.fault is None) is passes
    sidecar.edits = Edits()
    fetched = sidecar.post(request("tasks/get", {"taskId": "t-1"}, 2))
    assert (fetched.code is None) is passes


@pytest.mark.parametrize("declared", [True, False])
def test_a_task_is_made_only_of_a_call_that_takes_one(declared: bool) -> None:
    sidecar = Sidecar()
    sidecar.modern(request("tools/list"))
    made: JsonObject = {"resultType": "task", "taskId": "t-1"}
    sidecar.upstream.answers["tools/call"] = replies({"jsonrpc": "2.0", "id": 1, "result": made})
    extensions: JsonObject = {"io.modelcontextprotocol/tasks": {}} if declared else {}
    capabilities: JsonObject = {"extensions": extensions}
    message = modern(CALL, {"io.modelcontextprotocol/clientCapabilities": capabilities})
    answered = sidecar.post(message, modern_headers(message))
    assert (answered.fault is None) is declared


def test_a_list_that_the_upstream_does_not_give_is_no_reason_to_call() -> None:
    for code, reason in ((-32601, Reason.UNRECOGNISED), (-32603, Reason.UPSTREAM_ERROR)):
        sidecar = Sidecar()
        error: JsonObject = {"code": code, "message": "no"}
        sidecar.upstream.answers["tools/list"] = lambda message, error=error: replies(  # type: ignore[misc]
            {"jsonrpc": "2.0", "id": message["id"], "error": error}
        )
        answered = sidecar.post(CALL)
        assert answered.fault is not None
        assert answered.fault.reason is reason
        assert "tools/call" not in sidecar.upstream.methods


@pytest.mark.control("IA-02")
@pytest.mark.parametrize("version", ["2024-11-05", "2099-01-01", 7])
def test_an_upstream_may_not_choose_a_version_that_is_not_spoken(version: Json) -> None:
    result: JsonObject = {"protocolVersion": version, "capabilities": {}}
    sidecar = Sidecar()
    sidecar.upstream.answers["initialize"] = replies({"jsonrpc": "2.0", "id": 1, "result": result})
    params: JsonObject = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
    answered = sidecar.post(request("initialize", params), legacy_headers(version=None))
    assert answered.fault is not None
    assert answered.fault.reason is Reason.UPSTREAM_ERROR


def _fails(error: JsonObject, *, verdict: bool = True, era: str = "legacy") -> Answered:
    sidecar = _told(event({"jsonrpc": "2.0", "id": 1, "error": error}), verdict=verdict, era=era)
    return sidecar.modern(CALL) if era == "modern" else sidecar.post(CALL)


def _error(answered: Answered) -> Json:
    return answered.messages[-1]["error"]


OURS: JsonObject = {
    "reason": "held",
    "reasons": ["X"],
    "decision": "d-1",
    "pointer": "/a",
    "approval": "a-1",
    "approval_url": "https://evil.test/",
}


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize(
    ("code", "data", "passed", "kept"),
    [
        pytest.param(-31409, OURS, -32603, None, id="a-hold"),
        pytest.param(-31403, {"reason": "policy", "hint": 1}, -32603, {"hint": 1}, id="a-denial"),
        pytest.param(-31599, "words", -32603, "words", id="their-like"),
        pytest.param(-31400, {}, -32603, None, id="first"),
        pytest.param(-32603, OURS, -32603, None, id="under-another-code"),
        pytest.param(-1, {"approval_url": "https://e.test/", "a": 1}, -1, {"a": 1}, id="url"),
        pytest.param(-31399, {"reason": "bad"}, -31399, {"reason": "bad"}, id="near"),
        pytest.param(-31600, None, -31600, None, id="near-below"),
        pytest.param(-32602, {"reason": "x", "decision": "y"}, -32602, "all", id="its-own-words"),
    ],
)
def test_no_error_of_an_upstream_is_taken_for_a_refusal_of_ours(
    code: int, data: Json, passed: int, kept: Json, era: str
) -> None:
    error: JsonObject = {"code": code, "message": "said"}
    if data is not None:
        error["data"] = data
    kept = data if kept == "all" else kept
    expected: JsonObject = {"code": passed, "message": "said"}
    if kept is not None:
        expected["data"] = kept
    assert _error(_fails(error, era=era)) == expected


def test_every_code_of_ours_is_one_that_no_upstream_may_use() -> None:
    for reason in Reason:
        code = Refusal(reason=reason, decision_id="d").answer.rpc
        assert code in _OUR_CODES or -32768 <= code <= -32000


URL: JsonObject = {
    "mode": "url",
    "elicitationId": "e",
    "url": "https://bank.test/ok",
    "message": "Sign in",
}


def _wants(*elicitations: Json) -> JsonObject:
    data: JsonObject = {"elicitations": [*elicitations]}
    return {"code": -32042, "message": "open it", "data": data}


def test_an_error_that_asks_for_a_url_is_judged_as_the_request_would_be() -> None:
    allowed = _fails(_wants(URL))
    assert _error(allowed) == _wants(URL)
    ask = allowed.asked[-1]
    assert (ask.name, ask.phase, ask.hosts) == (
        "elicitation/create",
        Phase.RESPONSE,
        ("bank.test",),
    )
    denied = _fails(_wants(URL), verdict=False)
    assert _error(denied) == {"code": -32603, "message": "open it"}
    assert denied.events[-1:] == ["server_request_dropped"]


@pytest.mark.parametrize(
    ("error", "era"),
    [
        pytest.param(_wants({**URL, "url": "http://bank.test/"}), "legacy", id="not-https"),
        pytest.param(_wants(URL, {"mode": "url"}), "legacy", id="no-url"),
        pytest.param(_wants(URL, "x"), "legacy", id="no-object"),
        pytest.param(_wants(), "legacy", id="none"),
        pytest.param(_wants(*[URL] * 65), "legacy", id="too-many"),
        pytest.param({"code": -32042, "message": "open it"}, "legacy", id="no-data"),
        pytest.param(_wants(URL), "modern", id="modern"),
    ],
)
def test_an_error_that_may_not_ask_says_only_its_words(error: JsonObject, era: str) -> None:
    assert _error(_fails(error, era=era)) == {"code": -32603, "message": "open it"}
