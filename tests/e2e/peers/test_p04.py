"""P04: a built-in that fails inside a deny rule denies, in either engine."""

import pytest

from tests.support.sidecar import a_world
from tests.support.sidecar_mcp import call, reason_of
from tests.support.sidecar_policy import ENGINES, a_policy

RULE = """package outrider

# METADATA
# entrypoint: true
default decision := {"effect": "deny"}

_too_much if {
	input.resource.id == "crm/echo"
	time.parse_duration_ns(input.action.properties.arguments.text) > 3000000000
}

decision := {"effect": "allow"} if {
	input.action.properties.phase == "list"
} else := {"effect": "allow"} if {
	not _too_much
}
"""


@pytest.mark.parametrize("engine", ENGINES)
async def test_P04_a_deny_that_errs_still_denies(engine: str) -> None:
    async with a_world(a_policy(RULE), engine=engine) as world:
        fine = await world.raw(world.legacy(call(arguments={"text": "1s"})))
        assert (fine.status, reason_of(fine)) == (200, None)
        async with world.refuses("policy"):  # the near miss: the rule holds
            near = await world.raw(world.legacy(call(arguments={"text": "5s"})))
        assert reason_of(near) == "policy"
        async with world.refuses("policy_error"):
            answer = await world.raw(world.legacy(call(arguments={"text": "x"})))
        assert reason_of(answer) == "policy_error"
        assert b"parse_duration" not in answer.body
