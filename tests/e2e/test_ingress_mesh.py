"""Two sidecars: one's agent calls the other's, and both chains tell who called and who answered."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outrider.core.jsonvalue import JsonObject
from tests.support.mcp_exchange import event, streams
from tests.support.sidecar import GuardedUpstream, McpUpstream
from tests.support.sidecar_mcp import call, hold_answers, message_of, reason_of
from tests.support.sidecar_mesh import Node, a_node, among, inward, peer_upstream
from tests.support.sidecar_policy import CRM, DESK, a_policy
from tests.support.spiffe_ca import Ca, a_ca

HERE = "/ns/support/sa/triage"
THERE = "/ns/desk/sa/planner"


@dataclass(slots=True, kw_only=True)
class Pair:
    """`here` calls `there`, whose agent speaks HTTP at `/` and MCP at `/crm`."""

    here: Node
    there: Node

    async def quiet(self) -> None:
        await self.here.world.quiet()
        await self.there.world.quiet()


@asynccontextmanager
async def _pair(room: Path, *, expect: str | None = None, **there: Any) -> AsyncIterator[Pair]:
    """Two sidecars of two trust domains that know one another."""
    acme, beta = a_ca("acme.test"), a_ca("beta.test")
    callee, caller = f"spiffe://beta.test{THERE}", f"spiffe://acme.test{HERE}"
    async with (
        a_node(
            room / "there",
            beta,
            path=THERE,
            federated=there.pop("federated", (acme,)),
            upstreams={"desk": GuardedUpstream(), "crm": McpUpstream()},
            policy=a_policy(agents=among(callee, caller), **there),
            settings={"upstreams": {"desk": inward("/"), "crm": inward("/crm")}},
        ) as answers,
        a_node(
            room / "here",
            acme,
            path=HERE,
            federated=(beta,),
            upstreams={"other": GuardedUpstream()},
            policy={
                **a_policy(agents=among(caller)),
                "outrider/manifest/peer/data.yaml": DESK,
                "outrider/manifest/tools/data.yaml": CRM,
            },
            settings=_peers(answers, expect or callee),
        ) as asks,
    ):
        yield Pair(here=asks, there=answers)


def _peers(node: Node, expect: str) -> JsonObject:
    tools = peer_upstream(node.port, expect, prefix="/tools", protocol="mcp")
    tools["url"] = f"https://127.0.0.1:{node.port}/crm"
    return {
        "upstreams": {
            "peer": peer_upstream(node.port, expect, prefix="/peer", protocol="http"),
            "tools": tools,
        }
    }


def _said(node: Node, kind: str) -> Any:
    """The one record of `kind` that belongs to an exchange."""
    (record,) = [one for one in node.world.records(kind) if one.get("exchange")]
    return record


async def test_a_call_carries_both_identities_and_instances_to_both_chains(tmp_path: Path) -> None:
    async with _pair(tmp_path) as pair:
        here, there = pair.here, pair.there
        answer = await here.world.get("/peer/tickets?id=7")
        assert (answer.status, answer.body) == (200, b"ok")
        await pair.quiet()
        (seen,) = there.world.desk.seen
        assert seen.line == "GET /desk/tickets?id=7 HTTP/1.1"
        assert [name for name, _ in seen.fields if name.startswith("outrider-")] == []

        instance = here.world.sidecar.instance
        assert instance != there.world.sidecar.instance
        asked, told = _said(here, "decision"), _said(there, "decision")
        assert asked["direction"] == "egress"
        assert asked["subject"] == {
            "id": here.spiffe_id,
            "instance": instance,
            "credential": "attested-local",
        }
        assert told["direction"] == "ingress"
        assert told["subject"] == {
            "id": here.spiffe_id,
            "instance": instance,
            "credential": "x509-svid",
        }
        outcome = _said(here, "outcome")
        assert outcome["outcome"]["status"] == "executed"
        assert [one["spiffe_id"] for one in outcome["destination"]] == [there.spiffe_id]
        assert "destination" not in _said(there, "outcome")  # the agent itself proved nothing


async def test_one_connection_carries_many_calls_under_one_identity(tmp_path: Path) -> None:
    async with _pair(tmp_path) as pair:
        for _ in range(5):
            assert (await pair.here.world.get("/peer/tickets")).status == 200
        labels = {"role": "server", "reason": "ok"}
        assert pair.there.world.metric("identity_handshakes_total", **labels) == 1


async def test_what_the_other_side_refuses_comes_back_in_the_protocols_words(
    tmp_path: Path,
) -> None:
    async with _pair(tmp_path, refused=["crm/echo", "desk/GET /tickets"]) as pair:
        world = pair.here.world
        answer = await world.raw(world.modern(call(), path="/tools"))
        result = message_of(answer)["result"]
        assert result["isError"]  # type: ignore[index,call-overload]
        assert "Denied: denied by policy" in str(result)
        assert reason_of(answer) is None  # what an upstream says of decisions is not ours to tell
        answer = await world.get("/peer/tickets")
        assert (answer.status, message_of(answer)["reason"]) == (403, "policy")
        await pair.quiet()
        assert pair.there.world.crm.methods == []
        assert pair.there.world.desk.seen == []


async def test_who_is_not_expected_is_not_called(tmp_path: Path) -> None:
    async with _pair(tmp_path, expect="spiffe://beta.test/ns/desk/sa/other") as pair:
        world = pair.here.world
        answer = await world.get("/peer/tickets")
        assert (answer.status, reason_of(answer)) == (403, "upstream_identity")
        await pair.quiet()
        outcome = _said(pair.here, "outcome")
        assert (outcome["outcome"]["status"], outcome["outcome"]["error"]) == (
            "refused",
            "upstream_identity",
        )
        assert "destination" not in outcome
        assert [one for one in pair.there.world.records() if one.get("exchange")] == []


async def test_who_does_not_know_us_lets_us_send_nothing_to_its_agent(tmp_path: Path) -> None:
    async with _pair(tmp_path, federated=()) as pair:
        answer = await pair.here.world.get("/peer/tickets")
        assert (answer.status, reason_of(answer)) == (403, "upstream_identity")
        await pair.quiet()
        assert pair.there.world.desk.seen == []
        labels = {"role": "server", "reason": "unknown_authority"}
        assert pair.there.world.metric("identity_handshakes_total", **labels) == 1


async def test_trust_that_is_withdrawn_here_cuts_what_streams_from_there(tmp_path: Path) -> None:
    async with _pair(tmp_path) as pair:
        world, other = pair.here.world, pair.there.world
        hold = hold_answers(other)
        async with world.client() as client:
            await client.send(world.modern(call(), path="/tools"))
            await client.answer(head_only=True)
            await client.reader.readuntil(b": waiting\n\n")
            await pair.here.trusts()
            async with asyncio.timeout(1.0):
                assert b"upstream_identity" in await client.reader.readuntil(b"\r\n0\r\n\r\n")
        hold.set()
        answer = await world.get("/peer/tickets")
        assert (answer.status, reason_of(answer)) == (403, "upstream_identity")
        await pair.quiet()
        outcomes = [one["outcome"] for one in world.records("outcome")]
        assert [one["status"] for one in outcomes if one["error"]] == ["unknown", "refused"]


async def test_rotation_here_ends_no_call_and_the_next_goes_under_the_new_leaf(
    tmp_path: Path,
) -> None:
    async with _pair(tmp_path) as pair:
        world, other = pair.here.world, pair.there.world
        hold = hold_answers(other)
        async with world.client() as client:
            await client.send(world.modern(call(), path="/tools"))
            await client.answer(head_only=True)
            await client.reader.readuntil(b": waiting\n\n")
            await pair.here.trusts(_beta(pair))
            assert (await world.get("/peer/tickets")).status == 200
            hold.set()
            async with asyncio.timeout(10):
                assert b"resultType" in await client.reader.readuntil(b"\r\n0\r\n\r\n")
        await pair.quiet()
        statuses = [one["outcome"]["status"] for one in world.records("outcome")]
        assert set(statuses) == {"executed"}


def _beta(pair: Pair) -> Ca:
    return pair.there.ca


async def test_a_peer_that_leaves_orderly_ends_its_streams_with_a_word(tmp_path: Path) -> None:
    """Draining, the ingress is let go like the egress."""
    async with _pair(tmp_path) as pair:
        world, other = pair.here.world, pair.there.world
        other.crm.fake.answers["tools/call"] = streams(b": waiting\n\n", event({"x": 1}))  # type: ignore[assignment]
        other.crm.hold = asyncio.Event()
        async with world.client() as client:
            await client.send(world.modern(call(), path="/tools"))
            await client.answer(head_only=True)
            await client.reader.readuntil(b": waiting\n\n")
            drain = other.sidecar.drain()
            drain.hurry()
            assert not await drain.run()
            async with asyncio.timeout(10):
                assert b"Refused: too busy" in await client.reader.readuntil(b"\r\n0\r\n\r\n")
        other.crm.hold.set()
        answer = await world.get("/peer/tickets")
        assert answer.status == 503
