"""P06: an MCP session belongs to a subject, an upstream and a route."""

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.sidecar import BY_TOKEN, McpUpstream, a_world
from tests.support.sidecar_mcp import INITIALIZE, begins, call, open_session
from tests.support.sidecar_policy import AGENT, CRM, OTHER, a_policy

CALL = call()
TWO: JsonObject = {**BY_TOKEN}


def _policy() -> dict[str, str | JsonObject]:
    return {**a_policy(), "outrider/manifest/other/data.yaml": CRM}


async def test_P06_a_session_opens_nothing_but_its_own_route_for_its_own_subject() -> None:
    upstreams = {"crm": McpUpstream(), "other": McpUpstream()}
    async with a_world(_policy(), upstreams=upstreams, settings=TWO) as world:
        mine, theirs = world.bearer(OTHER), world.bearer(AGENT)
        session = await open_session(world, "s-1", mine)
        for _ in range(2):  # the owner resumes
            assert (await world.raw(world.legacy(CALL, mine, session=session))).status == 200
        # the near miss: another subject, upstream or spelling
        async with world.refuses("unrecognised", count=4):
            answers = [
                await world.raw(world.legacy(CALL, theirs, session=session)),
                await world.raw(world.legacy(CALL, mine, session=session, path="/other")),
                await world.raw(world.legacy(CALL, mine, session="S-1")),
                await world.raw(world.legacy(CALL, mine, session="s-1x")),
            ]
        assert [answer.status for answer in answers] == [404] * 4
        # an upstream that gives the same id to another subject gives it another session
        upstreams["other"].fake.answers["initialize"] = begins("s-1")  # type: ignore[assignment]
        begun = await world.raw(world.legacy(INITIALIZE, theirs, path="/other"))
        assert begun.status == 200
        mine_there = await world.raw(world.legacy(CALL, mine, session="s-1", path="/other"))
        assert mine_there.status == 404


@pytest.mark.parametrize("name", ["Outrider-Session", "Outrider-Subject", "Outrider-Route"])
async def test_P06_forged_internal_headers_are_refused(name: str) -> None:
    async with a_world() as world:
        session = await open_session(world)
        async with world.refuses("malformed"):
            answer = await world.raw(world.legacy(CALL, f"{name}: open", session=session))
        assert answer.status == 400


async def test_P06_a_session_outlives_a_restart_with_its_owner_alone() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        mine = world.bearer(OTHER)
        await open_session(world, "s-1", mine)
        rows = await world.sidecar.store.items("mcp_sessions")
        assert len(rows) == 1
        assert "s-1" not in str(rows)  # a session id opens doors: it is kept as a digest
