"""Leaving without dropping anything (OPERATIONS §11)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from outrider.core.ports import Clock
from outrider.server.listener import Listener

_LOOK_S: Final = 0.05
_ACCEPT_S: Final = 1.0
_LAST_WORDS_S: Final = 0.5
SILENT_S: Final = 5.0
"""How long nothing must be asked before a listener that lingers closes."""
QUIET_S: Final = 0.25
"""How long a kept connection is left open: its next request may be on the way, and is answered
with `Connection: close`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainTimes:
    """How long each step may take."""

    delay_s: float = 0.0
    grace_s: float = 20.0


class Drain:
    """Lets the listeners go in order. `hurry` (a second SIGTERM) skips what waiting is left."""

    def __init__(
        self,
        *,
        listeners: Sequence[Listener],
        times: DrainTimes,
        clock: Clock,
        announce: Callable[[], None],
        say_last: Callable[[], object] = lambda: None,
        lingering: Listener | None = None,
    ) -> None:
        """`announce` makes readiness say no; called once, first. `say_last` ends what outlasted
        the grace in its own protocol's words. `lingering` is one of the listeners, which stays open
        until nothing was asked on it for a while, within the grace."""
        self._listeners = listeners
        self._times = times
        self._lingering = lingering
        self._clock = clock
        self._announce = announce
        self._say_last = say_last
        self._hurried = asyncio.Event()
        self._looked_s = self._awake_s = 0.0

    def hurry(self) -> None:
        self._hurried.set()

    async def run(self) -> bool:
        """Drain; True where nothing had to be cut.

        1 announce, every answer closes its connection; 2 accept for the delay, and where one
        lingers until it is silent; 3 stop accepting, whoever has connected by then included; 4 wait
        for what is under way, the grace at most; 5 end what is left: with its last words, half a
        second for them, then cut.
        """
        # 1: announce
        self._announce()
        for listener in self._listeners:
            listener.drain()
        # 2: keep accepting
        await self._until(lambda: False, self._times.delay_s)
        spent_s = 0.0
        if self._lingering is not None:
            await self._stop_accepting([one for one in self._listeners if one != self._lingering])
            spent_s = await self._linger(self._lingering)
        # 3: stop accepting
        await self._stop_accepting(self._listeners)
        # 4: wait
        self._looked_s = self._clock.monotonic_s()
        self._awake_s = self._looked_s - QUIET_S
        clean = await self._until(self._is_done, max(0.0, self._times.grace_s - spent_s))
        # 5: cut
        if not clean:
            self._say_last()
            await self._until(self._is_done, _LAST_WORDS_S, heed=False)
        for listener in self._listeners:
            listener.abort()
        return clean

    async def _stop_accepting(self, listeners: Sequence[Listener]) -> None:
        for listener in listeners:
            await asyncio.to_thread(listener.turn_away)
        await self._until(lambda: False, _LOOK_S)  # for handshakes that have begun
        await self._until(lambda: all(one.has_accepted_all for one in listeners), _ACCEPT_S)
        for listener in listeners:
            listener.stop_accepting()

    async def _linger(self, listener: Listener) -> float:
        """Wait until nothing was asked at `listener` for a while; how long that took, in
        seconds."""
        began_s = last_s = self._clock.monotonic_s()
        asked = listener.asked

        def is_silent() -> bool:
            nonlocal asked, last_s
            now_s = self._clock.monotonic_s()
            if listener.is_busy or listener.asked != asked:
                asked, last_s = listener.asked, now_s
            return now_s - last_s >= SILENT_S

        await self._until(is_silent, self._times.grace_s)
        return self._clock.monotonic_s() - began_s

    def _is_done(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s >= QUIET_S / 2:
            # We, or the machine, stood still: that was no time in which anybody could have asked.
            self._awake_s = now_s
        self._looked_s = now_s
        if now_s - self._awake_s >= QUIET_S:
            for listener in self._listeners:
                listener.close_idle(QUIET_S)
        return not any(listener.open for listener in self._listeners)

    async def _until(self, done: Callable[[], bool], limit_s: float, *, heed: bool = True) -> bool:
        """Look twenty times a second until `done`, `limit_s` or, with `heed`, `hurry`."""
        hurried = self._hurried if heed else asyncio.Event()
        end_s = self._clock.monotonic_s() + limit_s
        while not done():
            if hurried.is_set() or self._clock.monotonic_s() >= end_s:
                return False
            try:
                async with asyncio.timeout(_LOOK_S):
                    await hurried.wait()
            except TimeoutError:
                continue
        return True
