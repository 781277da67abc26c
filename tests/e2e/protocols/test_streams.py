"""PROTOCOLS §12, 43 to 55: answers and event streams, through the real listener."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import Reason
from outrider.tasks.quarantine import Scope
from tests.support.mcp_exchange import BOTH, LEGACY, Reply, event, replies, request, streams
from tests.support.net import RawClient
from tests.support.sidecar import BY_TOKEN, PLENTY_S, World, a_world
from tests.support.sidecar_mcp import (
    call,
    code_of,
    events_of,
    hold_answers,
    message_of,
    open_session,
    reason_of,
    result,
)
from tests.support.sidecar_policy import AGENT, a_policy

CALL = call()
SSE = (("content-type", "text/event-stream"),)
CONTENT: JsonObject = {"content": [{"type": "text", "text": "done"}], "resultType": "complete"}
DONE: JsonObject = {"jsonrpc": "2.0", "id": 1, "result": CONTENT}
PROGRESS: JsonObject = {
    "jsonrpc": "2.0",
    "method": "notifications/progress",
    "params": {"progressToken": 1, "progress": 0.5, "message": "half"},
}


def _says(world: World, *chunks: bytes) -> None:
    world.crm.fake.answers["tools/call"] = streams(*chunks)


async def _called(world: World, message: JsonObject = CALL, wire: str = "legacy") -> Any:
    return await world.raw(getattr(world, wire)(message))


async def test_case_43_any_split_gives_the_same_events() -> None:
    whole = b"\xef\xbb\xbf: hi\r\n" + event(PROGRESS) + event(DONE).replace(b"\n", b"\r\n")
    async with a_world() as world:
        _says(world, whole)
        expected = await _called(world)
        assert events_of(expected.body) == [PROGRESS, DONE]
        for size in (1, 2, 3, 7):
            _says(world, *(whole[at : at + size] for at in range(0, len(whole), size)))
            assert (await _called(world)).body == expected.body
        # without its blank line the last event is none: the call has no answer
        _says(world, whole.rstrip())
        cut = await _called(world)
        assert events_of(cut.body)[0] == PROGRESS
        assert events_of(cut.body)[-1]["result"]["isError"] is True  # type: ignore[index,call-overload]


async def test_case_44_comments_pass_at_once() -> None:
    async with a_world() as world:
        await _called(world)
        hold = hold_answers(world)
        async with world.client() as client:
            await client.send(world.legacy(CALL))
            await client.answer(head_only=True)
            async with asyncio.timeout(PLENTY_S):
                first = await client.reader.readuntil(b": waiting\n\n")
            assert first.endswith(b": waiting\n\n")
            assert not hold.is_set()
            hold.set()


LONG = [
    pytest.param(b"data: " + b"x" * 5000 + b"\n\n", id="case-45-long-line"),
    pytest.param(b"data: x\n" * 1000, id="case-45-many-lines"),
    pytest.param(b"x" * 5000, id="case-45-endless"),
]


@pytest.mark.parametrize("chunk", LONG)
async def test_a_long_event_cuts_the_stream(chunk: bytes) -> None:
    async with a_world(settings={"limits": {"sse_event_bytes": 4096}}) as world:
        _says(world, event(PROGRESS), event(DONE))
        assert events_of((await _called(world)).body)[-1] == DONE
        _says(world, event(PROGRESS), chunk, event(DONE))
        events = events_of((await _called(world)).body)
        assert events[0] == PROGRESS
        assert (events[-1]["id"], events[-1]["result"]["isError"]) == (1, True)  # type: ignore[index,call-overload]
        await world.quiet()
        outcomes = world.records("outcome")
        assert outcomes[-1]["outcome"]["status"] == "unknown"


FOREIGN: JsonObject = {"jsonrpc": "2.0", "id": 2, "result": {}}
DROPPED = [
    pytest.param(b"event: other\ndata: {}\n\n", id="case-46-unknown-event"),
    pytest.param(b"data: hello\n\n", id="case-46-no-json"),
    pytest.param(event(FOREIGN), id="case-47-foreign"),
    pytest.param(event({**FOREIGN, "id": "1"}), id="case-47-other-type"),
]


@pytest.mark.parametrize("wire", ["legacy", "modern"])
@pytest.mark.parametrize("chunk", DROPPED)
async def test_what_is_not_the_answer_is_dropped(chunk: bytes, wire: str) -> None:
    async with a_world() as world:
        await _called(world, wire=wire)
        _says(world, event(PROGRESS), chunk, event(DONE))
        assert events_of((await _called(world, wire=wire)).body) == [PROGRESS, DONE]


async def test_case_47_a_second_final_response_is_dropped_and_recorded() -> None:
    async with a_world() as world:
        _says(world, event(DONE), event(DONE))
        assert events_of((await _called(world)).body) == [DONE]
        await world.quiet()
        notes = [record["note"]["event"] for record in world.records("admin")]
        assert notes[-1:] == ["response_dropped"]


SAMPLING = request("sampling/createMessage", {"messages": [], "maxTokens": 5}, 70)


async def test_case_48_a_request_of_the_server_is_dropped_on_the_modern_wire() -> None:
    async with a_world() as world:
        await _called(world, wire="modern")
        _says(world, event(SAMPLING), event(DONE))
        assert events_of((await _called(world, wire="modern")).body) == [DONE]


@pytest.mark.parametrize("allowed", [True, False], ids=["case-48-allowed", "case-48-denied"])
async def test_a_request_of_the_server_is_decided_on_the_legacy_wire(allowed: bool) -> None:
    refused = [] if allowed else ["crm/sampling/createMessage"]
    async with a_world(a_policy(refused=refused)) as world:
        session = await open_session(world)
        _says(world, event(SAMPLING), event(DONE))
        answer = await world.raw(world.legacy(CALL, session=session))
        events = events_of(answer.body)
        assert events == ([SAMPLING, DONE] if allowed else events[-1:])
        if not allowed:  # its server would wait for an answer, and the call with it
            assert "the server asked the agent for sampling/createMessage" in str(events[-1])
            assert events[-1]["result"]["_meta"]["dev.outrider/decision"]["reasons"] == ["T-01"]  # type: ignore[index,call-overload]
        await world.quiet()
        found = [
            record["decision"]["enforced"]
            for record in world.records("decision")
            if record["action"].get("resource") == "crm/sampling/createMessage"
        ]
        assert found == ["allow" if allowed else "deny"]


ROOTS: JsonObject = {"jsonrpc": "2.0", "id": 70, "method": "roots/list"}


async def test_case_49_a_posted_answer_fits_a_request_that_was_passed_to_its_subject() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        mine, theirs = world.bearer(), world.bearer("spiffe://acme.test/ns/support/sa/triage")
        session = await open_session(world, "s-1", mine)
        _says(world, event(ROOTS), event(DONE))
        await world.raw(world.legacy(CALL, mine, session=session))
        answer: JsonObject = {"jsonrpc": "2.0", "id": 70, "result": {"roots": []}}
        wrong: JsonObject = {**answer, "id": 71}
        async with world.refuses("malformed"):
            unknown = await world.raw(world.legacy(wrong, mine, session=session))
        async with world.refuses("unrecognised"):
            foreign = await world.raw(world.legacy(answer, theirs, session=session))
        assert (unknown.status, foreign.status) == (400, 404)
        assert (await world.raw(world.legacy(answer, mine, session=session))).status == 202
        async with world.refuses("malformed"):
            again = await world.raw(world.legacy(answer, mine, session=session))
        assert again.status == 400


async def test_case_49_roots_that_policy_keeps_are_not_told() -> None:
    async with a_world(a_policy(hidden=["crm/file:///home/me"])) as world:
        session = await open_session(world)
        _says(world, event(ROOTS), event(DONE))
        await world.raw(world.legacy(CALL, session=session))
        roots: list[Json] = [{"uri": "file:///work"}, {"uri": "file:///home/me", "name": "me"}]
        answer: JsonObject = {"jsonrpc": "2.0", "id": 70, "result": {"roots": roots}}
        assert (await world.raw(world.legacy(answer, session=session))).status == 202
        assert orjson.loads(world.crm.seen[-1].body)["result"] == {"roots": roots[:1]}


async def _under_way(world: World, client: RawClient, wire: str) -> None:
    await client.send(getattr(world, wire)(CALL))
    await client.answer(head_only=True)


async def test_case_50_a_caller_that_leaves_cancels_the_modern_call_and_not_the_legacy_one() -> (
    None
):
    async with a_world() as world:
        await _called(world, wire="modern")
        hold = hold_answers(world)
        clock = world.sidecar.clock
        async with world.client() as client:
            await _under_way(world, client, "modern")
            left_s = clock.monotonic_s()
        await world.quiet()
        assert (
            clock.monotonic_s() - left_s < PLENTY_S
        )  # the page says 100 ms; the machine is shared
        assert world.records("outcome")[-1]["outcome"]["status"] == "unknown"
        async with world.client() as client:
            await _under_way(world, client, "legacy")
        assert world.metric("exchanges_in_flight") == 1
        hold.set()
        await world.quiet()
        assert world.records("outcome")[-1]["outcome"]["status"] == "executed"


async def test_case_51_only_the_owner_resumes_a_stream_and_replays_are_filtered_again() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        mine, theirs = world.bearer(), world.bearer("spiffe://acme.test/ns/support/sa/triage")
        session = await open_session(world, "s-1", mine)
        await world.raw(world.legacy(CALL, mine, session=session))
        _says(world, b"id: e1\ndata: \n\n")
        await world.raw(world.legacy(call(id_=3), mine, session=session))
        answer: JsonObject = {"jsonrpc": "2.0", "id": 3, "result": CONTENT}
        world.crm.fake.answers["GET"] = streams(event(FOREIGN), event(answer, "e2"))

        async def resumed(last: str, who: str) -> Any:
            fields = (f"Accept: {BOTH}", f"Mcp-Session-Id: {session}", f"Last-Event-ID: {last}")
            version = f"Mcp-Protocol-Version: {LEGACY}"
            return await world.get("/crm", version, *fields, who)

        async with world.refuses("malformed"):
            assert (await resumed("forged", mine)).status == 400
        async with world.refuses("unrecognised"):
            assert (await resumed("e1", theirs)).status == 404
        assert events_of((await resumed("e1", mine)).body) == [answer]


async def test_case_52_an_upstream_that_dies_in_a_stream_leaves_an_error_and_an_unknown_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with a_world() as world:
        await _called(world)
        seen = len(world.crm.seen)
        monkeypatch.setattr(type(world.crm), "answer", _dies)
        answer = await _called(world, call("update"))
        events = events_of(answer.body)
        assert (events[-1]["id"], events[-1]["result"]["isError"]) == (1, True)  # type: ignore[index,call-overload]
        await world.quiet()
        assert len(world.crm.seen) == seen + 1  # no retry
        assert world.records("outcome")[-1]["outcome"]["status"] == "unknown"


async def _dies(self: Any, turn: Any, seen: Any) -> None:
    await turn.say(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    await turn.say(b"Transfer-Encoding: chunked\r\n\r\n5\r\n: hi\n\r\n")
    turn.reset()


LIMITED = """package outrider

# METADATA
# entrypoint: true
default decision := {"effect": "deny"}

decision := {"effect": "allow", "obligations": obligations}

obligations := [{"type": "limit", "records": 2}] if {
	input.action.name in {"tools/call", "prompts/get"}
} else := []
"""


def _long_event(world: World, client: RawClient) -> bytes:
    return b"data: " + b"x" * 9000 + b"\n\n"


def _too_many_records(world: World, client: RawClient) -> bytes:
    many: JsonObject = {"content": [1, 2, 3], "messages": [], "resultType": "complete"}
    return event({"jsonrpc": "2.0", "id": 1, "result": many})


def _quarantine(world: World, client: RawClient) -> bytes:
    world.sidecar.quarantine.cut(Scope.AGENT, AGENT)
    world.sidecar.live.cut(lambda live: live.agent == AGENT, Reason.QUARANTINED)
    return event(DONE)


GET_PROMPT = request("prompts/get", {"name": "greet"})
PROMPTS: JsonObject = {"prompts": [{"name": "greet"}], "resultType": "complete"}
LATE = [
    pytest.param(_long_event, "upstream_error", -32603, id="case-53-fault"),
    pytest.param(_too_many_records, "obligation", -31403, id="case-53-obligation"),
    pytest.param(_quarantine, "quarantined", -31403, id="case-53-cut"),
]


@pytest.mark.parametrize("wire", ["legacy", "modern"])
@pytest.mark.parametrize("message", [CALL, GET_PROMPT], ids=["tool", "prompt"])
@pytest.mark.parametrize(("late", "reason", "code"), LATE)
async def test_a_denial_after_the_head_is_the_final_event(
    late: Callable[[World, RawClient], bytes],
    reason: str,
    code: int,
    message: JsonObject,
    wire: str,
) -> None:
    settings: JsonObject = {"limits": {"sse_event_bytes": 4096}}
    async with a_world(a_policy(LIMITED), settings=settings) as world:
        world.crm.fake.answers["prompts/list"] = lambda m: replies(result(m, dict(PROMPTS)))
        for listing in ("tools/list", "prompts/list"):
            await world.raw(getattr(world, wire)(request(listing)))
        world.crm.hold = asyncio.Event()
        pieces = [event(PROGRESS), b": waiting\n\n", b"", event(DONE)]
        world.crm.fake.answers[str(message["method"])] = (200, SSE, pieces)
        async with world.client() as client:
            await client.send(getattr(world, wire)(message))
            head = await client.answer(head_only=True)
            assert (head.status, head.field("content-type")) == (200, "text/event-stream")
            async with asyncio.timeout(PLENTY_S):
                first = await client.reader.readuntil(b"\n\n")
                pieces[2] = late(world, client)
                world.crm.hold.set()
                body = first + await client.reader.readuntil(b"\r\n0\r\n\r\n")
            told, last = events_of(body)  # and nothing after it
        assert told == PROGRESS
        assert last["id"] == 1
        if message is CALL:
            found: Any = last["result"]
            assert (found["isError"], found.get("resultType")) == (
                True,
                "complete" if wire == "modern" else None,
            )
            assert found["_meta"]["dev.outrider/decision"]["reason"] == reason
        else:
            error: Any = last["error"]
            assert (error["code"], error["data"]["reason"]) == (code, reason)
        await world.quiet()
        outcome = world.records("outcome")[-1]["outcome"]
        assert (outcome["status"], outcome["error"]) == ("unknown", reason)


async def test_case_53_a_stream_on_which_no_answer_is_owed_is_cut_without_one() -> None:
    async with a_world() as world:
        session = await open_session(world)
        world.crm.hold = asyncio.Event()
        world.crm.fake.answers["GET"] = streams(b": open\n\n", b": end\n\n")
        fields = (f"Accept: {BOTH}", f"Mcp-Session-Id: {session}")
        async with world.client() as client:
            await client.send(world.head("GET", "/crm", *fields))
            assert (await client.answer(head_only=True)).status == 200
            async with asyncio.timeout(PLENTY_S):
                await client.reader.readuntil(b"\n\n\r\n")
            _quarantine(world, client)
            assert await client.rest() == b""  # not even ended as if it was whole
        world.crm.hold.set()


async def test_case_54_denied_uris_leave_the_filter_and_the_acknowledgement() -> None:
    async with a_world(a_policy(hidden=["crm/note://a/secret"])) as world:
        wanted: JsonObject = {"resourceSubscriptions": ["note://a/open", "note://a/secret"]}

        def acknowledges(message: JsonObject) -> Reply:
            asked = message["params"]["notifications"]  # type: ignore[index,call-overload]
            told: JsonObject = {
                "jsonrpc": "2.0",
                "method": "notifications/subscriptions/acknowledged",
                "params": {
                    "notifications": {**asked, "resourceSubscriptions": [*_both()]},
                    "_meta": {"io.modelcontextprotocol/subscriptionId": message["id"]},
                },
            }
            return streams(event(told), event(result(message, {"resultType": "complete"})))

        world.crm.fake.answers["subscriptions/listen"] = acknowledges
        listen = request("subscriptions/listen", {"notifications": wanted})
        answer = await _called(world, listen, "modern")
        sent = orjson.loads(world.crm.seen[-1].body)["params"]["notifications"]
        assert sent["resourceSubscriptions"] == ["note://a/open"]
        assert b"note://a/secret" not in answer.body


def _both() -> list[Json]:
    return ["note://a/open", "note://a/secret"]


async def test_case_55_json_and_stream_are_one_decision_and_html_is_an_error() -> None:
    async with a_world() as world:
        await _called(world)
        forms: dict[str, Callable[[], Reply]] = {
            "json": lambda: replies(DONE),
            "stream": lambda: streams(event(DONE)),
        }
        records = []
        for form in forms.values():
            world.crm.fake.answers["tools/call"] = form()
            answer = await _called(world)
            found = events_of(answer.body) or [message_of(answer)]
            assert found == [DONE]
            await world.quiet()
            record = world.decisions("allow")[-1]
            records.append((record["action"], record["decision"]["effect"]))
        assert records[0] == records[1]
        for headers in ((("content-type", "text/html"),), ()):
            world.crm.fake.answers["tools/call"] = (200, headers, (b"<p>hi</p>",))
            answer = await _called(world)
            assert reason_of(answer) == "upstream_error"
            assert code_of(answer) in {None, -32603}
