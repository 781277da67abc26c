"""A real OPA elsewhere: reached over mutual TLS between SPIFFE identities, on loopback."""

import asyncio
import socket
import ssl
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from cryptography.hazmat.primitives.serialization import Encoding

from outrider.app.policy import renew_with
from outrider.control.opa_bundle import serve_alone
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.exchange import TlsPeer
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import alive
from outrider.identity.tls import Expected, client_context
from outrider.policy.engines.opa import OpaEngine, OpaLimits, OthersLink
from outrider.policy.opa_bundles import BundleSource
from outrider.policy.opa_child import configuration
from outrider.policy.opa_door import Door
from outrider.policy.opa_remote import OpaTls, RemoteDoor
from outrider.policy.release import Release
from tests.support.identity import RecordingIdentityEvents
from tests.support.opa import a_feed, opa_binary
from tests.support.policy import ENTRYPOINT
from tests.support.spiffe_ca import Ca, Svid, Trust, a_ca, bundle_of

SAMPLE: Final = Path(__file__).parents[2] / "deploy" / "opa"
US: Final = "/planner"
OPA: Final = "/opa"
CLOCK: Final = SystemClock()
_REFRESH: Final = "100ms"


class FedLink(OthersLink):
    """An OPA that others run, and the others: what is activated is what they give it."""

    def __init__(self, door: Door, source: BundleSource) -> None:
        super().__init__(door)
        self._source = source
        self._last: Release | None = None

    async def offer(self, release: Release) -> bool:
        self._source.offer(release)
        if await self._source.taken():
            self._last = release
            return True
        if self._last is not None:
            self._source.offer(self._last)
        raise ConfigError("OPA does not take it")


@dataclass(slots=True, kw_only=True)
class RemoteOpa:
    """An OPA process, the certificate it shows and what it trusts: files in `room`."""

    room: Path
    port: int
    process: Process | None = None

    async def start(self) -> None:
        await self.stop()
        binary = await asyncio.to_thread(opa_binary)
        self.process = await asyncio.create_subprocess_exec(
            binary.path, "run", "--server", "--addr", f"127.0.0.1:{self.port}",
            "--authentication=tls", "--authorization=basic", "--min-tls-version", "1.3",
            "--tls-cert-file", self.room / "opa.pem",
            "--tls-private-key-file", self.room / "opa.key",
            "--tls-ca-cert-file", self.room / "ca.pem",
            "--tls-cert-refresh-period", _REFRESH,
            "--config-file", self.room / "opa.yaml", "--log-level", "error",
            "--skip-version-check", SAMPLE / "authz.rego", self.room / "callers.json",
            env={"GOGC": "400", "HOME": str(self.room)},
            stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
        )  # fmt: skip

    async def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    def serve(self, svid: Svid) -> None:
        """Show `svid` from the next refresh on. Blocking."""
        key, _, certificate = svid.pem.partition(b"-----BEGIN CERTIFICATE")
        (self.room / "opa.key").write_bytes(key)
        (self.room / "opa.pem").write_bytes(b"-----BEGIN CERTIFICATE" + certificate)

    def trust(self, *cas: Ca) -> None:
        """Take clients of `cas` from the next refresh on. Blocking."""
        pem = b"".join(ca.certificate.public_bytes(Encoding.PEM) for ca in cas)
        (self.room / "ca.pem").write_bytes(pem)

    def admit(self, *spiffe_ids: str) -> None:
        """Who may ask, from its next start on. Blocking."""
        document = {"callers": {"spiffe_ids": spiffe_ids}}
        (self.room / "callers.json").write_bytes(orjson.dumps(document))


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def standing(keeper: IdentityKeeper, leaves: set[str]) -> Callable[[ssl.SSLObject], bool]:
    """Whether what a connection's peer proved holds, and our own identity with it."""

    def holds(tls: ssl.SSLObject) -> bool:
        peer = getattr(tls, "spiffe_peer", None)
        if keeper.own() is None or not isinstance(peer, TlsPeer):
            return False
        leaves.add(peer.leaf_sha256)
        return alive(peer, keeper.snapshot(), CLOCK.unix_s())

    return holds


def _door(
    port: int, keeper: IdentityKeeper, events: RecordingIdentityEvents, leaves: set[str]
) -> RemoteDoor:
    expect = Expected((f"spiffe://a.test{OPA}",))
    context = client_context(keeper, events, CLOCK, expect=expect)
    tls = OpaTls(context=context, holds=standing(keeper, leaves))
    return RemoteDoor(url=f"https://127.0.0.1:{port}", tls=tls, clock=CLOCK)


async def _fed(stack: AsyncExitStack, room: Path) -> BundleSource:
    """What the OPA in `room` is given by others, over a feed as our child has."""
    feed = a_feed()
    origin = await serve_alone(stack, feed)
    (room / "opa.token").write_bytes(feed.token.reveal())
    (room / "opa.yaml").write_bytes(orjson.dumps(configuration(room, origin)))
    return feed.source


@dataclass(slots=True, kw_only=True)
class Remote:
    """An engine in mode `remote`, the OPA it asks, and who we are there. `leaves` are the SHA-256
    of the certificates that OPA was found to hold."""

    engine: OpaEngine
    opa: RemoteOpa
    keeper: IdentityKeeper
    events: RecordingIdentityEvents
    ca: Ca
    leaves: set[str]

    def hold(self, *bundles: Ca, path: str = US) -> None:
        """Another SVID of ours, and the bundles of `bundles`, or of our own authority."""
        held = [bundle_of(one) for one in bundles or (self.ca,)]
        Trust(own=self.ca.own(path), bundles=held).give(self.keeper)


@asynccontextmanager
async def remote_opa(
    ca: Ca, *, serves: Svid | None = None, admits: str, trusts: Ca | None = None
) -> AsyncIterator[tuple[RemoteOpa, BundleSource]]:
    """An OPA that shows `serves`, by default what `ca` certifies it to be, and what it is fed."""
    with tempfile.TemporaryDirectory(prefix="opa-") as name:
        room = Path(name)
        opa = RemoteOpa(room=room, port=free_port())
        async with AsyncExitStack() as stack:
            source = await _fed(stack, room)
            opa.serve(serves or ca.svid(OPA))
            opa.trust(trusts or ca)
            opa.admit(admits)
            await opa.start()
            stack.push_async_callback(opa.stop)
            yield opa, source


@asynccontextmanager
async def remote_engine(
    *,
    connections: int = 8,
    activation_s: float = 15.0,
    serves: Callable[[Ca], Svid] = lambda ca: ca.svid(OPA),
    trusts: Ca | None = None,
) -> AsyncIterator[Remote]:
    """An `OpaEngine` in mode `remote` and its OPA, nothing activated yet."""
    events = RecordingIdentityEvents()
    keeper = IdentityKeeper(clock=CLOCK, events=events)
    ca = await asyncio.to_thread(a_ca)
    admits = f"spiffe://a.test{US}"
    async with (
        remote_opa(ca, serves=serves(ca), admits=admits, trusts=trusts) as (opa, source),
        asyncio.TaskGroup() as group,
    ):
        leaves: set[str] = set()
        engine = OpaEngine(
            link=FedLink(_door(opa.port, keeper, events, leaves), source),
            clock=CLOCK,
            entrypoint=ENTRYPOINT,
            limits=OpaLimits(connections=connections, activation_s=activation_s),
        )
        renew_with(keeper, engine.renew)
        remote = Remote(engine=engine, opa=opa, keeper=keeper, events=events, ca=ca, leaves=leaves)
        remote.hold()
        job = group.create_task(engine.run())
        try:
            yield remote
        finally:
            job.cancel()
