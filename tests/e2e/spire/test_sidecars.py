"""Whole sidecars as workloads of real SPIRE: each a process under a uid of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from outrider.cli.demo.spire.forger import Partner, call
from outrider.core.clock import SystemClock
from outrider.core.jsonvalue import Json
from tests.support.net import RawAnswer, dialled
from tests.support.sidecar_mcp import reason_of
from tests.support.spire import PLENTY_S, TOLD_S, Realm, another_agent, federated, within
from tests.support.spire_sidecar import Workload, a_workload

pytestmark = [pytest.mark.spire, pytest.mark.timeout(120)]
SHORT_S = 16
"""A life that rotates about every four seconds: SPIRE adds 10 s before it."""
BRIEF_S = 7
STATE = "identity_workload_api_state"
ENDED = "identity_workload_api_reconnects_total"
SHAKEN = "identity_handshakes_total"
ENDLESS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"9\r\ndata: 1\n\n\r\n"
)


@asynccontextmanager
async def _both(realm: Realm, ttl_s: int = 3600) -> AsyncIterator[tuple[Workload, Workload]]:
    """A planner and a tracker that may call each other, both ready."""
    async with a_workload(realm, "/planner") as planner, a_workload(realm, "/tracker") as tracker:
        planner.may_call(tracker=tracker)
        tracker.may_call(planner=planner)
        await realm.grant("/planner", planner.uid, ttl_s=ttl_s)
        await realm.grant("/tracker", tracker.uid, ttl_s=ttl_s)
        async with asyncio.TaskGroup() as group:
            group.create_task(planner.start())
            group.create_task(tracker.start())
        yield planner, tracker


def _verdict(answer: RawAnswer) -> tuple[int, Json]:
    return answer.status, reason_of(answer) if answer.status >= 400 else None


async def _only(side: Workload, kind: str, **members: str) -> Any:
    """The one record of `kind` with these members; an answer may be read before it is written."""
    found: list[Any] = []

    def is_there() -> bool:
        found[:] = [one for one in side.records(kind) if members.items() <= one.items()]
        return len(found) > 0

    await within(PLENTY_S, is_there, f"{side.spiffe_id} has recorded its {kind}")
    (record,) = found
    return record


async def test_two_sidecars_call_each_other_and_each_chain_names_both_ends_and_instances(
    realm: Realm,
) -> None:
    async with _both(realm) as both:
        instances = set()
        for caller, called in (both, both[::-1]):
            name = next(iter(caller.peers))
            answer = await caller.get(f"/{name}/tickets")
            assert (answer.status, answer.body) == (200, b"ok")
            assert [seen.line for seen in called.behind.seen] == ["GET /tickets HTTP/1.1"]
            out = await _only(caller, "decision", direction="egress")
            came = await _only(called, "decision", direction="ingress")
            assert out["subject"]["credential"] == "attested-local"
            assert came["subject"]["credential"] == "x509-svid"
            assert out["subject"]["id"] == came["subject"]["id"] == caller.spiffe_id
            assert out["subject"]["instance"] == came["subject"]["instance"]
            instances.add(out["subject"]["instance"])
            assert came["trace_id"] == out["trace_id"]
            outcome = await _only(caller, "outcome", exchange=out["exchange"])
            assert outcome["destination"][0]["spiffe_id"] == called.spiffe_id
        assert len(instances) == 2


async def test_traffic_goes_on_over_two_rotations_without_a_failed_request(realm: Realm) -> None:
    async with _both(realm, ttl_s=SHORT_S) as (planner, tracker):
        calls = ((planner, "tracker"), (tracker, "planner"))
        sent = 0

        async def rotated(times: int) -> bool:
            nonlocal sent
            for caller, name in calls:
                assert _verdict(await caller.get(f"/{name}/tickets")) == (200, None)
                sent += 1
            return min(len(side.leaves()) for side in (planner, tracker)) > times

        await within(PLENTY_S, partial(rotated, 2), "both have rotated twice")
        assert len(planner.behind.seen) == len(tracker.behind.seen) == sent / 2
        for side in (planner, tracker):

            async def counted(side: Workload = side) -> bool:
                return await side.metric("exchanges_total") == sent

            await within(PLENTY_S, counted, "all that was sent is counted")
            assert await side.metric("exchanges_total", outcome="allowed") == sent
            assert await side.metric("identity_revalidation_failures_total") == 0
            assert await side.metric(SHAKEN) == await side.metric(SHAKEN, reason="ok")

        # what comes after a rotation comes on a connection under the new SVID
        before = [await side.metric(SHAKEN, role="client") for side, _ in calls]
        held = [len(side.leaves()) for side, _ in calls]
        for (caller, name), shaken, leaves in zip(calls, before, held, strict=True):
            fresh = partial(_has_leaves, caller, leaves + 1)
            await within(PLENTY_S, fresh, f"{caller.spiffe_id} has rotated again")
            assert _verdict(await caller.get(f"/{name}/tickets")) == (200, None)
            assert await caller.metric(SHAKEN, role="client", reason="ok") > shaken


def _has_leaves(side: Workload, count: int) -> bool:
    return len(side.leaves()) >= count


async def test_a_deleted_entry_stops_all_traffic_and_says_why_and_a_new_one_brings_it_back(
    realm: Realm,
) -> None:
    async with _both(realm) as (planner, tracker):
        for caller, path in ((planner, "/tracker/tickets"), (tracker, "/planner/tickets")):
            assert (await caller.get(path)).status == 200
        await realm.take_back(realm.entries[0])
        took_s = await within(TOLD_S, planner.is_unready, "the planner is not ready")
        seen = len(tracker.behind.seen), len(planner.behind.seen)
        answer = await planner.get("/tracker/tickets")
        assert _verdict(answer) == (401, "unauthenticated")
        assert (await tracker.get("/planner/tickets")).status >= 400
        assert (len(tracker.behind.seen), len(planner.behind.seen)) == seen
        status, said = await planner.readiness()
        assert status == 503
        assert "identity: redacted" in said

        async def is_told() -> bool:
            return await planner.metric(STATE, state="redacted") == 1

        await within(TOLD_S - took_s + 1, is_told, "the metric says that it is redacted")
        assert await planner.metric(STATE) == 1
        assert await planner.metric("identity_svid_seconds_remaining") == 0
        assert await tracker.is_ready()

        await realm.grant("/planner", planner.uid)
        await within(PLENTY_S, planner.is_ready, "the planner is ready again")
        assert (await planner.get("/tracker/tickets")).status == 200
        assert (await tracker.get("/planner/tickets")).status == 200


async def test_without_its_agent_it_serves_to_the_svids_end_and_recovers_when_it_is_back(
    realm: Realm,
) -> None:
    async with (
        another_agent(realm, "/lost") as agent,
        a_workload(realm, "/planner", agent) as planner,
        a_workload(realm, "/tracker") as tracker,
    ):
        planner.may_call(tracker=tracker)
        await realm.grant("/planner", planner.uid, ttl_s=BRIEF_S, agent=agent)
        await realm.grant("/tracker", tracker.uid)
        await tracker.start()
        await planner.start()
        assert (await planner.get("/tracker/tickets")).status == 200
        await asyncio.to_thread(agent.kill)
        said: list[str] = []

        async def ends() -> bool:
            answer = await planner.get("/tracker/tickets")
            status, text = await planner.readiness()
            said.append(
                text.split(":")[1].strip() if status == 200 and ":" in text else str(status)
            )
            return _verdict(answer) != (200, None)

        served_s = await within(PLENTY_S, ends, "it stops serving")
        seen = len(tracker.behind.seen)
        assert BRIEF_S / 4 < served_s <= BRIEF_S + 1
        assert "degraded" in said
        assert _verdict(await planner.get("/tracker/tickets")) == (401, "unauthenticated")
        status, text = await planner.readiness()
        assert status == 503
        assert "identity: expired" in text
        assert len(tracker.behind.seen) == seen
        await asyncio.to_thread(agent.start)
        await within(PLENTY_S, planner.is_ready, "it is ready again")
        assert (await planner.get("/tracker/tickets")).status == 200


async def test_with_a_grace_an_agent_that_is_back_and_denies_at_first_interrupts_nothing(
    realm: Realm,
) -> None:
    """An agent that has not heard of its entries yet is one that has none."""
    async with (
        another_agent(realm, "/restarted") as agent,
        a_workload(realm, "/planner", agent) as planner,
        a_workload(realm, "/tracker") as tracker,
    ):
        planner.may_call(tracker=tracker)
        planner.changes = {"identity": {"workload_api": {"denied_grace_s": 30}}}
        entry = await realm.grant("/planner", planner.uid, agent=agent)
        await realm.grant("/tracker", tracker.uid)
        await tracker.start()
        await planner.start()

        async def is_denied() -> bool:
            assert _verdict(await planner.get("/tracker/tickets")) == (200, None)
            return await planner.metric(ENDED, code="PERMISSION_DENIED") > 0

        async def is_heard() -> bool:
            assert _verdict(await planner.get("/tracker/tickets")) == (200, None)
            return await planner.metric(STATE, state="serving") == 1

        assert not await is_denied()
        await asyncio.to_thread(agent.kill)
        await realm.take_back(entry)
        await asyncio.to_thread(agent.start)
        await within(PLENTY_S, is_denied, "its agent is back and denies it")
        entry = await realm.grant("/planner", planner.uid, agent=agent)
        await within(PLENTY_S, is_heard, "its agent gives it an SVID")
        # a denial by an agent that was there all the time counts at once
        await realm.take_back(entry)
        await within(TOLD_S, planner.is_unready, "the planner is not ready")


async def test_a_federated_caller_is_let_in_until_the_federation_is_withdrawn(
    realm: Realm, other: Realm
) -> None:
    async with (
        a_workload(other, "/caller") as caller,
        a_workload(realm, "/tracker") as tracker,
        federated(realm, other) as federation,
    ):
        caller.may_call(tracker=tracker)
        await realm.grant("/tracker", tracker.uid, federates_with=("b.test",))
        await other.grant("/caller", caller.uid, federates_with=("a.test",))
        await tracker.start()
        await caller.start()

        async def gets_in() -> bool:
            return (await caller.get("/tracker/tickets")).status == 200

        await within(PLENTY_S, gets_in, "the caller of b.test gets in")
        (decided,) = tracker.records("decision")[-1:]
        assert decided["subject"]["id"] == "spiffe://b.test/caller"
        assert decided["subject"]["credential"] == "x509-svid"

        await federation.withdraw(realm.server)

        async def is_kept_out() -> bool:
            return not await gets_in()

        await within(TOLD_S, is_kept_out, "the caller of b.test is kept out")
        seen = len(tracker.behind.seen)
        assert not await gets_in()
        assert len(tracker.behind.seen) == seen
        assert await tracker.is_ready()
        refused = await tracker.metric("identity_handshakes_total", role="server")
        refused -= await tracker.metric("identity_handshakes_total", role="server", reason="ok")
        withdrawn = await tracker.metric("identity_revalidation_failures_total", reason="withdrawn")
        assert refused + withdrawn > 0


async def test_a_live_stream_of_a_federated_caller_is_cut_when_the_federation_is_withdrawn(
    realm: Realm, other: Realm
) -> None:
    async with (
        a_workload(other, "/caller") as caller,
        a_workload(realm, "/tracker", answers=(ENDLESS,)) as tracker,
        federated(realm, other) as federation,
    ):
        caller.may_call(tracker=tracker)
        await realm.grant("/tracker", tracker.uid, federates_with=("b.test",))
        await other.grant("/caller", caller.uid, federates_with=("a.test",))
        await tracker.start()
        await caller.start()

        async def knows() -> bool:
            return await tracker.metric("identity_bundle_trust_domains") == 2

        await within(PLENTY_S, knows, "the tracker knows b.test")
        async with dialled(caller.ports["egress"]) as client:
            host = f"Host: 127.0.0.1:{caller.ports['egress']}"
            await client.send(f"GET /tracker/tickets HTTP/1.1\r\n{host}\r\n\r\n".encode())
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert b"data: 1" in await client.reader.readuntil(b"\n\n\r\n")
            await federation.withdraw(realm.server)
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            rest = await client.rest()
            assert loop.time() - began_s <= TOLD_S
            assert not rest.endswith(b"0\r\n\r\n")  # cut, not ended


async def test_a_certificate_for_our_trust_domain_signed_by_a_federated_authority_is_refused(
    realm: Realm,
) -> None:
    partner = Partner("c.test", SystemClock().unix_s())
    await asyncio.to_thread(realm.server.know, "c.test", partner.bundle())
    try:
        async with a_workload(realm, "/tracker") as tracker:
            tracker.known += ["spiffe://c.test/planner", "spiffe://a.test/planner"]
            await realm.grant("/tracker", tracker.uid, federates_with=("c.test",))
            await tracker.start()

            async def called(spiffe_id: str) -> int | None:
                identity = partner.sign(spiffe_id)
                port = tracker.ports["ingress"]
                return (await asyncio.to_thread(call, port, identity, "/tickets")).status

            assert await called("spiffe://c.test/planner") == 200
            assert len(tracker.behind.seen) == 1
            assert await called("spiffe://a.test/planner") is None
            assert len(tracker.behind.seen) == 1
            assert len(tracker.records("decision")) == 1

            async def is_counted() -> bool:
                reason = {"role": "server", "reason": "wrong_authority"}
                return await tracker.metric("identity_handshakes_total", **reason) == 1

            await within(PLENTY_S, is_counted, "wrong_authority is counted")
    finally:
        words = ("bundle", "delete", "-id", "spiffe://c.test", "-mode", "dissociate")
        await asyncio.to_thread(realm.server.say, *words)
