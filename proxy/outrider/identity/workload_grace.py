"""When a denial by the agent counts (IDENTITY §4; `identity.workload_api.denied_grace_s`).

Laws: a denial counts at once; only one that follows an outage, with no valid message in between,
may be waited out, once, for no longer than settings say, whatever the agent does meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import grpc

logger = logging.getLogger("outrider.identity")

OUTAGE: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK})


class DeniedGrace:
    """Judges how one stream ended, and calls `denied` when a denial counts.

    An agent that has just started knows no workload until it has heard its server, and denies all.
    """

    def __init__(self, grace_s: float, denied: Callable[[], None]) -> None:
        self._grace_s = grace_s
        self._denied = denied
        self._has_heard = False
        self._is_after_outage = False
        self._timer: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """A valid message came: a denial before it is forgotten, the next one counts at once."""
        self._has_heard = True
        self._is_after_outage = False
        self.close()

    def ended(self, code: grpc.StatusCode) -> None:
        """The stream ended with `code`."""
        if code in OUTAGE:
            self._is_after_outage = True
        if code is not grpc.StatusCode.PERMISSION_DENIED:
            return
        if not (self._grace_s and self._has_heard and self._is_after_outage):
            self._count()
        elif self._timer is None:
            logger.warning(
                "the agent denies us after an outage: what it said before is kept for the grace",
                extra={"event": "workload_api", "grace_s": self._grace_s},
            )
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._grace_s, self._count)

    def close(self) -> None:
        """Wait for nothing any more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self) -> None:
        self.close()
        self._has_heard = False
        self._denied()
