"""P03: an engine that is killed, stopped, slow or failing denies, in the deadline."""

import asyncio
import os
import signal
from typing import Any

import pytest

from tests.support.sidecar import World, a_world
from tests.support.sidecar_mcp import reason_of
from tests.support.sidecar_policy import REFUSING, a_policy

pytestmark = pytest.mark.opa
TIMEOUT_MS = 500
GRACE_S = 0.05
BACK_S = 5.0
SHARED_S = 1.0
"""What a machine that runs other things may add; the bar itself is held by the load test."""

SLOW = (
    REFUSING
    + """
decision := {"effect": "allow"} if {
	input.resource.id == "desk/POST /search"
	ns := numbers.range(1, 5000)
	count([1 | some a in ns; some b in ns; a == b]) < 0
}
"""
)
CONFLICT = (
    REFUSING
    + """
decision := {"effect": "deny"} if input.resource.id == "desk/POST /search"
"""
)


def _pid(world: World) -> int:
    engine: Any = world.sidecar.engine
    pid = engine._link.pid
    assert isinstance(pid, int)
    return pid


async def _refused_in_time(world: World, reason: str, target: str = "/desk/search") -> None:
    clock = world.sidecar.clock
    async with world.refuses(reason):
        began_s = clock.monotonic_s()
        answer = await world.post(target, b"{}")
        took_s = clock.monotonic_s() - began_s
    assert (answer.status, reason_of(answer)) == (503, reason)
    assert b"numbers.range" not in answer.body
    assert took_s <= TIMEOUT_MS / 1000 + GRACE_S + SHARED_S


async def _comes_back(world: World, target: str = "/desk/search") -> None:
    async with asyncio.timeout(BACK_S + SHARED_S):
        while (await world.post(target, b"{}")).status != 200:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)


def _settings() -> Any:
    return {"policy": {"timeout_ms": TIMEOUT_MS}}


async def test_P03_killed() -> None:
    async with a_world(engine="opa", settings=_settings()) as world:
        assert (await world.post("/desk/search", b"{}")).status == 200
        engine: Any = world.sidecar.engine
        pid, starts = _pid(world), engine._link.starts
        os.kill(pid, signal.SIGKILL)
        await _refused_in_time(world, "policy_unavailable")  # before there is another
        await _comes_back(world)
        assert engine._link.starts == starts + 1
        assert _pid(world) != pid


async def test_P03_stopped() -> None:
    async with a_world(engine="opa", settings=_settings()) as world:
        assert (await world.post("/desk/search", b"{}")).status == 200
        os.kill(_pid(world), signal.SIGSTOP)
        try:
            await _refused_in_time(world, "policy_timeout")
        finally:
            os.kill(_pid(world), signal.SIGCONT)
        await _comes_back(world)


async def test_P03_slow() -> None:
    async with a_world(a_policy(SLOW), engine="opa", settings=_settings()) as world:
        assert (await world.get("/desk/tickets")).status == 200
        await _refused_in_time(world, "policy_timeout")
        await _comes_back(world, "/desk/tickets")


@pytest.mark.parametrize("engine", ["embedded", "opa"])
async def test_P03_failing(engine: str) -> None:
    async with a_world(a_policy(CONFLICT), engine=engine, settings=_settings()) as world:
        assert (await world.get("/desk/tickets")).status == 200
        await _refused_in_time(world, "policy_error")
        assert (await world.get("/desk/tickets")).status == 200
