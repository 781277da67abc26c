"""The way out: connections to upstreams, kept apart by upstream, identity and lease.

Laws (HARDENING §5): a connection never crosses keys; nothing is sent without a permit; a request
of which a byte left is not tried again.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Container, Iterable
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from outrider.core.decision import Permit
from outrider.core.destinations import host_of
from outrider.core.errors import EnforcementError, UpstreamFailedError, UpstreamUnavailableError
from outrider.core.exchange import Outgoing, TlsPeer
from outrider.core.ports import Clock
from outrider.server.answer import Answer
from outrider.server.breaker import Breaker
from outrider.server.dialler import Dialler
from outrider.server.dns import Resolver
from outrider.server.events import EdgeEvents, UpstreamFault
from outrider.server.origin import Origin, PoolLimits
from outrider.server.overload import Turnstile
from outrider.server.request_bytes import announced_length, request_head
from outrider.server.tunnel_line import TunnelLine
from outrider.server.upstream_connection import State, Terms, UpstreamConnection
from outrider.server.wheel import Wheel

Holds: TypeAlias = Callable[[TlsPeer], bool]
_JOIN_BYTES: Final = 65_536
_CLASSES: Final = {hundred: f"{hundred}xx" for hundred in range(1, 6)}


def no_one_holds(peer: TlsPeer) -> bool:
    """Nobody's proof is known to hold."""
    return peer is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolParts:
    """What a pool is made of; `plain_resolver` finds upstreams without TLS and `tunnel_resolver`
    what tunnels lead to, by default as all else is found. `holds` says whether what an upstream
    proved in its handshake holds now: asked before each use of a connection whose upstream proved
    anything."""

    limits: PoolLimits
    clock: Clock
    wheel: Wheel
    events: EdgeEvents
    resolver: Resolver
    holds: Holds = no_one_holds
    plain_resolver: Resolver | None = None
    tunnel_resolver: Resolver | None = None


class UpstreamPool:
    """`core.ports.Upstream` over all configured upstreams."""

    def __init__(
        self, *, origins: Iterable[Origin], parts: PoolParts, tunnels: Iterable[Origin] = ()
    ) -> None:
        self._elders: list[UpstreamPool] = []
        self._lines = {origin.name: Line(origin=origin, parts=parts) for origin in origins}
        self._tunnels = {origin.name: _tunnel_line(origin, parts) for origin in tunnels}

    async def send(self, permit: Permit, outgoing: Outgoing) -> Answer:
        """The answer's head, its body to be pulled.

        Raises `UpstreamUnavailableError` (nothing written), `UpstreamFailedError`,
        `OverloadError`, or what the body raised. Cancelled, it drops the connection.
        """
        if outgoing.duplex is not None:
            tunnels = self._tunnels.get(permit.upstream)
            if tunnels is None:
                raise UpstreamUnavailableError("no tunnel leads there", cause="unknown")
            return await tunnels.open(outgoing, outgoing.duplex)
        line = self._lines.get(permit.upstream)
        if line is None:
            raise UpstreamUnavailableError("the upstream is not configured", cause="unknown")
        return await line.send(outgoing)

    def line(self, name: str) -> "Line | None":
        return self._lines.get(name)

    def replace(self, origin: Origin) -> None:
        """Take a new revision of an upstream; connections of the old end after their exchange."""
        self._lines[origin.name].replace(origin)

    def renew(self, revision: str) -> None:
        """Our own identity or the trust in others' is now `revision`: connections to SPIFFE
        upstreams made under another carry nothing after the exchange they are in."""
        for line in self._lines.values():
            line.renew(revision)

    def revalidate(self, holds: Holds) -> int:
        """End at once every connection whose upstream's proof holds no more, whatever it is in the
        middle of; how many. Those of the pools this one came after are among them."""
        elders, self._elders = self._elders, []
        self.take_over(*elders)
        found = sum(line.revalidate(holds) for line in self._lines.values())
        return found + sum(elder.revalidate(holds) for elder in self._elders)

    def take_over(self, *elders: "UpstreamPool") -> None:
        """Look after what is left of pools that were retired. One that has nothing left will
        never have anything again."""
        self._elders += [elder for elder in elders if elder.is_busy]

    @property
    def is_busy(self) -> bool:
        """Whether there are connections, or will be one."""
        lines: tuple[Line | TunnelLine, ...] = (*self._lines.values(), *self._tunnels.values())
        return any(line.is_busy for line in lines)

    def retire(self, successor: "UpstreamPool | None" = None, same: Container[str] = ()) -> None:
        """Use no connection again: idle ones go now, the others after their exchange.

        What has no connection yet goes by `successor` where its upstream is among the `same`, is
        where it was, that is. Its permit was for no other place: where the upstream has moved, what
        waits for its turn is refused, and what comes at once still goes where it was let go. Not by
        SPIFFE: who is expected there now may be somebody else, and nothing would end what is under
        way when their proof does; so there all of it is refused.
        """
        if successor is not None:
            elders, self._elders = self._elders, []
            successor.take_over(*elders, self)
        for name, line in self._lines.items():
            heir = successor.line(name) if successor is not None and name in same else None
            line.retire(heir)
        for name, tunnels in self._tunnels.items():
            if successor is None or name not in same:
                tunnels.close()

    def close(self) -> None:
        """Drop every connection."""
        for line in self._lines.values():
            line.close()
        for tunnels in self._tunnels.values():
            tunnels.close()


def _tunnel_line(origin: Origin, parts: PoolParts) -> TunnelLine:
    dialler = Dialler(
        limits=parts.limits,
        clock=parts.clock,
        events=parts.events,
        resolver=parts.tunnel_resolver or parts.resolver,
    )
    return TunnelLine(origin=origin, limits=parts.limits, dialler=dialler, events=parts.events)


def _resolver_of(origin: Origin, parts: PoolParts) -> Resolver:
    if origin.tls is None and parts.plain_resolver is not None:
        return parts.plain_resolver
    return parts.resolver


class _RetiredError(Exception):
    """The line takes nothing new: nothing of it would be looked after any more."""


class Line:
    """The connections to one upstream."""

    def __init__(self, *, origin: Origin, parts: PoolParts) -> None:
        limits = self._limits = parts.limits
        self._clock = clock = parts.clock
        self._wheel = parts.wheel
        self._events = parts.events
        self._holds = parts.holds
        self._dialler = Dialler(
            limits=limits, clock=clock, events=parts.events, resolver=_resolver_of(origin, parts)
        )
        self._turnstile = Turnstile(
            limit=origin.connections, queue=limits.wait_queue, wait_s=limits.wait_s
        )
        self._breaker = Breaker(
            clock=clock, failures=limits.breaker_failures, open_s=limits.breaker_open_s
        )
        self._idle: dict[tuple[str, str], list[UpstreamConnection]] = {}
        self._all: set[UpstreamConnection] = set()
        self._retired = False
        self._heir: Line | None = None
        self.replace(origin)

    def replace(self, origin: Origin) -> None:
        self._origin = origin
        self._terms = Terms(
            clock=self._clock,
            first_byte_s=origin.first_byte_s,
            read_idle_s=origin.read_idle_s,
            sse_idle_s=max(self._limits.sse_idle_s, origin.read_idle_s),
            set_cookie=origin.set_cookie,
            decoded_bytes=self._limits.decoded_bytes,
            tls_s=self._limits.tls_s,
        )
        for kept in list(self._idle.values()):
            for connection in list(kept):
                connection.drop()

    def renew(self, revision: str) -> None:
        if not self._origin.spiffe or self._retired or self._origin.revision == revision:
            return
        self.replace(replace(self._origin, revision=revision))
        if self._breaker.is_open:  # it may have failed for nothing but the identity before
            self._events.breaker(self._origin.name, False)
        self._breaker.succeeded()

    def revalidate(self, holds: Holds) -> int:
        """End every connection whose upstream's proof holds no more; how many."""
        found = [one for one in self._all if one.peer is not None and not holds(one.peer)]
        for connection in found:
            connection.distrust()
        return len(found)

    @property
    def is_busy(self) -> bool:
        """Whether there are connections, or will be one."""
        return bool(self._all) or self._turnstile.inside > 0

    def retire(self, heir: "Line | None" = None) -> None:
        self._retired, self._heir = True, heir
        self.replace(replace(self._origin, revision="(retired)"))

    def close(self) -> None:
        for connection in list(self._all):
            connection.drop()

    async def send(self, outgoing: Outgoing) -> Answer:
        if self._retired and not self._serves_late:
            return await self._by_heir(outgoing)
        length = announced_length(outgoing)
        if outgoing.meant is not None:
            called = outgoing.called
            await self._dialler.check_meant(self._origin, outgoing.meant, host_of(called) or called)
        try:
            connection = await self._connection(outgoing.lease_fingerprint)
        except _RetiredError:
            return await self._by_heir(outgoing)
        origin = self._origin
        head = request_head(outgoing, origin.authority, length, origin.own_headers)
        try:
            connection.begin(outgoing.method, decode=_is_watched(outgoing))
            if isinstance(outgoing.body, bytes):
                _write_whole(connection, head, outgoing.body)
            else:
                await _write_stream(connection, head, outgoing.body, length)
            return await connection.answer()
        except BaseException:
            connection.drop()
            raise

    async def _by_heir(self, outgoing: Outgoing) -> Answer:
        if self._heir is None:
            raise UpstreamUnavailableError("the upstream has moved", cause="retired")
        return await self._heir.send(outgoing)

    # --- finding a connection ---

    async def _connection(self, fingerprint: str) -> UpstreamConnection:
        if not self._breaker.admits():
            raise UpstreamUnavailableError("the upstream failed too often", cause="breaker")
        was_retired = self._retired
        try:
            await self._turnstile.enter()
        except BaseException:
            self._breaker.gave_up()
            raise
        try:
            return await self._open(fingerprint, waited=self._retired and not was_retired)
        except BaseException as error:
            self._turnstile.leave()
            if isinstance(error, EnforcementError):
                self._failed()
            else:
                self._breaker.gave_up()
            raise

    @property
    def _serves_late(self) -> bool:
        """Whether what was let go before this line was retired may still go by it."""
        return self._heir is None and not self._origin.spiffe

    async def _open(self, fingerprint: str, *, waited: bool) -> UpstreamConnection:
        """A connection to the origin as it is when this returns. Raises `_RetiredError` where
        there is to be none of this line any more; `waited`: it was retired meanwhile."""
        if waited:
            raise _RetiredError
        while not self._retired or self._serves_late:
            origin = self._origin
            key = (origin.revision, fingerprint)
            connection = self._checkout(key) or await self._dial(key)
            if origin is self._origin or (self._retired and self._serves_late):
                return connection
            connection.drop()  # what it trusts, or where it leads, has changed meanwhile
        raise _RetiredError

    def _checkout(self, key: tuple[str, str]) -> UpstreamConnection | None:
        """The idle connection used last, if it still lives; dead ones go."""
        kept = self._idle.get(key)
        while kept:
            connection = kept.pop()
            peer = connection.peer
            if not connection.is_dead() and (peer is None or self._holds(peer)):
                return connection
            connection.drop()
        return None

    async def _dial(self, key: tuple[str, str]) -> UpstreamConnection:
        terms = self._terms
        connection = await self._dialler.dial(
            self._origin, lambda: UpstreamConnection(owner=self, terms=terms, key=key)
        )
        self._all.add(connection)
        self._wheel.watch(connection)
        return connection

    # --- what connections report (Owner) ---

    def ended(self, connection: UpstreamConnection, *, reusable: bool) -> None:
        self._turnstile.leave()
        self._breaker.gave_up()  # a probe that was dropped says nothing; another may try
        now_s = self._clock.monotonic_s()
        fresh = (
            now_s - connection.born_s < self._limits.age_s
            and connection.requests < self._limits.requests
            and connection.key[0] == self._origin.revision
            and not self._retired
        )
        if not reusable or connection.state is not State.IDLE:
            return
        life_s = min(self._origin.idle_s, connection.keep_s)
        if not fresh or life_s <= 0:
            connection.drop()
            return
        connection.deadline_s = now_s + life_s
        self._idle.setdefault(connection.key, []).append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        self._all.discard(connection)
        self._wheel.unwatch(connection)
        kept = self._idle.get(connection.key)
        if kept and connection in kept:
            kept.remove(connection)
        if not kept:
            self._idle.pop(connection.key, None)

    def answered(self, status: int) -> None:
        if self._breaker.is_open:
            self._events.breaker(self._origin.name, False)
        self._breaker.succeeded()
        self._events.upstream_request(self._origin.name, _CLASSES[status // 100])

    def faulted(self, fault: UpstreamFault, *, unanswered: bool = False) -> None:
        self._events.upstream_error(self._origin.name, fault)
        if unanswered:
            self._failed()

    def _failed(self) -> None:
        was_open = self._breaker.is_open
        self._breaker.failed()
        self._events.upstream_request(self._origin.name, "none")
        if self._breaker.is_open and not was_open:
            self._events.breaker(self._origin.name, True)


def _is_watched(outgoing: Outgoing) -> bool:
    """True where the answer is to be read here, so that no coding may stay on it."""
    for name, value in outgoing.headers:
        if name == "accept-encoding":
            return value == "identity"
    return True


def _write_whole(connection: UpstreamConnection, head: bytes, body: bytes) -> None:
    if len(body) <= _JOIN_BYTES:
        connection.write(head + body)
    else:
        connection.write(head)
        connection.write(body)
    connection.sent()


async def _write_stream(
    connection: UpstreamConnection, head: bytes, body: AsyncIterator[bytes], length: int | None
) -> None:
    """Write a body as it comes; an early answer ends the writing, and later the connection."""
    connection.write(head)
    left = length
    async with aclosing(body) if isinstance(body, AsyncGenerator) else nullcontext():
        async for piece in body:
            if connection.has_answer:
                return
            if not piece:
                continue
            if left is not None:
                left -= len(piece)
                if left < 0:
                    raise UpstreamFailedError("the body is longer than announced", cause="length")
            chunk = piece if length is not None else b"%x\r\n%b\r\n" % (len(piece), piece)
            connection.write(chunk)
            await connection.drained()
    if connection.has_answer:
        return
    if left:
        raise UpstreamFailedError("the body is shorter than announced", cause="length")
    if length is None:
        connection.write(b"0\r\n\r\n")
    connection.sent()
