"""HARDENING §10, row 31: an event loop that stands still is seen, said and survived."""

import asyncio
import time

import orjson
import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.sidecar import a_world

TELLING: JsonObject = {"telemetry": {"log_level": "WARNING"}}


def a_hook_that_waits() -> None:
    """What nobody may do on the loop."""
    end_s = time.perf_counter() + 0.4
    while time.perf_counter() < end_s:
        time.sleep(0.01)


async def test_row_31_a_loop_that_stood_still_is_said_with_its_stack_and_goes_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with a_world(settings=TELLING) as world:
        world.sidecar.watchdog._told_s = float("-inf")  # a slow start may have been said already
        before = world.metric("event_loop_lag_seconds_bucket", le="0.1")
        seen = len(world.desk.seen)
        asyncio.get_running_loop().call_soon(a_hook_that_waits)
        assert (await world.get("/desk/tickets/7")).status == 200
        assert len(world.desk.seen) == seen + 1  # late, once, and decided
        await world.quiet()
        assert len(world.decisions("allow")) == seen + 1
        await world.until(
            lambda: (
                world.metric("event_loop_lag_seconds_count")
                > world.metric("event_loop_lag_seconds_bucket", le="0.1")
                >= before
            )
        )
        assert (await world.telemetry("/livez")).status == 200
        assert (await world.telemetry("/readyz")).status == 200
    lines = [orjson.loads(line) for line in capfd.readouterr().err.splitlines()]
    told = [line for line in lines if line["event"] == "loop_blocked"][-1]
    assert (told["level"], told["msg"]) == ("WARNING", "the event loop is blocked")
    assert f"{__name__}:a_hook_that_waits:" in told["where"]
    assert 0.1 <= told["lag_s"] < 5
