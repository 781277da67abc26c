"""The bridge itself, byte by byte: who gets in, what is held back, how an end is passed on."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.core.exchange import Peer
from outrider.server import grpc_bridge
from outrider.server.grpc_bridge import GrpcBridge
from tests.support.grpc_peer import World, h2_server
from tests.support.opa import until

MUCH = bytes(range(256)) * 40_000  # 10 MB: more than every buffer on the way
PATIENCE_S = 20.0


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World.made()
    yield made
    made.wheel.close()


class Upstream:
    """A TLS server that keeps the ends of its connections for the test."""

    def __init__(self) -> None:
        self.ends: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.port = 0
        self._over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ends.append((reader, writer))
        await self._over.wait()
        writer.transport.abort()

    async def end(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        await until(lambda: bool(self.ends))
        return self.ends[-1]

    def close(self) -> None:
        self._over.set()


@asynccontextmanager
async def an_upstream(context: ssl.SSLContext) -> AsyncIterator[Upstream]:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, ssl=context, limit=1024)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        upstream.close()
        for _ in range(5):  # what was aborted is closed some turns of the loop later
            await asyncio.sleep(0)


@asynccontextmanager
async def a_bridge(world: World, **limits) -> AsyncIterator[tuple[Upstream, GrpcBridge]]:
    context = h2_server(world.ca.svid("/crm"), world.ca)
    async with an_upstream(context) as upstream, world.bridge(upstream.port, **limits) as bridge:
        yield upstream, bridge


@asynccontextmanager
async def dialled(bridge: GrpcBridge):
    reader, writer = await asyncio.open_unix_connection(bridge.target.removeprefix("unix:"))
    try:
        yield reader, writer
    finally:
        if writer.transport.get_write_buffer_size():
            writer.transport.abort()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def is_cut(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(PATIENCE_S):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


async def test_bytes_pass_both_ways_as_they_are(world):
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (reader, writer):
        writer.write(b"\x00\xffPRI * HTTP/2.0\r\n\r\n")
        theirs, back = await upstream.end()
        assert await theirs.readexactly(20) == b"\x00\xffPRI * HTTP/2.0\r\n\r\n"
        back.write(b"\x00\x00\x00\x04")
        assert await reader.readexactly(4) == b"\x00\x00\x00\x04"
        assert bridge.relays == 1


async def test_another_users_process_is_not_let_in(world, monkeypatch, caplog):
    stranger = Peer(transport="unix", address="", loopback=True, uid=grpc_bridge.os.getuid() + 1)
    monkeypatch.setattr(grpc_bridge, "peer_of", lambda _: stranger)
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (reader, _):
        assert await is_cut(reader)
        assert (bridge.relays, upstream.ends) == (0, [])
    assert [record.event for record in caplog.records] == ["grpc_bridge_refused"]


async def test_relays_are_bounded_and_a_place_comes_free_again(world):
    async with a_bridge(world, relays=1) as (upstream, bridge):
        async with dialled(bridge):
            await upstream.end()
            async with dialled(bridge) as (reader, _):
                assert await is_cut(reader)
            assert bridge.relays == 1
        await until(lambda: bridge.relays == 0)
        async with dialled(bridge) as (_, writer):
            writer.write(b"x")
            await until(lambda: len(upstream.ends) == 2)


async def test_who_does_not_read_is_not_read_from(world):
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (_, writer):
        await upstream.end()
        (relay,) = bridge._relays
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(MUCH)
        await until(lambda: relay.upstream.full_since_s < float("inf"))
        held = relay.upstream._transport.get_write_buffer_size()
        assert held < 1 << 20
        assert writer.transport.get_write_buffer_size() > len(MUCH) // 4


async def test_the_same_holds_the_other_way(world):
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (reader, _):
        _, back = await upstream.end()
        (relay,) = bridge._relays
        back.write(MUCH)
        await until(lambda: relay.caller.full_since_s < float("inf"))
        assert relay.caller._transport.get_write_buffer_size() < 1 << 20
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.readexactly(len(MUCH)) == MUCH


async def test_who_does_not_read_for_long_is_cut(world):
    async with a_bridge(world, stall_s=0.2) as (upstream, bridge), dialled(bridge) as (_, writer):
        await upstream.end()
        writer.write(MUCH)
        await until(lambda: bridge.relays == 0)


async def test_all_that_a_caller_said_arrives_before_its_end(world):
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (_, writer):
        theirs, _ = await upstream.end()
        writer.write(MUCH)
        writer.close()
        async with asyncio.timeout(PATIENCE_S):
            assert await theirs.read(-1) == MUCH
        await until(lambda: bridge.relays == 0)


async def test_all_that_an_upstream_said_arrives_before_its_end(world):
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (reader, _):
        _, back = await upstream.end()
        back.write(MUCH)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            said = group.create_task(reader.read(-1))
            await back.drain()
            back.close()
        assert said.result() == MUCH
        await until(lambda: bridge.relays == 0)


async def test_an_end_that_is_not_taken_is_waited_for_only_so_long(world):
    async with a_bridge(world, linger_s=0.2) as (upstream, bridge), dialled(bridge) as (_, writer):
        await upstream.end()
        writer.write(MUCH)
        writer.transport.set_write_buffer_limits(high=len(MUCH) // 2)
        (relay,) = bridge._relays
        await until(lambda: relay.upstream.full_since_s < float("inf"))
        relay.ended(relay.caller, clean=True)
        await until(lambda: bridge.relays == 0)


async def test_a_caller_that_leaves_during_the_handshake_leaves_nothing_behind(world):
    async with a_bridge(world) as (upstream, bridge):
        async with dialled(bridge):
            await until(lambda: bridge.relays == 1)
            (relay,) = bridge._relays
            relay.ended(relay.caller, clean=True)
            relay.caller.abort()
        await until(lambda: bridge.relays == 0 and not bridge._jobs.names)
        for reader, _ in upstream.ends:
            assert await is_cut(reader)


async def test_a_broken_end_is_the_others_end_at_once(world):
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (reader, _):
        await upstream.end()
        (relay,) = bridge._relays
        relay.upstream.connection_lost(ConnectionResetError())
        assert await is_cut(reader)
        assert bridge.relays == 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"host": "two words"}, "dns", id="no-such-name"),
        pytest.param({"host": "10.0.0.1"}, "dns", id="an-address-that-may-not-be-dialled"),
        pytest.param({"port": 1}, "connect", id="nobody-listens"),
    ],
)
async def test_an_upstream_that_is_not_reached_cuts_the_caller(world, changes, fault):
    bridge = world.bridge(1)
    for name, value in changes.items():
        object.__setattr__(bridge._upstream, name, value)
    async with bridge, dialled(bridge) as (reader, _):
        assert await is_cut(reader)
        assert bridge.relays == 0
    assert world.events.count("fault", fault) == 1


async def test_a_handshake_that_is_not_answered_ends_in_time(world):
    async def silent(reader, writer):
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        world.bridge(port, tls_s=0.2, connect_s=0.1) as bridge,
        dialled(bridge) as (reader, _),
    ):
        assert await is_cut(reader)
    server.close()
    assert world.events.count("fault", "connect") == 1


async def test_without_an_identity_of_ours_nobody_is_spoken_to(world):
    world.keeper.redact()
    async with a_bridge(world) as (upstream, bridge), dialled(bridge) as (reader, _):
        assert await is_cut(reader)
        assert upstream.ends == []
    assert world.events.count("fault", "identity") == 1


async def test_what_is_looked_at_before_it_is_open_stays(world):
    async with a_bridge(world) as (upstream, bridge), dialled(bridge):
        await until(lambda: bridge.relays == 1)
        bridge.check()
        await upstream.end()
        bridge.check()
        assert bridge.relays == 1


async def test_leaving_cuts_every_relay_and_takes_no_new_one(world):
    async with an_upstream(h2_server(world.ca.svid("/crm"), world.ca)) as upstream:
        bridge = world.bridge(upstream.port)
        async with bridge:
            path = Path(bridge.target.removeprefix("unix:"))
            reader, writer = await asyncio.open_unix_connection(path)
            await upstream.end()
        assert await is_cut(reader)
        writer.close()
        assert not path.parent.exists()
        with pytest.raises(ConfigError, match="not open"):
            _ = bridge.target


async def test_leaving_in_the_middle_of_a_handshake_ends_it(world):
    heard = asyncio.Event()

    async def silent(reader, writer):
        heard.set()
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with world.bridge(server.sockets[0].getsockname()[1]) as bridge:
        reader, writer = await asyncio.open_unix_connection(bridge.target.removeprefix("unix:"))
        async with asyncio.timeout(PATIENCE_S):
            await heard.wait()
    assert await is_cut(reader)
    writer.close()
    server.close()
    assert bridge.relays == 0
    assert world.events.log == []


async def test_a_socket_that_cannot_be_bound_leaves_no_folder(world, tmp_path):
    bridge = world.bridge(1)
    bridge._parent = tmp_path
    object.__setattr__(bridge._upstream, "name", "no/such")
    with pytest.raises(FileNotFoundError):
        async with bridge:
            raise AssertionError
    assert list(tmp_path.iterdir()) == []


async def test_a_fault_of_whoever_uses_it_leaves_as_it_is(world):
    with pytest.raises(KeyError):
        async with world.bridge(1):
            raise KeyError


async def test_a_path_too_long_for_a_socket_is_said(world, tmp_path):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    bridge = world.bridge(1)
    bridge._parent = deep
    with pytest.raises(ConfigError, match="too long a path"):
        async with bridge:
            raise AssertionError
    assert list(deep.iterdir()) == []
