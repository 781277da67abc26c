"""The way to a gRPC upstream with a SPIFFE identity: a socket of our own, relayed over our TLS.

Python's gRPC verifies names, not SPIFFE IDs, and would hold all trust bundles as one; so its
channel ends here, at a Unix socket in a folder of mode 0700, and what passes is relayed byte for
byte over TLS of ours (IDENTITY §3.4).

The bridge judges nobody: whoever opens a channel on `target` answers for the permit, and opens
none for a call without one. What it promises is where the bytes go: to the upstream of the
settings, at an address that may be dialled, proven to be one of those expected, for as long as
that proof and our own identity hold.

Laws: only our own user's processes get in; a relay beyond the bound is closed unread; an end on one
side is passed on behind the bytes before it and is the end of both (neither HTTP/2 nor TLS on an
event loop knows half a connection); who does not read is not read from, and not for ever.
"""

import asyncio
import logging
import os
import shutil
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self, cast

from outrider.core.errors import ConfigError, UpstreamUnavailableError
from outrider.core.exchange import TlsPeer
from outrider.core.ports import Clock
from outrider.server.addresses import Address, Network
from outrider.server.dns import Resolver
from outrider.server.edge import peer_of
from outrider.server.events import EdgeEvents, UpstreamFault
from outrider.server.jobs import Jobs
from outrider.server.wheel import Wheel

logger = logging.getLogger("outrider.server")

_HIGH_BYTES: Final = 65_536
_LOW_BYTES: Final = 16_384
_PATH_BYTES: Final = 107  # sun_path of Linux, less its NUL
_LOOK_S: Final = 0.5


class Standing(Protocol):
    """What a relay lives on."""

    def holds(self, peer: TlsPeer) -> bool:
        """Whether what `peer` proved, and our own identity, hold now."""

    def own_until_unix_s(self) -> float:
        """When the SVID that we would show now ends; 0 where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeUpstream:
    """One upstream of the settings. `tls` verifies its SPIFFE ID and offers `h2`."""

    name: str
    host: str
    port: int
    networks: tuple[Network, ...]
    tls: ssl.SSLContext
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeLimits:
    """Bounds of one bridge; times in seconds. `stall_s`: how long one side may leave what is there
    for it; `linger_s`: how long what came before an end may take to be delivered."""

    relays: int = 32
    connect_s: float = 2.0
    tls_s: float = 5.0
    stall_s: float = 60.0
    linger_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeParts:
    """What bridges share with the rest of the server."""

    resolver: Resolver
    clock: Clock
    wheel: Wheel
    events: EdgeEvents


class GrpcBridge:
    """`async with GrpcBridge(...) as bridge: grpc.aio.insecure_channel(bridge.target, ...)`, with
    the option `grpc.default_authority`. At its end every relay is cut and the socket is gone."""

    def __init__(
        self,
        upstream: BridgeUpstream,
        parts: BridgeParts,
        *,
        limits: BridgeLimits | None = None,
        parent: Path | None = None,
    ) -> None:
        """`parent` is the folder in which the private one is made."""
        self._upstream = upstream
        self._parts = parts
        self._limits = limits or BridgeLimits()
        self._parent = parent
        self._jobs = Jobs()
        self._relays: set[_Relay] = set()
        self._room: Path | None = None
        self._server: asyncio.AbstractServer | None = None

    @property
    def target(self) -> str:
        """What a channel is opened on. Raises `ConfigError` outside the `async with`."""
        if self._room is None:
            raise ConfigError("the bridge is not open")
        return f"unix:{self._path(self._room)}"

    @property
    def relays(self) -> int:
        """How many connections pass now."""
        return len(self._relays)

    def check(self) -> None:
        """Cut every relay whose proof, or our own identity, holds no longer. For whoever hears of
        a change first; without it a relay ends within a second by itself."""
        for relay in tuple(self._relays):
            relay.check()

    async def __aenter__(self) -> Self:
        """Raises `ConfigError` where the socket's path would be too long."""
        self._room = await asyncio.to_thread(self._make_room)
        try:
            await self._jobs.__aenter__()
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._caller, self._path(self._room))
        except BaseException:
            await self._clear()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for relay in tuple(self._relays):
            relay.cut()
        try:
            # not told of `error`, which would leave it as one of a group
            await self._jobs.__aexit__(None, None, None)
        finally:
            await self._clear()

    # --- its room ---

    def _make_room(self) -> Path:
        room = Path(tempfile.mkdtemp(prefix="outrider-grpc-", dir=self._parent))
        if len(os.fsencode(self._path(room))) > _PATH_BYTES:
            room.rmdir()
            raise ConfigError(f"{room} is too long a path for a Unix socket")
        return room

    def _path(self, room: Path) -> str:
        return str(room / f"{self._upstream.name}.sock")

    async def _clear(self) -> None:
        room, self._room = self._room, None
        if room is not None:
            await asyncio.to_thread(shutil.rmtree, room, ignore_errors=True)

    # --- relays ---

    def _caller(self) -> "_Caller":
        return _Caller(self)

    def came(self, caller: "_Caller", transport: asyncio.Transport) -> None:
        """A connection from a channel: dialled for, or closed unread."""
        full = len(self._relays) >= self._limits.relays
        if full or self._server is None or peer_of(transport).uid != os.getuid():
            logger.warning(
                "a connection to a gRPC bridge is not taken",
                extra={"event": "grpc_bridge_refused", "upstream": self._upstream.name},
            )
            transport.abort()
            return
        relay = _Relay(self, caller, self._parts, self._limits)
        self._relays.add(relay)
        self._jobs.start("grpc bridge", self._dial(relay))

    def left(self, relay: "_Relay") -> None:
        self._relays.discard(relay)

    async def _dial(self, relay: "_Relay") -> None:
        """Connect `relay` to the upstream; it is cut where that cannot be."""
        parts, upstream = self._parts, self._upstream
        started_s = parts.clock.monotonic_s()
        until_unix_s = upstream.standing.own_until_unix_s()
        try:
            addresses = await parts.resolver.resolve(
                upstream.host, upstream.port, upstream.networks
            )
            async with asyncio.timeout(self._limits.connect_s + self._limits.tls_s):
                await self._connect(relay.upstream, addresses)
            relay.open(upstream.standing, until_unix_s)
        except (UpstreamUnavailableError, OSError) as fault:  # TimeoutError is one
            self._lost(fault)
            relay.cut()
        except BaseException:
            relay.cut()
            raise
        else:
            parts.events.upstream_connected(
                upstream.name, True, parts.clock.monotonic_s() - started_s
            )

    async def _connect(self, end: "_End", addresses: Iterable[Address]) -> None:
        """Raises `OSError`: `ssl.SSLError` where somebody answered whom we do not take."""
        loop = asyncio.get_running_loop()
        for address in addresses:
            try:
                await loop.create_connection(
                    lambda: end,
                    str(address),
                    self._upstream.port,
                    ssl=self._upstream.tls,
                    server_hostname="",  # the name is the SPIFFE ID
                    ssl_handshake_timeout=self._limits.tls_s,
                    ssl_shutdown_timeout=self._limits.linger_s,
                )
            except ssl.SSLError:
                raise
            except OSError:
                continue
            if end.tls is None or end.tls.selected_alpn_protocol() != "h2":
                raise ssl.SSLError(1, "the upstream does not speak HTTP/2")
            return
        raise OSError

    def _lost(self, fault: Exception) -> None:
        match fault:
            case UpstreamUnavailableError():
                kind = UpstreamFault.DNS
            case ssl.SSLCertVerificationError():
                kind = UpstreamFault.IDENTITY
            case ssl.SSLError():
                kind = UpstreamFault.TLS
            case _:
                kind = UpstreamFault.CONNECT
        self._parts.events.upstream_error(self._upstream.name, kind)
        logger.warning(
            "a gRPC upstream is not reached",
            extra={
                "event": "grpc_upstream_lost",
                "upstream": self._upstream.name,
                "fault": kind.value,
            },
        )


class _Relay:
    """Two ends and what passes between them. `deadline_s` is the wheel's."""

    def __init__(
        self, bridge: GrpcBridge, caller: "_Caller", parts: BridgeParts, limits: BridgeLimits
    ) -> None:
        self._bridge = bridge
        self._clock = parts.clock
        self._wheel = parts.wheel
        self._limits = limits
        self._standing: Standing | None = None
        self._until_unix_s = 0.0
        self._closed_by_s: float | None = None
        self._over = False
        self.caller: Final[_End] = caller
        self.upstream: Final = _End()
        self.deadline_s = 0.0
        for end, other in ((caller, self.upstream), (self.upstream, caller)):
            end.relay, end.other = self, other

    def open(self, standing: Standing, until_unix_s: float) -> None:
        """Both ends are connected. `until_unix_s`: when the SVID that we showed ends."""
        self._standing = standing
        self._until_unix_s = until_unix_s
        if self._over or self.caller.is_gone or not self._holds():
            self.cut()
            return
        self.deadline_s = self._clock.monotonic_s() + _LOOK_S
        self._wheel.watch(self)
        self.caller.go_on()  # it has waited

    def check(self) -> None:
        """Cut where what it lives on holds no longer. Nothing before it is open."""
        if self._standing is not None and not self._holds():
            self.cut()

    def expired(self) -> None:
        """The wheel's look, twice a second."""
        now_s = self._clock.monotonic_s()
        self.deadline_s = now_s + _LOOK_S
        stalled_s = min(self.caller.full_since_s, self.upstream.full_since_s)
        late = self._closed_by_s is not None and now_s >= self._closed_by_s
        if late or now_s - stalled_s >= self._limits.stall_s:
            self.cut()
        else:
            self.check()

    def ended(self, end: "_End", *, clean: bool) -> None:
        """`end` sends nothing more: the other one gets what came before that, then its own end."""
        if not clean:
            self.cut()
            return
        if self._closed_by_s is None:
            self._closed_by_s = self._clock.monotonic_s() + self._limits.linger_s
            end.other.finish()
        if end.is_gone and end.other.is_gone:
            self.cut()

    def cut(self) -> None:
        """End both sides at once. Idempotent, and again for an end that came later."""
        self.caller.abort()
        self.upstream.abort()
        if not self._over:
            self._over = True
            self._wheel.unwatch(self)
            self._bridge.left(self)

    def now_s(self) -> float:
        return self._clock.monotonic_s()

    def _holds(self) -> bool:
        tls, standing = self.upstream.tls, self._standing
        peer = getattr(tls, "spiffe_peer", None)
        return (
            standing is not None
            and isinstance(peer, TlsPeer)
            and self._clock.unix_s() < self._until_unix_s
            and standing.holds(peer)
        )


class _End(asyncio.Protocol):
    """One end of a relay: what it receives is the other's to send."""

    relay: _Relay
    other: "_End"

    def __init__(self) -> None:
        self.tls: ssl.SSLObject | None = None
        self.full_since_s = float("inf")
        self._finishing = False
        self._transport: asyncio.Transport | None = None

    @property
    def is_gone(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def hold(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def finish(self) -> None:
        """Close once all that was sent has left: a TLS transport that is closed while its socket
        is full loses what it still holds."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._finishing = True
        transport.set_write_buffer_limits(high=0)
        if not transport.get_write_buffer_size():
            transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast("asyncio.Transport", transport)  # uvloop's is none by type
        self._transport = made
        made.set_write_buffer_limits(high=_HIGH_BYTES, low=_LOW_BYTES)
        self.tls = made.get_extra_info("ssl_object")
        if self.tls is not None:
            # at the peer's end uvloop drops what it read but was paused from giving us: keep none
            cast("Any", made).set_read_buffer_limits(high=1, low=0)

    def data_received(self, data: bytes) -> None:
        self.other.send(data)

    def pause_writing(self) -> None:
        self.full_since_s = self.relay.now_s()
        self.other.hold()

    def resume_writing(self) -> None:
        self.full_since_s = float("inf")
        if self._finishing and self._transport is not None:
            self._transport.close()
        else:
            self.other.go_on()

    def eof_received(self) -> bool:
        self.relay.ended(self, clean=True)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.relay.ended(self, clean=exc is None)


class _Caller(_End):
    """The channel's end. It is read once there is somebody to send to; what uvloop reads before it
    takes the pause is kept until then."""

    def __init__(self, bridge: GrpcBridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._early: list[bytes] | None = []

    def go_on(self) -> None:
        early, self._early = self._early, None
        for data in early or ():
            self.other.send(data)
        super().go_on()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.hold()
        self._bridge.came(self, cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        if self._early is None:
            super().data_received(data)
            return
        self._early.append(data)
        self.hold()

    def connection_lost(self, exc: Exception | None) -> None:
        if hasattr(self, "relay"):  # it was taken
            super().connection_lost(exc)
