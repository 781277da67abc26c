"""One exchange is one tree, from the agent's own span to the upstream's, and tells no secrets."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from outrider.core.jsonvalue import JsonObject, as_object
from tests.support.collector import Collector, a_collector
from tests.support.mcp_exchange import LEGACY, MODERN, replies
from tests.support.net import dialled
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import INITIALIZE, call, open_session

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
OTHER_TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER_PARENT = "b7ad6b7169203331"
SERVER, CLIENT, INTERNAL = 2, 3, 1
CANARY = "canary-5f2c9e71"


def traceparent(trace: str = TRACE, parent: str = PARENT, flags: str = "01") -> str:
    return f"00-{trace}-{parent}-{flags}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with a_collector() as running:
        yield running


@asynccontextmanager
async def traced(collector: Collector, **changes: Any) -> AsyncIterator[World]:
    tracing: JsonObject = {"endpoint": collector.endpoint, "ratio": 0.0, **changes}
    async with a_world(settings={"telemetry": {"tracing": tracing}}) as world:
        yield world


def with_meta(message: JsonObject, **meta: Any) -> JsonObject:
    params = as_object(message["params"])
    return message | {"params": params | {"_meta": meta}}


def sent_to(world: World) -> tuple[dict[str, str], JsonObject]:
    """The fields and the `_meta` of the last call that reached the upstream."""
    seen = world.crm.seen[-1]
    body = as_object(orjson.loads(seen.body))
    assert body["method"] == "tools/call"
    return dict(seen.fields), as_object(as_object(body["params"]).get("_meta"))


async def test_a_call_is_one_tree_under_the_agents_span(collector: Collector) -> None:
    async with traced(collector) as world:
        session = await open_session(world)
        field = f"traceparent: {traceparent()}"
        state = "tracestate: vendor=1"
        answer = await world.raw(world.legacy(call(), field, state, session=session))
        assert answer.status == 200
        await world.until(lambda: bool(collector.named("tools/call echo")))
        fields, meta = sent_to(world)
        record = [r for r in world.records("decision") if r["trace_id"] == TRACE]
    (root,) = [one for one in collector.spans if one.kind == SERVER]
    (listing, client) = [one for one in collector.spans if one.kind == CLIENT]
    assert (listing.name, listing.parent_id) == ("tools/list", root.span_id), "the sidecar's own"
    decide = collector.named("outrider.decide")[-1]
    assert {one.trace_id for one in collector.spans} == {TRACE}
    assert (root.name, root.parent_id) == ("tools/call echo", PARENT)
    assert (client.name, client.parent_id) == ("tools/call echo", root.span_id)
    assert (decide.kind, decide.parent_id) == (INTERNAL, root.span_id)
    onward = traceparent(parent=client.span_id)
    assert fields["traceparent"] == meta["traceparent"] == onward
    assert fields["tracestate"] == meta["tracestate"] == "vendor=1"
    assert root.took_ns >= client.took_ns > 0
    assert root.attributes["mcp.method.name"] == "tools/call"
    assert root.attributes["gen_ai.operation.name"] == "execute_tool"
    assert root.attributes["gen_ai.tool.name"] == "echo"
    assert root.attributes["network.transport"] == "tcp"
    assert client.attributes["http.response.status_code"] == 200
    assert client.attributes["outrider.upstream"] == "crm"
    place = (client.attributes["server.address"], client.attributes["server.port"])
    assert place == ("127.0.0.1", world.crm.port)
    assert client.attributes["network.transport"] == "tcp"
    assert listing.attributes["jsonrpc.request.id"].startswith("outrider-list-")
    for one in (root, client):
        assert one.attributes["mcp.protocol.version"] == LEGACY
        assert one.attributes["jsonrpc.request.id"] == "1"
        assert not {"error.type", "rpc.response.status_code", "mcp.session.id"} & {*one.attributes}
    assert decide.attributes["outrider.decision.effect"] == "allow"
    assert decide.attributes["outrider.decision.id"] == record[-1]["decision"]["id"]
    assert collector.resources[0]["service.name"] == "outrider"


async def test_what_the_message_says_wins_and_the_header_is_a_link(collector: Collector) -> None:
    async with traced(collector) as world:
        session = await open_session(world)
        message = with_meta(call(), traceparent=traceparent(), baggage="a=b")
        field = f"traceparent: {traceparent(OTHER_TRACE, OTHER_PARENT)}"
        await world.raw(world.legacy(message, field, session=session))
        await world.until(lambda: bool(collector.named("tools/call echo")))
        fields, meta = sent_to(world)
        traces = {r["trace_id"] for r in world.records("decision")[-1:]}
    (root,) = [one for one in collector.spans if one.kind == SERVER]
    assert (root.trace_id, root.parent_id) == (TRACE, PARENT)
    assert root.links == ((OTHER_TRACE, OTHER_PARENT),)
    assert fields["traceparent"].startswith(f"00-{TRACE}-")
    assert "baggage" not in fields
    assert "baggage" not in meta
    assert traces == {TRACE}, "the audit chain says the same"


async def test_without_the_header_the_message_alone_is_enough(collector: Collector) -> None:
    async with traced(collector) as world:
        session = await open_session(world)
        message = with_meta(call(), traceparent=traceparent())
        await world.raw(world.legacy(message, session=session))
        await world.until(lambda: bool(collector.named("tools/call echo")))
    (root,) = [one for one in collector.spans if one.kind == SERVER]
    assert (root.trace_id, root.parent_id, root.links) == (TRACE, PARENT, ())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("00-" + "0" * 32 + f"-{PARENT}-01", id="no-trace"),
        pytest.param(f"00-{TRACE}-" + "0" * 16 + "-01", id="no-span"),
        pytest.param(f"ff-{TRACE}-{PARENT}-01", id="version-ff"),
        pytest.param(f"00-{TRACE.upper()}-{PARENT}-01", id="upper-case"),
        pytest.param(f"00-{TRACE}-{PARENT}-01-more", id="a-part-more"),
        pytest.param("x" * 4000, id="endless"),
    ],
)
async def test_a_context_that_is_none_starts_anew(collector: Collector, text: str) -> None:
    async with traced(collector, ratio=1.0) as world:
        session = await open_session(world)
        message = with_meta(call(), traceparent=text)
        await world.raw(world.legacy(message, f"traceparent: {text}", session=session))
        await world.until(lambda: bool(collector.named("tools/call echo")))
        fields, _ = sent_to(world)
    root = collector.named("tools/call echo")[0]
    assert root.trace_id not in {TRACE, TRACE.upper(), "0" * 32}
    assert root.parent_id == ""
    assert fields["traceparent"].split("-")[1] == root.trace_id


async def test_an_unsampled_call_leaves_no_span_and_keeps_its_trace(collector: Collector) -> None:
    async with traced(collector) as world:
        session = await open_session(world)
        field = f"traceparent: {traceparent(flags='00')}"
        await world.raw(world.legacy(call(), field, session=session))
        fields, meta = sent_to(world)
        assert fields["traceparent"].startswith(f"00-{TRACE}-")
        assert fields["traceparent"].endswith("-00")
        assert meta == {}, "nothing is written where no trace is kept"
    assert collector.spans == []


async def test_callers_cannot_have_more_sampled_than_the_bound(collector: Collector) -> None:
    async with traced(collector, callers_per_s=2) as world:
        async with world.client() as client:
            for _ in range(12):
                head = world.head("GET", "/desk/tickets/7", f"traceparent: {traceparent()}")
                await client.send(head)
                assert (await client.answer()).status == 200
        await world.quiet()
    roots = [one for one in collector.spans if one.kind == SERVER]
    assert 2 <= len(roots) <= 6, "two in each second that it took"


async def test_baggage_goes_nowhere(collector: Collector) -> None:
    async with traced(collector, ratio=1.0) as world:
        for size in (10, 9000):
            baggage = "baggage: key=" + "x" * size
            answer = await world.get("/desk/tickets/7", baggage)
            assert answer.status in {200, 431}
        assert all("baggage" not in dict(seen.fields) for seen in world.desk.seen)
    assert b"xxxxxxxxxx" not in b"".join(collector.raw)


async def test_a_plain_call_has_the_method_for_a_name_and_a_refusal_its_reason(
    collector: Collector,
) -> None:
    async with traced(collector, ratio=1.0) as world:
        assert (await world.get("/desk/tickets/7")).status == 200
        await world.get("/nowhere")
        await world.until(lambda: len([s for s in collector.spans if s.kind == SERVER]) == 2)
    roots = [one for one in collector.spans if one.kind == SERVER]
    allowed, refused = sorted(roots, key=lambda one: one.is_error)
    assert (allowed.name, allowed.attributes["outrider.outcome"]) == ("GET", "allowed")
    assert refused.attributes["error.type"] == "unrecognised"
    assert refused.attributes["outrider.outcome"] == "denied"


async def test_no_secret_and_no_name_of_a_callers_choice_is_ever_in_a_span(
    collector: Collector,
) -> None:
    async with traced(collector, ratio=1.0) as world:
        session = await open_session(world, f"session-{CANARY}")
        evil = call(f"{CANARY}-tool", {"text": CANARY})
        read: JsonObject = {"uri": f"https://{CANARY}.test/{CANARY}?{CANARY}"}
        asked: JsonObject = {"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": read}
        for message in (call(arguments={"text": CANARY}), evil, asked):
            await world.raw(
                world.legacy(
                    with_meta(message, traceparent=CANARY, tracestate=f"v={CANARY}"),
                    f"Authorization: Bearer {CANARY}",
                    f"X-Api-Key: {CANARY}",
                    f"tracestate: v={CANARY}",
                    session=session,
                )
            )
        await world.get(f"/desk/tickets/7?key={CANARY}", f"Cookie: a={CANARY}")
        await world.get(f"/{CANARY}")
        await world.raw(world.head(CANARY.upper().replace("-", ""), "/desk/tickets/7"))
        await world.until(lambda: len([s for s in collector.spans if s.kind == SERVER]) >= 6)
    assert CANARY.encode() not in b"".join(collector.raw)
    assert CANARY.upper().encode() not in b"".join(collector.raw)


FAILED = {"result": {"content": [], "isError": True}}
REFUSED = {"error": {"code": -32011, "message": CANARY}}


@pytest.mark.parametrize(
    ("body", "word", "code"),
    [
        pytest.param(FAILED, "tool_error", None, id="tool-failed"),
        pytest.param(REFUSED, "rpc_error", "-32011", id="error"),
    ],
)
async def test_what_the_upstream_calls_a_failure_is_told_in_a_word(
    collector: Collector, body: JsonObject, word: str, code: str | None
) -> None:
    async with traced(collector) as world:
        session = await open_session(world)
        fake = world.crm.fake
        fake.answers["tools/call"] = lambda asked: replies(  # type: ignore[assignment]
            {"jsonrpc": "2.0", "id": asked["id"], **body}
        )
        field = f"traceparent: {traceparent()}"
        answer = await world.raw(world.legacy(call(), field, session=session))
        assert answer.status == 200
        await world.until(lambda: bool(collector.named("tools/call echo")))
    for one in collector.named("tools/call echo"):
        assert one.is_error
        assert one.attributes["error.type"] == word
        assert one.attributes.get("rpc.response.status_code") == code
    assert len(collector.named("tools/call echo")) == 2
    assert CANARY.encode() not in b"".join(collector.raw)


async def test_an_id_is_told_short_and_printable_and_an_unknown_version_is_other(
    collector: Collector,
) -> None:
    async with traced(collector) as world:
        session = await open_session(world)
        field = f"traceparent: {traceparent()}"
        evil = call(id_="\u202eid\n" + "x" * 80)
        await world.raw(world.legacy(evil, field, session=session))
        params = as_object(INITIALIZE["params"]) | {"protocolVersion": f"9999-{CANARY}"}
        await world.raw(world.legacy(INITIALIZE | {"params": params}, field))
        await world.until(lambda: bool(collector.named("initialize")))
    (told,) = [one for one in collector.named("tools/call echo") if one.kind == SERVER]
    assert told.attributes["jsonrpc.request.id"] == "?id?" + "x" * 60
    began = collector.named("initialize")
    assert {one.attributes["mcp.protocol.version"] for one in began} == {"other"}
    assert CANARY.encode() not in b"".join(collector.raw)


async def test_a_collector_that_hangs_holds_up_nobody_and_what_is_lost_is_counted() -> None:
    with a_collector(held=True) as collector:
        async with traced(collector, ratio=1.0, queue=1, timeout_s=30) as world:
            assert (await world.get("/desk/tickets/7")).status == 200
            await world.until(lambda: collector.asked > 0)  # nobody takes from the queue now
            for _ in range(3):
                assert (await world.get("/desk/tickets/7")).status == 200
            assert world.metric("spans_total", result="dropped") > 0
            collector.held.set()


async def test_without_a_collector_calls_pass_and_the_loss_is_counted() -> None:
    with a_collector() as gone:
        pass
    async with traced(gone, ratio=1.0, timeout_s=1) as world:
        assert (await world.get("/desk/tickets/7")).status == 200
        await world.until(lambda: world.metric("spans_total", result="failed") > 0)


async def test_a_sampled_exchange_is_the_exemplar_of_its_time(collector: Collector) -> None:
    async with traced(collector) as world:
        await world.get("/desk/tickets/7", f"traceparent: {traceparent()}")
        await world.quiet()
        port = int(world.sidecar.telemetry.addresses[0].rpartition(":")[2])
        kind = "Accept: application/openmetrics-text; version=1.0.0"
        async with dialled(port) as client:
            await client.send(
                f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n{kind}\r\n\r\n".encode()
            )
            page = (await client.answer()).body.decode()
    for family in ("exchange_duration_seconds", "decision_duration_seconds"):
        lines = [line for line in page.splitlines() if f"outrider_{family}_bucket" in line]
        assert any(f'trace_id="{TRACE}"' in line for line in lines), family


async def test_a_modern_call_is_one_tree_too(collector: Collector) -> None:
    async with traced(collector) as world:
        message = call()
        answer = await world.raw(world.modern(message, f"traceparent: {traceparent()}"))
        assert answer.status == 200, answer
        await world.until(lambda: bool(collector.named("tools/call echo")))
        fields, meta = sent_to(world)
    (root,) = [one for one in collector.spans if one.kind == SERVER]
    assert (root.trace_id, root.parent_id) == (TRACE, PARENT)
    assert root.attributes["mcp.protocol.version"] == MODERN
    assert fields["traceparent"] == meta["traceparent"]
    assert fields["traceparent"].startswith(f"00-{TRACE}-")


async def test_without_traces_what_the_message_says_is_gone_on_with_all_the_same() -> None:
    async with a_world() as world:
        session = await open_session(world)
        message = with_meta(call(), traceparent=traceparent(), baggage="a=b")
        field = f"traceparent: {traceparent(OTHER_TRACE, OTHER_PARENT)}"
        await world.raw(world.legacy(message, field, session=session))
        await world.quiet()
        fields, meta = sent_to(world)
        assert fields["traceparent"] == meta["traceparent"]
        assert fields["traceparent"].startswith(f"00-{TRACE}-")
        assert "baggage" not in meta
        assert world.records("decision")[-1]["trace_id"] == TRACE
