"""Two workloads of one trust domain among several, as a sidecar would hold them."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import X509Bundle

from outrider.core.clock import SystemClock
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import OwnSvid
from outrider.identity.tls import Expected, RotatingContext, client_context, server_context
from tests.support.identity import RecordingIdentityEvents
from tests.support.spiffe_ca import Ca, a_ca, bundle_of

CLOCK: Final = SystemClock()
DOMAINS: Final = 3
"""Trust domains whose bundles are held; the first one is ours."""
CALLER: Final = "/caller"


class QuietEvents(RecordingIdentityEvents):
    """Counts nothing, so that a long run keeps nothing."""

    def handshake(self, role: object, reason: object) -> None:
        pass


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A keeper with an SVID, and the contexts made from it."""

    ca: Ca
    bundles: dict[str, X509Bundle]
    keeper: IdentityKeeper
    server: RotatingContext
    client: RotatingContext

    def take(self, own: OwnSvid) -> None:
        self.keeper.take_x509(own, self.bundles, own_domain="a.test")


def a_world() -> World:
    """Everything valid for an hour."""
    events = QuietEvents()
    keeper = IdentityKeeper(clock=CLOCK, events=events)
    ca = a_ca("a.test")
    others = [a_ca(f"domain{number}.test") for number in range(1, DOMAINS)]
    world = World(
        ca=ca,
        bundles={one.trust_domain: bundle_of(one) for one in (ca, *others)},
        keeper=keeper,
        server=server_context(keeper, events, CLOCK),
        client=client_context(keeper, events, CLOCK, expect=Expected(("spiffe://a.test/*",))),
    )
    world.take(ca.own("/planner"))
    return world


def write_caller(world: World, folder: Path) -> None:
    """What a client of another process shows and trusts, as files."""
    (folder / "caller.pem").write_bytes(world.ca.svid(CALLER).pem)
    (folder / "ca.pem").write_bytes(world.ca.certificate.public_bytes(Encoding.PEM))


def caller_context(folder: Path) -> ssl.SSLContext:
    """The context of a client that has those files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "caller.pem")
    context.load_verify_locations(cafile=folder / "ca.pem")
    context.set_alpn_protocols(["http/1.1"])
    return context
