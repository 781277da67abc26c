"""Real gRPC through the bridge: calls, streams, and every way in which trust ends them."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import pytest

from outrider.identity.reasons import HandshakeReason, Role
from tests.support.grpc_peer import (
    BOTH,
    CLOCK,
    ENDLESS,
    EXPECTED,
    UNARY,
    World,
    grpc_peer,
    h2_server,
)
from tests.support.opa import until
from tests.support.spiffe_ca import a_ca

PATIENCE_S = 10.0
AT_ONCE_S = 1.0
BUSY_S = 1.0  # what a shared machine may add


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World.made()
    yield made
    made.wheel.close()


def good(world: World):
    return h2_server(world.ca.svid("/crm"), world.ca)


@asynccontextmanager
async def channel_on(bridge) -> AsyncIterator[grpc.aio.Channel]:
    options = [
        ("grpc.default_authority", "crm.acme.test"),
        ("grpc.enable_http_proxy", 0),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 200),
    ]
    async with grpc.aio.insecure_channel(bridge.target, options=options) as channel:
        yield channel


async def call(channel, data: bytes = b"hello") -> bytes:
    return await channel.unary_unary(UNARY)(data, timeout=PATIENCE_S)


async def refused(channel) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel)
    return caught.value.code()


async def test_a_unary_call_passes(world):
    async with grpc_peer(good(world)) as (peer, port), world.bridge(port) as bridge:
        async with channel_on(bridge) as channel:
            for _ in range(3):
                assert await call(channel) == b"hello"
            assert bridge.relays == 1
        assert peer.calls == [UNARY] * 3
        assert peer.connections == 1
    assert world.identity.handshakes == [(Role.CLIENT, HandshakeReason.OK)]


async def test_a_stream_passes_both_ways_and_half_a_stream_ends_it(world):
    said = [f"{number}".encode() * 5_000 for number in range(20)]
    async with (
        grpc_peer(good(world)) as (_, port),
        world.bridge(port) as bridge,
        channel_on(bridge) as channel,
    ):
        stream = channel.stream_stream(BOTH)(timeout=PATIENCE_S)
        for line in said:
            await stream.write(line)
            assert await stream.read() == line[::-1]
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK


async def test_three_megabytes_pass_whole(world):
    data = bytes(range(256)) * 12_000
    async with (
        grpc_peer(good(world)) as (_, port),
        world.bridge(port) as bridge,
        channel_on(bridge) as channel,
    ):
        assert await call(channel, data) == data


FORGED = [
    pytest.param("a.test", {"path": "/other"}, HandshakeReason.NOT_EXPECTED, id="another-workload"),
    pytest.param("b.test", {}, HandshakeReason.WRONG_AUTHORITY, id="by-a-federated-authority"),
    pytest.param("c.test", {}, HandshakeReason.UNKNOWN_AUTHORITY, id="by-an-unknown-authority"),
    pytest.param("a.test", {"seconds": (-60, -1)}, HandshakeReason.EXPIRED, id="expired"),
]


@pytest.mark.parametrize(("domain", "changes", "reason"), FORGED)
async def test_a_forged_server_is_unavailable_and_hears_nothing(world, domain, changes, reason):
    federated = a_ca("b.test")
    world.trust(federated)
    signer = {"a.test": world.ca, "b.test": federated}.get(domain) or a_ca(domain)
    changes = changes if "path" in changes else {"uris": (EXPECTED,), **changes}
    context = h2_server(signer.svid(**changes))
    async with (
        grpc_peer(context) as (peer, port),
        world.bridge(port) as bridge,
        channel_on(bridge) as channel,
    ):
        assert await refused(channel) is grpc.StatusCode.UNAVAILABLE
        assert peer.calls == []
    assert set(world.identity.handshakes) == {(Role.CLIENT, reason)}
    assert world.events.count("fault", "identity") >= 1


async def test_a_server_that_does_not_speak_http_2_is_sent_nothing(world):
    context = h2_server(world.ca.svid("/crm"), world.ca, alpn="http/1.1")
    async with grpc_peer(context) as (peer, port), world.bridge(port) as bridge:
        async with channel_on(bridge) as channel:
            assert await refused(channel) is grpc.StatusCode.UNAVAILABLE
        assert peer.calls == []
    assert world.events.count("fault", "tls") >= 1


async def test_a_server_that_does_not_take_us_is_unavailable(world):
    context = h2_server(world.ca.svid("/crm"), a_ca("b.test"))
    async with grpc_peer(context) as (peer, port), world.bridge(port) as bridge:
        async with channel_on(bridge) as channel:
            assert await refused(channel) is grpc.StatusCode.UNAVAILABLE
        assert peer.calls == []


@pytest.mark.parametrize("told", [True, False], ids=["told", "by itself"])
@pytest.mark.parametrize("ends", ["trust", "our own identity"])
async def test_a_stream_ends_within_a_second_of(world, ends, told):
    async with grpc_peer(good(world)) as (peer, port), world.bridge(port) as bridge:
        async with channel_on(bridge) as channel:
            stream = channel.unary_stream(ENDLESS)(b"first")
            async with asyncio.timeout(PATIENCE_S):
                assert await stream.read() == b"first"
            if ends == "trust":
                world.trust(a_ca("b.test"), ours=False)
            else:
                world.keeper.redact()
            if told:
                bridge.check()
                assert bridge.relays == 0
            began_s = CLOCK.monotonic_s()
            async with asyncio.timeout(AT_ONCE_S + BUSY_S):
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stream.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert CLOCK.monotonic_s() - began_s < AT_ONCE_S + BUSY_S
            assert await refused(channel) is grpc.StatusCode.UNAVAILABLE
        assert peer.calls == [ENDLESS]
        await until(lambda: peer.cancelled == 1)


@pytest.mark.parametrize("brief", ["theirs", "ours", "ours, though a new one is held by now"])
async def test_a_relay_outlives_neither_svid_it_was_made_with(world, brief):
    theirs = world.ca.svid("/crm", seconds=(-60, 2 if brief == "theirs" else 3600))
    world.trust(life_s=3600 if brief == "theirs" else 2)
    async with (
        grpc_peer(h2_server(theirs, world.ca)) as (_, port),
        world.bridge(port) as bridge,
        channel_on(bridge) as channel,
    ):
        stream = channel.unary_stream(ENDLESS)(b"first")
        assert await stream.read() == b"first"
        if "new" in brief:
            world.trust()
            assert await call(channel) == b"hello"
        async with asyncio.timeout(2 + AT_ONCE_S + BUSY_S):
            with pytest.raises(grpc.aio.AioRpcError):
                await stream.read()


async def test_a_rotated_svid_of_ours_leaves_what_runs_alone_and_is_shown_next(world):
    async with grpc_peer(good(world)) as (peer, port), world.bridge(port) as bridge:
        async with channel_on(bridge) as channel:
            stream = channel.stream_stream(BOTH)(timeout=PATIENCE_S)
            await stream.write(b"ab")
            assert await stream.read() == b"ba"
            world.trust()
            bridge.check()
            await stream.write(b"cd")
            assert await stream.read() == b"dc"
            stream.cancel()
        async with channel_on(bridge) as channel:
            assert await call(channel) == b"hello"
        assert peer.connections == 2


async def test_after_trust_is_back_the_channel_finds_its_way_by_itself(world):
    async with (
        grpc_peer(good(world)) as (_, port),
        world.bridge(port) as bridge,
        channel_on(bridge) as channel,
    ):
        assert await call(channel) == b"hello"
        world.keeper.redact()
        bridge.check()
        assert await refused(channel) is grpc.StatusCode.UNAVAILABLE
        world.trust()
        wait = channel.unary_unary(UNARY)(b"again", timeout=PATIENCE_S, wait_for_ready=True)
        assert await wait == b"again"


async def test_the_socket_is_ours_alone_and_gone_at_the_end(world):
    async with grpc_peer(good(world)) as (_, port), world.bridge(port) as bridge:
        path = Path(bridge.target.removeprefix("unix:"))
        assert path.name == "crm.sock"
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        async with channel_on(bridge) as channel:
            assert await call(channel) == b"hello"
    assert not path.parent.exists()
