"""The ingress listener on its socket: who is let in, who is not, and what that may cost."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest

from outrider.core.clock import SystemClock
from outrider.core.exchange import Reply
from outrider.core.vocabulary import Direction
from outrider.identity.reasons import HandshakeReason, Role
from outrider.protocols.gate import GateRules
from tests.support.builders import FixedClock
from tests.support.net import RawClient, dialled
from tests.support.peers import RunningEdge, running_edge
from tests.support.spiffe_ca import a_ca
from tests.support.spiffe_wire import Ours, load, open_descriptors, ours, their_client

RULES = GateRules(
    hosts=frozenset(),
    any_host=True,
    scheme="https",
    check_origin=False,
    absolute=False,
    instance=True,
)
ASK = b"GET /tickets HTTP/1.1\r\nHost: agent.test\r\n\r\n"
PLANNER = "spiffe://a.test/planner"


@asynccontextmanager
async def _ingress(us: Ours, **more: Any) -> AsyncIterator[RunningEdge]:
    values: dict[str, Any] = {"tls": us.server(), "rules": RULES}
    async with running_edge(**values | more) as edge:
        yield edge


async def _served(edge: RunningEdge, tls: ssl.SSLContext | None, data: bytes = ASK) -> int | None:
    """The status of one request, or None where the connection ended without an answer."""
    try:
        async with edge.client(tls) as client:
            await client.send(data)
            return (await client.answer()).status
    except (OSError, asyncio.IncompleteReadError):
        return None


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the other side is the event loop's own
            await asyncio.sleep(0.005)


async def _until_free(edge: RunningEdge) -> None:
    """Until no handshake takes a place."""
    await _until(lambda: edge.under_way == 0)


# --- who is let in ---


async def test_a_proven_peer_is_served_and_named() -> None:
    us = ours()
    async with _ingress(us) as edge:
        assert await _served(edge, their_client(us.a.svid())) == 200
        exchange = edge.exchanges[0]
        assert (exchange.direction, exchange.listener) == (Direction.INGRESS, "ingress")
        assert exchange.head.scheme == "https"
        tls = exchange.peer.tls
        assert tls is not None
        assert (tls.spiffe_id, tls.trust_domain) == (PLANNER, "a.test")
        assert us.handshakes == [(Role.SERVER, HandshakeReason.OK)]
        assert edge.under_way == 0


async def test_a_connection_serves_one_exchange_after_another_with_its_body() -> None:
    us = ours()
    body = b"x" * 300_000
    asked = b"POST /a HTTP/1.1\r\nHost: agent.test\r\nContent-Length: 300000\r\n\r\n" + body
    async with _ingress(us) as edge, edge.client(their_client(us.b.svid())) as client:
        for _ in range(3):
            await client.send(asked)
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, b"ok" + body)
        assert len({exchange.peer.tls for exchange in edge.exchanges}) == 1


async def test_an_upload_that_is_not_read_gets_its_refusal_all_the_same() -> None:
    us = ours()
    head = b"POST /a HTTP/1.1\r\nHost: agent.test\r\nContent-Length: 9000000\r\n\r\n"
    async with _ingress(us) as edge, edge.client(their_client(us.a.svid())) as client:
        await client.send(head + b"x" * 400_000)
        assert (await client.answer()).status == 413
        assert await client.rest() == b""
        assert edge.exchanges == []


@pytest.mark.parametrize(
    "host", ["agent.test", "agent.test:8443", "10.0.0.7:15006", "[2001:db8::1]", "localhost"]
)
async def test_a_peer_may_call_us_by_any_name(host: str) -> None:
    us = ours()
    async with _ingress(us) as edge:
        asked = b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\n\r\n"
        assert await _served(edge, their_client(us.a.svid()), asked) == 200
        assert edge.exchanges[0].head.host == host


@pytest.mark.parametrize(
    ("asked", "cause"),
    [
        pytest.param(b"GET http://agent.test/ HTTP/1.1", "target", id="absolute-form"),
        pytest.param(b"GET https://agent.test/ HTTP/1.1", "target", id="absolute-form-https"),
        pytest.param(b"CONNECT agent.test:443 HTTP/1.1", "connect", id="connect"),
        pytest.param(b"GET /../x HTTP/1.1", "path", id="dot-segment"),
    ],
)
async def test_a_proven_peer_gets_no_proxy_and_no_leave_to_be_odd(asked: bytes, cause: str) -> None:
    us = ours()
    async with _ingress(us) as edge:
        status = await _served(
            edge, their_client(us.a.svid()), asked + b"\r\nHost: agent.test\r\n\r\n"
        )
        assert status is not None
        assert status >= 400
        assert [refusal.error.cause for refusal in edge.refusals] == [cause]
        assert edge.exchanges == []


SPOOFED = (
    "x-forwarded-client-cert", "x-forwarded-for", "x-client-cert", "x-spiffe-id", "x-ssl-client-dn",
    "ssl-client-verify", "x-agent-id", "x-auth-request-user", "forwarded", "x-envoy-peer-metadata",
)  # fmt: skip


@pytest.mark.parametrize("name", SPOOFED)
async def test_what_a_header_says_of_identity_is_dropped(name: str) -> None:
    us = ours()
    async with _ingress(us) as edge:
        asked = ASK[:-2] + f"{name}: URI=spiffe://a.test/admin\r\n\r\n".encode()
        assert await _served(edge, their_client(us.a.svid()), asked) == 200
        head, tls = edge.exchanges[0].head, edge.exchanges[0].peer.tls
        assert head.header(name) is None
        assert tls is not None
        assert tls.spiffe_id == PLANNER
        assert edge.events.log == [("dropped", "1")]


async def test_an_instance_is_read_once_or_not_at_all() -> None:
    us = ours()
    named = ASK[:-2] + b"Outrider-Instance: pod:7\r\n"
    async with _ingress(us) as edge:
        tls = their_client(us.a.svid())
        assert await _served(edge, tls, named + b"\r\n") == 200
        assert edge.exchanges[0].head.header("outrider-instance") == "pod:7"
        assert await _served(edge, tls, named + b"Outrider-Instance: pod:8\r\n\r\n") == 400
        assert await _served(edge, tls, ASK[:-2] + b"Outrider-Subject: x\r\n\r\n") == 400
        assert len(edge.exchanges) == 1


# --- who is not ---


def _nobody(us: Ours) -> ssl.SSLContext:
    return their_client(None)


def _stranger(us: Ours) -> ssl.SSLContext:
    return their_client(a_ca("a.test").svid())


def _forged(us: Ours) -> ssl.SSLContext:
    """A federated authority speaks for our own trust domain."""
    return their_client(us.b.svid(uris=("spiffe://a.test/admin",)))


def _unknown_domain(us: Ours) -> ssl.SSLContext:
    return their_client(us.a.svid(uris=("spiffe://c.test/planner",)))


def _expired(us: Ours) -> ssl.SSLContext:
    return their_client(us.a.svid(seconds=(-100, -10)))


def _root_id(us: Ours) -> ssl.SSLContext:
    return their_client(us.a.svid(uris=("spiffe://a.test",)))


def _old_tls(us: Ours) -> ssl.SSLContext:
    context = their_client(us.a.svid())
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


NOT_TAKEN = {
    "no-certificate": (_nobody, HandshakeReason.NO_CERTIFICATE),
    "unknown-authority": (_stranger, HandshakeReason.UNKNOWN_AUTHORITY),
    "wrong-authority": (_forged, HandshakeReason.WRONG_AUTHORITY),
    "no-bundle": (_unknown_domain, HandshakeReason.NO_BUNDLE),
    "expired": (_expired, HandshakeReason.EXPIRED),
    "root-id": (_root_id, HandshakeReason.SPIFFE_ID),
    "tls-1.2": (_old_tls, HandshakeReason.PROTOCOL),
}


@pytest.mark.parametrize(("client", "reason"), NOT_TAKEN.values(), ids=NOT_TAKEN)
async def test_who_proves_no_identity_reaches_nothing(
    client: Callable[[Ours], ssl.SSLContext], reason: HandshakeReason
) -> None:
    us = ours()
    async with _ingress(us) as edge:
        assert await _served(edge, their_client(us.a.svid())) == 200  # the positive control
        edge.exchanges.clear()
        assert await _served(edge, client(us)) is None
        await _until(lambda: len(us.handshakes) == 2)
        assert us.handshakes[1] == (Role.SERVER, reason)
        await _until_free(edge)
        assert (edge.exchanges, edge.refusals) == ([], [])
        assert await _served(edge, their_client(us.a.svid())) == 200


async def test_without_an_svid_of_our_own_nobody_is_let_in() -> None:
    us = ours()
    us.keeper.redact()
    async with _ingress(us) as edge:
        assert await _served(edge, their_client(us.a.svid())) is None
        assert us.handshakes == [(Role.SERVER, HandshakeReason.NO_SVID)]
        us.trust.give(us.keeper)
        assert await _served(edge, their_client(us.a.svid())) == 200
        assert len(edge.exchanges) == 1


async def test_plain_http_is_not_spoken_where_tls_is() -> None:
    us = ours()
    async with _ingress(us) as edge:
        assert await _served(edge, None) is None
        await _until(lambda: us.handshakes == [(Role.SERVER, HandshakeReason.PROTOCOL)])
        assert (edge.exchanges, edge.refusals) == ([], [])


async def test_tls_is_not_spoken_where_plain_http_is() -> None:
    us = ours()
    async with running_edge() as edge:
        assert await _served(edge, their_client(us.a.svid())) is None
        assert [refusal.error.cause for refusal in edge.refusals] == ["tls"]
        assert edge.exchanges == []


async def test_a_context_that_proves_nobody_lets_nobody_in() -> None:
    us = ours()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(context, us.a.svid("/sidecar"))
    async with running_edge(tls=context, rules=RULES) as edge:
        assert await _served(edge, their_client(us.a.svid())) is None
        assert edge.events.log == [("refused", "no_peer")]
        assert (edge.exchanges, edge.events.open_connections) == ([], 0)


# --- what a connection lives ---


async def test_a_proof_that_runs_out_ends_the_connection_after_its_answer() -> None:
    """HARDENING §6: no longer than the SVID. Whoever is asked about the caller says 401 besides."""
    us = ours()
    clock = FixedClock(now_unix_s=SystemClock().unix_s())
    async with (
        _ingress(us, clock=clock) as edge,
        edge.client(their_client(us.a.svid(seconds=(-60, 120)))) as client,
    ):
        await client.send(ASK)
        assert (await client.answer()).field("connection") is None
        clock.pass_s(121)
        await client.send(ASK)
        answer = await client.answer()
        assert (answer.status, answer.field("connection")) == (200, "close")
        assert await client.rest() == b""


async def test_one_peer_has_so_many_connections_and_others_theirs() -> None:
    us = ours()
    async with _ingress(us, peer_connections=2) as edge, AsyncExitStack() as stack:
        tls = their_client(us.a.svid())
        kept = [await stack.enter_async_context(edge.client(tls)) for _ in range(2)]
        for client in kept:
            await client.send(ASK)
            assert (await client.answer()).status == 200
        assert await _served(edge, their_client(us.a.svid())) is None  # another leaf, the same ID
        assert edge.events.count("shed", "connections", "hard") == 1
        assert await _served(edge, their_client(us.a.svid("/other"))) == 200


async def test_a_peer_that_does_not_read_holds_little_and_is_let_go_when_it_is_cut() -> None:
    us = ours()
    made, ended = [0], asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                made[0] += 1
                yield b"x" * 65_536
        finally:
            ended.set()

    async def stream(_: object) -> Reply:
        return Reply(status=200, headers=(), body=endless(), settle=lambda *_: None)

    async with _ingress(us, handler=stream) as edge, _deaf(edge, us) as client:
        await client.send(ASK)
        before = -1
        async with asyncio.timeout(10):
            while before != made[0]:
                before = made[0]
                await asyncio.sleep(0.1)
        assert 0 < made[0] * 65_536 < 16 << 20  # the kernel's own buffers are the most of it
        edge.listener.abort()
        async with asyncio.timeout(1):
            await ended.wait()


@asynccontextmanager
async def _deaf(edge: RunningEdge, us: Ours) -> AsyncIterator[RawClient]:
    """A client that reads nothing of what it is answered."""
    async with edge.client(their_client(us.a.svid())) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        yield client
        client.writer.transport.abort()


# --- handshakes ---


async def test_a_handshake_that_takes_too_long_is_given_up() -> None:
    us = ours()
    async with _ingress(us, handshake_s=0.2) as edge, dialled(edge.port) as client:
        await client.send(b"\x16\x03\x01")
        await _until(lambda: edge.under_way == 1)
        assert await client.rest() == b""
        await _until_free(edge)
        assert (edge.exchanges, edge.refusals, edge.events.open_connections) == ([], [], 0)


async def test_a_flood_of_handshakes_crowds_out_its_own_oldest() -> None:
    us = ours()
    async with _ingress(us, handshakes=6) as edge, AsyncExitStack() as stack:
        waiting = [await _silent(edge, stack) for _ in range(3)]
        await _until(lambda: edge.under_way == 3)
        more = await _silent(edge, stack)
        assert await waiting[0].rest() == b""  # ended at once, long before a handshake's time
        assert edge.events.log == [("shed", "connections", "hard")]
        assert await _served(edge, their_client(us.a.svid())) == 200
        assert await waiting[1].rest() == b""
        assert edge.under_way == 2
        await waiting[2].close()
        await more.close()
        await _until(lambda: edge.under_way == 0)
        assert edge.events.count("shed", "connections", "hard") == 2


async def test_callers_are_served_in_the_midst_of_a_flood() -> None:
    us = ours()
    async with _ingress(us, handshakes=16) as edge, AsyncExitStack() as stack:
        for _ in range(5):
            for _ in range(20):
                await _silent(edge, stack)
            assert await _served(edge, their_client(us.a.svid())) == 200
        assert edge.under_way <= 8
        assert edge.events.count("shed", "connections", "hard") >= 90


async def test_handshakes_take_no_connections_place() -> None:
    us = ours()
    async with (
        _ingress(us, connections=1, handshakes=8) as edge,
        AsyncExitStack() as stack,
    ):
        for _ in range(3):
            await _silent(edge, stack)
        await _until(lambda: edge.under_way == 3)
        assert await _served(edge, their_client(us.a.svid())) == 200


async def test_whoever_ends_his_handshake_leaves_nothing_behind() -> None:
    us = ours()
    async with _ingress(us, handshakes=4) as edge:
        assert await _served(edge, their_client(us.a.svid())) == 200
        await asyncio.sleep(0.05)
        before = open_descriptors()
        for _ in range(5):
            assert await _served(edge, their_client(None)) is None
            async with AsyncExitStack() as stack:
                for _ in range(4):
                    await _silent(edge, stack)
                junk = await _silent(edge, stack)
                await junk.send(b"GET / HTTP/1.1\r\n\r\n")
                assert await junk.rest() == b""
        await _until(lambda: edge.under_way == 0 and open_descriptors() <= before)
        assert await _served(edge, their_client(us.a.svid())) == 200


async def test_stopping_lets_handshakes_end_and_nobody_new_in() -> None:
    us = ours()
    async with _ingress(us) as edge, AsyncExitStack() as stack:
        await _silent(edge, stack)
        await _until(lambda: edge.under_way == 1)
        edge.listener.stop_accepting()
        await asyncio.sleep(0.01)
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await stack.enter_async_context(dialled(edge.port))
        assert edge.under_way == 1
        edge.listener.abort()
        await _until(lambda: edge.under_way == 0)


# --- many connections ---


async def _idle(edge: RunningEdge, stack: AsyncExitStack, tls: ssl.SSLContext) -> RawClient:
    """A connection that was served once and asks nothing now."""
    client = await stack.enter_async_context(edge.client(tls))
    await client.send(ASK)
    assert (await client.answer()).status == 200
    return client


async def test_another_domain_has_so_many_connections_under_whatever_ids() -> None:
    us = ours()
    async with (
        _ingress(us, domain_connections=2, own_domain="a.test") as edge,
        AsyncExitStack() as stack,
    ):
        for number in range(2):
            await _idle(edge, stack, their_client(us.b.svid(f"/{number}")))
        assert await _served(edge, their_client(us.b.svid("/more"))) is None
        assert edge.events.count("shed", "connections", "hard") == 1
        for number in range(3):
            await _idle(edge, stack, their_client(us.a.svid(f"/{number}")))


async def test_where_all_places_are_taken_the_longest_idle_of_who_has_most_makes_room() -> None:
    us = ours()
    async with _ingress(us, connections=3) as edge, AsyncExitStack() as stack:
        other = await _idle(edge, stack, their_client(us.b.svid()))
        mine = [await _idle(edge, stack, their_client(us.a.svid())) for _ in range(2)]
        await _idle(edge, stack, their_client(us.a.svid("/new")))
        with suppress(OSError):
            assert await mine[0].rest() == b""
        for client in (other, mine[1]):
            await client.send(ASK)
            assert (await client.answer()).status == 200
        assert len(edge.listener.edge.connections) == 3
        assert edge.events.count("shed", "connections", "hard") == 1


async def test_who_is_being_served_makes_no_room() -> None:
    us, gate, begun = ours(), asyncio.Event(), asyncio.Event()

    async def slow(_: object) -> Reply:
        begun.set()
        await gate.wait()
        return Reply(status=200, headers=(), body=b"", settle=lambda *_: None)

    async with (
        _ingress(us, connections=1, handler=slow) as edge,
        edge.client(their_client(us.a.svid())) as client,
    ):
        await client.send(ASK)
        await begun.wait()
        assert await _served(edge, their_client(us.a.svid("/new"))) is None
        gate.set()
        assert (await client.answer()).status == 200


async def _silent(edge: RunningEdge, stack: AsyncExitStack) -> RawClient:
    return await stack.enter_async_context(dialled(edge.port))
