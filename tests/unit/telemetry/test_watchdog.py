"""A blocked loop is seen from outside, and what it was doing is said once a minute at most."""

import asyncio
import inspect
import logging
import sys
import threading
import time

import pytest

from outrider.core.clock import SystemClock
from outrider.telemetry.watchdog import BEAT_S, Watchdog, stack_of
from tests.support.builders import FixedClock

SECRET = "hunter2-in-a-local"


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [one for one in caplog.records if getattr(one, "event", "") == "loop_blocked"]


@pytest.mark.parametrize(
    ("late_s", "said"),
    [
        pytest.param(0.0, False, id="on-time"),
        pytest.param(0.099, False, id="near-miss"),
        pytest.param(0.101, True, id="blocked"),
    ],
)
def test_a_tenth_of_a_second_is_said(
    late_s: float, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FixedClock()
    watchdog = Watchdog(clock)
    clock.pass_s(BEAT_S + late_s)
    assert watchdog.look(inspect.currentframe()) is said
    assert len(told(caplog)) == said


def test_it_is_said_once_a_minute_at_most(caplog: pytest.LogCaptureFixture) -> None:
    clock = FixedClock()
    watchdog = Watchdog(clock)
    clock.pass_s(1)
    assert [watchdog.look(None) for _ in range(5)] == [True, False, False, False, False]
    clock.pass_s(59)
    assert not watchdog.look(None)
    clock.pass_s(1.5)
    assert watchdog.look(None)
    assert len(told(caplog)) == 2


def test_a_stack_is_places_and_no_values() -> None:
    hidden = SECRET
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_locals["hidden"] == hidden
    shown = stack_of(frame)
    assert SECRET not in shown
    assert shown.startswith(f"{__name__}:test_a_stack_is_places_and_no_values:")
    assert shown.count(" < ") <= 23
    assert stack_of(None) == "unknown"


async def test_a_loop_that_stands_still_is_found_in_the_act(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watchdog = Watchdog(SystemClock())
    watchdog.start()
    _stand_still(caplog)
    assert watchdog.lag_s() > 0.1
    await asyncio.sleep(3 * BEAT_S)
    assert watchdog.lag_s() < 0.1
    watchdog.stop()
    watchdog.stop()
    (record,) = told(caplog)
    assert "_stand_still" in str(record.__dict__["where"])
    assert record.threadName == "outrider-watchdog"


def _stand_still(caplog: pytest.LogCaptureFixture) -> None:
    """Until somebody noticed, ten seconds at most."""
    done = threading.Event()
    for _ in range(1000):
        if told(caplog):
            return
        done.wait(0.01)
    raise AssertionError((sys._current_frames(), time.monotonic()))
