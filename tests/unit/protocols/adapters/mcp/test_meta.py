"""What `params._meta` may say unjudged, and what it may not say at all (PROTOCOLS §12 case 72)."""

import orjson
import pytest

from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.protocols.adapters.mcp.meta import TOLD
from tests.support.mcp_exchange import (
    LEGACY,
    MODERN,
    Answered,
    Sidecar,
    event,
    legacy_headers,
    modern,
    replies,
    request,
    streams,
)

CLIENT = "io.modelcontextprotocol/clientInfo"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LEVEL = "io.modelcontextprotocol/logLevel"
RELATED = "io.modelcontextprotocol/related-task"
LONG = "x" * 1200


def _calls(sidecar: Sidecar, meta: JsonObject, *, wire: str) -> Answered:
    message = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}}, 5)
    if wire == MODERN:
        sidecar.modern(request("tools/list"))
        return sidecar.modern(modern(message, meta))
    sidecar.post(request("tools/list"))
    message["params"]["_meta"] = meta  # type: ignore[index,call-overload]
    return sidecar.post(message)


def _meta_sent(answered: Answered) -> JsonObject:
    assert answered.sent is not None
    assert isinstance(answered.sent.body, bytes)
    sent = as_object(orjson.loads(answered.sent.body))
    return as_object(as_object(sent["params"]).get("_meta"))


TOLD_OF = [
    pytest.param({"acme.test/as": "admin"}, LEGACY, {"acme.test/as": "admin"}, id="vendor-legacy"),
    pytest.param({"acme.test/as": "admin"}, MODERN, {"acme.test/as": "admin"}, id="vendor-modern"),
    pytest.param({"as": 1}, LEGACY, {"as": 1}, id="no-prefix"),
    pytest.param({"progressToken": "p"}, LEGACY, None, id="progress-token"),
    pytest.param({"progressToken": 7}, MODERN, None, id="progress-number"),
    pytest.param({"progressToken": LONG}, LEGACY, {"progressToken": LONG}, id="progress-long"),
    pytest.param({"progressToken": {}}, LEGACY, {"progressToken": {}}, id="progress-object"),
    pytest.param({LEVEL: "info"}, MODERN, None, id="level"),
    pytest.param({LEVEL: "loud"}, MODERN, {LEVEL: "loud"}, id="level-unknown"),
    pytest.param({CLIENT: {"name": "a"}}, MODERN, None, id="client"),
    pytest.param({CLIENT: {"name": LONG}}, MODERN, {CLIENT: {"name": LONG}}, id="client-long"),
    pytest.param({"traceparent": "x", "baggage": "y"}, MODERN, None, id="trace"),
    pytest.param({"dev.outrider/task": "t"}, LEGACY, None, id="ours"),
]


@pytest.mark.parametrize(("meta", "wire", "told"), TOLD_OF)
def test_what_meta_says_of_its_own_is_told_to_policy(
    meta: JsonObject, wire: str, told: JsonObject | None
) -> None:
    answered = _calls(Sidecar(), meta, wire=wire)
    assert answered.fault is None
    (ask,) = answered.asked
    wanted: JsonObject = {"text": "hi"} | ({TOLD: told} if told is not None else {})
    assert ask.arguments == wanted
    for key, value in (told or {}).items():
        assert _meta_sent(answered)[key] == value  # others' keys go on as they came


def test_capabilities_that_say_much_are_told() -> None:
    sidecar = Sidecar()
    sidecar.modern(request("tools/list"))
    message = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}}, 5)
    much: JsonObject = {"experimental": {"a": {"note": LONG}}}
    (ask,) = sidecar.modern(modern(message, {CAPABILITIES: much})).asked
    assert ask.arguments == {"text": "hi", TOLD: {CAPABILITIES: much}}


FORGED = [
    pytest.param("io.modelcontextprotocol/subscriptionId", MODERN, id="case-72-servers-own"),
    pytest.param("io.modelcontextprotocol/made-up", MODERN, id="case-72-modern"),
    pytest.param("io.modelcontextprotocol/made-up", LEGACY, id="case-72-legacy"),
    pytest.param("dev.mcp/admin", LEGACY, id="case-72-mcp"),
    pytest.param("DEV.MCP.tools/admin", LEGACY, id="case-72-upper-case"),
    pytest.param(CLIENT, LEGACY, id="case-72-of-the-other-era"),
    pytest.param(RELATED, MODERN, id="case-72-of-an-older-one"),
]


@pytest.mark.parametrize(("key", "wire"), FORGED)
def test_a_forged_reserved_key_is_removed(key: str, wire: str) -> None:
    answered = _calls(Sidecar(), {key: {"a": 1}, "mcp.test/kept": 1}, wire=wire)
    assert answered.fault is None
    sent = _meta_sent(answered)
    assert key not in sent
    assert sent["mcp.test/kept"] == 1  # only the second label counts
    assert answered.asked[0].arguments == {"text": "hi", TOLD: {"mcp.test/kept": 1}}


def test_a_related_task_goes_on_and_is_judged() -> None:
    answered = _calls(Sidecar(), {RELATED: {"taskId": "t"}}, wire=LEGACY)
    assert _meta_sent(answered) == {RELATED: {"taskId": "t"}}
    assert answered.asked[0].arguments == {"text": "hi", TOLD: {RELATED: {"taskId": "t"}}}


def test_trace_state_without_its_parent_does_not_leave() -> None:
    answered = _calls(Sidecar(), {"tracestate": "a=" + LONG}, wire=LEGACY)
    assert _meta_sent(answered) == {}


@pytest.mark.parametrize("meta", [{"as": "admin"}, {}, None], ids=["told", "empty", "none"])
def test_an_argument_can_neither_hide_nor_pass_for_it(meta: JsonObject | None) -> None:
    sidecar = Sidecar()
    sidecar.post(request("tools/list"))
    params: JsonObject = {"name": "echo", "arguments": {TOLD: {"as": "nobody"}}}
    if meta is not None:
        params["_meta"] = meta
    assert sidecar.post(request("tools/call", params)).code == -32602


PLUMBED: list[tuple[str, JsonObject, JsonObject | None]] = [
    ("ping", {}, None),
    ("ping", {"_meta": {"note": "x"}}, {TOLD: {"note": "x"}}),
    ("tools/list", {"cursor": "c"}, {"cursor": "c"}),
    ("resources/list", {"_meta": {"progressToken": 1}}, None),
    ("logging/setLevel", {"level": "info"}, {"level": "info"}),
    ("resources/read", {"uri": "note://a", "_meta": {"a": 1}}, {"uri": "note://a", TOLD: {"a": 1}}),
    ("resources/subscribe", {"uri": "note://a"}, {"uri": "note://a"}),
    (
        "completion/complete",
        {"ref": {"type": "ref/resource", "uri": "note://{x}"}, "argument": {"name": "a"}},
        {"argument": {"name": "a"}, "uri": "note://{x}"},
    ),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "p", "title": "P"}, "argument": {"name": "a"}},
        {"argument": {"name": "a"}, "title": "P"},
    ),
]


@pytest.mark.parametrize(("method", "params", "arguments"), PLUMBED)
def test_whatever_a_message_says_is_an_argument(
    method: str, params: JsonObject, arguments: JsonObject | None
) -> None:
    sidecar = Sidecar()
    sidecar.upstream.answers[method] = replies({"jsonrpc": "2.0", "id": 1, "result": {}})
    assert sidecar.post(request(method, params)).asked[0].arguments == arguments


def test_what_a_client_says_of_itself_is_judged_when_it_says_it() -> None:
    sidecar = Sidecar(verdict=lambda ask: ask.name != "sampling/createMessage")
    params: JsonObject = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"sampling": {}, "experimental": {"a": {"note": "x"}}},
        "clientInfo": {"name": "a", "version": "1", "title": "x"},
    }
    answered = sidecar.post(request("initialize", params))
    assert answered.asked[-1].arguments == {
        **params,
        "capabilities": {"experimental": {"a": {"note": "x"}}},  # as it leaves
    }


TOLD_IN_NOTIFICATIONS: list[tuple[str, JsonObject]] = [
    ("notifications/cancelled", {"requestId": 9, "reason": "the key is hunter2"}),
    ("notifications/progress", {"progressToken": 1, "progress": 1, "message": "hunter2"}),
]


@pytest.mark.parametrize(("method", "params"), TOLD_IN_NOTIFICATIONS)
def test_the_words_of_a_notification_are_judged(method: str, params: JsonObject) -> None:
    message: JsonObject = {"jsonrpc": "2.0", "method": method, "params": params}
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    assert sidecar.post(message, legacy_headers("s-1")).asked[0].arguments == params


def _asked(method: str) -> Sidecar:
    """A session in which the upstream asked the agent for `method` as number 70."""
    sidecar = Sidecar()
    sidecar.open_session("s-1")
    sidecar.post(request("tools/list"), legacy_headers("s-1"))
    ask: JsonObject = {"jsonrpc": "2.0", "id": 70, "method": method, "params": {"message": "?"}}

    def asks(message: JsonObject) -> object:
        done: JsonObject = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}
        return streams(event(ask), event(done))

    sidecar.upstream.answers["tools/call"] = asks  # type: ignore[assignment]
    call = request("tools/call", {"name": "echo", "arguments": {"text": "hi"}}, 3)
    sidecar.post(call, legacy_headers("s-1", "2025-11-25"))
    return sidecar


ERROR: JsonObject = {"code": 1, "message": "the key is hunter2", "data": {"a": "b"}}
ANSWERS = [
    pytest.param("roots/list", {"error": ERROR}, {"error": ERROR}, id="case-49-error"),
    pytest.param("ping", {"error": ERROR}, {"error": ERROR}, id="case-49-ping-error"),
    pytest.param("ping", {"result": {}}, None, id="case-49-ping"),
    pytest.param("ping", {"result": {"a": "b"}}, {"a": "b"}, id="case-49-ping-says-more"),
    pytest.param(
        "sampling/createMessage",
        {"result": {"role": "assistant", "_meta": {"dev.outrider/x": 1, "own": 1}}},
        {"role": "assistant", "_meta": {"own": 1}},
        id="case-49-sampling",
    ),
]


@pytest.mark.parametrize(("method", "answer", "arguments"), ANSWERS)
def test_whatever_an_answer_to_a_server_says_is_judged(
    method: str, answer: JsonObject, arguments: JsonObject | None
) -> None:
    sidecar = _asked(method)
    answered = sidecar.post({"jsonrpc": "2.0", "id": 70, **answer}, legacy_headers("s-1"))
    assert answered.status == 202
    assert answered.asked[0].arguments == arguments
    assert b"dev.outrider" not in sidecar.upstream.received[-1].body  # type: ignore[operator]


@pytest.mark.parametrize("result", ["hunter2", ["hunter2"], None, 7])
def test_an_answer_that_is_no_object_is_refused(result: Json) -> None:
    sidecar = _asked("sampling/createMessage")
    before = len(sidecar.upstream.received)
    answer: JsonObject = {"jsonrpc": "2.0", "id": 70, "result": result}
    answered = sidecar.post(answer, legacy_headers("s-1"))
    assert (answered.status, answered.code) == (400, -32602)
    assert len(sidecar.upstream.received) == before


def test_on_modern_http_only_a_closed_stream_cancels() -> None:
    sidecar = Sidecar()
    message: JsonObject = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 1},
    }
    assert sidecar.modern(message).status == 400
    assert sidecar.upstream.received == []
