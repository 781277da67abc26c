"""A start that is bounded, and says meanwhile what it waits for (OPERATIONS §10).

Laws: ready once is started, and what is missing later ends nothing; whoever is told to leave while
starting leaves.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from outrider.core.errors import OutriderError

logger = logging.getLogger("outrider.app")

SAY_EVERY_S: Final = 5.0
_LOOK_S: Final = 0.05


class StartError(OutriderError):
    """It was not ready in time; the text names what it waited for."""


class Startup:
    """One start. `waits_for` says in words what is not there yet; "" once everything is."""

    def __init__(self, *, limit_s: float, waits_for: Callable[[], str]) -> None:
        self._limit_s = limit_s
        self._waits_for = waits_for
        self._abandoned = False
        self._limit: asyncio.Timeout | None = None

    def abandon(self) -> None:
        """Wait no longer: `run` returns soon, whatever is missing."""
        self._abandoned = True
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time())

    async def run(self, start: Callable[[], Awaitable[object]]) -> None:
        """Start, and wait until nothing is missing, or until `abandon`; where that came first,
        `start` was cancelled.

        Raises `StartError` when the time is up, and what `start` raises.
        """
        loop = asyncio.get_running_loop()
        stop_saying = self._saying(loop)
        limit = asyncio.timeout(0 if self._abandoned else self._limit_s)
        try:
            async with limit:
                self._limit = limit
                await start()
                await self._until_ready()
        except TimeoutError as fault:
            if not limit.expired():
                raise
            if not self._abandoned:
                raise StartError(
                    f"startup_timeout_s ({self._limit_s:g}) has passed waiting for {self._named()}"
                ) from fault
        finally:
            self._limit = None
            stop_saying()

    async def _until_ready(self) -> None:
        while True:
            if not self._waits_for():
                return
            await asyncio.sleep(_LOOK_S)

    def _named(self) -> str:
        return self._waits_for() or "the last step"

    def _saying(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Say every few seconds what is waited for, until the result is called."""
        timer: asyncio.TimerHandle | None = None

        def say() -> None:
            nonlocal timer
            logger.warning(
                "still starting", extra={"event": "starting", "waits_for": self._named()}
            )
            timer = loop.call_later(SAY_EVERY_S, say)

        timer = loop.call_later(SAY_EVERY_S, say)

        def stop() -> None:
            if timer is not None:
                timer.cancel()

        return stop
