"""Making connections to one upstream: resolved, reached, and proven to be who it should be.

Laws: only a checked address is dialled; where an upstream proves itself by its SPIFFE ID, a
connection without that proof is none, and a handshake that fails on either side says so.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from outrider.core.capture import Meant
from outrider.core.errors import UpstreamUnavailableError
from outrider.core.ports import Clock
from outrider.core.vocabulary import Reason
from outrider.listening.sockets import let_go
from outrider.server.addresses import Address, literal
from outrider.server.dns import Resolver
from outrider.server.events import EdgeEvents, UpstreamFault
from outrider.server.origin import Origin, PoolLimits
from outrider.server.upstream_connection import UpstreamConnection

logger = logging.getLogger("outrider.server")

_MADE = TypeVar("_MADE", bound=asyncio.Protocol)
_ELSEWHERE: Final = "the caller was going to an address that is none of the upstream's"
_BAD: Final = "the upstream's certificate is not good"
_NO_TRUST: Final = "the upstream and this sidecar do not accept one another's identity"


class Dialler:
    """Makes connections; keeps none."""

    def __init__(
        self, *, limits: PoolLimits, clock: Clock, events: EdgeEvents, resolver: Resolver
    ) -> None:
        self._limits = limits
        self.clock = self._clock = clock
        self._events = events
        self._resolver = resolver

    async def dial(
        self, origin: Origin, make: Callable[[], UpstreamConnection]
    ) -> UpstreamConnection:
        """A connection to `origin`. Raises `UpstreamUnavailableError`."""
        started_s = self._clock.monotonic_s()
        addresses = await self._addresses(origin)
        sock = await self._connected(origin, addresses)
        try:
            connection = await self._made(sock, origin, make)
        except BaseException:
            let_go(sock)
            raise
        self._events.upstream_connected(
            origin.name, origin.tls is not None, self._clock.monotonic_s() - started_s
        )
        return connection

    async def tunnel(self, origin: Origin, meant: Meant | None, make: Callable[[], _MADE]) -> _MADE:
        """A connection to `origin`, TLS or not being the caller's affair; of a redirected caller to
        the very address it was going to. Raises `UpstreamUnavailableError`."""
        started_s = self._clock.monotonic_s()
        addresses = await self._addresses(origin)
        if meant is not None:
            addresses = (await self._pinned(origin, meant, addresses),)
        sock = await self._connected(origin, addresses)
        try:
            _, made = await asyncio.get_running_loop().create_connection(make, sock=sock)
        except BaseException:
            let_go(sock)
            raise
        took_s = self._clock.monotonic_s() - started_s
        self._events.upstream_connected(origin.name, False, took_s)
        return made

    async def check_meant(self, origin: Origin, meant: Meant, called: str) -> None:
        """Raises `UpstreamUnavailableError` unless a redirected caller was going to a place of
        this upstream's, by the name it called or by the upstream's own."""
        address = literal(meant.address)
        for host in dict.fromkeys((called, origin.host)):
            if address in await self._resolver.known(host, meant.port):
                return
        for host in dict.fromkeys((called, origin.host)):
            if address in await self._resolver.known(host, meant.port, fresh=True):
                return
        raise _elsewhere()

    async def _pinned(
        self, origin: Origin, meant: Meant, addresses: tuple[Address, ...]
    ) -> Address:
        """The checked address that a redirected caller was going to. Names that turn are asked
        for again once."""
        address = literal(meant.address)
        if address is None or address not in addresses:
            addresses = await self._addresses(origin, fresh=True)
        if address is None or address not in addresses:
            raise _elsewhere()
        return address

    async def _addresses(self, origin: Origin, *, fresh: bool = False) -> tuple[Address, ...]:
        resolve = self._resolver.fresh if fresh else self._resolver.resolve
        try:
            return await resolve(origin.host, origin.port, origin.networks)
        except UpstreamUnavailableError:
            self._events.upstream_error(origin.name, UpstreamFault.DNS)
            raise

    async def _connected(self, origin: Origin, addresses: tuple[Address, ...]) -> socket.socket:
        """A connected socket to one of the checked addresses, all tried within one deadline."""
        loop = asyncio.get_running_loop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.connect_s):
                for address in addresses:
                    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
                    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                    try:
                        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        await loop.sock_connect(sock, (str(address), origin.port))
                    except OSError:
                        sock.close()
                    except BaseException:
                        sock.close()
                        raise
                    else:
                        return sock
        self._events.upstream_error(origin.name, UpstreamFault.CONNECT)
        raise UpstreamUnavailableError("the upstream cannot be reached", cause="connect")

    async def _made(
        self, sock: socket.socket, origin: Origin, make: Callable[[], UpstreamConnection]
    ) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        if origin.tls is None:
            _, made = await loop.create_connection(make, sock=sock)
            return made
        try:
            _, made = await loop.create_connection(
                make,
                sock=sock,
                ssl=origin.tls,
                server_hostname="" if origin.spiffe else origin.host,
                ssl_handshake_timeout=self._limits.tls_s,
            )
        except (ssl.SSLError, OSError, TimeoutError) as error:
            raise self._no_handshake(origin, error) from error
        if origin.spiffe and made.peer is None:
            made.drop()
            raise self._untrusted(origin, "no_certificate")
        return made

    def _no_handshake(self, origin: Origin, error: Exception) -> UpstreamUnavailableError:
        if origin.spiffe and isinstance(error, (ssl.SSLError, ConnectionError)):
            # an end without a word may be a peer that does not accept us (IDENTITY §3.4)
            return self._untrusted(
                origin, str(error.reason) if isinstance(error, ssl.SSLError) else "ended"
            )
        if not isinstance(error, ssl.SSLCertVerificationError):
            self._events.upstream_error(origin.name, UpstreamFault.TLS)
            return UpstreamUnavailableError("the TLS handshake failed", cause=UpstreamFault.TLS)
        self._events.upstream_error(origin.name, UpstreamFault.IDENTITY)
        logger.warning(
            "an upstream's certificate is not good",
            extra={
                "event": "upstream_identity",
                "upstream": origin.name,
                "verify_code": error.verify_code,
                "verify_message": error.verify_message,
            },
        )
        return _unidentified(_BAD)

    def _untrusted(self, origin: Origin, why: str) -> UpstreamUnavailableError:
        self._events.upstream_error(origin.name, UpstreamFault.IDENTITY)
        logger.warning(
            "an upstream proved no identity that is expected, or did not take ours",
            extra={"event": "upstream_identity", "upstream": origin.name, "reason": why},
        )
        return _unidentified(_NO_TRUST)


def _elsewhere() -> UpstreamUnavailableError:
    return UpstreamUnavailableError(
        _ELSEWHERE, reason=Reason.UNRECOGNISED, cause="original", status=421
    )


def _unidentified(detail: str) -> UpstreamUnavailableError:
    return UpstreamUnavailableError(
        detail, reason=Reason.UPSTREAM_IDENTITY, cause=UpstreamFault.IDENTITY
    )
