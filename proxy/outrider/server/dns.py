"""Names to checked addresses: resolved off the path, kept for a minute, every answer judged."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from outrider.core.errors import UpstreamUnavailableError
from outrider.core.ports import Clock
from outrider.server.addresses import Address, Network, is_ambiguous_host, literal, may_dial

Lookup: TypeAlias = "Callable[[str, int], Awaitable[list[str]]]"

_FAILURE_S: Final = 1.0
_FRESH_S: Final = 1.0
"""An answer so young is not asked for again, whoever wants a fresh one."""
_MAX_ENTRIES: Final = 1024


async def system_lookup(host: str, port: int) -> list[str]:
    """The addresses the system's resolver gives, in its order. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def absolute(lookup: Lookup) -> Lookup:
    """`lookup` of names that are whole: no search list of the pod's makes others of them. The name
    itself stays as it was for whoever shows or checks it."""

    async def look(host: str, port: int) -> list[str]:
        return await lookup(host if host == "localhost" else f"{host}.", port)

    return look


class Resolver:
    """Addresses that may be dialled, by host. All of a name's addresses must be allowed."""

    def __init__(
        self,
        *,
        clock: Clock,
        lookup: Lookup = system_lookup,
        ttl_s: float = 60.0,
        timeout_s: float = 2.0,
    ) -> None:
        self._clock = clock
        self._lookup = lookup
        self._ttl_s = ttl_s
        self._timeout_s = timeout_s
        self._answers: dict[tuple[str, int], tuple[float, tuple[Address, ...]]] = {}
        self._asking: dict[tuple[str, int], asyncio.Lock] = {}

    async def resolve(
        self, host: str, port: int, networks: tuple[Network, ...]
    ) -> tuple[Address, ...]:
        """At least one address. Raises `UpstreamUnavailableError`."""
        return await self._checked(host, port, networks, fresh=False)

    async def fresh(
        self, host: str, port: int, networks: tuple[Network, ...]
    ) -> tuple[Address, ...]:
        """`resolve`, asked for anew where what is known is older than a second."""
        return await self._checked(host, port, networks, fresh=True)

    async def _checked(
        self, host: str, port: int, networks: tuple[Network, ...], *, fresh: bool
    ) -> tuple[Address, ...]:
        address = literal(host)
        if address is None and is_ambiguous_host(host):
            raise UpstreamUnavailableError("the upstream's host is ambiguous", cause="dns")
        found = (address,) if address is not None else await self._answer(host, port, fresh=fresh)
        if not found:
            raise UpstreamUnavailableError("the upstream's name has no address", cause="dns")
        if not all(may_dial(candidate, networks) for candidate in found):
            raise UpstreamUnavailableError(
                "the upstream's address is in a network that is not listed", cause="address"
            )
        return found

    async def known(self, host: str, port: int, *, fresh: bool = False) -> tuple[Address, ...]:
        """The addresses of `host`, to compare with and not to dial; none where it has none."""
        address = literal(host.removeprefix("[").removesuffix("]"))
        if address is not None:
            return (address,)
        return () if is_ambiguous_host(host) else await self._answer(host, port, fresh=fresh)

    async def _answer(self, host: str, port: int, *, fresh: bool) -> tuple[Address, ...]:
        """What is known, else what is asked for now, once for all who want it at a time."""
        kept = self._kept(host, port, fresh=fresh)
        if kept is not None:
            return kept
        turn = self._asking.setdefault((host, port), asyncio.Lock())
        async with turn:
            try:
                kept = self._kept(host, port, fresh=fresh)  # of who asked before
                return await self._ask(host, port) if kept is None else kept
            finally:
                self._asking.pop((host, port), None)

    def _kept(self, host: str, port: int, *, fresh: bool) -> tuple[Address, ...] | None:
        now_s = self._clock.monotonic_s()
        known = self._answers.get((host, port))
        if known is None or known[0] <= now_s:
            return None
        asked_s = known[0] - (self._ttl_s if known[1] else _FAILURE_S)
        return known[1] if not fresh or now_s - asked_s < _FRESH_S else None

    async def _ask(self, host: str, port: int) -> tuple[Address, ...]:
        try:
            async with asyncio.timeout(self._timeout_s):
                texts = await self._lookup(host, port)
        except (OSError, TimeoutError, UnicodeError):
            texts = []
        # a scoped address ("fe80::1%eth0") names an interface, not a host: not dialled
        found = tuple(address for text in texts if (address := literal(text)) is not None)
        if len(found) != len(texts):
            found = ()
        if len(self._answers) >= _MAX_ENTRIES:
            self._answers.clear()
        life_s = self._ttl_s if found else _FAILURE_S
        self._answers[(host, port)] = (self._clock.monotonic_s() + life_s, found)
        return found
