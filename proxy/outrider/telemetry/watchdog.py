"""Sees an event loop that no longer turns, and says what it was doing (OPERATIONS §10).

Laws: it looks from a thread of its own, since the loop cannot say that it is blocked; what it logs
is places in code, never a value; one stack a minute at most.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

from outrider.core.ports import Clock

logger = logging.getLogger("outrider.watchdog")

BEAT_S: Final = 0.05
BLOCKED_S: Final = 0.1
SILENCE_S: Final = 60.0
_FRAMES: Final = 24


class Watchdog:
    """`start` on the loop that is watched; `stop` ends both sides, and may be called twice."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat_s = clock.monotonic_s()
        self._told_s = float("-inf")
        self._stopped = threading.Event()
        self._watched = 0
        self._cancel: Callable[[], None] = lambda: None

    def start(self) -> None:
        self._watched = threading.get_ident()
        self._beat()
        threading.Thread(target=self._watch, name="outrider-watchdog", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()
        self._cancel()

    def lag_s(self) -> float:
        """How long the loop is overdue."""
        return max(0.0, self._clock.monotonic_s() - self._beat_s - BEAT_S)

    def look(self, frame: FrameType | None) -> bool:
        """Whether the loop is blocked now and nothing was said of it for a minute; then it is
        said, with what `frame`, the loop's, is in the middle of."""
        lag_s, now_s = self.lag_s(), self._clock.monotonic_s()
        if lag_s < BLOCKED_S or now_s - self._told_s < SILENCE_S:
            return False
        self._told_s = now_s
        logger.warning(
            "the event loop is blocked",
            extra={"event": "loop_blocked", "lag_s": round(lag_s, 3), "where": stack_of(frame)},
        )
        return True

    def _beat(self) -> None:
        self._beat_s = self._clock.monotonic_s()
        self._cancel = asyncio.get_running_loop().call_later(BEAT_S, self._beat).cancel

    def _watch(self) -> None:
        while not self._stopped.wait(BEAT_S):
            if self.lag_s() >= BLOCKED_S:
                # A frame of another thread: looked at once, and let go.
                self.look(sys._current_frames().get(self._watched))  # noqa: SLF001 - the only way


def stack_of(frame: FrameType | None) -> str:
    """Where `frame` is, innermost first: `module:function:line`, without values."""
    places: list[str] = []
    while frame is not None and len(places) < _FRAMES:
        name = frame.f_globals.get("__name__", "?")
        places.append(f"{name}:{frame.f_code.co_name}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(places) or "unknown"
