"""Two sidecars over one Redis: what one agent of a task has read stops the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy

from outrider.core.jsonvalue import JsonObject, as_object
from tests.support.builders import a_subject
from tests.support.redis import RedisServer
from tests.support.shared_store import prefix, server
from tests.support.sidecar_library import (
    GRANT,
    INSIDER,
    OUTSIDER,
    Library,
    a_library,
    an_overlay,
)
from tests.support.sidecar_policy import AGENT, OTHER, an_agent

__all__ = ["prefix", "server"]
PLACES = ("127.0.0.1", "acme.test", "*.example")


def an_office(standing: JsonObject | None = None, **grant: object) -> dict[str, object]:
    """Two agents with the grant `standing`, and a template that either may work under."""
    agent = {
        "class": "internal",
        "escalation": "support-leads",
        "review_by": "2099-01-01",
    }
    agents = {name: {**an_agent(), **agent} for name in (AGENT, OTHER)}
    for entry in agents.values():
        entry.pop("grant", None)
        if standing is not None:
            entry["grant"] = deepcopy(standing)
    wide = {**GRANT, "tools": ["crm/*"], "destinations": [*PLACES], **grant}
    wide["effects"] = ["read", "write", "send"]
    return an_overlay() | {
        "outrider/agents/data.yaml": agents,
        "outrider/templates/data.yaml": {
            "clerk": {
                "owner": "team-support",
                "grant": wide,
                "usual": {
                    "tools": ["crm/*"],
                    "effects": ["read", "write", "send"],
                    "destinations": [*PLACES],
                },
                "register": {
                    "by": ["control:operator"],
                    "agents": [AGENT, OTHER],
                    "principals": ["oidc:*"],
                },
            }
        },
    }


@asynccontextmanager
async def two(
    server: RedisServer, prefix: str, *, alike: bool = False, **grant: object
) -> AsyncIterator[tuple[Library, Library]]:
    """A sidecar for each agent, or with `alike` two of the first, with the same policy and the
    same store."""
    stores: JsonObject = {
        "kind": "redis",
        "redis": {"url": f"unix://{server.path}", "prefix": prefix, "timeout_ms": 5000},
    }
    async with AsyncExitStack() as stack:
        found = [
            await stack.enter_async_context(
                a_library(
                    an_office(**grant),  # type: ignore[arg-type]
                    settings={"stores": stores, "identity": {"spiffe_id": who}},
                )
            )
            for who in (AGENT, AGENT if alike else OTHER)
        ]
        yield found[0], found[1]


async def a_family(library: Library) -> tuple[str, str]:
    """A root task and, for each agent, a child of it; the fields that name the children."""
    root = as_object(
        await library.control(
            "POST",
            "/v1/tasks",
            {
                "purpose": "close the quarter",
                "template": "clerk",
                "agent": AGENT,
                "principal": {"id": "oidc:alice@acme.test", "tenant": "acme"},
            },
        )
    )
    names = []
    for who in (AGENT, OTHER):
        child = {"purpose": "a part of it", "parent": root["id"], "agent": who}
        made = as_object(await library.control("POST", "/v1/tasks", child))
        names.append(f"Outrider-Task: {made['id']}")
    return names[0], names[1]


async def test_a_secret_one_agent_read_stops_what_the_other_sends_outside(
    server: RedisServer, prefix: str
) -> None:
    async with two(server, prefix) as (first, second):
        reader, sender = await a_family(first)
        first.said["read_secret"] = {"value": "hunter2-hunter2"}
        before = await second.codes("send_mail", sender, to=OUTSIDER, body="hello")
        assert "SQ-01" not in before
        assert await first.passes("read_secret", reader, name="db")
        assert "SQ-01" in await second.codes("send_mail", sender, to=OUTSIDER, body="hello")
        assert "SQ-01" not in await second.codes("send_mail", sender, to=INSIDER, body="hello")


async def test_of_one_more_call_than_the_budget_has_exactly_one_is_refused(
    server: RedisServer, prefix: str
) -> None:
    budget = 20
    async with two(server, prefix, calls=budget) as (first, second):
        here, there = await a_family(first)
        turns = [(first, here), (second, there)] * budget
        asked = [
            library.passes("summarise", task, text=str(number))
            for number, (library, task) in enumerate(turns[: budget + 1])
        ]
        passed = await asyncio.gather(*asked)
    assert sum(passed) == budget


async def test_a_task_ended_on_one_sidecar_is_ended_on_the_other(
    server: RedisServer, prefix: str
) -> None:
    async with two(server, prefix) as (first, second):
        _, task = await a_family(first)
        assert await second.passes("summarise", task, text="before")
        name = task.partition(": ")[2]
        await first.control("POST", f"/v1/tasks/{name}/end", {})
        assert await second.codes("summarise", task, text="after") == {"task_ended"}


async def test_what_is_left_of_a_standing_grant_is_left_on_every_sidecar(
    server: RedisServer, prefix: str
) -> None:
    grant = {**GRANT, "tools": ["crm/*"], "destinations": [*PLACES]}
    async with two(server, prefix, standing=grant, alike=True) as (first, second):
        assert await second.passes("summarise", text="before")
        tasks = first.world.sidecar.tasks.standing
        policy = first.world.sidecar.keeper.active()
        task = tasks.of(a_subject(id=AGENT), policy)
        assert task is not None
        await tasks.confine(task, {"tools": ["crm/read_mail"]})

        def narrowed() -> bool:
            here = second.world.sidecar
            found = here.tasks.standing.of(a_subject(id=AGENT), here.keeper.active())
            return found is not None and found.grant.tools == ("crm/read_mail",)

        await second.world.until(narrowed)
        assert not await second.passes("summarise", text="after")
        assert second.world.decisions()[-1]["decision"]["reason"] == "grant"
