"""P01: an undefined entry point or result is `policy_undefined`, never a way through."""

import pytest

from tests.support.sidecar import a_world
from tests.support.sidecar_mcp import call, reason_of
from tests.support.sidecar_policy import ENGINES, a_policy

ONLY_READS = """package outrider

# METADATA
# entrypoint: true
decision := {"effect": "allow"} if input.action.properties.effect == "read"

decision := {"effect": "deny"} if input.action.properties.effect == "send"
"""
NEVER = """package outrider

# METADATA
# entrypoint: true
decision := {"effect": "allow"} if input.resource.id == "nothing/has/this/name"
"""


@pytest.mark.parametrize("engine", ENGINES)
async def test_P01_what_no_rule_answers_is_refused(engine: str) -> None:
    async with a_world(a_policy(ONLY_READS), engine=engine) as world:
        assert (await world.get("/desk/tickets")).status == 200
        # the near miss: a plain deny is policy's own word
        await world.raw(world.legacy(call()))
        near = await world.raw(world.legacy(call("send")))
        assert reason_of(near) == "unrecognised"  # denied in lists too, so it is not there
        async with world.refuses("policy_undefined"):
            answer = await world.post("/desk/tickets", b"{}")
        assert (answer.status, reason_of(answer)) == (503, "policy_undefined")


@pytest.mark.parametrize("engine", ENGINES)
async def test_P01_a_policy_that_answers_nothing_refuses_everything(engine: str) -> None:
    async with a_world(a_policy(NEVER), engine=engine) as world:
        async with world.refuses("policy_undefined", count=2):
            http = await world.get("/desk/tickets")
            mcp = await world.raw(world.legacy(call()))
        assert (http.status, reason_of(http), reason_of(mcp)) == (
            503,
            "policy_undefined",
            "policy_undefined",
        )
