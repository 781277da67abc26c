"""OPA elsewhere, over mutual TLS under our SVID (POLICY §3, mode `remote`).

Laws: nothing is asked of a server that has not proved to be one of those expected; what it proved
is looked at again before each question and after each answer; without an identity of ours nobody
is asked. What is unproven is unavailable: the decision is a deny.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from outrider.core.errors import ConfigError
from outrider.core.ports import Clock, Failed
from outrider.policy.opa_door import UNPROVEN

logger = logging.getLogger(__name__)

CONNECT_S: Final = 1.0
"""Name, connection and handshake together; a decision's own deadline is mostly sooner."""

_FRESH_S: Final = 10.0
_MOST_ADDRESSES: Final = 8
_HTTPS: Final = 443
Lookup = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaTls:
    """How OPA proves itself and we to it. `context` verifies the server's SPIFFE ID in the
    handshake and presents the SVID of the moment; `holds` says whether both still stand."""

    context: ssl.SSLContext
    holds: Callable[[ssl.SSLObject], bool]


def system_lookup(host: str, port: int) -> list[str]:
    """The addresses the system's resolver gives, in its order. Blocking. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class RemoteDoor:
    """OPA at `url` (`https://host[:port]`). Raises `ConfigError` for any other.

    A name is looked up off the path, by one thread at a time. An address that once was good stays
    so until another is known: who answers there must prove itself anyway.
    """

    connect_s: Final = CONNECT_S

    def __init__(
        self, *, url: str, tls: OpaTls, clock: Clock, lookup: Lookup = system_lookup
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ConfigError(f"policy.opa.url is {url}; give https://host:port of OPA")
        self.host: Final = parts.netloc.rpartition("@")[2]
        self.where: Final = f"https://{self.host}"
        self._name = parts.hostname
        self._port = parts.port or _HTTPS
        self._tls = tls
        self._clock = clock
        self._lookup = lookup
        literal = _is_literal(self._name)
        self._sni = "" if literal else self._name
        self._known = deque([self._name] if literal else [])
        self._stale_s = float("inf") if literal else float("-inf")
        self._looking: asyncio.Future[list[str]] | None = None

    async def open(self, protocol: asyncio.Protocol) -> Failed | None:
        """As the port says. An address that does not answer is the last to be tried next time."""
        for address in await self._addresses():
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: protocol,
                    address,
                    self._port,
                    ssl=self._tls.context,
                    server_hostname=self._sni,
                    ssl_handshake_timeout=CONNECT_S,
                    ssl_shutdown_timeout=CONNECT_S,
                )
            except ssl.SSLError as fault:
                logger.warning("OPA is not reached under our identity", extra=_said(fault))
                return UNPROVEN
            except OSError:
                self._put_last(address)
            except asyncio.CancelledError:
                self._put_last(address)
                raise
            else:
                return None
        raise OSError

    def holds(self, tls: ssl.SSLObject | None) -> bool:
        """As the port says; what came without TLS never does."""
        return tls is not None and self._tls.holds(tls)

    async def _addresses(self) -> tuple[str, ...]:
        """At least one, the one to begin with first. Raises `OSError`."""
        if self._looking is None and self._clock.monotonic_s() >= self._stale_s:
            loop = asyncio.get_running_loop()
            self._looking = loop.run_in_executor(None, self._lookup, self._name, self._port)
            self._looking.add_done_callback(self._looked)
        if not self._known and self._looking is not None:
            await asyncio.shield(self._looking)
        return tuple(self._known)

    def _looked(self, done: "asyncio.Future[list[str]]") -> None:
        self._looking = None
        if done.cancelled() or done.exception() is not None or not done.result():
            return
        self._stale_s = self._clock.monotonic_s() + _FRESH_S
        if set(done.result()) != set(self._known):
            self._known = deque(done.result()[:_MOST_ADDRESSES])

    def _put_last(self, address: str) -> None:
        if address in self._known:
            self._known.remove(address)
            self._known.append(address)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _said(fault: ssl.SSLError) -> dict[str, str]:
    """What a handshake failed for, of the words of OpenSSL or of our verification alone."""
    said = getattr(fault, "reason", None)
    return {"event": "opa_identity", "fault": str(said or type(fault).__name__)}
