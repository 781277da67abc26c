"""PROTOCOLS §12, 56 and 59: sessions, task handles and request states belong to somebody."""

from typing import Any

import orjson
import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.mcp_exchange import BOTH, LEGACY, Reply, modern, replies, request
from tests.support.sidecar import BY_TOKEN, World, a_world
from tests.support.sidecar_mcp import (
    INITIALIZE,
    begins,
    call,
    code_of,
    message_of,
    open_session,
    result,
)
from tests.support.sidecar_policy import AGENT, OTHER

CALL = call()


async def test_case_56_a_session_is_its_owners_alone() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        mine, theirs = world.bearer(OTHER), world.bearer(AGENT)
        session = await open_session(world, "s-1", mine)
        assert (await world.raw(world.legacy(CALL, mine, session=session))).status == 200
        fields = (
            f"Mcp-Session-Id: {session}",
            f"Mcp-Protocol-Version: {LEGACY}",
            f"Accept: {BOTH}",
        )
        async with world.refuses("unrecognised", count=4):
            answers = [
                await world.raw(world.legacy(CALL, theirs, session=session)),
                await world.raw(world.legacy(CALL, mine, session="s-2")),
                await world.raw(world.head("DELETE", "/crm", *fields, theirs)),
                await world.raw(world.head("GET", "/crm", *fields, theirs)),
            ]
        assert [answer.status for answer in answers] == [404] * 4


@pytest.mark.parametrize("minted", ["a b", "", "x" * 257], ids=lambda s: f"case-56-{s!r:.6}")
async def test_an_illegal_session_id_of_the_upstream_is_refused(minted: str) -> None:
    async with a_world() as world:
        world.crm.fake.answers["initialize"] = begins(minted)  # type: ignore[assignment]
        answer = await world.raw(world.legacy(INITIALIZE))
        assert (code_of(answer), answer.field("mcp-session-id")) == (-32603, None)
        await world.quiet()
        assert world.records("outcome")[-1]["outcome"]["error"] == "upstream_error"
        await open_session(world, "x" * 256)


def _asks(message: JsonObject) -> Reply:
    """An upstream that wants an input, and a state brought back with it."""
    params: Any = message["params"]
    if "requestState" in params:
        return replies(result(message, {"content": [], "resultType": "complete"}))
    ask: JsonObject = {"method": "roots/list"}
    wanted: JsonObject = {
        "resultType": "input_required",
        "requestState": "opaque-of-the-upstream",
        "inputRequests": {"r": ask},
    }
    return replies(result(message, wanted))


def _again(state: str, name: str = "echo") -> JsonObject:
    message = call(name)
    message["params"] |= {"requestState": state, "inputResponses": {"r": {"roots": []}}}  # type: ignore[operator]
    return modern(message, {"io.modelcontextprotocol/clientCapabilities": {"roots": {}}})


async def _state(world: World, who: str) -> str:
    first = modern(CALL, {"io.modelcontextprotocol/clientCapabilities": {"roots": {}}})
    answer = await world.raw(world.modern(first, who))
    state: Any = message_of(answer)["result"]["requestState"]  # type: ignore[index,call-overload]
    assert isinstance(state, str)
    assert "opaque-of-the-upstream" not in state
    return state


async def test_case_59_a_state_comes_back_to_its_owner_once() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        mine, theirs = world.bearer(OTHER), world.bearer(AGENT)
        await world.raw(world.modern(CALL, mine))
        await world.raw(world.modern(CALL, theirs))
        world.crm.fake.answers["tools/call"] = _asks
        state = await _state(world, mine)
        tampered = state[:-2] + ("AA" if state[-2:] != "AA" else "BB")
        before = len(world.crm.seen)
        refused = [
            await world.raw(world.modern(_again(state), theirs)),
            await world.raw(world.modern(_again(tampered), mine)),
            await world.raw(world.modern(_again(state, "search"), mine)),
            await world.raw(world.modern(_again("opaque-of-the-upstream"), mine)),
        ]
        assert [code_of(answer) for answer in refused] == [-32602] * 4
        assert len(world.crm.seen) == before
        assert (await world.raw(world.modern(_again(state), mine))).status == 200
        sent = orjson.loads(world.crm.seen[-1].body)
        assert sent["params"]["requestState"] == "opaque-of-the-upstream"
        again = await world.raw(world.modern(_again(state), mine))
        assert code_of(again) == -32602


async def test_case_59_a_task_handle_is_its_owners_alone() -> None:
    async with a_world(settings=BY_TOKEN) as world:
        mine, theirs = world.bearer(OTHER), world.bearer(AGENT)
        session = await open_session(world, "s-1", mine)
        await world.raw(world.legacy(CALL, mine, session=session))
        task: JsonObject = {
            "taskId": "t-1",
            "status": "working",
            "createdAt": "2026-01-01T00:00:00Z",
            "lastUpdatedAt": "2026-01-01T00:00:00Z",
            "ttl": 60000,
        }
        world.crm.fake.answers["tools/call"] = lambda message: replies(
            result(message, {"task": task})
        )
        world.crm.fake.answers["tasks/get"] = lambda message: replies(result(message, dict(task)))
        begun = call(id_=2)
        begun["params"] |= {"task": {"ttl": 60000}}  # type: ignore[operator]
        answer = await world.raw(world.legacy(begun, mine, session=session))
        assert message_of(answer)["result"]["task"]["taskId"] == "t-1"  # type: ignore[index,call-overload]
        get = request("tasks/get", {"taskId": "t-1"}, 3)
        assert code_of(await world.raw(world.legacy(get, mine, session=session))) is None
        async with world.refuses("malformed", count=2):
            foreign = await world.raw(world.legacy(get, theirs))
            unknown = await world.raw(world.legacy(request("tasks/get", {"taskId": "t-2"}), mine))
        assert (code_of(foreign), code_of(unknown)) == (-32602, -32602)
