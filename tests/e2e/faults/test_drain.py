"""OPERATIONS §11: what is under way when a sidecar leaves (row 24 under streams)."""

import asyncio
from typing import Any

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.audit import report_of
from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import call, events_of, hold_answers

BRIEF: JsonObject = {"drain": {"grace_s": 0.3}}


async def _begun(world: World, client: Any, wire: str) -> None:
    await client.send(getattr(world, wire)(call("update")))
    head = await client.answer(head_only=True)
    assert head.status == 200
    await client.reader.readuntil(b": waiting\n\n")


@pytest.mark.parametrize("wire", ["legacy", "modern"])
async def test_row_24_a_stream_that_outlasts_the_grace_ends_in_its_protocols_words(
    wire: str,
) -> None:
    async with a_world(settings=BRIEF) as world:
        await world.raw(getattr(world, wire)(call("update")))
        hold = hold_answers(world)
        async with world.client() as client:
            await _begun(world, client, wire)
            clean = await world.sidecar.drain().run()
            last: Any = events_of(await client.rest())[-1]
        hold.set()
        assert clean is False
        assert (last["id"], last["result"]["isError"]) == (1, True)
        await world.quiet()
        outcome = world.records("outcome")[-1]["outcome"]
        assert (outcome["status"], outcome["error"]) == ("unknown", "overload")
        assert report_of(world.audit).unresolved == ()


async def test_row_24_a_stream_that_ends_in_time_ends_whole_and_readiness_says_why() -> None:
    async with a_world() as world:
        await world.raw(world.legacy(call("update")))
        hold = hold_answers(world)
        async with world.client() as client, asyncio.TaskGroup() as group:
            await _begun(world, client, "legacy")
            draining = group.create_task(world.sidecar.drain().run())
            await world.until(lambda: world.metric("draining") == 1)
            ready = await world.telemetry("/readyz")
            assert (ready.status, b"draining" in ready.body) == (503, True)
            hold.set()
            rest = await client.rest()
        assert draining.result() is True
        assert "isError" not in events_of(rest)[-1]["result"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("drain", "ingress", "delay_s", "lingers"),
    [
        pytest.param({}, False, 0.0, False, id="egress-alone"),
        pytest.param({}, True, 5.0, False, id="ingress"),
        pytest.param({"delay_s": 0}, True, 0.0, False, id="ingress-told-otherwise"),
        pytest.param({"delay_s": 2, "classic": True}, False, 2.0, True, id="classic"),
    ],
)
async def test_who_calls_the_agent_has_time_to_notice_unless_the_settings_say_else(
    drain: JsonObject, ingress: bool, delay_s: float, lingers: bool
) -> None:
    async with a_world(settings={"drain": drain}) as world:
        if ingress:
            world.sidecar.listeners.ingress = world.sidecar.egress
        leaving = world.sidecar.drain()
        assert leaving._times.delay_s == delay_s
        assert (leaving._lingering is world.sidecar.egress) is lingers
        world.sidecar.listeners.ingress = None
