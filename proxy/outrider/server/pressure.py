"""How close the process is to its limits, and what is given up at which step (HARDENING §7)."""

import asyncio
import os
import resource
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final

from outrider.core.ports import Clock
from outrider.server.events import EdgeEvents, ShedCause

_PROBE_S: Final = 0.1
_LAG_LIMIT_S: Final = 0.25
_TURN_S: Final = 1.0  # what one turn counts at most: a machine that was paused is not overloaded
_RESERVED_FDS: Final = 32  # for the audit log and the decision point
_CGROUP: Final = Path("/sys/fs/cgroup")
_MEMORY_FILES: Final = (
    ("memory.current", "memory.max"),
    ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes"),
)


class Level(IntEnum):
    """Steps of giving things up; each includes the ones below."""

    CALM = 0
    TRIM = 1  # 0.85: idle connections close, body deadlines halve
    NO_KEEPALIVE = 2  # 0.92
    SOFT = 3  # 0.95: new exchanges are refused with `overload`
    HARD = 4  # 0.98: connections are not accepted


_STEPS: Final = (
    (0.98, Level.HARD),
    (0.95, Level.SOFT),
    (0.92, Level.NO_KEEPALIVE),
    (0.85, Level.TRIM),
)


def level_of(ratio: float) -> Level:
    for step, level in _STEPS:
        if ratio >= step:
            return level
    return Level.CALM


class Pressure:
    """The worst of all ratios, measured ten times a second by `run`. Reading it costs nothing."""

    def __init__(
        self,
        *,
        clock: Clock,
        events: EdgeEvents,
        readers: Mapping[ShedCause, Callable[[], float]],
    ) -> None:
        self._clock = clock
        self._events = events
        self._readers = dict(readers)
        self.level = Level.CALM
        self.cause = ShedCause.LOOP_LAG

    def note(self, ratios: Mapping[ShedCause, float]) -> None:
        """Take new ratios; the worst of them is the pressure."""
        self.cause = max(ratios, key=lambda cause: ratios[cause])
        self.level = level_of(ratios[self.cause])
        for cause, ratio in ratios.items():
            self._events.pressure(cause.value, ratio)

    async def run(self) -> None:
        """Measure until cancelled."""
        ratios = dict.fromkeys((*self._readers, ShedCause.LOOP_LAG), 0.0)
        count = 0
        while True:
            before_s = self._clock.monotonic_s()
            await asyncio.sleep(_PROBE_S)
            lag_s = max(0.0, self._clock.monotonic_s() - before_s - _PROBE_S)
            self._events.loop_lag(lag_s)
            ratios[ShedCause.LOOP_LAG] = lag_ratio(ratios[ShedCause.LOOP_LAG], lag_s)
            if count % 10 == 0 and self._readers:
                ratios.update(await asyncio.to_thread(self._read))
            count += 1
            self.note(ratios)

    def _read(self) -> dict[ShedCause, float]:
        return {cause: reader() for cause, reader in self._readers.items()}


def lag_ratio(before: float, lag_s: float) -> float:
    """The loop's lag against its limit, after one more turn that was late by `lag_s`.

    One slow turn, however slow, is no overload: the mean of the last second is.
    """
    return before + (min(lag_s, _TURN_S) / _LAG_LIMIT_S - before) / 10


def memory_ratio(root: Path = _CGROUP) -> float:
    """Used share of the cgroup's memory limit; 0 where there is no limit to read."""
    for used_name, limit_name in _MEMORY_FILES:
        try:
            used = int((root / used_name).read_text(encoding="ascii"))
            limit = int((root / limit_name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # "max" is no number: unlimited
            continue
        return used / limit if 0 < limit < 1 << 60 else 0.0
    return 0.0


def fd_ratio(directory: Path = Path("/proc/self/fd")) -> float:
    """Open descriptors against the limit less those reserved; 0 where it cannot be read."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        used = len(os.listdir(directory))  # noqa: PTH208 - counting, not walking
    except OSError:
        return 0.0
    return used / max(1, limit - _RESERVED_FDS)
