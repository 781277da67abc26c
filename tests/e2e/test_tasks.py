"""Tasks over a whole sidecar: registered by operators, named by agents, ended for good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from outrider.config.paths import shipped_rego
from tests.support.mcp_exchange import modern
from tests.support.net import RawAnswer, dialled
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call, hold_answers, reason_of
from tests.support.sidecar_policy import (
    AGENT,
    ENGINES,
    OTHER,
    REFUSING,
    a_policy,
    an_agent,
    write_policy,
)

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


async def refused(world: World, **ask: Any) -> tuple[int, Any]:
    """A registration that is not taken."""
    status, said = await control(world, "POST", "/v1/tasks", {"purpose": "triage"} | ask)
    assert status >= 400
    assert (await control(world, "GET", "/v1/tasks"))[1] == {"tasks": []}
    return status, said


async def begun(world: World, **ask: Any) -> Any:
    status, task = await control(
        world, "POST", "/v1/tasks", {"purpose": "triage ticket 4711", "template": "triage"} | ask
    )
    assert status == 201, task
    return task


async def called(world: World, *fields: str, name: str = "echo") -> RawAnswer:
    return await world.raw(world.modern(call(name), *fields, mcp_name=name))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("by", ["id", "token"])
async def test_a_registered_task_is_bound_by_header_and_once_ended_refused(
    by: str, engine: str
) -> None:
    async with a_world(a_task_policy(), engine=engine) as world:
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
    async with a_task_world() as world, world.refuses("no_task"):
        await called(world, f"Outrider-Task: tsk_{'0' * 32}")


async def own(world: World, path: str, body: Any = None, *fields: str) -> tuple[int, Any]:
    """What the agent asks of its own sidecar: GET without a body, POST with one."""
    target = f"/.outrider/{path}"
    if body is None:
        answer = await world.get(target, *fields)
    else:
        answer = await world.post(target, orjson.dumps(body), *fields)
    return answer.status, orjson.loads(answer.body)


async def test_the_agent_sees_and_narrows_its_own_task_and_can_do_less_at_once() -> None:
    async with a_task_world() as world:
        task = await begun(world)
        status, shown = await own(world, "task")
        assert (status, shown["id"], shown["purpose"]) == (200, task["id"], "triage ticket 4711")
        assert shown["budget"]["calls"] == {"used": 0, "limit": None}
        assert reason_of(await called(world, name="search")) is None
        status, narrowed = await own(world, "task/narrow", {"grant": {"tools": ["crm/echo"]}})
        assert (status, narrowed["grant_revision"]) == (200, 2)
        async with world.refuses("grant"):
            await called(world, name="search")
        assert reason_of(await called(world)) is None


async def test_a_token_of_an_older_revision_is_no_name_of_the_task() -> None:
    async with a_task_world() as world:
        task = await begun(world)
        _, narrowed = await own(world, "task/narrow", {"grant": {"tools": ["crm/echo"]}})
        async with world.refuses("no_task"):
            await called(world, f"Outrider-Task: {task['token']}")
        assert reason_of(await called(world, f"Outrider-Task: {narrowed['token']}")) is None


async def test_a_widening_waits_for_a_person_whoever_asks() -> None:
    async with a_task_world() as world:
        task = await begun(world)
        async with world.refuses("obligation"):
            status, said = await own(world, "task/narrow", {"grant": {"tools": ["crm/*"]}})
        assert status == 409
        assert "approval" in said["detail"]
        wider = {"grant": {"effects": ["read", "write"]}}
        status, said = await control(world, "PATCH", f"/v1/tasks/{task['id']}", wider)
        assert (status, said["reason"]) == (409, "held")
        status, shown = await control(world, "GET", f"/v1/tasks/{task['id']}")
        assert (status, shown["grant_revision"]) == (200, 1)


async def test_a_child_has_less_and_ends_with_its_parent() -> None:
    async with a_task_world() as world:
        parent = await begun(world)
        field = f"Outrider-Task: {parent['id']}"
        ask = {"purpose": "look it up", "grant": {**TEMPLATES["triage"]["grant"], "tools": ["*"]}}
        status, child = await own(world, "task/child", ask, field)
        assert status == 201, child
        assert child["grant"]["tools"] == ["crm/echo", "crm/search"]
        assert (child["parent"], child["root"]) == (parent["id"], parent["id"])
        async with world.refuses("no_task"):  # two are under way: one must be named
            await called(world)
        named = f"Outrider-Task: {child['id']}"
        assert reason_of(await called(world, named)) is None
        status, ended = await own(world, "task/end", {"end": "cancelled"}, field)
        assert (status, ended["state"], ended["end"]) == (200, "ended", "cancelled")
        async with world.refuses("task_ended"):
            await called(world, named)
        _, over = await control(world, "GET", f"/v1/tasks/{child['id']}")
        assert over["end"] == "parent_ended"


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        pytest.param("GET", "/.outrider/approvals/apr_1", 404, "unrecognised", id="approval"),
        pytest.param("GET", "/.outrider/secrets", 404, "unrecognised", id="nothing-there"),
        pytest.param("POST", "/.outrider/task", 405, "unrecognised", id="another-method"),
        pytest.param("GET", "/.outrider/task/end", 405, "unrecognised", id="no-change-by-get"),
    ],
)
async def test_what_is_not_offered_under_the_prefix_is_refused_and_recorded(
    method: str, path: str, status: int, reason: str
) -> None:
    async with a_task_world() as world:
        await begun(world)
        async with world.refuses(reason):
            answer = await world.raw(world.head(method, path, "Content-Length: 0"))
        assert answer.status == status


async def test_another_agents_task_is_answered_as_one_that_is_not_there() -> None:
    async with a_task_world() as world:
        task = await begun(world, agent=OTHER)
        told = []
        for name in (task["id"], task["token"], f"tsk_{'0' * 32}", "tsk_1", "a.b.c"):
            async with world.refuses("no_task") as records:
                answer = await called(world, f"Outrider-Task: {name}")
            decision = records[0]["decision"]
            assert decision["detail"] == "no such active task of this agent"
            told.append(answer.body.replace(decision["id"].encode(), b"(id)"))
        assert len(set(told)) == 1


@pytest.mark.control("TS-05")
@pytest.mark.parametrize("engine", ENGINES)
async def test_more_than_its_template_gives_waits_for_a_person(engine: str) -> None:
    async with a_world(a_task_policy(), engine=engine) as world:
        grant = {**TEMPLATES["triage"]["grant"], "tools": ["crm/*"], "effects": ["read", "send"]}
        status, said = await refused(world, template="triage", grant=grant)
        assert (status, said["reason"]) == (409, "held")
        assert said["reasons"][0]["code"] == "TS-05"
        assert "than the template gives: tools, effects (" in said["reasons"][0]["message"]
        status, said = await refused(world, template="nothing")
        assert (status, said["reason"]) == (409, "held")
        status, said = await refused(world, template="triage", principal="spiffe://acme.test/x")
        assert (status, said["reason"]) == (403, "policy")


async def test_what_was_registered_and_how_it_ended_is_on_the_chain_without_its_anchors() -> None:
    async with a_task_world() as world:
        task = await begun(world, anchors=["swordfish"], principal="oidc:alice@corp")
        await called(world)
        await control(world, "POST", f"/v1/tasks/{task['id']}/end", {"end": "cancelled"})
        first, last = world.records("task")
        assert (first["task"], first["principal"]) == (task["id"], "oidc:alice@corp")
        assert first["note"]["event"] == "task_registered"
        assert first["note"]["anchors_digest"].startswith("sha256:")
        assert (last["note"]["event"], last["note"]["end"]) == ("task_ended", "cancelled")
        assert (last["note"]["calls"], last["note"]["denials"]) == ({"read": 1}, 0)
        assert last["note"]["destinations"]["127.0.0.1"]["calls"] == 1
        assert last["note"]["in_bounds"] is True
        assert "swordfish" not in str(world.records())
        assert world.metric("tasks_total", end="cancelled") == 1
        assert world.metric("tasks_active") == 0


async def test_of_what_the_agent_says_of_a_task_only_digests_are_on_the_chain() -> None:
    async with a_task_world() as world:
        parent = await begun(world)
        field = f"Outrider-Task: {parent['id']}"
        grant = {**TEMPLATES["triage"]["grant"], "destinations": ["swordfish.example"]}
        ask = {"purpose": "carry swordfish", "grant": grant}
        status, child = await own(world, "task/child", ask, field)
        assert status == 201, child
        narrower = {"grant": {"destinations": ["swordfish.test"]}}
        status, _ = await own(world, "task/narrow", narrower, field)
        assert status == 200
        again: Any = {"grant": {"effects": []}}
        await control(world, "PATCH", f"/v1/tasks/{parent['id']}", again)
        await control(world, "POST", f"/v1/tasks/{parent['id']}/end")
        notes = [record["note"] for record in world.records("task")]
        assert notes[0]["purpose"] == "triage ticket 4711"
        assert notes[0]["grant"] == parent["grant"]
        assert (notes[1]["agent"], notes[1]["purpose"]) == (AGENT, None)
        assert notes[1]["purpose_digest"].startswith("sha256:")
        assert notes[1]["grant_digest"].startswith("sha256:")
        assert [note["event"] for note in notes[2:4]] == ["task_narrowed", "task_narrowed"]
        await world.quiet()
        kept = b"".join(path.read_bytes() for path in world.audit.rglob("*") if path.is_file())
        assert b"task_narrowed" in kept
        assert b"swordfish" not in kept


async def test_an_end_cuts_what_is_under_way() -> None:
    async with a_task_world() as world:
        task = await begun(world)
        hold_answers(world)
        async with world.client() as client:
            await client.send(world.modern(call("echo"), mcp_name="echo"))
            await world.until(lambda: "tools/call" in world.crm.methods)
            await control(world, "POST", f"/v1/tasks/{task['id']}/end")
            answer = await client.answer()
        assert b'"task_ended"' in answer.body
        await world.quiet()
        outcome = world.records("outcome")[-1]
        assert outcome["outcome"]["error"] == "task_ended"


async def test_an_offboarded_agents_tasks_end_with_the_policy_that_says_so() -> None:
    async with a_task_world() as world:
        task = await begun(world)
        gone = {AGENT: {**an_agent(), "status": "offboarded"}, OTHER: an_agent()}
        await asyncio.to_thread(write_policy, world.policy, a_task_policy(agents=gone))
        await control(world, "POST", "/v1/policy/reload")
        await world.until(lambda: world.metric("tasks_total", end="quarantined") == 1)
        _, over = await control(world, "GET", f"/v1/tasks/{task['id']}")
        assert (over["state"], over["end"]) == ("ended", "quarantined")
        async with world.refuses("quarantined"):
            await called(world, f"Outrider-Task: {task['id']}")


async def test_where_tasks_are_required_a_standing_grant_is_not_enough() -> None:
    async with a_task_world(tasks={"required": True}) as world:
        async with world.refuses("no_task"):
            await called(world)
        await begun(world)
        assert reason_of(await called(world)) is None


async def test_a_task_named_in_the_message_is_bound_and_never_leaves() -> None:
    async with a_task_world() as world:
        task = await begun(world)
        await begun(world)
        message = modern(call("echo"), {"dev.outrider/task": task["id"]})
        answer = await world.raw(world.modern(message, mcp_name="echo"))
        assert reason_of(answer) is None
        assert world.decisions("allow")[-1]["task"] == task["id"]
        assert task["id"] not in str(world.crm.seen)
        async with world.refuses("malformed"):
            await world.raw(
                world.modern(message, f"Outrider-Task: tsk_{'0' * 32}", mcp_name="echo")
            )


async def test_a_budget_that_is_used_up_ends_the_task() -> None:
    async with a_task_world() as world:
        task = await begun(world, grant={**TEMPLATES["triage"]["grant"], "calls": 2})
        _, shown = await own(world, "task")
        assert shown["budget"]["calls"]["limit"] == 2
        for _ in range(2):
            assert reason_of(await called(world)) is None
        async with world.refuses("budget"):
            await called(world)
        await world.until(lambda: world.metric("tasks_total", end="budget") == 1)
        async with world.refuses("task_ended"):
            await called(world, f"Outrider-Task: {task['id']}")
        last = world.records("task")[-1]["note"]
        assert (last["end"], last["budgets"]["calls"], last["in_bounds"]) == ("budget", 2, False)


async def test_a_call_the_template_does_not_give_is_refused_before_policy() -> None:
    async with a_task_world() as world:
        await begun(world)
        assert reason_of(await called(world)) is None
        async with world.refuses("grant"):
            await called(world, name="update")
