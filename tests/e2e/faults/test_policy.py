"""HARDENING §10, rows 1, 2 and 40, and the issue's show: OPA killed, stopped and slowed under load.

Other rows about policy stand where they are cheapest: 3 and 5 in `tests/e2e/peers/test_p01.py` and
`test_p03.py`, 4 in `tests/e2e/protocols/test_data.py` (case-85), 6 in
`tests/integration/policy/test_opa_real.py`, 7 in `tests/e2e/peers/test_p02.py` and `test_p05.py`.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from outrider.policy.engines.opa import OpaEngine
from tests.support.load import CLOCK, Load, Told
from tests.support.sidecar import World, a_world

pytestmark = pytest.mark.opa
TIMEOUT_MS = 500
GRACE_S = 0.05
BACK_S = 5.0


def _engine(world: World) -> OpaEngine:
    engine = world.sidecar.engine
    assert isinstance(engine, OpaEngine)
    return engine


def _child(world: World) -> Any:
    return _engine(world)._link


async def _killed(world: World, load: Load) -> None:
    starts = _child(world).starts
    os.kill(_child(world).pid, signal.SIGKILL)
    await load.until(lambda: _child(world).starts > starts)


async def _stopped(world: World, load: Load) -> None:
    pid = _child(world).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await load.until(lambda: not _engine(world).up)
        await load.more(20)
    finally:
        os.kill(pid, signal.SIGCONT)


async def _slowed(world: World, load: Load) -> None:
    """It runs a quarter of the time."""
    pid = _child(world).pid
    for _ in range(3):
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(0.6)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(0.2)


FAULTS = {"killed": _killed, "stopped": _stopped, "slowed": _slowed}
Fault = Callable[[World, Load], Awaitable[None]]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_rows_1_and_2_an_engine_lost_in_mid_load_denies_in_time_and_comes_back(
    fault: Fault,
) -> None:
    async with a_world(engine="opa", settings={"policy": {"timeout_ms": TIMEOUT_MS}}) as world:
        world.desk.watched = False  # the whole chain is looked at in the end
        write = world.head("POST", "/desk/tickets", "Content-Type: application/json",
                           "Content-Length: 2") + b"{}"  # fmt: skip
        requests = [world.head("GET", "/desk/tickets"), write]
        async with Load(port=world.port, requests=requests, pause_s=0.005) as load:
            await load.more(20)
            await fault(world, load)
            back_s = CLOCK.monotonic_s()
            await load.until(lambda: _allowed_since(load, back_s) is not None)
            first_s = _allowed_since(load, back_s)
        await world.quiet()
        assert first_s is not None
        assert first_s - back_s <= BACK_S + load.lateness_s
        reasons = {
            orjson.loads(told.answer.body)["reason"]
            for told in load.told
            if told.answer is not None and told.answer.status != 200
        }
        assert load.statuses() <= {200, 503}
        assert reasons <= {"policy_unavailable", "policy_timeout"}
        assert reasons
        longest_s = max(told.ended_s - told.began_s for told in load.told)
        assert longest_s <= TIMEOUT_MS / 1000 + GRACE_S + load.lateness_s
        _check_books(world, load)


def _allowed_since(load: Load, since_s: float) -> float | None:
    good = (told for told in load.told if told.began_s >= since_s and _passed(told))
    return min((told.ended_s for told in good), default=None)


def _passed(told: Told) -> bool:
    return told.answer is not None and told.answer.status == 200


def _check_books(world: World, load: Load) -> None:
    """Each request that passed was allowed on the chain, each other one refused on it."""
    passed = sum(map(_passed, load.told))
    allowed = world.decisions("allow")
    assert len(world.desk.seen) == len(allowed) == passed
    folded = sum(record["repeat"]["count"] for record in world.records("repeat"))
    waiting = world.metric("decisions_total", effect="deny") - len(world.decisions()) - folded
    assert waiting >= 0  # what is still being folded is counted when the sidecar leaves
    assert world.metric("decisions_total", effect="deny") == len(load.told) - passed
    assert len(world.records("outcome")) == passed
