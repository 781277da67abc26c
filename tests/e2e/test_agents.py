"""Agents seen and agents declared; who is offboarded is out at once, whatever is under way."""

from typing import Any

import orjson
import pytest

from tests.support.mcp_exchange import request
from tests.support.net import dialled
from tests.support.sidecar import BY_TOKEN, World, a_world
from tests.support.sidecar_mcp import call, hold_answers, reason_of
from tests.support.sidecar_policy import AGENT, OTHER, a_policy, an_agent, write_policy


async def _reload(world: World, **agents: Any) -> None:
    known = {AGENT: an_agent(), OTHER: an_agent()} | agents
    write_policy(world.policy, a_policy(agents=known))
    await world.sidecar.keeper.reload()


@pytest.mark.control("ID-03")
async def test_offboarding_cuts_what_is_under_way_and_refuses_what_comes() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        mine, others = world.bearer(AGENT), world.bearer(OTHER)
        for who in (mine, others):
            await world.raw(world.legacy(request("tools/list"), who))
        release = hold_answers(world)
        async with world.client() as cut, world.client() as kept:
            await cut.send(world.legacy(call(), mine))
            await kept.send(world.legacy(call(), others))
            await world.until(lambda: world.crm.methods.count("tools/call") == 2)
            await _reload(world, **{AGENT: {**an_agent(), "status": "offboarded"}})
            assert b"quarantined" in (await cut.answer()).body
            release.set()
            assert b"quarantined" not in (await kept.answer()).body
        async with world.refuses("quarantined") as records:
            refused = await world.raw(world.legacy(call(), mine))
        assert reason_of(refused) == "quarantined"
        assert records[0]["decision"]["cause"] == "status"
        # taken back by the data: it may call again
        await _reload(world)
        del world.crm.fake.answers["tools/call"]
        assert reason_of(await world.raw(world.legacy(call(), mine))) is None


async def test_the_inventory_sets_who_spoke_against_who_is_declared() -> None:
    stranger = "spiffe://acme.test/ns/support/sa/stranger"
    async with a_world(settings=BY_TOKEN) as world:
        for who in (AGENT, stranger):
            await world.raw(world.legacy(request("tools/list"), world.bearer(who)))
        await _reload(world, **{OTHER: {**an_agent(), "review_by": "2020-01-01"}})
        found: Any = world.sidecar.agents.document()
        rows = {row["id"]: (bool(row["seen"]), row["marks"]) for row in found["agents"]}
        assert rows == {
            AGENT: (True, []),
            OTHER: (False, ["overdue"]),
            stranger: (True, ["unknown"]),
        }


@pytest.mark.control("GV-01")
async def test_the_inventory_is_told_to_operators_alone() -> None:
    async with a_world() as world:
        await world.raw(world.legacy(request("tools/list")))
        port = int(world.sidecar.control.addresses[0].rpartition(":")[2])
        token = world.sidecar.state.token.reveal().decode()
        answers = []
        for bearer in (token, "x" * 43):
            async with dialled(port) as client:
                await client.send(
                    f"GET /v1/agents HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                    f"Authorization: Bearer {bearer}\r\n\r\n".encode()
                )
                answers.append(await client.answer())
        rows = orjson.loads(answers[0].body)["agents"]
        assert [row["id"] for row in rows if row["seen"]] == [AGENT]
        assert (answers[1].status, b"acme.test" in answers[1].body) == (401, False)


@pytest.mark.control("GV-05")
async def test_an_overdue_review_of_our_own_agent_shows_in_the_metrics() -> None:
    late = {AGENT: {**an_agent(), "review_by": "2020-01-01"}}
    async with a_world(a_policy(agents=late)) as world:
        await world.until(lambda: world.metric("review_overdue_seconds") > 0)
