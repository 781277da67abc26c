"""The keys of one OIDC issuer: fetched beside the requests, never by them.

Laws: a request waits two seconds at most, and only where the issuer has not been asked for half a
minute; one fetch at a time; what was last good is kept while the issuer is silent, for an hour; a
key that the issuer no longer lists verifies nothing from the next fetch on, five minutes at most.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from outrider.config.identity_settings import OidcIssuer
from outrider.core import strict_json
from outrider.core.errors import EnforcementError, is_panic
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Clock
from outrider.identity.causes import Cause, refused
from outrider.identity.jwks import JwtKey, KeyDocumentError, read_document, read_key

logger = logging.getLogger("outrider.identity")

Fetch: TypeAlias = Callable[[str], Awaitable[bytes]]
"""The document at an https URL, at most `DOCUMENT_BYTES`. Raises `FetchError` alone."""

DOCUMENT_BYTES: Final = 256 << 10
REFRESH_S: Final = 300.0
LEAST_S: Final = 30.0
"""Least time between two fetches that worked, whatever tokens name."""
KEPT_S: Final = 3600.0
COOLDOWN_S: Final = (5.0, 300.0)
"""Time to the next fetch after one that failed, doubled with each up to the second."""
WAIT_S: Final = 2.0
ATTEMPT_S: Final = 10.0
_WAITING: Final = 64
_UNKNOWN: Final = 256
_WELL_KNOWN: Final = "/.well-known/openid-configuration"


class FetchError(Exception):
    """A document that could not be had; the message is a sentence of ours."""


class IssuerKeys:
    """What one issuer signs with. `run` keeps it current; without it there are no keys."""

    def __init__(self, *, name: str, settings: OidcIssuer, fetch: Fetch, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._fetch = fetch
        self._clock = clock
        self._keys: tuple[JwtKey, ...] | None = None
        self._heard_s = 0.0
        self._not_before_s = clock.monotonic_s()
        self._failures = 0
        self._unknown: dict[str, float] = {}
        self._busy = False
        self._waiting = 0
        self._wanted = asyncio.Event()
        self._over = asyncio.Event()

    def current(self) -> tuple[JwtKey, ...] | None:
        """The keys last heard, None where that is too long ago: the same object while they are the
        same keys."""
        if self._keys is None or self._clock.monotonic_s() - self._heard_s > KEPT_S:
            return None
        return self._keys

    async def for_token(self, kid: str | None) -> tuple[JwtKey, ...]:
        """The keys to verify a token naming `kid`, fetched anew where it may be a new one. Raises
        `UnauthenticatedError(issuer_unavailable)` where there are none."""
        if self._lacks(kid):
            await self._ask(kid)
        keys = self.current()
        if keys is None:
            raise refused(Cause.ISSUER_UNAVAILABLE, "the issuer's keys could not be had")
        return keys

    async def run(self) -> None:
        """Fetch every five minutes, sooner where a token names a key that is not known yet."""
        while True:
            self._wanted.clear()
            self._busy = True
            try:
                pause_s = await self._attempt()
            finally:
                self._busy = False
                self._over.set()
                self._over = asyncio.Event()
            try:
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    # --- for requests ---

    def _lacks(self, kid: str | None) -> bool:
        keys = self.current()
        return keys is None or (kid is not None and all(key.kid != kid for key in keys))

    async def _ask(self, kid: str | None) -> None:
        """Wait for a fetch that may bring what is lacking, where one is under way or due."""
        now_s = self._clock.monotonic_s()
        known_unknown = kid is not None and self._unknown.get(kid, now_s) > now_s
        may_start = self._busy or now_s >= self._not_before_s
        if not may_start or self._waiting >= _WAITING or (known_unknown and self._keys is not None):
            return
        over, failures = self._over, self._failures
        if not self._busy:
            self._wanted.set()
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_S):
                await over.wait()
        except TimeoutError:
            return
        finally:
            self._waiting -= 1
        if kid is not None and self._failures <= failures and self._lacks(kid):
            self._remember(kid)

    def _remember(self, kid: str) -> None:
        self._unknown.pop(kid, None)
        while len(self._unknown) >= _UNKNOWN:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[kid] = self._clock.monotonic_s() + REFRESH_S

    # --- fetching ---

    async def _attempt(self) -> float:
        """One fetch; seconds until the next that nobody has to ask for."""
        try:
            async with asyncio.timeout(ATTEMPT_S):
                fresh = await self._fetched()
        except (FetchError, KeyDocumentError) as fault:
            return self._failed(str(fault))
        except TimeoutError:
            return self._failed("the issuer did not answer in time")
        except BaseException as fault:
            if not is_panic(fault):
                raise
            return self._failed("a key that could not be read")
        now_s = self._clock.monotonic_s()
        if self._failures:
            logger.info("an issuer answers again", extra=self._extra())
        self._failures = 0
        self._heard_s, self._not_before_s = now_s, now_s + LEAST_S
        if fresh != self._keys:
            self._keys = fresh
            self._unknown.clear()  # what was lacking may be there now
        return REFRESH_S

    def _failed(self, why: str) -> float:
        if not self._failures:
            logger.warning("an issuer's keys could not be had", extra=self._extra(fault=why))
        first, most = COOLDOWN_S
        pause_s = min(most, first * (1 << min(self._failures, 16)))
        self._failures += 1
        self._not_before_s = self._clock.monotonic_s() + pause_s
        return pause_s

    def _extra(self, **more: str) -> dict[str, str]:
        return {"event": "issuer", "issuer": self.name, **more}

    async def _fetched(self) -> tuple[JwtKey, ...]:
        url = self._settings.jwks_url
        if url is None:
            issuer = self._settings.issuer
            url = _keys_url(await self._fetch(issuer.rstrip("/") + _WELL_KNOWN), issuer)
        return _keys(await self._fetch(url))


def _keys_url(data: bytes, issuer: str) -> str:
    """Where the discovery document says the keys are: on the issuer's own origin alone."""
    try:
        document = strict_json.read(data)
    except EnforcementError:
        document = None
    if not isinstance(document, dict):
        raise FetchError("the discovery document is not a strict JSON object")
    if document.get("issuer") != issuer:
        raise FetchError("the discovery document is another issuer's")
    url = document.get("jwks_uri")
    if not isinstance(url, str) or _origin(url) != _origin(issuer):
        raise FetchError("the keys are not on the issuer's origin; give jwks_url to trust another")
    return url


def _origin(url: str) -> tuple[str | None, int] | None:
    """Host and port of an https URL; None for any other, which no issuer has."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        return None
    return parts.hostname, port


def _keys(data: bytes) -> tuple[JwtKey, ...]:
    """The signing keys of an issuer's JWKS; what is unknown or broken is left out."""
    _, items = read_document(data, DOCUMENT_BYTES)
    if any("d" in item for item in items):
        raise KeyDocumentError("a private key")
    return tuple([key for item in items if (key := _signing_key(item)) is not None])


def _signing_key(item: JsonObject) -> JwtKey | None:
    uses = item.get("key_ops", ["verify"])
    if item.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        return None
    try:
        return read_key(item)
    except KeyDocumentError:
        return None
