"""P08: what was judged is what leaves: names, headers, arguments and their digest.

Budgets and rewrites by policy come with their issues; here the rewriting is our own: escapes,
encoded header values, capabilities that are taken out.
"""

import orjson
import pytest

from outrider.core.jsonvalue import json_digest
from tests.support.sidecar import a_world
from tests.support.sidecar_mcp import call, reason_of
from tests.support.sidecar_policy import AGENT, a_policy, an_agent

REDIRECTS = """package outrider

# METADATA
# entrypoint: true
default decision := {"effect": "deny"}

decision := {
	"effect": "allow",
	"obligations": [{"type": "header", "set": {"x-reviewed": "yes"}}],
} if {
	input.resource.properties.upstream == "desk"
} else := {"effect": "allow"}
"""


async def test_P08_an_escaped_name_is_judged_as_what_it_says() -> None:
    async with a_world(a_policy(refused=["crm/update"])) as world:
        escaped = orjson.dumps(call()).replace(b'"echo"', b'"\\u0065cho"')
        assert (await world.raw(world.legacy(escaped))).status == 200
        assert orjson.loads(world.crm.seen[-1].body)["params"]["name"] == "echo"
        hostile = orjson.dumps(call("update")).replace(b'"update"', b'"upd\\u0061te"')
        async with world.refuses("policy"):
            assert reason_of(await world.raw(world.legacy(hostile))) == "policy"


async def test_P08_the_name_header_that_leaves_is_written_from_the_body() -> None:
    async with a_world() as world:
        assert (await world.raw(world.modern(call(), mcp_name="=?base64?ZWNobw==?="))).status == 200
        seen = world.crm.seen[-1]
        assert seen.field("mcp-name") == "echo" == orjson.loads(seen.body)["params"]["name"]


async def test_P08_the_record_holds_the_digest_of_the_arguments_that_left() -> None:
    async with a_world() as world:
        body = orjson.dumps(call("update")).replace(b'"hi"', b'"\\u0068\\u0069", "n": 1e2')
        assert (await world.raw(world.legacy(body))).status == 200
        sent = orjson.loads(world.crm.seen[-1].body)["params"]["arguments"]
        await world.quiet()
        action = world.decisions("allow")[-1]["action"]
        assert action["arguments_digest"] == json_digest(sent)


async def test_P08_a_grant_is_held_against_the_name_that_leaves() -> None:
    agents = {AGENT: an_agent(tools=["crm/echo"])}
    async with a_world(a_policy(agents=agents)) as world:
        assert (await world.raw(world.legacy(call()))).status == 200
        hostile = orjson.dumps(call("update")).replace(b'"update"', b'"upd\\u0061te"')
        async with world.refuses("grant"):
            answer = await world.raw(world.legacy(hostile))
        assert reason_of(answer) == "unrecognised"  # what is not granted is not there


async def test_P08_a_header_obligation_is_on_what_leaves_and_replaces_the_callers() -> None:
    async with a_world(a_policy(REDIRECTS)) as world:
        answer = await world.get("/desk/tickets", "X-Reviewed: forged")
        assert answer.status == 200
        found = [v for n, v in world.desk.seen[-1].fields if n == "x-reviewed"]
        assert found == ["yes"]


@pytest.mark.parametrize("name", ["host", "authorization", "content-length", "mcp-name"])
async def test_P08_a_header_that_policy_may_not_set_refuses(name: str) -> None:
    rego = REDIRECTS.replace("x-reviewed", name)
    async with a_world(a_policy(rego)) as world, world.refuses("obligation"):
        assert (await world.get("/desk/tickets")).status == 403
