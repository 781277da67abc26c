"""What an ordinary agent does under the shipped library, through the real listener."""

import asyncio
import contextlib
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject, as_object
from tests.support.mcp_exchange import event, replies, request, streams
from tests.support.sidecar import PLENTY_S, World, a_world
from tests.support.sidecar_mcp import (
    call,
    events_of,
    hold_answers,
    message_of,
    open_session,
    result,
)
from tests.support.sidecar_policy import a_policy

SHIPPED: JsonObject = {"policy": {"path": None, "overlay": ["policy"]}}
CALL = call()


def _shipped() -> Any:
    """A sidecar under the shipped rules, with agents and manifests laid over them."""
    data = {name: text for name, text in a_policy().items() if "agents" in name or "man" in name}
    return a_world(data, settings=SHIPPED)


async def _told(world: World, session: str, method: str, params: JsonObject) -> int:
    message: JsonObject = {"jsonrpc": "2.0", "method": method, "params": params}
    return (await world.raw(world.legacy(message, session=session))).status


async def test_a_call_under_way_can_be_cancelled() -> None:
    async with _shipped() as world:
        session = await open_session(world)
        await world.raw(world.legacy(CALL, session=session))
        hold = hold_answers(world)
        async with world.client() as slow:
            await slow.send(world.legacy(call(id_=7), session=session))
            await slow.answer(head_only=True)
            status = await _told(world, session, "notifications/cancelled", {"requestId": 7})
            hold.set()
        assert status == 202
        assert world.crm.methods[-1] == "notifications/cancelled"
        await world.quiet()
        assert world.decisions() == []


async def test_a_refused_notification_is_recorded_and_ends_nothing() -> None:
    refused = ["crm/notifications/progress"]
    async with a_world(a_policy(refused=refused)) as world:
        session = await open_session(world)
        await world.raw(world.legacy(CALL, session=session))
        progress: JsonObject = {"progressToken": 1, "progress": 1}
        async with world.refuses("policy"):
            assert await _told(world, session, "notifications/progress", progress) == 202
        assert (await world.raw(world.legacy(CALL, session=session))).status == 200


async def test_a_server_that_asks_for_sampling_does_not_hang_the_call() -> None:
    asked = request("sampling/createMessage", {"messages": [], "maxTokens": 5}, 70)
    async with _shipped() as world:
        session = await open_session(world)
        await world.raw(world.legacy(CALL, session=session))
        world.crm.fake.answers["tools/call"] = streams(event(asked), b": it waits\n\n")
        world.crm.hold = asyncio.Event()
        answer = await world.raw(world.legacy(CALL, session=session))
        world.crm.hold.set()
        (told,) = events_of(answer.body)
        text, decision = _denial(told)
        assert "the server asked the agent for sampling/createMessage" in text
        assert decision["reason"] in {"policy", "held"}
        assert decision["reasons"]


async def test_what_a_modern_server_asks_for_is_refused_in_policys_words() -> None:
    asked: JsonObject = {"method": "sampling/createMessage", "params": {"messages": []}}
    wants: JsonObject = {"resultType": "input_required", "inputRequests": {"a": asked}}
    async with _shipped() as world:
        await world.raw(world.modern(CALL))
        world.crm.fake.answers["tools/call"] = lambda message: replies(result(message, wants))
        text, decision = _denial(message_of(await world.raw(world.modern(CALL))))
        assert "the server asked the agent for sampling/createMessage" in text
        assert decision["reason"] in {"policy", "held"}
        assert decision["reasons"]


def _denial(message: JsonObject) -> tuple[str, JsonObject]:
    """The text for the model and what is said of the decision."""
    told = as_object(message["result"])
    assert told["isError"] is True
    meta = as_object(told["_meta"])
    return str(told["content"]), as_object(meta["dev.outrider/decision"])


@pytest.mark.parametrize("calls", [1, 2])
async def test_what_a_server_asks_on_the_sessions_own_stream_ends_the_one_call_that_waits(
    calls: int,
) -> None:
    asked = request("sampling/createMessage", {"messages": [], "maxTokens": 5}, 70)
    async with _shipped() as world, contextlib.AsyncExitStack() as stack:
        session = await open_session(world)
        await world.raw(world.legacy(CALL, session=session))
        hold = hold_answers(world)
        waiting = []
        for id_ in range(1, calls + 1):
            client = await stack.enter_async_context(world.client())
            await client.send(world.legacy(call(id_=id_), session=session))
            await client.answer(head_only=True)
            waiting.append(client)
        world.crm.fake.answers["GET"] = streams(event(asked))
        stream = await stack.enter_async_context(world.client())
        fields = ("Accept: text/event-stream", f"Mcp-Session-Id: {session}")
        await stream.send(world.head("GET", "/crm", *fields))
        await world.until(lambda: _refused_sampling(world))
        if calls > 1:  # nobody can say which of them asked
            hold.set()
        async with asyncio.timeout(PLENTY_S):
            told = await waiting[0].reader.readuntil(b"\r\n0\r\n\r\n")
        denied = b"the server asked the agent for sampling/createMessage" in told
        assert denied is (calls == 1)
        hold.set()


def _refused_sampling(world: World) -> bool:
    asked = "crm/sampling/createMessage"
    return any(record["action"].get("resource") == asked for record in world.decisions())
