"""What one listener's connections share, and what it asks of the rest."""

import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from aiohttp import http_parser

from outrider.config.limit_settings import Limits
from outrider.core.capture import Meant
from outrider.core.errors import ConfigError, EnforcementError
from outrider.core.exchange import Exchange, Peer, Reply, TlsPeer, TraceContext
from outrider.core.ports import Clock
from outrider.core.vocabulary import Direction
from outrider.listening.handshakes import Doorkeeper
from outrider.protocols.gate import GateRules
from outrider.server.addresses import literal
from outrider.server.body import body_terms
from outrider.server.capture import CaptureReader
from outrider.server.events import EdgeEvents, ShedCause, Threshold
from outrider.server.overload import BufferBudget
from outrider.server.pressure import Level, Pressure
from outrider.server.wheel import Wheel

if TYPE_CHECKING:
    import asyncio

    from outrider.server.connection import AgentConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRefusal:
    """A request turned away at the gate: everything that may be said of it.

    `method`, `host` and `path` are set only where they passed their own rules; of the rest only
    lengths in bytes are told, never the text.
    """

    id: str
    direction: Direction
    listener: str
    peer: Peer
    trace: TraceContext
    started_s: float
    method: str | None
    path: str | None
    method_bytes: int
    target_bytes: int
    error: EnforcementError


Handler: TypeAlias = "Callable[[Exchange], Awaitable[Reply]]"
Refuser: TypeAlias = "Callable[[GateRefusal], Reply]"

_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedParts:
    """Of a listener to which connections are redirected: how they are known, what they may say,
    and what takes note of a probe of ours and answers it."""

    reader: CaptureReader
    rules: GateRules
    probed: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParts:
    """What an edge is made of. `uids` are the peers accepted on a Unix socket, no others;
    `own_domain` is our trust domain, whose callers have no bound in common. With `captured`
    connections may come to it that were going elsewhere."""

    name: str
    direction: Direction
    rules: GateRules
    limits: Limits
    handler: Handler
    refuser: Refuser
    clock: Clock
    wheel: Wheel
    events: EdgeEvents
    budget: BufferBudget
    pressure: Pressure | None = None
    uids: frozenset[int] = frozenset()
    own_domain: Callable[[], str | None] = lambda: None
    captured: CapturedParts | None = None


class Edge:
    """One listener's rules, limits and books."""

    def __init__(self, parts: EdgeParts) -> None:
        self.name = parts.name
        self.direction = parts.direction
        self.rules = parts.rules
        self.limits = parts.limits
        self.handler = parts.handler
        self.refuser = parts.refuser
        self.clock = parts.clock
        self.wheel = parts.wheel
        self.events = parts.events
        self.body_terms = body_terms(parts.limits, parts.clock, parts.budget)
        self.captured = parts.captured
        self.draining = False
        self.asked = 0
        """How many requests were taken."""
        self.door: Doorkeeper | None = None
        """Of a listener that speaks TLS: who is let in proved who it is."""
        self.connections: set[AgentConnection] = set()
        self._budget = parts.budget
        self._pressure = parts.pressure
        self._uids = parts.uids
        self._own_domain = parts.own_domain
        self._held: Counter[str] = Counter()

    def take(self, rules: GateRules, limits: Limits, captured: GateRules | None = None) -> None:
        """Other rules and limits from the next request on; what a connection's parser takes of a
        head changes with the next connection. `captured` are those for redirected connections."""
        self.rules, self.limits = rules, limits
        if self.captured is not None and captured is not None:
            self.captured = replace(self.captured, rules=captured)
        self._budget.resize(limits.buffered_bytes)
        self.body_terms = body_terms(limits, self.clock, self._budget)

    def rules_for(self, peer: Peer | None) -> GateRules:
        """What a connection may say: a redirected one names only hosts that are routed."""
        if peer is None or peer.meant is None or self.captured is None:
            return self.rules
        return self.captured.rules

    @property
    def level(self) -> Level:
        return self._pressure.level if self._pressure is not None else Level.CALM

    def admit(self, connection: "AgentConnection", transport: "asyncio.Transport") -> Peer | None:
        """The peer of a new connection, or None where it is not accepted."""
        proven = None
        if self.door is not None:
            proven = _proven(transport)
            if proven is None:
                self.events.edge_refused(self.name, "no_peer")
                return None
        if self._pressure is not None and self._pressure.level is Level.HARD:
            self.events.shed(self._pressure.cause, Threshold.HARD)
            return None
        peer = peer_of(transport, proven, self._meant(transport))
        named = bool(self._uids) or proven is None  # a proof is enough where no uid is asked for
        if peer.transport == "unix" and named and peer.uid not in self._uids:
            self.events.edge_refused(self.name, "peer_uid")
            return None
        if self._is_too_many(peer) or not self._has_room(peer):
            self.turned_away()
            return None
        for whose in _shares(peer):
            self._held[whose] += 1
        self.connections.add(connection)
        self.events.connection(self.name, 1)
        return peer

    def _meant(self, transport: "asyncio.Transport") -> Meant | None:
        if self.captured is None:
            return None
        return self.captured.reader.meant(transport.get_extra_info("socket"))

    def _is_too_many(self, peer: Peer) -> bool:
        """Whether whose it is has its share already."""
        limits, held = self.limits, self._held
        if peer.tls is None:
            return held[_agent(peer)] >= limits.agent_connections
        domain = peer.tls.trust_domain
        if held[domain] >= limits.domain_connections and domain != self._own_domain():
            return True
        return held[peer.tls.spiffe_id] >= limits.peer_connections

    def _has_room(self, peer: Peer) -> bool:
        """Whether there is room for one more; of proven peers, who asks nothing makes some."""
        if len(self.connections) < self.limits.connections:
            return True
        spare = self._spare() if peer.tls is not None else None
        if spare is None:
            return False
        self.turned_away()
        spare.abort()
        if spare.peer is not None:
            self.left(spare, spare.peer)
        return True

    def _spare(self) -> "AgentConnection | None":
        """The connection idle for longest, of who has most of those that have one."""
        idle = [one for one in self.connections if one.is_idle and one.peer is not None]
        return max(
            idle,
            key=lambda one: (one.peer and self._held[_agent(one.peer)], -one.idle_since_s),
            default=None,
        )

    def turned_away(self) -> None:
        """A connection, or a handshake, was ended for want of room."""
        self.events.shed(ShedCause.CONNECTIONS, Threshold.HARD)

    def left(self, connection: "AgentConnection", peer: Peer) -> None:
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        for whose in _shares(peer):
            self._held[whose] -= 1
            if not self._held[whose]:
                del self._held[whose]
        self.events.connection(self.name, -1)


def peer_of(
    transport: "asyncio.Transport", proven: TlsPeer | None = None, meant: Meant | None = None
) -> Peer:
    """The other end, as the kernel says, and with it who it proved to be and where it was going."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, _ = _CREDENTIALS.unpack(raw)
        return Peer(transport="unix", address="", loopback=True, uid=uid, pid=pid, tls=proven)
    name = transport.get_extra_info("peername")
    address = str(name[0]) if name else ""
    known = literal(address)
    loopback = known is not None and known.is_loopback
    if meant is not None and sock is not None:
        # A redirected connection keeps its source, which is this pod's own address; it came to
        # loopback, where nothing comes from outside.
        came_to = literal(str(sock.getsockname()[0]))
        loopback = came_to is not None and came_to.is_loopback
    return Peer(transport="tcp", address=address, loopback=loopback, tls=proven, meant=meant)


def _proven(transport: "asyncio.Transport") -> TlsPeer | None:
    """Who the handshake proved; None where it asked for no proof, which is nobody."""
    made = transport.get_extra_info("ssl_object")
    proven: object = getattr(made, "spiffe_peer", None)
    return proven if isinstance(proven, TlsPeer) else None


def _agent(peer: Peer) -> str:
    if peer.tls is not None:
        return peer.tls.spiffe_id
    return f"uid {peer.uid}" if peer.uid is not None else "local"


def _shares(peer: Peer) -> tuple[str, ...]:
    """Whom a connection is counted for. An ID has a scheme, a trust domain has none."""
    return (_agent(peer),) if peer.tls is None else (_agent(peer), peer.tls.trust_domain)


def check_parser() -> None:
    """Raises `ConfigError` unless requests are parsed by the compiled parser (HARDENING §2)."""
    if http_parser.HttpRequestParser.__module__ != "aiohttp._http_parser":
        raise ConfigError(
            "aiohttp runs without its compiled parser; unset AIOHTTP_NO_EXTENSIONS and install a"
            " wheel for this platform"
        )
