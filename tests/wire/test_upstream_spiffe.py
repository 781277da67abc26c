"""Upstreams that prove a SPIFFE ID: whom we speak to, under which identity, and for how long."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import SpiffePeer, Upstream, UpstreamTls
from outrider.core.clock import SystemClock
from outrider.core.errors import UpstreamFailedError, UpstreamUnavailableError
from outrider.core.exchange import Outgoing, TlsPeer
from outrider.core.vocabulary import Reason
from outrider.identity.snapshot import alive
from outrider.server.dns import Resolver
from outrider.server.origin import origin_of, pool_limits
from outrider.server.pool import PoolParts, UpstreamPool
from outrider.server.wheel import Wheel
from tests.support.builders import a_permit, an_action, an_ask
from tests.support.net import RecordingUpstream, ScriptedUpstream, UpstreamTurn
from tests.support.peers import RecordingEvents, whole
from tests.support.spiffe_ca import Svid, Trust, a_ca, bundle_of
from tests.support.spiffe_wire import Ours, ours, their_server

DESK = "spiffe://a.test/desk"
INSTANCE = "pod:7f3c"
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"7\r\ndata: 1\r\n"
)


@dataclass(slots=True)
class Pool:
    """A pool under an identity of ours that changes as the keeper says, as the sidecar has it."""

    us: Ours
    pool: UpstreamPool
    events: RecordingEvents
    distrusted: set[str] = field(default_factory=set)

    def holds(self, peer: TlsPeer) -> bool:
        known = peer.spiffe_id not in self.distrusted
        return known and alive(peer, self.us.keeper.snapshot(), SystemClock().unix_s())

    async def send(self, upstream: str = "desk", **changes: Any) -> Any:
        values: dict[str, Any] = {"method": "GET", "target": "/x", "headers": (), "body": b""}
        permit = a_permit(an_action(ask=an_ask(upstream=upstream)))
        return await self.pool.send(permit, Outgoing(**(values | changes)))

    async def got(self, upstream: str = "desk") -> TlsPeer | None:
        """Whose answer one exchange got."""
        answer = await self.send(upstream)
        await whole(answer)
        peer = answer.peer
        assert peer is None or isinstance(peer, TlsPeer)
        return peer

    async def refused(self, kind: type[Exception] = UpstreamUnavailableError) -> Reason:
        with pytest.raises(kind) as caught:
            await whole(await self.send())
        reason = getattr(caught.value, "reason", None)
        assert isinstance(reason, Reason)
        return reason

    def idle(self, upstream: str = "desk") -> int:
        line = self.pool.line(upstream)
        assert line is not None
        return sum(len(kept) for kept in line._idle.values())


@asynccontextmanager
async def _pool(us: Ours, **ports: int | Upstream) -> AsyncIterator[Pool]:
    """Upstreams by name: a port is one that is expected to be `DESK`."""
    clock, events = SystemClock(), RecordingEvents()
    wheel = Wheel(clock=clock)
    made: list[Pool] = []
    pool = UpstreamPool(
        origins=[
            origin_of(
                name,
                settings,
                tls=us.client(*settings.tls.spiffe.expect) if settings.tls.spiffe else None,
                revision=str(us.keeper.snapshot().generation),
                instance=INSTANCE,
            )
            for name, settings in (
                (name, _upstream(one) if isinstance(one, int) else one)
                for name, one in ports.items()
            )
        ],
        parts=PoolParts(
            limits=pool_limits(Limits(breaker_failures=3)),
            clock=clock,
            wheel=wheel,
            events=events,
            resolver=Resolver(clock=clock),
            holds=lambda peer: bool(made) and made[0].holds(peer),
        ),
    )
    made.append(Pool(us=us, pool=pool, events=events))
    us.keeper.tell(lambda snapshot: pool.renew(str(snapshot.generation)))
    try:
        yield made[0]
    finally:
        pool.close()
        wheel.close()
        await asyncio.sleep(0.01)


def _upstream(port: int, *expect: str, **more: Any) -> Upstream:
    return Upstream(
        url=f"https://127.0.0.1:{port}/",
        networks=("127.0.0.0/8",),
        tls=UpstreamTls(spiffe=SpiffePeer(expect=expect or (DESK,))),
        **more,
    )


def _desk(us: Ours, **changes: Any) -> ssl.SSLContext:
    """Another workload's listener, that takes whom a.test signed."""
    context = their_server(us.a.svid("/desk", **changes))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=us.a.der)
    return context


# --- who is spoken to ---


async def test_an_upstream_that_is_expected_is_spoken_to_under_our_own_identity() -> None:
    us = ours()
    async with RecordingUpstream(tls=_desk(us)) as desk, _pool(us, desk=desk.port) as pool:
        peer = await pool.got()
        assert peer is not None
        assert peer.spiffe_id == DESK
        assert desk.seen[0].field("outrider-instance") == INSTANCE
        assert desk.seen[0].field("host") == f"127.0.0.1:{desk.port}"
        await pool.got()
        assert (desk.connections, pool.idle()) == (1, 1)


async def test_no_server_name_is_told() -> None:
    us = ours()
    told: list[str | None] = []
    context = _desk(us)
    context.sni_callback = lambda _object, name, _context: told.append(name)  # type: ignore[assignment]
    async with RecordingUpstream(tls=context) as desk, _pool(us, desk=desk.port) as pool:
        await pool.got()
    assert told == [None]


async def test_an_instance_is_told_to_spiffe_peers_alone() -> None:
    us = ours()
    async with RecordingUpstream() as plain:
        settings = Upstream(url=f"http://127.0.0.1:{plain.port}/", networks=("127.0.0.0/8",))
        async with _pool(us, desk=settings) as pool:
            assert await pool.got() is None
            await whole(await pool.send(headers=(("outrider-instance", "pod:mine"),)))
    assert [seen.field("outrider-instance") for seen in plain.seen] == [None, None]


async def test_what_an_agent_says_of_an_instance_is_not_what_we_say() -> None:
    us = ours()
    async with RecordingUpstream(tls=_desk(us)) as desk, _pool(us, desk=desk.port) as pool:
        await whole(await pool.send(headers=(("outrider-instance", "pod:mine"),)))
        named = [value for name, value in desk.seen[0].fields if name == "outrider-instance"]
        assert named == [INSTANCE]


def _other(us: Ours) -> Svid:
    return us.a.svid("/other")


def _forged(us: Ours) -> Svid:
    return us.b.svid(uris=(DESK,))


def _stranger(us: Ours) -> Svid:
    return a_ca("a.test").svid("/desk")


def _expired(us: Ours) -> Svid:
    return us.a.svid("/desk", seconds=(-100, -10))


@pytest.mark.parametrize("svid", [_other, _forged, _stranger, _expired])
async def test_who_is_not_expected_gets_no_byte_of_a_request(svid: Callable[[Ours], Svid]) -> None:
    us = ours()
    async with (
        RecordingUpstream(tls=their_server(svid(us))) as desk,
        _pool(us, desk=desk.port) as pool,
    ):
        assert await pool.refused() is Reason.UPSTREAM_IDENTITY
        assert pool.events.count("fault", "identity") == 1
        assert desk.seen == []


async def test_without_an_svid_of_ours_nobody_is_spoken_to_and_with_one_again_at_once() -> None:
    """The breaker too forgets what it heard under no identity."""
    us = ours()
    us.keeper.redact()
    async with RecordingUpstream(tls=_desk(us)) as desk, _pool(us, desk=desk.port) as pool:
        for _ in range(3):
            assert await pool.refused() is Reason.UPSTREAM_IDENTITY
        gc.collect()  # a socket that was left to be closed again is told here
        assert await pool.refused() is Reason.UPSTREAM_UNAVAILABLE  # the breaker
        assert desk.seen == []
        us.trust.give(us.keeper)
        assert await pool.got() is not None
        assert pool.events.log[-2:] == [("breaker", "closed"), ("answered", "2xx")]


# --- who does not speak to us ---


async def test_an_upstream_that_takes_no_certificate_of_ours_says_so_by_an_alert() -> None:
    us = ours()
    context = their_server(us.a.svid("/desk"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=a_ca("c.test").der)
    async with RecordingUpstream(tls=context) as desk, _pool(us, desk=desk.port) as pool:
        reasons = [await _why(pool) for _ in range(2)]
        assert reasons == [Reason.UPSTREAM_IDENTITY] * 2
        assert desk.seen == []
        assert pool.events.count("fault", "identity") == 2


async def test_an_outrider_that_does_not_take_us_ends_the_connection_without_a_word() -> None:
    us, them = ours(), ours()
    them.trust = Trust(own=us.a.own("/desk"), bundles=[bundle_of(us.b)])
    them.trust.give(them.keeper)
    async with RecordingUpstream(tls=them.server()) as desk, _pool(us, desk=desk.port) as pool:
        assert await _why(pool) is Reason.UPSTREAM_IDENTITY
        assert desk.seen == []


async def _why(pool: Pool) -> Reason:
    """Why one exchange failed: whether a byte had left is a matter of timing."""
    return await pool.refused((UpstreamUnavailableError, UpstreamFailedError))  # type: ignore[arg-type]


async def test_an_end_that_is_no_refusal_is_not_told_as_one() -> None:
    """On a connection that has served, the upstream has taken us already."""

    async def script(turn: UpstreamTurn) -> None:
        await turn.request()
        await turn.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await turn.request()
        turn.writer.close()

    us = ours()
    async with (
        ScriptedUpstream(tls=_desk(us), script=script) as desk,
        _pool(us, desk=desk.port) as pool,
    ):
        await pool.got()
        assert await pool.refused(UpstreamFailedError) is Reason.UPSTREAM_ERROR
        assert (desk.connections, len(desk.seen)) == (1, 2)


async def test_what_was_refused_after_a_byte_had_left_is_not_tried_again() -> None:
    async def script(turn: UpstreamTurn) -> None:
        await turn.request()
        turn.writer.close()

    us = ours()
    async with (
        ScriptedUpstream(tls=_desk(us), script=script) as desk,
        _pool(us, desk=desk.port) as pool,
    ):
        assert await pool.refused(UpstreamFailedError) is Reason.UPSTREAM_IDENTITY
        assert (desk.connections, len(desk.seen)) == (1, 1)


# --- one pool for each upstream and identity of ours ---


async def test_upstreams_share_no_connection_even_where_they_are_one() -> None:
    us = ours()
    async with (
        RecordingUpstream(tls=_desk(us)) as desk,
        _pool(us, desk=desk.port, shop=_upstream(desk.port, "spiffe://a.test/*")) as pool,
    ):
        await pool.got()
        await pool.got("shop")
        assert (desk.connections, pool.idle(), pool.idle("shop")) == (2, 1, 1)


async def test_a_new_identity_of_ours_takes_no_connection_of_the_old() -> None:
    us = ours()
    shown: list[str] = []
    async with RecordingUpstream(tls=_desk(us)) as desk, _pool(us, desk=desk.port) as pool:
        await pool.got()
        shown.append(_leaf_of(pool))
        _rotated(us)
        assert pool.idle() == 0
        await pool.got()
        shown.append(_leaf_of(pool))
        assert (desk.connections, len(set(shown))) == (2, 2)


async def test_who_is_busy_while_our_identity_changes_ends_and_is_not_used_again() -> None:
    async def script(turn: UpstreamTurn) -> None:
        while True:
            await turn.request()
            await go.wait()
            await turn.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    us = ours()
    go = asyncio.Event()
    async with (
        ScriptedUpstream(tls=_desk(us), script=script) as desk,
        _pool(us, desk=desk.port) as pool,
        asyncio.TaskGroup() as group,
    ):
        asked = group.create_task(pool.got())
        async with asyncio.timeout(10):
            while not desk.seen:  # noqa: ASYNC110 - the other side is the event loop's own
                await asyncio.sleep(0.005)
        _rotated(us)
        go.set()
        assert await asked is not None
        assert pool.idle() == 0
        await pool.got()
        assert desk.connections == 2


def _rotated(us: Ours) -> None:
    us.trust.own = us.a.own("/sidecar")
    us.trust.give(us.keeper)


def _leaf_of(pool: Pool) -> str:
    """Which of our leaves the one idle connection was made with: its key names the generation."""
    line = pool.pool.line("desk")
    assert line is not None
    (key,) = line._idle
    return key[0]


# --- as long as the proof holds ---


async def test_an_idle_connection_to_whom_is_no_longer_trusted_is_not_used() -> None:
    us = ours()
    async with RecordingUpstream(tls=_desk(us)) as desk, _pool(us, desk=desk.port) as pool:
        await pool.got()
        pool.distrusted.add(DESK)
        await pool.got()  # the check at its checkout; the handshake would not know of this one
        assert desk.connections == 2


async def test_an_idle_connection_ends_when_its_upstream_is_no_longer_trusted() -> None:
    us = ours()
    async with RecordingUpstream(tls=_desk(us)) as desk, _pool(us, desk=desk.port) as pool:
        await pool.got()
        assert pool.pool.revalidate(pool.holds) == 0
        pool.distrusted.add(DESK)
        assert (pool.pool.revalidate(pool.holds), pool.idle()) == (1, 0)
        assert pool.pool.revalidate(pool.holds) == 0


async def _streaming(turn: UpstreamTurn) -> None:
    await turn.request()
    await turn.say(STREAM)
    await turn.reader.read(-1)


async def test_a_stream_ends_when_its_upstream_is_no_longer_trusted() -> None:
    us = ours()
    async with (
        ScriptedUpstream(tls=_desk(us), script=_streaming) as desk,
        _pool(us, desk=desk.port) as pool,
    ):
        answer = await pool.send()
        assert await anext(answer) == b"data: 1"
        us.trust.bundles = [bundle_of(us.b)]
        us.trust.own = None
        us.trust.give(us.keeper)
        assert pool.pool.revalidate(pool.holds) == 1
        with pytest.raises(UpstreamFailedError) as caught:
            await anext(answer)
        assert caught.value.reason is Reason.UPSTREAM_IDENTITY
        assert pool.events.count("fault", "identity") == 1


async def test_a_stream_of_a_pool_that_was_retired_ends_too() -> None:
    us = ours()
    async with (
        ScriptedUpstream(tls=_desk(us), script=_streaming) as desk,
        _pool(us, desk=desk.port) as before,
        _pool(us, desk=desk.port) as between,
        _pool(us, desk=desk.port) as after,
    ):
        answer = await before.send()
        assert await anext(answer) == b"data: 1"
        before.pool.retire(between.pool, {"desk"})
        between.pool.retire(after.pool, {"desk"})
        assert after.pool.revalidate(after.holds) == 0
        after.distrusted.add(DESK)
        assert after.pool.revalidate(after.holds) == 1
        with pytest.raises(UpstreamFailedError):
            await anext(answer)
        assert after.pool.revalidate(after.holds) == 0
        assert after.pool._elders == []


async def test_who_proved_nothing_is_left_alone() -> None:
    us = ours()
    async with RecordingUpstream() as plain:
        settings = Upstream(url=f"http://127.0.0.1:{plain.port}/", networks=("127.0.0.0/8",))
        async with _pool(us, desk=settings) as pool:
            await pool.got()
            _rotated(us)
            us.keeper.redact()
            assert pool.pool.revalidate(lambda _: False) == 0
            await pool.got()
            assert plain.connections == 1
