"""The bundle that OPA polls: offered by ETag, a poll held open until it changes.

Laws: a poll waits no longer than it asked to, and at most a minute. What OPA asks next tells
whether it took what it was given. Who may ask, and over what, is a listener's affair.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from outrider.core.errors import ConfigError
from outrider.core.secret import Secret
from outrider.policy.release import Release, bundle_bytes

FOLDER: Final = "/v1/opa"
RESOURCE: Final = "bundle.tar.gz"
CONTENT_TYPE: Final = "application/vnd.openpolicyagent.bundles"
"""OPA goes on with long polls only where it sees this one, on a 304 too."""

LONGEST_WAIT_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """The answer to one poll: 200 with the bundle, 304, or 404 where nothing is offered yet."""

    status: int
    etag: str = ""
    body: bytes = b""


class BundleSource:
    """What OPA is offered now, and whether it took it."""

    def __init__(self) -> None:
        self._etag = ""
        self._packed = b""
        self._changed = asyncio.Event()
        self._given: str | None = None
        self._verdict: asyncio.Future[bool] | None = None

    def offer(self, release: Release) -> str:
        """Serve `release` from now on under the ETag returned, and end the polls that wait.

        They end where it is the same release too: what OPA asks next is its verdict on it.
        What was signed is served as it came, so that OPA can verify it too.
        """
        self._packed = release.as_signed or bundle_bytes(release)
        self._etag = f'"{hashlib.sha256(self._packed).hexdigest()[:32]}"'
        self._changed.set()
        self._changed = asyncio.Event()
        return self._etag

    async def poll(self, etag: str | None, wait_s: float = 0) -> Offered:
        """The answer to an OPA that has `etag`, at once or within `wait_s` when there is news."""
        self._asked(etag)
        if wait_s > 0 and (not self._packed or etag == self._etag):
            with suppress(TimeoutError):
                async with asyncio.timeout(min(wait_s, LONGEST_WAIT_S)):
                    await self._changed.wait()
        if not self._packed:
            return Offered(status=404)
        if etag == self._etag:
            return Offered(status=304, etag=self._etag)
        self._given = self._etag
        return Offered(status=200, etag=self._etag, body=self._packed)

    def forget(self) -> None:
        """Another OPA begins: what the one before was given says nothing of it."""
        self._given = None

    async def taken(self) -> bool:
        """Whether OPA took what is offered: it either asks on from there or from elsewhere."""
        if self._verdict is not None:
            raise ConfigError("an activation is under way already")
        self._verdict = asyncio.get_running_loop().create_future()
        try:
            return await self._verdict
        finally:
            self._verdict = None

    def _asked(self, etag: str | None) -> None:
        """OPA asks, having `etag`: the one it was last given, if it took it."""
        given, self._given = self._given, None
        if self._verdict is None or self._verdict.done():
            return
        if etag == self._etag:
            self._verdict.set_result(True)
        elif given == self._etag:
            self._verdict.set_result(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFeed:
    """What a child is fed: from `source`, by a listener that knows `token` as nobody else's.

    `origin` gives that listener's `http://host:port` on loopback; asked when the child starts, it
    raises `ConfigError` where nothing listens yet.
    """

    source: BundleSource
    token: Secret
    origin: Callable[[], str]
