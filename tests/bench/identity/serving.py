"""`python -m tests.bench.identity.serving FOLDER`: three listeners in one process.

Plain; over Python's own mutual TLS, which knows no SPIFFE; over ours. All are the product's own,
with the same handler; over ours it asks for every request whether the peer still holds, as the
sidecar does. `/cpu` answers what the process has spent. Writes the files
of a client and `ports` into FOLDER, and serves until it is ended.
"""

import asyncio
import ssl
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from outrider.config.limit_settings import Limits
from outrider.config.listener_settings import Listener as ListenerSettings
from outrider.core.exchange import Ending, Exchange, Reply, TlsPeer
from outrider.core.vocabulary import Direction
from outrider.identity.snapshot import alive
from outrider.server.edge import Edge, EdgeParts, GateRefusal
from outrider.server.events import NoEvents
from outrider.server.jobs import Jobs
from outrider.server.listener import Listener
from outrider.server.overload import BufferBudget
from outrider.server.wheel import Wheel
from tests.bench.identity.world import CLOCK, World, a_world, write_caller
from tests.support.peers import loopback_rules

ANSWER: Final = b"x" * 1024
_KIND: Final = (("content-type", "application/octet-stream"),)


def _settled(ending: Ending, sent: int) -> None:
    """Nothing is recorded."""


def _reply(exchange: Exchange) -> Reply:
    spent = exchange.head.path == "/cpu"
    body = b"%d" % time.process_time_ns() if spent else ANSWER
    return Reply(status=200, headers=_KIND, body=body, settle=_settled)


def _refuse(refusal: GateRefusal) -> Reply:
    return Reply(status=refusal.error.status or 400, headers=(), body=b"", settle=_settled)


class _Unjudged(ssl.SSLObject):
    """A connection whose peer OpenSSL alone has verified, under a name of anybody's."""

    spiffe_peer = TlsPeer(
        spiffe_id="spiffe://a.test/anybody",
        trust_domain="a.test",
        expires_unix_s=float("inf"),
        leaf_sha256="",
        anchor_sha256="",
    )


def _bare(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / "caller.pem")
    context.load_verify_locations(cafile=folder / "ca.pem")
    context.set_alpn_protocols(["http/1.1"])
    context.sslobject_class = _Unjudged
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rig:
    """What the listeners share."""

    wheel: Wheel
    jobs: Jobs


async def _listen(
    world: World, rig: _Rig, tls: ssl.SSLContext | None, *, judged: bool = False
) -> int:
    async def plain(exchange: Exchange) -> Reply:
        return _reply(exchange)

    async def proven(exchange: Exchange) -> Reply:
        peer = exchange.peer.tls
        if peer is None or not alive(peer, world.keeper.snapshot(), CLOCK.unix_s()):
            raise RuntimeError("the peer does not hold")
        return _reply(exchange)

    limits = Limits(connection_requests=10_000_000)
    edge = Edge(
        EdgeParts(
            name="plain" if tls is None else "mtls",
            direction=Direction.EGRESS if tls is None else Direction.INGRESS,
            rules=loopback_rules(),
            limits=limits,
            handler=proven if judged else plain,
            refuser=_refuse,
            clock=CLOCK,
            wheel=rig.wheel,
            events=NoEvents(),
            budget=BufferBudget(limit_bytes=limits.buffered_bytes, events=NoEvents()),
        )
    )
    settings = ListenerSettings(addresses=("127.0.0.1:0",))
    listener = Listener(edge=edge, settings=settings, tls=tls, jobs=rig.jobs)
    await listener.start()
    return listener.ports[0]


async def _serve(folder: Path) -> None:
    world = a_world()
    write_caller(world, folder)
    async with Jobs() as jobs:
        rig = _Rig(wheel=Wheel(clock=CLOCK), jobs=jobs)
        ports = [
            await _listen(world, rig, None),
            await _listen(world, rig, _bare(folder)),
            await _listen(world, rig, world.server, judged=True),
        ]
        (folder / "ports.new").write_text(" ".join(map(str, ports)))
        (folder / "ports.new").replace(folder / "ports")  # whoever waits sees it whole
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
