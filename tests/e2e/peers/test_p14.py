"""P14: one policy filters lists and enforces calls; a rule about calls leaves listing working."""

from typing import Any

import pytest

from tests.support.mcp_exchange import request
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call, message_of, reason_of
from tests.support.sidecar_policy import ENGINES, a_policy

CALLS_ONLY = """package outrider

# METADATA
# entrypoint: true
default decision := {"effect": "deny"}

_odd if {
	input.action.name == "tools/call"
	input.action.properties.phase == "request"
	input.action.properties.arguments.text != "please"
}

_hidden if input.resource.id == "crm/send"

decision := {"effect": "allow"} if {
	not _odd
	not _hidden
}
"""


async def _names(world: World) -> list[str]:
    answer = await world.raw(world.legacy(request("tools/list")))
    found: Any = message_of(answer)["result"]
    return [tool["name"] for tool in found["tools"]]


@pytest.mark.parametrize("engine", ENGINES)
async def test_P14_a_rule_about_calls_leaves_lists_working(engine: str) -> None:
    async with a_world(a_policy(CALLS_ONLY), engine=engine) as world:
        assert await _names(world) == ["echo", "search", "update"]
        polite = await world.raw(world.legacy(call(arguments={"text": "please"})))
        assert reason_of(polite) is None
        async with world.refuses("policy"):
            assert reason_of(await world.raw(world.legacy(call()))) == "policy"
        # the hostile form: a tool that the list hides, called by its name
        async with world.refuses("policy"):
            hidden = await world.raw(world.legacy(call("send", {"text": "please"})))
        assert reason_of(hidden) == "unrecognised"
