"""A gRPC server with a SPIFFE identity: a real one behind TLS that a test holds in its hands."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

import grpc
import grpc.aio

from outrider.core.clock import SystemClock
from outrider.core.exchange import TlsPeer
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import alive
from outrider.identity.tls import Expected, client_context
from outrider.server.dns import Resolver
from outrider.server.grpc_bridge import BridgeLimits, BridgeParts, BridgeUpstream, GrpcBridge
from outrider.server.wheel import Wheel
from tests.support.identity import RecordingIdentityEvents
from tests.support.peers import RecordingEvents
from tests.support.spiffe_ca import Ca, Svid, Trust, a_ca, bundle_of

UNARY: Final = "/test.Echo/Unary"
BOTH: Final = "/test.Echo/Both"
ENDLESS: Final = "/test.Echo/Endless"
EXPECTED: Final = "spiffe://a.test/crm"
CLOCK: Final = SystemClock()
grpc.aio.init_grpc_aio()  # held for good: the last to let go waits for gRPC's thread, on the loop
_LOOPBACK: Final = (ip_network("127.0.0.0/8"),)


def h2_server(svid: Svid, *trusted: Ca, alpn: str = "h2") -> ssl.SSLContext:
    """The context of a server that shows `svid` and takes callers of the `trusted`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([alpn])
    with tempfile.TemporaryDirectory(prefix="g-") as room:
        file = Path(room) / "svid.pem"
        file.write_bytes(svid.pem)
        context.load_cert_chain(file)
    if trusted:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=b"".join(one.der for one in trusted))
    return context


@dataclass(slots=True)
class GrpcPeer:
    """`calls` are the methods that reached the server; `connections` those its TLS took."""

    calls: list[str] = field(default_factory=list)
    connections: int = 0
    cancelled: int = 0

    async def unary(self, request: bytes, _: Any) -> bytes:
        self.calls.append(UNARY)
        return request

    async def both(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        self.calls.append(BOTH)
        async for request in requests:
            yield request[::-1]

    async def endless(self, request: bytes, _: Any) -> AsyncIterator[bytes]:
        """Says `request` once, then nothing more and no end."""
        self.calls.append(ENDLESS)
        yield request
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1

    def handlers(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            "test.Echo",
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "Both": grpc.stream_stream_rpc_method_handler(self.both),
                "Endless": grpc.unary_stream_rpc_method_handler(self.endless),
            },
        )


@asynccontextmanager
async def grpc_peer(context: ssl.SSLContext) -> AsyncIterator[tuple[GrpcPeer, int]]:
    """A gRPC server behind `context`, and its port on loopback."""
    peer = GrpcPeer()
    async with AsyncExitStack() as stack:
        room = stack.enter_context(tempfile.TemporaryDirectory(prefix="g-"))
        path = f"{room}/g.sock"
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((peer.handlers(),))
        server.add_insecure_port(f"unix:{path}")
        await server.start()
        stack.push_async_callback(server.stop, None)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        writers: set[asyncio.StreamWriter] = set()

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    writer.write(data)
                    await writer.drain()
            writer.close()

        async def terminate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer.connections += 1
            inner_reader, inner_writer = await asyncio.open_unix_connection(path)
            writers.update((writer, inner_writer))
            try:
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(pump(reader, inner_writer))
                    pumps.create_task(pump(inner_reader, writer))
            finally:
                for one in (writer, inner_writer):
                    writers.discard(one)
                    one.transport.abort()

        def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(terminate(reader, writer))

        front = await asyncio.start_server(taken, "127.0.0.1", 0, ssl=context)
        try:
            yield peer, front.sockets[0].getsockname()[1]
        finally:
            front.close()
            for writer in tuple(writers):
                writer.transport.abort()


@dataclass(slots=True)
class Standing:
    """`outrider.server.grpc_bridge.Standing` over a keeper."""

    keeper: IdentityKeeper

    def holds(self, peer: TlsPeer) -> bool:
        now = CLOCK.unix_s()
        return self.keeper.own() is not None and alive(peer, self.keeper.snapshot(), now)

    def own_until_unix_s(self) -> float:
        own = self.keeper.own()
        return 0.0 if own is None else own.expires_unix_s


@dataclass(slots=True)
class World:
    """Who is who: our authority and keeper, and the expected upstream's certificate."""

    ca: Ca
    keeper: IdentityKeeper
    identity: RecordingIdentityEvents
    events: RecordingEvents
    wheel: Wheel

    @classmethod
    def made(cls) -> "World":
        identity = RecordingIdentityEvents()
        world = cls(
            ca=a_ca(),
            keeper=IdentityKeeper(clock=CLOCK, events=identity),
            identity=identity,
            events=RecordingEvents(),
            wheel=Wheel(clock=CLOCK),
        )
        world.trust()
        return world

    def trust(self, *others: Ca, ours: bool = True, life_s: float = 3600.0) -> None:
        """Hold an SVID of ours and the bundles of our domain (not where not `ours`) and others."""
        bundles = [bundle_of(one) for one in ((self.ca, *others) if ours else others)]
        own = self.ca.own(seconds=(-60.0, life_s))
        Trust(own=own, bundles=bundles).give(self.keeper)

    def bridge(self, port: int, **limits: Any) -> GrpcBridge:
        return GrpcBridge(
            BridgeUpstream(
                name="crm",
                host="127.0.0.1",
                port=port,
                networks=_LOOPBACK,
                tls=client_context(
                    self.keeper, self.identity, CLOCK, expect=Expected((EXPECTED,)), alpn=("h2",)
                ),
                standing=Standing(self.keeper),
            ),
            BridgeParts(
                resolver=Resolver(clock=CLOCK), clock=CLOCK, wheel=self.wheel, events=self.events
            ),
            limits=BridgeLimits(**limits),
        )
