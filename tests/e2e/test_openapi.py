"""An API whose operations come from its OpenAPI document, through a sidecar."""

from typing import Any, Final

import orjson

from outrider.core.jsonvalue import JsonObject
from tests.support.sidecar import a_world
from tests.support.sidecar_mcp import reason_of
from tests.support.sidecar_policy import AGENT, a_policy, an_agent, an_operation

API: Final[JsonObject] = {
    "openapi": "3.1.0",
    "paths": {
        "/tickets": {
            "get": {
                "operationId": "listTickets",
                "parameters": [{"name": "tag", "in": "query", "schema": {"type": "array"}}],
            },
            "post": {"operationId": "openTicket"},
        },
        "/tickets/{id}": {"get": {"operationId": "getTicket"}},
    },
}
DESK: Final[JsonObject] = {
    "owner": "team",
    "destination": {"zone": "internal"},
    "openapi": "openapi.json",
    "operations": {
        "listTickets": an_operation(arguments={"tag": {"role": "selector"}}),
        "GET /tickets/{id}": an_operation(confirmed=False),
    },
}


def _policy(**grant: Any) -> Any:
    files = a_policy(desk=DESK, agents={AGENT: an_agent(**grant)})
    return {**files, "outrider/manifest/desk/openapi.json": orjson.dumps(API)}


async def test_what_the_manifest_says_of_a_documents_operation_counts() -> None:
    async with a_world(_policy(effects=["read"])) as world:
        assert (await world.get("/desk/tickets?tag=a&tag=b")).status == 200
        allowed = world.decisions("allow")[-1]["action"]
        assert (allowed["resource"], allowed["effect"]) == ("desk/listTickets", "read")
        # a guess is taken in development
        assert (await world.get("/desk/tickets/7")).status == 200
        assert world.decisions("allow")[-1]["action"]["resource"] == "desk/getTicket"


async def test_what_nobody_says_anything_of_is_execute() -> None:
    async with a_world(_policy(effects=["read"])) as world:
        async with world.refuses("grant") as refused:
            answer = await world.post("/desk/tickets", b"{}")
        assert reason_of(answer) == "grant"
        facts = refused[0]["action"]
        assert (facts["resource"], facts["effect"]) == ("desk/openTicket", "execute")


async def test_what_no_document_names_is_no_operation() -> None:
    async with a_world(_policy()) as world, world.refuses("unrecognised"):
        assert (await world.get("/desk/people")).status == 404
