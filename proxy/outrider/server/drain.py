"""Leaving without dropping anything (OPERATIONS §11)."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from outrider.config.settings import Drain as DrainSettings
from outrider.core.ports import Clock
from outrider.server.listener import Listener

_LOOK_S: Final = 0.05
_LAST_WORDS_S: Final = 0.5
QUIET_S: Final = 0.25
"""How long a kept connection is left open: its next request may be on the way, and is answered
with `Connection: close`."""


class Drain:
    """Lets the listeners go in order. `hurry` (a second SIGTERM) skips what waiting is left."""

    def __init__(
        self,
        *,
        listeners: Sequence[Listener],
        settings: DrainSettings,
        clock: Clock,
        announce: Callable[[], None],
        say_last: Callable[[], object] = lambda: None,
    ) -> None:
        """`announce` makes readiness say no; called once, first. `say_last` ends what outlasted
        the grace in its own protocol's words."""
        self._listeners = listeners
        self._settings = settings
        self._clock = clock
        self._announce = announce
        self._say_last = say_last
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        self._hurried.set()

    async def run(self) -> bool:
        """Drain; True where nothing had to be cut.

        1 announce, every answer closes its connection; 2 accept for the delay; 3 stop accepting,
        whoever has connected by then included; 4 wait for what is under way, the grace at most;
        5 end what is left: with its last words, half a second for them, then cut.
        """
        # 1: announce
        self._announce()
        for listener in self._listeners:
            listener.drain()
        # 2: keep accepting
        await self._until(lambda: False, self._settings.delay_s)
        # 3: stop accepting
        for listener in self._listeners:
            await asyncio.to_thread(listener.turn_away)
        await self._until(lambda: False, _LOOK_S)
        for listener in self._listeners:
            listener.stop_accepting()
        # 4: wait
        clean = await self._until(self._is_done, self._settings.grace_s)
        # 5: cut
        if not clean:
            self._say_last()
            await self._until(self._is_done, _LAST_WORDS_S, heed=False)
        for listener in self._listeners:
            listener.abort()
        return clean

    def _is_done(self) -> bool:
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
