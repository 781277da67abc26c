"""Policy that comes over a wire: fetched, verified and put in force whole, again and again.

Laws: what does not verify or activate changes nothing, the last good one stays; only a source that
was reached and holds what is in force confirms it; nobody is asked more often for being down; a
start without its source goes on from what was last good, no fresher than it was.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from outrider.core.errors import ConfigError
from outrider.core.ports import Clock
from outrider.policy.archive import Packed
from outrider.policy.keeper import NotServedError, PolicyKeeper
from outrider.policy.shelf import Kept, Shelf
from outrider.policy.sources.origin import BundleOrigin, Fetched, FetchError

logger = logging.getLogger(__name__)

FIRST_S: Final = 5.0
"""Longest that a start waits for its source before it takes what was last good."""
_SOONEST_S: Final = 1.0
_JITTER: Final = 0.25
_MOST_DOUBLINGS: Final = 16
_AGAIN_S: Final = 600.0
"""A bundle that was refused is tried again so much later: what was wrong may have been ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the source is looked at, and how long one look may take, in seconds."""

    poll_s: float = 60.0
    timeout_s: float = 30.0

    def pause_s(self, failures: int, random: Random) -> float:
        """The time to the next look, after so many failures in a row."""
        if not failures:
            return self.poll_s * random.uniform(1 - _JITTER, 1 + _JITTER)
        grown = _SOONEST_S * float(1 << min(failures - 1, _MOST_DOUBLINGS))
        return min(grown, self.poll_s) * random.uniform(0.5, 1.0)


class Delivery:
    """Brings what `origin` holds to `keeper`. `downloads_failed` is told of each failed look."""

    def __init__(  # noqa: PLR0913 - collaborators by keyword
        self,
        *,
        origin: BundleOrigin,
        keeper: PolicyKeeper,
        shelf: Shelf,
        clock: Clock,
        pace: Pace,
        downloads_failed: Callable[[], None],
        random: Random | None = None,
    ) -> None:
        self._origin = origin
        self._keeper = keeper
        self._shelf = shelf
        self._clock = clock
        self._pace = pace
        self._downloads_failed = downloads_failed
        self._random = random or Random()  # noqa: S311 - jitter
        self._looking = asyncio.Lock()
        self._etag = ""
        self._refused: str | None = None
        self._again_s = 0.0
        self._seen = b""
        self._down = False

    async def begin(self) -> None:
        """Put a first policy in force: the source's, else the last good one.

        Raises `ConfigError` where there is neither.
        """
        try:
            await self._look_within(min(FIRST_S, self._pace.timeout_s))
        except NotServedError:
            raise
        except ConfigError as fault:
            if not await self._resume(fault):
                raise

    async def look(self, *, anew: bool = False) -> bool:
        """Fetch what is there now; True where that changed anything. `anew` tries again what was
        refused. Raises `ConfigError`."""
        return await self._look_within(self._pace.timeout_s, anew=anew)

    async def run(self, failures: int = 0) -> None:
        """Look for ever, after so many failures. Ends only by cancellation."""
        while True:
            await asyncio.sleep(self._pace.pause_s(failures, self._random))
            try:
                if self._keeper.status().revision is None:
                    await self.begin()
                else:
                    await self.look()
            except ConfigError:
                failures += 1  # told in status, log and metrics
            else:
                failures = 0

    async def _look_within(self, timeout_s: float, *, anew: bool = False) -> bool:
        async with self._looking:
            if self._refused and (anew or self._clock.monotonic_s() >= self._again_s):
                self._seen, self._etag, self._refused = b"", "", None
            found = await self._fetched(timeout_s)
            if found is None:
                return await self._unchanged()
            return await self._take(found)

    async def _fetched(self, timeout_s: float) -> Fetched | None:
        try:
            async with asyncio.timeout(timeout_s):
                found = await self._origin.fetch(self._etag)
        except (ConfigError, TimeoutError) as fault:  # a token that cannot be read is one too
            said = str(fault) or f"no answer within {timeout_s:g} s"
            self._downloads_failed()
            if not self._down:
                self._down = True
                logger.warning(
                    "policy's source cannot be used",
                    extra={"event": "policy_source", "source": self._origin.name, "fault": said},
                )
            raise FetchError(f"{self._origin.name}: {said}") from None
        if self._down:
            self._down = False
            logger.info(
                "policy's source answers again",
                extra={"event": "policy_source_back", "source": self._origin.name},
            )
        return found

    async def _unchanged(self) -> bool:
        """The source holds what we last saw of it, for better or worse."""
        if self._refused is not None:
            raise ConfigError(self._refused)
        await self._confirm()
        return False

    async def _take(self, found: Fetched) -> bool:
        if found.content == self._seen:  # a source without ETags says the same again
            self._etag = found.etag
            return await self._unchanged()
        packed = Packed(name=self._origin.name, content=found.content)
        source = replace(self._keeper.source, path=packed)
        try:
            changed = await self._keeper.reload(source)
        except NotServedError:
            raise  # the engine's affair: the same is tried again
        except ConfigError as fault:
            self._seen, self._etag, self._refused = found.content, found.etag, str(fault)
            self._again_s = self._clock.monotonic_s() + _AGAIN_S
            raise
        self._seen, self._etag, self._refused = found.content, found.etag, None
        self._keeper.confirm()
        kept = Kept(packed=packed, etag=found.etag, confirmed_unix_s=self._clock.unix_s())
        await self._kept(lambda: self._shelf.keep(kept))
        return changed

    async def _confirm(self) -> None:
        if self._keeper.confirm_unless_failed():
            now_unix_s = self._clock.unix_s()
            await self._kept(lambda: self._shelf.confirmed(self._etag, now_unix_s))

    async def _kept(self, keep: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(keep)
        except ConfigError as fault:
            logger.warning(  # what is in force stays so
                "the last good policy cannot be kept",
                extra={"event": "policy_not_kept", "fault": str(fault)},
            )

    async def _resume(self, fault: ConfigError) -> bool:
        """Go on from what was last good; whether there was any."""
        async with self._looking:
            kept = await asyncio.to_thread(self._shelf.load, self._origin.name)
            if kept is None:
                return False
            source = replace(self._keeper.source, path=kept.packed)
            await self._keeper.reload(source, confirmed_unix_s=kept.confirmed_unix_s)
            if isinstance(fault, FetchError):
                self._seen, self._etag = kept.packed.content, kept.etag
            logger.warning(
                "policy goes on from the last good bundle",
                extra={"event": "policy_resumed", "fault": str(fault)},
            )
            return True
