"""P12: every refusal has a record as full as an allow, those before policy too."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.sidecar import BY_TOKEN, World, a_world
from tests.support.sidecar_mcp import call
from tests.support.sidecar_policy import AGENT, a_policy, an_agent

ALWAYS = {
    "seq", "prev", "hash", "time", "monotonic_us", "id", "kind", "chain", "exchange", "trace_id",
    "span_id", "task", "principal", "delegation", "subject", "action", "decision",
}  # fmt: skip
DECIDED = {
    "id", "effect", "enforced", "reason", "reasons", "obligations", "revision", "engine", "mode",
    "eval_us", "detail",
}  # fmt: skip
Attempt = Callable[[World], Awaitable[Any]]
ATTEMPTS: dict[str, tuple[str, Attempt]] = {
    "gate": ("malformed", lambda w: w.get("/desk//x")),
    "host": ("unrecognised", lambda w: w.raw(b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n")),
    "syntax": ("malformed", lambda w: w.raw(b"GET / HTTP/1.1\r\nA B: c\r\n\r\n")),
    "route": ("unrecognised", lambda w: w.get("/nowhere")),
    "operation": ("unrecognised", lambda w: w.get("/desk/undeclared")),
    "body": ("malformed", lambda w: w.post("/desk/tickets", b"{")),
    "envelope": ("malformed", lambda w: w.raw(w.legacy(b"[]"))),
    "name": ("unrecognised", lambda w: w.raw(w.legacy(call("no_such")))),
    "grant": ("grant", lambda w: w.raw(w.legacy(call("send")))),
    "policy": ("policy", lambda w: w.raw(w.legacy(call("update")))),
    "large": ("too_large", lambda w: w.post("/desk/tickets", b" " * (2 << 20))),
}


@pytest.mark.parametrize(("reason", "attempt"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
async def test_P12_a_refusal_is_recorded_as_fully_as_an_allow(
    reason: str, attempt: Attempt
) -> None:
    agents = {AGENT: an_agent(tools=["crm/echo", "crm/update", "desk/*"])}
    async with a_world(a_policy(refused=["crm/update"], agents=agents)) as world:
        await world.raw(world.legacy(call()))
        await world.quiet()
        allow = world.decisions("allow")[-1]
        assert allow.keys() >= ALWAYS
        assert allow["decision"].keys() >= DECIDED
        async with world.refuses(reason) as records:
            await attempt(world)
        record = records[0]
        assert record.keys() >= ALWAYS
        assert record["decision"].keys() >= DECIDED
        assert record["decision"]["enforced"] == "deny"
        assert record["exchange"]
        assert record["trace_id"]


async def test_P12_who_is_not_known_is_recorded_too() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        assert (await world.get("/desk/tickets", world.bearer())).status == 200
        async with world.refuses("unauthenticated", count=3) as records:
            await world.get("/desk/tickets")
            await world.get("/desk/tickets", "Proxy-Authorization: Bearer x.y.z")
            await world.get("/desk/tickets", world.bearer(aud=["spiffe://acme.test/else"]))
        causes = [record["decision"]["cause"] for record in records]
        assert len(set(causes)) == 3
        assert {record["subject"] for record in records} == {None}


async def test_P12_a_flood_of_one_refusal_is_folded_and_nothing_is_lost() -> None:
    async with a_world() as world:
        async with world.client() as client:
            for _ in range(60):
                await client.send(world.head("GET", "/desk/undeclared"))
                assert (await client.answer()).status == 404
        await world.until(lambda: world.metric("audit_repeats_total") > 0)
        await world.quiet()
        folded = sum(record["repeat"]["count"] for record in world.records("repeat"))
        assert folded > 0
        assert len(world.decisions()) + folded == 60
