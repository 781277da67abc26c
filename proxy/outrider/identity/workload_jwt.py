"""JWT-SVIDs of our own, fetched from the Workload API for an audience (IDENTITY §4).

Laws: a token is ours or it is refused: its `sub` is the SPIFFE ID of the SVID we hold now; nobody
waits longer than the call's deadline; whoever asks for what is under way waits for that; a token
never prints.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import grpc

from outrider.core.errors import CredentialUnavailableError, UnauthenticatedError
from outrider.core.ports import Clock
from outrider.core.secret import Secret
from outrider.identity.events import IdentityEvents
from outrider.identity.jws import check_audience, read_jws, times_of
from outrider.identity.jwt_svid import Expectation, verify_read_svid
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.spiffe_id import SpiffeId
from outrider.identity.workload_proto import UndecodableError, decoded, encoded

DEADLINE_S: Final = 5.0
SVIDS_LIMIT: Final = 64
AUDIENCES_LIMIT: Final = 16
AUDIENCE_BYTES: Final = 2048
_CACHE_LIMIT: Final = 256
_LEEWAY_S: Final = 30.0
_LIFE_S: Final = 86_400.0

Audience = frozenset[str]
"""Everyone a token is for; the order of names says nothing."""
Ask = Callable[[bytes], Awaitable[bytes]]
"""The unary call: bytes of a `JWTSVIDRequest` to those of its answer. Raises
`grpc.aio.AioRpcError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtSvid:
    """A JWT-SVID of ours. `token` is the compact serialisation."""

    token: Secret
    spiffe_id: SpiffeId
    audience: Audience
    expires_unix_s: float


@dataclass(frozen=True, slots=True)
class _Cached:
    svid: JwtSvid
    until_unix_s: float


@dataclass(slots=True)
class _Flight:
    """A fetch under way: None for those who wait, where whoever made it was cancelled."""

    landed: asyncio.Future[JwtSvid | CredentialUnavailableError | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class JwtSvids:
    """Fetches and keeps JWT-SVIDs, each to half of the life it had left when it came."""

    def __init__(
        self, *, ask: Ask, keeper: IdentityKeeper, clock: Clock, events: IdentityEvents
    ) -> None:
        self._ask = ask
        self._keeper = keeper
        self._clock = clock
        self._events = events
        self._cached: dict[tuple[Audience, str], _Cached] = {}
        self._flights: dict[tuple[Audience, str], _Flight] = {}
        self._clearings = 0

    async def fetch(self, *audience: str) -> JwtSvid:
        """One JWT-SVID for all of `audience` under the SPIFFE ID of our SVID. Raises
        `CredentialUnavailableError`; waits five seconds at most for each try it joins."""
        everyone = frozenset(audience)
        if not 0 < len(everyone) <= AUDIENCES_LIMIT:
            raise _unavailable("an audience of nobody, or of too many", "failed")
        if not all(0 < len(each.encode()) <= AUDIENCE_BYTES for each in everyone):
            raise _unavailable("an audience that is empty or too long", "failed")
        while True:
            own = self._keeper.own()
            if own is None:
                raise _unavailable("no valid SVID of our own", "failed")
            name = (everyone, own.spiffe_id.text)
            cached = self._cached.get(name)
            if cached is not None and self._clock.unix_s() < cached.until_unix_s:
                return cached.svid
            flight = self._flights.get(name)
            if flight is None:
                return await self._fly(name, own.spiffe_id)
            landed = await asyncio.shield(flight.landed)
            if isinstance(landed, JwtSvid):
                return landed
            if landed is not None:
                raise _unavailable(landed.detail, landed.cause)

    def clear(self) -> None:
        """Forget every token: we may no longer be entitled to them."""
        self._cached.clear()
        self._clearings += 1

    # --- inside ---

    async def _fly(self, name: tuple[Audience, str], own: SpiffeId) -> JwtSvid:
        flight = self._flights[name] = _Flight()
        landed: JwtSvid | CredentialUnavailableError | None = None
        clearings = self._clearings
        try:
            landed = await self._fetched(name[0], own)
            if clearings != self._clearings:
                raise _unavailable("entitlement ended while the JWT-SVID was fetched", "denied")
        except CredentialUnavailableError as fault:
            landed = fault
            raise
        finally:
            del self._flights[name]
            flight.landed.set_result(landed)
        self._keep(name, landed)
        return landed

    async def _fetched(self, audience: Audience, own: SpiffeId) -> JwtSvid:
        started_s = self._clock.monotonic_s()
        result = "failed"
        try:
            svid = self._ours(await self._answer(audience, own), audience, own)
            result = "ok"
        except CredentialUnavailableError as fault:
            result = fault.cause or result
            raise
        finally:
            self._events.jwt_fetched(result, self._clock.monotonic_s() - started_s)
        return svid

    async def _answer(self, audience: Audience, own: SpiffeId) -> bytes:
        request = encoded("JWTSVIDRequest", audience=sorted(audience), spiffe_id=own.text)
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._ask(request)
        except TimeoutError:
            raise _unavailable("the Workload API did not answer in time", "failed") from None
        except grpc.aio.AioRpcError as ended:
            if ended.code() is grpc.StatusCode.PERMISSION_DENIED:
                self.clear()
                raise _unavailable("the Workload API gives us no JWT-SVID", "denied") from None
            raise _unavailable("the Workload API cannot be asked", "failed") from None
        except grpc.aio.UsageError:
            raise _unavailable("the Workload API is closed", "failed") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise _unavailable("the Workload API cannot be asked", "failed") from None

    def _ours(self, answer: bytes, audience: Audience, own: SpiffeId) -> JwtSvid:
        try:
            svids = decoded("JWTSVIDResponse", answer).svids
        except UndecodableError:
            raise _unavailable("an answer that cannot be read", "failed") from None
        for svid in svids[:SVIDS_LIMIT]:
            if svid.spiffe_id == own.text and svid.svid:
                return self._checked(str(svid.svid), audience, own)
        raise _unavailable("no JWT-SVID for the identity that is ours", "failed")

    def _checked(self, token: str, audience: Audience, own: SpiffeId) -> JwtSvid:
        """`token` where it is what was asked for. Its signature is checked where keys of our trust
        domain are known; the agent that sent it is trusted with our X.509-SVID all the same."""
        bundles, now_s = self._keeper.snapshot().jwt, self._clock.unix_s()
        try:
            jws = read_jws(token)
            if jws.claims.get("sub") != own.text:
                raise _unavailable("a JWT-SVID of another subject", "failed")
            if own.trust_domain in bundles.by_domain:
                expected = Expectation(
                    audience=next(iter(audience)),
                    trust_domains=frozenset({own.trust_domain}),
                    leeway_s=_LEEWAY_S,
                    max_life_s=_LIFE_S,
                )
                verified = verify_read_svid(
                    jws, bundles=bundles, expected=expected, now_unix_s=now_s
                )
                expires = verified.expires_unix_s
            else:
                expires = times_of(
                    jws.claims, now_s, leeway_s=_LEEWAY_S, max_life_s=_LIFE_S
                ).expires
            for each in audience:
                check_audience(jws.claims.get("aud"), each)
        except UnauthenticatedError:
            raise _unavailable("a JWT-SVID that does not verify", "failed") from None
        if expires <= now_s:
            raise _unavailable("a JWT-SVID that has expired", "failed")
        return JwtSvid(
            token=Secret(token), spiffe_id=own, audience=audience, expires_unix_s=expires
        )

    def _keep(self, name: tuple[Audience, str], svid: JwtSvid) -> None:
        now_s = self._clock.unix_s()
        self._cached.pop(name, None)
        while len(self._cached) >= _CACHE_LIMIT:
            del self._cached[next(iter(self._cached))]
        self._cached[name] = _Cached(svid, now_s + (svid.expires_unix_s - now_s) / 2)


def _unavailable(detail: str, cause: str | None) -> CredentialUnavailableError:
    return CredentialUnavailableError(detail, cause=cause)
