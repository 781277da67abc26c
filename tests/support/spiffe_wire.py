"""Both ends of a TLS connection between SPIFFE identities, on loopback: ours, and one that is
made by hand and shows whatever it is told to."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from outrider.core.clock import SystemClock
from outrider.core.exchange import TlsPeer
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.reasons import HandshakeReason, Role
from outrider.identity.tls import Expected, RotatingContext, client_context, server_context
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_ca import Ca, Svid, Trust, a_ca, bundle_of

HANDSHAKE_S = 5.0


@dataclass(slots=True)
class Ours:
    """Our side: a keeper with an SVID of a.test and the bundles of a.test and b.test."""

    a: Ca
    b: Ca
    keeper: IdentityKeeper
    events: RecordingIdentityEvents
    trust: Trust

    @property
    def handshakes(self) -> list[tuple[Role, HandshakeReason]]:
        return self.events.handshakes

    def server(self) -> RotatingContext:
        return server_context(self.keeper, self.events, SystemClock())

    def client(self, *expect: str, alpn: tuple[str, ...] = ("http/1.1",)) -> RotatingContext:
        """Expects every workload of a.test and b.test unless told."""
        wanted = Expected(expect or ("spiffe://a.test/*", "spiffe://b.test/*"))
        return client_context(self.keeper, self.events, SystemClock(), expect=wanted, alpn=alpn)


def ours(*, path: str = "/sidecar") -> Ours:
    a, b = a_ca("a.test"), a_ca("b.test")
    events = RecordingIdentityEvents()
    keeper = IdentityKeeper(clock=SystemClock(), events=events)
    trust = Trust(own=a.own(path), bundles=[bundle_of(a), bundle_of(b)])
    trust.give(keeper)
    return Ours(a=a, b=b, keeper=keeper, events=events, trust=trust)


# --- the other end, made by hand ---


def their_server(svid: Svid, *, tickets: int = 0, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A server that shows `svid` and takes every client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = tickets
    if alpn:
        context.set_alpn_protocols(list(alpn))
    load(context, svid)
    return context


def their_client(svid: Svid | None, *, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client that shows `svid` and takes every server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if svid is not None:
        load(context, svid)
    return context


class TicketHolder(ssl.SSLContext):
    """A client that asks to resume the last session it was given."""

    last: ssl.SSLObject | None = None

    @classmethod
    def showing(cls, svid: Svid) -> Self:
        self = cls(ssl.PROTOCOL_TLS_CLIENT)
        self.check_hostname = False
        self.verify_mode = ssl.CERT_NONE
        load(self, svid)
        return self

    @property
    def session(self) -> ssl.SSLSession | None:
        return None if self.last is None else self.last.session

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        _ = session
        self.last = super().wrap_bio(
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=server_hostname or None,
            session=self.session,
        )
        return self.last


def load(context: ssl.SSLContext, svid: Svid) -> None:
    with tempfile.TemporaryDirectory(prefix="outrider-") as room:
        file = Path(room) / "svid.pem"
        file.write_bytes(svid.pem)
        context.load_cert_chain(file)


def shaken(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of a handshake in memory, done. Raises what either raises."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(3):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- a listener that echoes, and one dial ---


@dataclass(slots=True)
class Echo:
    """Answers each line with it; `peers` are those whose handler was reached."""

    port: int = 0
    peers: list[TlsPeer | None] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.peers.append(peer_of(writer))
        self.reached.set()
        self.writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(line)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()


def peer_of(writer: asyncio.StreamWriter) -> TlsPeer | None:
    peer = getattr(writer.get_extra_info("ssl_object"), "spiffe_peer", None)
    assert peer is None or isinstance(peer, TlsPeer)
    return peer


@asynccontextmanager
async def listening(context: ssl.SSLContext) -> AsyncIterator[Echo]:
    echo = Echo()
    server = await asyncio.start_server(
        echo.serve,
        "127.0.0.1",
        0,
        ssl=context,
        ssl_handshake_timeout=HANDSHAKE_S,
        ssl_shutdown_timeout=1.0,
    )
    echo.port = server.sockets[0].getsockname()[1]
    try:
        yield echo
    finally:
        for writer in list(echo.writers):
            writer.transport.abort()
        server.close()
        await server.wait_closed()


@dataclass(slots=True)
class Dialled:
    """One connection as its client has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def peer(self) -> TlsPeer | None:
        return peer_of(self.writer)

    async def echoes(self, line: bytes = b"ping\n") -> bool:
        """Whether a line comes back; with TLS 1.3 only this says that the server took us."""
        try:
            self.writer.write(line)
            await self.writer.drain()
            return await self.reader.readline() == line
        except (ConnectionError, ssl.SSLError):
            return False


@asynccontextmanager
async def dialled(port: int, context: ssl.SSLContext) -> AsyncIterator[Dialled]:
    """A connection to `port`. Raises what the handshake raises."""
    async with asyncio.timeout(HANDSHAKE_S):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            port,
            ssl=context,
            server_hostname="",
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=1.0,
        )
    try:
        yield Dialled(reader=reader, writer=writer)
    finally:
        writer.close()
        with suppress(ConnectionError, ssl.SSLError, TimeoutError):
            await writer.wait_closed()
