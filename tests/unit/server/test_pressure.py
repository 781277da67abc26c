import asyncio

import pytest

from outrider.core.clock import SystemClock
from outrider.server.events import NoEvents, ShedCause
from outrider.server.pressure import (
    Level,
    Pressure,
    fd_ratio,
    lag_ratio,
    level_of,
    memory_ratio,
)
from tests.support.builders import FixedClock


@pytest.mark.parametrize(
    ("ratio", "level"),
    [
        (0.0, Level.CALM),
        (0.849, Level.CALM),
        (0.85, Level.TRIM),
        (0.92, Level.NO_KEEPALIVE),
        (0.95, Level.SOFT),
        (0.98, Level.HARD),
        (7.0, Level.HARD),
    ],
)
def test_each_step_gives_more_up(ratio, level):
    assert level_of(ratio) is level


def test_the_worst_ratio_is_the_pressure():
    pressure = Pressure(clock=FixedClock(), events=NoEvents(), readers={})
    pressure.note({ShedCause.MEMORY: 0.2, ShedCause.FDS: 0.93})
    assert (pressure.level, pressure.cause) == (Level.NO_KEEPALIVE, ShedCause.FDS)
    pressure.note({ShedCause.MEMORY: 0.2, ShedCause.FDS: 0.1})
    assert pressure.level is Level.CALM


def after(*lags_s: float) -> Level:
    ratio = 0.0
    for lag_s in lags_s:
        ratio = lag_ratio(ratio, lag_s)
    return level_of(ratio)


@pytest.mark.parametrize(
    ("lags_s", "level"),
    [
        pytest.param([0.3] * 40, Level.HARD, id="every-turn-a-little-late"),
        pytest.param([1.0] * 3, Level.HARD, id="three-turns-by-a-second"),
        pytest.param([0.01] * 100, Level.CALM, id="in-time"),
        pytest.param([4.0], Level.CALM, id="one-turn-by-four-seconds"),
        pytest.param([600.0], Level.CALM, id="a-machine-that-was-paused"),
        pytest.param([600.0, 0.01, 0.01], Level.CALM, id="and-went-on"),
    ],
)
def test_one_slow_turn_is_no_overload_and_many_are(lags_s: list[float], level: Level) -> None:
    assert after(*lags_s) is level


@pytest.mark.parametrize(
    ("files", "ratio"),
    [
        ({"memory.current": "50\n", "memory.max": "100\n"}, 0.5),
        ({"memory.current": "50\n", "memory.max": "max\n"}, 0.0),
        ({"memory/memory.usage_in_bytes": "9", "memory/memory.limit_in_bytes": "10"}, 0.9),
        ({}, 0.0),
    ],
)
def test_memory_is_read_from_either_cgroup(tmp_path, files, ratio):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert memory_ratio(tmp_path) == ratio


def test_descriptors_are_counted(tmp_path):
    assert 0 < fd_ratio() < 1
    assert fd_ratio(tmp_path / "absent") == 0.0


async def test_it_measures_until_it_is_told_to_stop():
    pressure = Pressure(
        clock=SystemClock(), events=NoEvents(), readers={ShedCause.MEMORY: lambda: 0.96}
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.25):
            await pressure.run()
    assert (pressure.level, pressure.cause) == (Level.SOFT, ShedCause.MEMORY)
