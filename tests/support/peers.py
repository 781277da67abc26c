"""An edge and a pool that run on loopback, made for a test and gone with it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from outrider.config.limit_settings import Limits
from outrider.config.listener_settings import Listener as ListenerSettings
from outrider.config.upstream_settings import Upstream
from outrider.core.clock import SystemClock
from outrider.core.exchange import Ending, Exchange, Outgoing, Reply
from outrider.core.ports import Clock
from outrider.core.vocabulary import Direction
from outrider.protocols.gate import GateRules
from outrider.server.dns import Resolver
from outrider.server.edge import Edge, EdgeParts, GateRefusal
from outrider.server.events import NoEvents, ShedCause, Threshold, UpstreamFault
from outrider.server.jobs import Jobs
from outrider.server.listener import Listener
from outrider.server.origin import Origin, origin_of, pool_limits
from outrider.server.overload import BufferBudget
from outrider.server.pool import PoolParts, UpstreamPool
from outrider.server.wheel import Wheel
from tests.support.builders import a_permit, an_action, an_ask
from tests.support.net import RawClient, dialled

Handler = Callable[[Exchange], Awaitable[Reply]]


class RecordingEvents(NoEvents):
    """Keeps the edge's counts as a list of what happened."""

    def __init__(self) -> None:
        self.log: list[tuple[str, ...]] = []
        self.open_connections = 0

    def count(self, *what: str) -> int:
        return self.log.count(what)

    def edge_refused(self, listener: str, cause: str) -> None:
        self.log.append(("refused", cause))

    def headers_dropped(self, listener: str, count: int) -> None:
        self.log.append(("dropped", str(count)))

    def connection(self, listener: str, delta: int) -> None:
        self.open_connections += delta

    def shed(self, cause: ShedCause, threshold: Threshold) -> None:
        self.log.append(("shed", cause.value, threshold.value))

    def upstream_request(self, upstream: str, code_class: str) -> None:
        self.log.append(("answered", code_class))

    def upstream_error(self, upstream: str, fault: UpstreamFault) -> None:
        self.log.append(("fault", fault.value))

    def breaker(self, upstream: str, is_open: bool) -> None:
        self.log.append(("breaker", "open" if is_open else "closed"))


@dataclass(slots=True)
class Settled:
    """How every reply of a test ended."""

    endings: list[tuple[Ending, int]] = field(default_factory=list)

    def __call__(self, ending: Ending, sent: int) -> None:
        self.endings.append((ending, sent))


@dataclass(slots=True)
class RunningEdge:
    """A listener under test, with what reached it."""

    listener: Listener
    port: int
    events: RecordingEvents
    budget: BufferBudget
    exchanges: list[Exchange]
    refusals: list[GateRefusal]
    settled: Settled
    arrived: asyncio.Event

    @property
    def under_way(self) -> int:
        """TLS handshakes that have begun and not ended."""
        door = self.listener.edge.door
        assert door is not None
        return door.under_way

    @asynccontextmanager
    async def client(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawClient]:
        async with dialled(self.port, tls) as client:
            yield client

    def request(self, *lines: str, method: str = "GET", target: str = "/a") -> bytes:
        """A request with the right Host and `lines` as further fields."""
        head = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *lines]
        return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n"


class _AnyPort(frozenset[str]):
    """Any host on loopback: the port is not known when the rules are made."""

    def __contains__(self, host: object) -> bool:
        return isinstance(host, str) and host.startswith("127.0.0.1:")


def loopback_rules(**changes: Any) -> GateRules:
    values: dict[str, Any] = {"hosts": _AnyPort()}
    return GateRules(**(values | changes))


@asynccontextmanager
async def running_edge(
    handler: Handler | None = None,
    *,
    rules: GateRules | None = None,
    clock: Clock | None = None,
    tls: ssl.SSLContext | None = None,
    own_domain: str | None = None,
    **limits: Any,
) -> AsyncIterator[RunningEdge]:
    """A listener on a free loopback port, egress, or ingress with `tls`; without `handler` it reads
    bodies and says `ok`."""
    clock = clock or SystemClock()
    events, settled = RecordingEvents(), Settled()
    wheel = Wheel(clock=clock)
    budget = BufferBudget(limit_bytes=limits.pop("budget_bytes", 1 << 20), events=events)
    exchanges: list[Exchange] = []
    refusals: list[GateRefusal] = []
    arrived = asyncio.Event()

    async def echo(exchange: Exchange) -> Reply:
        body = await exchange.body.read(1 << 20) if exchange.head.has_body else b""
        return Reply(status=200, headers=(), body=b"ok" + body, settle=settled)

    async def handle(exchange: Exchange) -> Reply:
        exchanges.append(exchange)
        arrived.set()
        return await (handler or echo)(exchange)

    def refuse(refusal: GateRefusal) -> Reply:
        refusals.append(refusal)
        status = refusal.error.status or 400
        return Reply(status=status, headers=(), body=b"refused", settle=settled)

    edge = Edge(
        EdgeParts(
            name="egress" if tls is None else "ingress",
            direction=Direction.EGRESS if tls is None else Direction.INGRESS,
            rules=rules or loopback_rules(),
            limits=Limits(**limits),
            handler=handle,
            refuser=refuse,
            clock=clock,
            wheel=wheel,
            events=events,
            budget=budget,
            own_domain=lambda: own_domain,
        )
    )
    jobs = Jobs()
    await jobs.__aenter__()  # left below without what failed, which is to come out as it is
    settings = ListenerSettings(addresses=("127.0.0.1:0",))
    listener = Listener(edge=edge, settings=settings, tls=tls, jobs=jobs)
    await listener.start()
    running = RunningEdge(
        listener=listener,
        port=listener.ports[0],
        events=events,
        budget=budget,
        exchanges=exchanges,
        refusals=refusals,
        settled=settled,
        arrived=arrived,
    )
    try:
        yield running
    finally:
        listener.stop_accepting()
        listener.abort()
        wheel.close()
        await jobs.__aexit__(None, None, None)
        await asyncio.sleep(0.01)


PERMIT = a_permit(an_action(ask=an_ask(upstream="crm")))


@dataclass(slots=True)
class RunningPool:
    """A pool with one upstream, `crm`, on a loopback port."""

    pool: UpstreamPool
    origin: Origin
    events: RecordingEvents

    async def send(self, body: Any = b"", **changes: Any) -> Any:
        values: dict[str, Any] = {"method": "GET", "target": "/x", "headers": (), "body": body}
        return await self.pool.send(PERMIT, Outgoing(**(values | changes)))


@asynccontextmanager
async def running_pool(
    port: int, *, clock: Clock | None = None, limits: Limits | None = None, **upstream: Any
) -> AsyncIterator[RunningPool]:
    clock = clock or SystemClock()
    events = RecordingEvents()
    wheel = Wheel(clock=clock)
    values: dict[str, Any] = {"networks": ("127.0.0.0/8",)}
    settings = Upstream(url=f"http://127.0.0.1:{port}", **values | upstream)
    origin = origin_of("crm", settings)
    pool = UpstreamPool(
        origins=[origin],
        parts=PoolParts(
            limits=pool_limits(limits or Limits()),
            clock=clock,
            wheel=wheel,
            events=events,
            resolver=Resolver(clock=clock),
        ),
    )
    try:
        yield RunningPool(pool=pool, origin=origin, events=events)
    finally:
        pool.close()
        wheel.close()
        await asyncio.sleep(0.01)


async def whole(incoming: Any) -> bytes:
    """The body of an answer, to its end."""
    return b"".join([chunk async for chunk in incoming])
