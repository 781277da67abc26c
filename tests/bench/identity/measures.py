"""The measuring itself: each function gives figures, and leaves nothing behind."""

import gc
import ssl
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from outrider.core.exchange import TlsPeer
from outrider.identity.snapshot import alive
from tests.bench.identity.calling import Caller, Listeners
from tests.bench.identity.figures import Figure, Item, figure_of
from tests.bench.identity.world import CLOCK, DOMAINS, World, a_world

LIVE: Final = 32
"""Connections that requests are made on, as agents keep them."""
_WARM: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is done of each; `rounds` are what medians are taken over."""

    rounds: int = 9
    revalidations: int = 200_000
    turns: int = 450
    connections: int = 60
    handshakes: int = 60
    rotations: int = 10_000


QUICK = Effort(
    rounds=3, revalidations=20_000, turns=60, connections=20, handshakes=15, rotations=300
)


def revalidation(world: World, effort: Effort) -> Figure:
    """As it is asked for each request: the snapshot and the time are fetched anew."""
    peer = a_peer(world)
    keeper, count = world.keeper, effort.revalidations
    rounds = []
    for _ in range(effort.rounds):
        began_ns = time.thread_time_ns()
        for _ in range(count):
            alive(peer, keeper.snapshot(), CLOCK.unix_s())
        rounds.append((time.thread_time_ns() - began_ns) / count / 1000)
    return figure_of(Item.REVALIDATION, rounds, f"{count:,} a round, loop and clock included")


def a_peer(world: World) -> TlsPeer:
    """The peer of a handshake of our own with ourselves."""
    server, _, _ = _handshake(world)
    peer: TlsPeer = server.spiffe_peer  # type: ignore[attr-defined]
    return peer


def _handshake(world: World) -> tuple[ssl.SSLObject, float, float]:
    """A whole handshake in memory: the server's end, and what each side spent, in ms."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    spent = [0, 0]
    ends: list[ssl.SSLObject] = []
    for place, context in enumerate((world.server, world.client)):
        ways = (to_server, to_client) if place == 0 else (to_client, to_server)
        began_ns = time.thread_time_ns()
        ends.append(context.wrap_bio(*ways, server_side=place == 0))
        spent[place] += time.thread_time_ns() - began_ns
    open_ends = {0, 1}
    while open_ends:
        for place in (1, 0):
            if place not in open_ends:
                continue
            began_ns = time.thread_time_ns()
            try:
                ends[place].do_handshake()
                open_ends.discard(place)
            except ssl.SSLWantReadError:
                pass
            spent[place] += time.thread_time_ns() - began_ns
    return ends[0], spent[0] / 1e6, spent[1] / 1e6


def handshakes(world: World, effort: Effort) -> list[Figure]:
    """Both sides by themselves, nothing between them but memory; each time neither has met the
    other before, while the context stands already."""
    svids = [world.ca.own("/planner") for _ in range(8)]
    servers, clients = [], []
    for _ in range(effort.rounds):
        found = []
        for number in range(effort.handshakes):
            world.take(svids[number % len(svids)])
            for context in (world.server, world.client):
                context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), context is world.server)
            found.append(_handshake(world)[1:])
        servers.append(sum(server for server, _ in found) / len(found))
        clients.append(sum(client for _, client in found) / len(found))
    basis = f"{effort.handshakes} a round, in memory, ECDSA P-256, {DOMAINS} trust domains"
    return [
        figure_of(Item.HANDSHAKE_SERVER, servers, basis),
        figure_of(Item.HANDSHAKE_CLIENT, clients, basis),
    ]


def listener(effort: Effort) -> list[Figure]:
    """One process with the product's listener three times: plain, over Python's own mutual TLS,
    over ours; asked in turns."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Listeners(Path(folder)) as listeners,
    ):
        return [*_requests(listeners, effort), *_connections(listeners, effort)]


def _requests(listeners: Listeners, effort: Effort) -> list[Figure]:
    """Many short turns of each, so that what else the machine does meets all alike."""
    with ExitStack() as stack:
        meter = stack.enter_context(listeners.plain())
        legs = [
            [stack.enter_context(connect()) for _ in range(LIVE)]
            for connect in (listeners.plain, listeners.bare, listeners.mtls)
        ]
        found = [
            tuple(_asked_us(meter, callers) for callers in legs)
            for _ in range(_WARM + effort.turns)
        ][_WARM:]
    basis = f"{effort.turns} turns of {LIVE} connections, 1 KiB: {_legs_of(found, '.1f')}"
    return [
        figure_of(Item.REQUEST, _added(found, 0, effort.rounds), basis),
        figure_of(Item.REQUEST_OWN, _added(found, 1, effort.rounds), "the same turns"),
    ]


def _legs_of(found: list[tuple[float, ...]], form: str) -> str:
    plain, bare, mtls = (median(turn[leg] for turn in found) for leg in range(3))
    return f"{plain:{form}} plain, {bare:{form}} Python's TLS, {mtls:{form}} ours"


def _added(found: list[tuple[float, ...]], leg: int, rounds: int) -> list[float]:
    """What our TLS adds to `leg`: the median of each round's turns."""
    size = max(1, len(found) // rounds)
    return [
        median(turn[2] - turn[leg] for turn in found[at : at + size])
        for at in range(0, len(found), size)
    ]


def _asked_us(meter: Caller, callers: list[Caller]) -> float:
    """CPU of the listener's process for one request on a live connection.

    All connections ask at once, with what was sealed beforehand, and the one asked last is heard
    first: so the listener works through them without waiting for a client in Python.
    """
    asked = [(caller, caller.sealed()) for caller in callers]
    began_us = meter.spent_us()
    for caller, sealed in asked:
        caller.send(sealed)
    for caller in reversed(callers):
        caller.answer()
    return (meter.spent_us() - began_us) / len(callers)


def _connections(listeners: Listeners, effort: Effort) -> list[Figure]:
    ways = (listeners.plain, listeners.bare, listeners.mtls)
    with listeners.plain() as meter:
        found = [
            tuple(_connected_ms(meter, connect, effort.connections) for connect in ways)
            for _ in range(1 + effort.rounds)
        ][1:]
    basis = f"{effort.connections} each a round, one request and an end: {_legs_of(found, '.2f')}"
    return [
        figure_of(Item.CONNECTION, _added(found, 0, effort.rounds), basis),
        figure_of(Item.CONNECTION_OWN, _added(found, 1, effort.rounds), "the same rounds"),
    ]


def _connected_ms(meter: Caller, connect: Callable[[], Caller], count: int) -> float:
    """CPU of the listener's process for one connection with one request, to its end."""
    began_us = meter.spent_us()
    for _ in range(count):
        with connect() as caller:
            caller.get()
    return (meter.spent_us() - began_us) / count / 1000


def rotations(effort: Effort) -> list[Figure]:
    """Each: an SVID of ours taken by the keeper, a server's and a client's context made of it."""
    world = a_world()
    svids = [world.ca.own("/planner") for _ in range(16)]

    def rotate(count: int) -> None:
        for number in range(count):
            world.take(svids[number % len(svids)])
            for context in (world.server, world.client):
                context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), context is world.server)

    rotate(max(200, effort.rotations // 20))
    _handshake(world)
    gc.collect()
    rss_kib, fds = _resident_kib(), _descriptors()
    began_ns = time.thread_time_ns()
    rotate(effort.rotations)
    spent_ms = (time.thread_time_ns() - began_ns) / effort.rotations / 1e6
    _handshake(world)
    gc.collect()
    now_kib, now_fds = _resident_kib(), _descriptors()
    what = f"{effort.rotations:,} rotations at {spent_ms:.2f} ms"
    return [
        figure_of(
            Item.ROTATION_RSS,
            [max(0.0, now_kib - rss_kib)],
            f"{what}; {rss_kib / 1024:.1f} MiB before, {now_kib / 1024:.1f} after",
        ),
        figure_of(Item.ROTATION_FDS, [now_fds - fds], f"{fds} before, {now_fds} after"),
    ]


def _resident_kib() -> float:
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmRSS:")[2].split()[0])


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def measure(effort: Effort, say: Callable[[str], None]) -> list[Figure]:
    """All of it, one after another."""
    say("identity: revalidation")
    world = a_world()
    found = [revalidation(world, effort)]
    say("identity: handshakes")
    found += handshakes(world, effort)
    say("identity: the listener, plain and over mTLS")
    found += listener(effort)
    say(f"identity: {effort.rotations:,} rotations")
    found += rotations(effort)
    order = list(Item)
    return sorted(found, key=lambda figure: order.index(figure.item))
