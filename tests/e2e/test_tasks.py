"""Tasks over a whole sidecar: registered by operators, named by agents, ended for good."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from outrider.config.paths import shipped_rego
from tests.support.net import RawAnswer, dialled
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call, reason_of
from tests.support.sidecar_policy import AGENT, REFUSING, a_policy, an_agent

TEMPLATES: Any = {
    "triage": {
        "grant": {
            "tools": ["crm/echo", "crm/search"],
            "effects": ["read"],
            "destinations": ["*"],
            "sensitivity": "internal",
        },
        "register": {
            "by": ["control:operator"],
            "agents": ["spiffe://acme.test/*"],
            "principals": ["oidc:*"],
        },
    }
}


SHIPPED = {
    f"outrider/{name}": (shipped_rego() / "outrider" / name).read_text("utf-8")
    for name in ("task.rego", "lib/lib.rego")
}


def a_task_policy(**changes: Any) -> dict[str, Any]:
    """The test's own decision, the shipped answer on registering tasks, and a template."""
    rego = REFUSING + 'default revision := ""\n'
    templates = {"outrider/templates/data.yaml": TEMPLATES}
    return {**a_policy(rego, **changes), **SHIPPED, **templates}


@asynccontextmanager
async def a_task_world(**settings: Any) -> AsyncIterator[World]:
    async with a_world(a_task_policy(), settings=settings) as world:
        yield world


async def control(world: World, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One call of the control API with the operator's token."""
    port = int(world.sidecar.control.addresses[0].rpartition(":")[2])
    token = world.sidecar.state.token.reveal().decode()
    data = orjson.dumps(body) if body is not None else b""
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        f"Authorization: Bearer {token}",
        *([f"Content-Length: {len(data)}"] if data else []),
    ]
    async with dialled(port) as client:
        await client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        answer = await client.answer()
    return answer.status, orjson.loads(answer.body)


async def begun(world: World, **ask: Any) -> Any:
    status, task = await control(
        world, "POST", "/v1/tasks", {"purpose": "triage ticket 4711", "template": "triage"} | ask
    )
    assert status == 201, task
    return task


async def called(world: World, *fields: str, name: str = "echo") -> RawAnswer:
    return await world.raw(world.modern(call(name), *fields, mcp_name=name))


@pytest.mark.parametrize("by", ["id", "token"])
async def test_a_registered_task_is_bound_by_header_and_once_ended_refused(by: str) -> None:
    async with a_task_world() as world:
        task = await begun(world)
        field = f"Outrider-Task: {task[by]}"
        answer = await called(world, field)
        assert (answer.status, reason_of(answer)) == (200, None), answer
        allowed = world.decisions("allow")[-1]
        assert allowed["task"] == task["id"]
        status, over = await control(world, "POST", f"/v1/tasks/{task['id']}/end")
        assert (status, over["state"], over["end"]) == (200, "ended", "completed")
        async with world.refuses("task_ended"):
            await called(world, field)


async def test_a_task_nobody_registered_is_refused() -> None:
    async with a_task_world() as world:
        async with world.refuses("no_task"):
            await called(world, f"Outrider-Task: tsk_{'0' * 32}")
