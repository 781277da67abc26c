"""A sidecar that SPIFFE peers call: one pipeline for both ways, no way across, and no longer than
the proof of who calls holds (PROTOCOLS §12, 57 and 58)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.mcp_exchange import Reply, event, request, streams
from tests.support.net import RawClient, UpstreamTurn, dialled
from tests.support.sidecar import GuardedUpstream, McpUpstream
from tests.support.sidecar_mcp import (
    INITIALIZE,
    begins,
    call,
    events_of,
    hold_answers,
    message_of,
    reason_of,
    result,
)
from tests.support.sidecar_mesh import CALLER, HOME, Node, a_node, among, ends_within, inward
from tests.support.sidecar_policy import DESK, REFUSING, a_policy
from tests.support.spiffe_ca import Ca, Svid, a_ca
from tests.support.spiffe_wire import their_client

OWN = f"spiffe://acme.test{HOME}"
PLANNER = f"spiffe://acme.test{CALLER}"
PARTNER = f"spiffe://beta.test{CALLER}"
WITHIN_S = 1.0
"""IDENTITY §3.3, on a machine that others use too: how long dead trust may live."""


@asynccontextmanager
async def _node(room: Path, **more: Any) -> AsyncIterator[tuple[Node, Ca]]:
    """A sidecar of acme.test that beta.test may call: its agent speaks HTTP at `/in` and MCP at
    `/crm`; `out` is what the agent itself may reach."""
    acme, beta = a_ca("acme.test"), a_ca("beta.test")
    upstreams: dict[str, GuardedUpstream] = {
        "desk": GuardedUpstream(),
        "crm": McpUpstream(),
        "out": GuardedUpstream(),
        **more.pop("upstreams", {}),
    }
    settings: JsonObject = {
        "upstreams": {
            "desk": inward("/in", **more.pop("desk", {})),
            "crm": inward("/crm"),
        },
        **more.pop("settings", {}),
    }
    policy = more.pop("policy", None) or a_policy(agents=among(OWN, PLANNER, PARTNER))
    async with a_node(
        room / "svid",
        acme,
        federated=(beta,),
        upstreams=upstreams,
        settings=settings,
        policy={**policy, "outrider/manifest/out/data.yaml": DESK},
        **more,
    ) as node:
        yield node, beta


def _planner(node: Node, **changes: Any) -> Svid:
    return node.ca.svid(CALLER, **changes)


# --- one pipeline for both ways ---


async def test_a_peers_call_reaches_the_agent_and_is_on_the_chain_as_one_from_outside(
    tmp_path: Path,
) -> None:
    async with _node(tmp_path) as (node, _):
        answer = await node.ask(_planner(node), node.request("/in/tickets?id=1"))
        assert (answer.status, answer.body) == (200, b"ok")
        world = node.world
        await world.quiet()
        (seen,) = world.desk.seen
        assert seen.line == "GET /desk/tickets?id=1 HTTP/1.1"
        assert seen.field("host") == f"127.0.0.1:{world.desk.port}"
        for record in (*world.decisions("allow"), *world.records("outcome")):
            assert record["direction"] == "ingress"
            assert record["subject"]["id"] == PLANNER
        labels = {"direction": "ingress", "protocol": "http", "outcome": "allowed"}
        assert world.metric("exchanges_total", **labels) == 1
        assert world.metric("exchanges_total", direction="egress") == 0


RULES = (
    REFUSING
    + """
_request := input.context.request

_refused if {
	_request.direction == "ingress"
	_request.scheme != "https"
}

_refused if {
	_request.direction == "ingress"
	_request.host == "forbidden.test"
}

_refused if {
	_request.direction == "egress"
	input.resource.properties.upstream != "out"
}
"""
)


async def test_policy_is_told_which_way_a_call_goes(tmp_path: Path) -> None:
    policy = a_policy(RULES, agents=among(OWN, PLANNER))
    async with _node(tmp_path, policy=policy) as (node, _):
        svid = _planner(node)
        assert (await node.ask(svid, node.request("/in/tickets"))).status == 200
        asked = node.request("/in/tickets").replace(b"agent.acme.test", b"forbidden.test")
        assert (await node.ask(svid, asked)).status == 403
        assert (await node.world.get("/out/tickets")).status == 200
        assert len(node.world.desk.seen) == 1


async def test_a_peer_is_shown_what_it_may_call_and_refused_in_its_protocols_words(
    tmp_path: Path,
) -> None:
    policy = a_policy(agents=among(OWN, PLANNER), hidden=["crm/send"], refused=["crm/update"])
    async with _node(tmp_path, policy=policy) as (node, _):
        world, svid = node.world, _planner(node)
        listed = message_of(await node.ask(svid, world.modern(request("tools/list"))))
        shown = [tool["name"] for tool in listed["result"]["tools"]]  # type: ignore[index,call-overload,union-attr]
        assert shown == ["echo", "search", "update"]
        answer = await node.ask(svid, world.modern(call("update")))
        assert (answer.status, reason_of(answer)) == (200, "policy")
        assert (await node.ask(svid, world.modern(call("echo")))).status == 200
        assert world.crm.methods == ["tools/list", "tools/call"]


async def test_a_callers_token_and_cookies_stay_here_and_the_agents_own_goes_on(
    tmp_path: Path,
) -> None:
    secret = tmp_path / "token"
    secret.write_text("agent-token-0123456789")
    secret.chmod(0o600)
    settings: JsonObject = {"credentials": {"own": {"file": str(secret), "upstreams": ["desk"]}}}
    async with _node(tmp_path, settings=settings, desk={"credential": "own"}) as (node, _):
        asked = node.request("/in/tickets", "Cookie: a=b", "X-Api-Key: k", "Proxy-Authorization: x")
        assert (await node.ask(_planner(node), asked)).status == 200
        (seen,) = node.world.desk.seen
        assert seen.field("authorization") == "Bearer agent-token-0123456789"
        assert not {"cookie", "x-api-key", "proxy-authorization"} & dict(seen.fields).keys()


# --- no way across ---


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param("/out/tickets", id="an-egress-prefix"),
        pytest.param("/.outrider/task", id="reserved"),
        pytest.param("/tickets", id="no-prefix"),
        pytest.param("/inside/tickets", id="no-whole-segment"),
    ],
)
async def test_a_peer_reaches_the_agent_and_nothing_the_agent_may_reach(
    tmp_path: Path, asked: str
) -> None:
    async with _node(tmp_path) as (node, _), node.world.refuses("unrecognised"):
        assert (await node.ask(_planner(node), node.request(asked))).status == 404


async def test_a_host_that_egress_routes_leads_no_peer_out(tmp_path: Path) -> None:
    async with _node(
        tmp_path, settings={}, upstreams={"shop": GuardedUpstream(host="shop.test")}
    ) as (node, _):
        async with node.world.refuses("unrecognised"):
            asked = node.request("/shop/x").replace(b"agent.acme.test", b"shop.test")
            assert (await node.ask(_planner(node), asked)).status == 404
        async with node.world.refuses("malformed"):
            asked = node.request("https://agent.acme.test/in/tickets")
            assert (await node.ask(_planner(node), asked)).status == 400


@pytest.mark.parametrize("asked", ["/in/tickets", "/crm", "/.outrider/nothing"])
async def test_the_agent_does_not_come_round_to_itself(tmp_path: Path, asked: str) -> None:
    async with _node(tmp_path) as (node, _):
        assert (await node.world.get("/out/tickets")).status == 200
        async with node.world.refuses("unrecognised"):
            assert (await node.world.get(asked)).status == 404


async def test_the_agent_does_not_name_an_instance(tmp_path: Path) -> None:
    async with _node(tmp_path) as (node, _):
        async with node.world.refuses("malformed") as records:
            answer = await node.world.get("/out/tickets", "Outrider-Instance: pod:7")
            assert answer.status == 400
        assert records[0]["decision"]["cause"] == "reserved"
        async with node.world.refuses("malformed"):
            spelt = await node.world.get("/out/tickets", "outrider.instance: pod:7")
            assert spelt.status == 400


async def test_our_svid_is_no_leave_to_call_in_by_the_agents_door(tmp_path: Path) -> None:
    """TLS to the egress listener, plain HTTP to the ingress one: neither is spoken."""
    async with _node(tmp_path) as (node, _):
        world = node.world
        ours = node.ca.svid(HOME)
        egress, ingress = world.port, node.port
        assert (await node.ask(ours, node.request("/in/tickets"))).status == 200
        for port, tls in ((egress, True), (ingress, False)):
            assert await _answers(port, ours if tls else None, node) is None
        assert len(world.desk.seen) == 1


async def _answers(port: int, svid: Svid | None, node: Node) -> int | None:
    try:
        async with dialled(port, None if svid is None else their_client(svid)) as client:
            await client.send(node.request("/in/tickets"))
            return (await client.answer()).status
    except (OSError, asyncio.IncompleteReadError):
        return None


# --- no longer than the proof holds ---


End = Callable[[Node, Svid], Awaitable[float]]
"""Has the proof that an SVID is end; when it did, by the loop's clock."""


async def _withdrawn(node: Node, svid: Svid) -> float:
    await node.trusts()
    return asyncio.get_running_loop().time()


async def _redacted(node: Node, svid: Svid) -> float:
    node.world.sidecar.identity.keeper.redact()
    return asyncio.get_running_loop().time()


async def _spent(node: Node, svid: Svid) -> float:
    clock, loop = node.world.sidecar.clock, asyncio.get_running_loop()
    ends_s = svid.certificate.not_valid_after_utc.timestamp()
    when_s = loop.time() + ends_s - clock.unix_s()
    await node.world.until(lambda: clock.unix_s() > ends_s)
    return when_s


ENDS: dict[str, tuple[float, End, str]] = {
    "withdrawn": (3600, _withdrawn, "peer_withdrawn"),
    "expired": (3.0, _spent, "peer_expired"),
    "we-are-redacted": (3600, _redacted, ""),
}


@pytest.mark.parametrize("name", ["withdrawn", "expired"])
async def test_the_next_request_of_a_live_connection_is_refused_and_ends_it(
    tmp_path: Path, name: str
) -> None:
    life_s, end, cause = ENDS[name]
    async with _node(tmp_path) as (node, beta):
        svid = beta.svid(CALLER, seconds=(-60, life_s))
        async with node.called_by(svid) as client:
            await client.send(node.request("/in/tickets"))
            answer = await client.answer()
            assert (answer.status, answer.field("connection")) == (200, None)
            await end(node, svid)
            async with node.world.refuses("unauthenticated") as records:
                await client.send(node.request("/in/tickets"))
                answer = await client.answer()
                assert (answer.status, answer.field("connection")) == (401, "close")
                assert await client.rest() == b""
        assert records[0]["decision"]["cause"] == cause
        assert len(node.world.desk.seen) == 1


async def test_without_our_own_identity_no_connection_of_a_peer_is_kept(tmp_path: Path) -> None:
    async with _node(tmp_path) as (node, beta), node.called_by(beta.svid(CALLER)) as client:
        await client.send(node.request("/in/tickets"))
        assert (await client.answer()).status == 200
        node.world.sidecar.identity.keeper.redact()
        async with asyncio.timeout(WITHIN_S):
            assert await client.rest() == b""


async def test_case_57_a_session_goes_on_under_a_new_leaf_and_is_nobody_elses(
    tmp_path: Path,
) -> None:
    async with _node(tmp_path) as (node, beta):
        world = node.world
        world.crm.fake.answers["initialize"] = begins("s-1")  # type: ignore[assignment]
        answer = await node.ask(_planner(node), world.legacy(INITIALIZE))
        assert (answer.status, answer.field("mcp-session-id")) == (200, "s-1")
        asked = world.legacy(call(), session="s-1")
        assert (await node.ask(_planner(node), asked)).status == 200  # another leaf, the same ID
        async with world.refuses("unrecognised"):
            assert (await node.ask(beta.svid(CALLER), asked)).status == 404


async def test_case_57_our_own_rotation_ends_nobodys_connection(tmp_path: Path) -> None:
    async with _node(tmp_path) as (node, beta), node.called_by(beta.svid(CALLER)) as client:
        await client.send(node.request("/in/tickets"))
        assert (await client.answer()).status == 200
        await node.trusts(beta)
        await client.send(node.request("/in/tickets"))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("wire", ["legacy", "modern"])
@pytest.mark.parametrize(("life_s", "end", "_"), ENDS.values(), ids=ENDS)
async def test_case_58_a_stream_ends_within_a_second_and_says_why(
    tmp_path: Path, life_s: float, end: End, _: str, wire: str
) -> None:
    """In the words of the caller's protocol; then its connection ends."""
    async with _node(tmp_path) as (node, beta):
        world = node.world
        hold = hold_answers(world)
        svid = beta.svid(CALLER, seconds=(-60, life_s))
        async with node.called_by(svid) as client, asyncio.TaskGroup() as group:
            await client.send(getattr(world, wire)(call()))
            await client.answer(head_only=True)
            await client.reader.readuntil(b": waiting\n\n")
            ended = group.create_task(_ended(client))
            due_s = await end(node, svid)
            body, when_s = await ended
            assert when_s - due_s < WITHIN_S
        (last,) = events_of(body)[-1:]
        assert last["error"]["data"]["reason"] == "unauthenticated"  # type: ignore[index,call-overload]
        hold.set()
        await world.quiet()
        outcome = world.records("outcome")[-1]["outcome"]
        assert (outcome["status"], outcome["error"]) == ("unknown", "unauthenticated")
        assert len(world.sidecar.live) == 0


class _Endless(GuardedUpstream):
    """An agent that never stops talking; `answers` has one for each piece of it."""

    async def answer(self, turn: UpstreamTurn, seen: Any) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        await turn.say(head + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"data: " + b"x" * 8184 + b"\n\n"
        while True:
            await turn.say(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.answers = (*self.answers, b"")

    def is_stuck(self) -> Callable[[], bool]:
        """True once it could say nothing more for twenty looks."""
        seen: list[int] = []

        def look() -> bool:
            seen.append(len(self.answers))
            return len(seen) > 20 and seen[-20] == seen[-1]

        return look


async def test_a_peer_that_reads_nothing_is_cut_as_soon(tmp_path: Path) -> None:
    desk = {"http": {"body": "opaque"}}
    agent = _Endless()
    async with _node(tmp_path, upstreams={"desk": agent}, desk=desk) as (node, beta):
        world = node.world
        async with node.called_by(beta.svid(CALLER)) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(node.request("/in/tickets"))
            await world.until(lambda: len(world.desk.seen) == 1)
            await world.until(agent.is_stuck())  # every buffer on the way is full
            await node.trusts()
            await ends_within(WITHIN_S, lambda: len(world.sidecar.live) == 0)
            client.writer.transport.abort()
        await world.quiet()
        assert world.records("outcome")[-1]["outcome"]["status"] == "unknown"


async def _ended(client: RawClient) -> tuple[bytes, float]:
    body = await client.rest()
    return body, asyncio.get_running_loop().time()


async def test_the_local_agents_stream_ends_with_our_own_identity(tmp_path: Path) -> None:
    async with _node(tmp_path, upstreams={"mail": McpUpstream()}) as (node, _):
        world = node.world
        mail = world.upstreams["mail"]
        assert isinstance(mail, McpUpstream)
        mail.fake.answers["tools/call"] = _held
        mail.hold = asyncio.Event()
        async with world.client() as client:
            await client.send(world.modern(call(), path="/mail"))
            await client.answer(head_only=True)
            await client.reader.readuntil(b": waiting\n\n")
            world.sidecar.identity.keeper.redact()
            async with asyncio.timeout(WITHIN_S):
                assert b"unauthenticated" in await client.rest()
        mail.hold.set()
        async with world.refuses("unauthenticated"):
            assert (await world.get("/out/tickets")).status == 401


def _held(message: JsonObject) -> Reply:
    done: JsonObject = {"content": [], "resultType": "complete"}
    return streams(b": waiting\n\n", event(result(message, done)))
