"""No stranger holds a small listener of ours: connections are few, small and short."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.web_request import BaseRequest

from outrider.listening.connections import BoundedConnection, BoundedServer, Bounds, Handler

PER_PEER = 32
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def small(_: BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"ok")


async def vouching(request: BaseRequest) -> web.StreamResponse:
    connection = request.protocol
    assert isinstance(connection, BoundedConnection)
    connection.known = True
    return await small(request)


async def large(_: BaseRequest) -> web.StreamResponse:
    return web.Response(body=b"x" * (16 << 20))


async def broken(_: BaseRequest) -> web.StreamResponse:
    raise RuntimeError("a secret")


class Room:
    """A server on a loopback port and the connections to it."""

    def __init__(
        self, server: BoundedServer, port: int, failed: list[BaseException | None]
    ) -> None:
        self.server = server
        self.failed = failed
        self._port = port
        self._open: list[asyncio.StreamWriter] = []

    async def connect(self, data: bytes = b"") -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._open.append(writer)
        writer.write(data)
        return reader, writer

    async def said(self, data: bytes) -> bytes:
        """All that comes until the server closes the connection."""
        reader, _ = await self.connect(data)
        async with asyncio.timeout(5):
            return await rest(reader)

    async def until_open(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.server.connections) != count:  # noqa: ASYNC110 - the peer is a socket
                await asyncio.sleep(0)

    async def until_asking(self, count: int) -> None:
        def asking() -> int:
            return sum(each.asks for each in self.server.connections)  # type: ignore[attr-defined]

        async with asyncio.timeout(5):
            while asking() != count:  # noqa: ASYNC110 - the peer is a socket
                await asyncio.sleep(0)

    async def close(self) -> None:
        for writer in self._open:
            writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


@asynccontextmanager
async def a_room(handler: Handler = small, **bounds: Any) -> AsyncIterator[Room]:
    usual: dict[str, Any] = {"connections": 64, "per_peer": PER_PEER, "send_s": 5.0}
    usual |= {"head_s": 5.0, "idle_s": 5.0}
    failed = list[BaseException | None]()
    server = BoundedServer(handler, Bounds(**(usual | bounds)), failed=failed.append)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    room = Room(server, listening.sockets[0].getsockname()[1], failed)
    try:
        yield room
    finally:
        listening.close()
        await room.close()
        await server.shutdown(1.0)


async def test_an_idle_crowd_from_one_place_is_bounded_and_keeps_nobody_out() -> None:
    async with a_room(head_s=5) as room:
        crowd = [await room.connect(b"GET / HTTP/1.1\r\nho") for _ in range(PER_PEER)]
        await room.until_open(PER_PEER)

        reader, _ = await room.connect(ASK)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert len(room.server.connections) == PER_PEER
        assert await rest(crowd[0][0]) == b""  # the oldest went for it
        assert not crowd[1][0].at_eof()


async def test_an_idle_crowd_leaves_when_its_time_is_up() -> None:
    async with a_room(head_s=0.3) as room:
        crowd = [await room.connect(b"GET / HTTP/1.1\r\nho") for _ in range(PER_PEER)]
        for reader, _ in crowd:
            assert await rest(reader) == b""
        await room.until_open(0)


async def test_a_crowd_that_never_ends_leaves_whoever_is_known_alone() -> None:
    async with a_room(vouching) as room:
        reader, writer = await room.connect(ASK)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        for _ in range(PER_PEER * 2):
            await room.connect()
        writer.write(ASK)
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert len(room.server.connections) <= PER_PEER


async def test_who_is_known_makes_room_for_nobody() -> None:
    async with a_room(vouching) as room:
        for _ in range(PER_PEER):
            reader, _ = await room.connect(ASK)
            await reader.readuntil(b"ok")
        assert await room.said(ASK) == b""
        assert len(room.server.connections) == PER_PEER


async def test_who_asks_stays_longer_than_who_only_sits_there() -> None:
    go_on = asyncio.Event()

    async def slow(_: BaseRequest) -> web.StreamResponse:
        await go_on.wait()
        return web.Response(body=b"ok")

    async with a_room(slow) as room:
        asking, _ = await room.connect(ASK)
        await room.until_open(1)
        idle = [await room.connect() for _ in range(PER_PEER - 1)]
        await room.until_open(PER_PEER)
        await room.connect()
        assert await rest(idle[0][0]) == b""
        go_on.set()
        assert (await asking.readline()).startswith(b"HTTP/1.1 200")


async def test_where_all_ask_the_one_that_has_asked_longest_makes_room() -> None:
    async def reading(request: BaseRequest) -> web.StreamResponse:
        return web.Response(body=await request.content.read())

    drip = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    async with a_room(reading, connections=3, per_peer=None) as room:
        crowd = [await room.connect() for _ in range(3)]
        await room.until_open(3)
        for asking, (_, writer) in enumerate(reversed(crowd), start=1):  # the last asks first
            writer.write(drip)
            await room.until_asking(asking)
        reader, writer = await room.connect(drip + b"ok")
        assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
        assert await rest(crowd[2][0]) == b""
        assert not crowd[0][0].at_eof()
        assert not crowd[1][0].at_eof()


async def test_room_is_made_among_those_from_the_same_place_first() -> None:
    async with a_room(connections=2, per_peer=2) as room:
        first, _ = await room.connect()
        second, _ = await room.connect()
        await room.until_open(2)
        assert room.server.make_room(("127.0.0.2", 9))  # all places are taken: the oldest goes
        assert await rest(first) == b""
        await room.until_open(1)
        assert room.server.make_room(("127.0.0.1", 9))
        assert room.server.make_room("")  # a Unix socket's peers have no address
        assert not second.at_eof()


async def test_a_connection_kept_alive_is_let_go_when_idle() -> None:
    async with a_room(idle_s=0.1) as room:
        answer = await room.said(ASK)
        assert answer.startswith(b"HTTP/1.1 200")
        await room.until_open(0)


async def test_a_head_that_drips_gains_no_time() -> None:
    async with a_room(head_s=0.2) as room:
        reader, writer = await room.connect(b"GET / HTTP/1.1\r\n")
        async with asyncio.timeout(5):
            while not reader.at_eof() and reader.exception() is None:
                writer.write(b"a")
                await asyncio.sleep(0)
        await room.until_open(0)


async def test_who_takes_no_answer_is_dropped() -> None:
    async with a_room(large, send_s=0.1) as room:
        _, writer = await room.connect()
        writer.transport.pause_reading()
        writer.write(ASK)
        await room.until_open(1)
        await room.until_open(0)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET /<script> HTTP/1.1\r\nhost evil\r\n\r\n", id="field"),
        pytest.param(b"E\x01VIL /evil HTTP/1.1\r\nhost: x\r\n\r\n", id="method"),
        pytest.param(b"\x16\x03\x01evil\r\n\r\n", id="no-http"),
        pytest.param(b"GET /" + b"evil" * 4000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", id="long-line"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"evil" * 4000 + b"\r\n\r\n", id="long-field"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x: evil\r\n" * 99 + b"\r\n", id="many-fields"),
    ],
)
async def test_what_cannot_be_read_is_neither_echoed_nor_logged(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_room() as room:
        answer = await room.said(data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.endswith(b'\r\n\r\n{"error":"refused"}')
    assert b"evil" not in answer
    assert caplog.records == []


async def test_a_fault_of_ours_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with a_room(broken) as room:
        answer = await room.said(ASK)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.endswith(b'\r\n\r\n{"error":"refused"}')
    (fault,) = room.failed
    assert isinstance(fault, RuntimeError)
    assert caplog.records == []
