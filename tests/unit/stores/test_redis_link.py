"""A connection to Redis: replies go to those who asked, and a doubt is told as one."""

import asyncio
import contextlib
from contextlib import asynccontextmanager

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.secret import Secret
from outrider.stores.redis_link import RedisLink, RedisPlace
from outrider.stores.resp import ServerError, command

PING = command(b"PING")


class FakeServer:
    """Answers each command as told, in order; notes what it got. `connections` counts them."""

    def __init__(self) -> None:
        self.got: list[list[bytes]] = []
        self.answers: list[bytes | None] = []  # None: says nothing
        self.greeting = b"+PONG\r\n"
        self.got_another = asyncio.Event()
        self.connections = 0
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                parts = await _command(reader)
                self.got.append(parts)
                self.got_another.set()
                known = {b"PING": self.greeting, b"AUTH": b"+OK\r\n", b"SELECT": b"+OK\r\n"}
                answer = known.get(parts[0]) or self.answers.pop(0)
                if answer == b"cut":
                    break
                if answer is not None:
                    writer.write(answer)
        writer.transport.abort()

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


async def _command(reader):
    count = int((await reader.readuntil(b"\r\n"))[1:])
    parts = []
    for _ in range(count):
        size = int((await reader.readuntil(b"\r\n"))[1:])
        parts.append((await reader.readexactly(size + 2))[:-2])
    return parts


@asynccontextmanager
async def a_link(tmp_path, timeout_s=5.0, **changes):
    server = FakeServer()
    listener = await asyncio.start_unix_server(server.serve, str(tmp_path / "s"))
    link = RedisLink(RedisPlace(path=str(tmp_path / "s"), **changes), timeout_s=timeout_s)
    try:
        yield link, server
    finally:
        await link.close()
        listener.close()
        server.cut()


async def test_commands_share_one_connection_and_each_gets_its_own_reply(tmp_path):
    async with a_link(tmp_path) as (link, server):
        server.answers = [b":%d\r\n" % n for n in range(50)]
        got = await asyncio.gather(*(link.call(b"N", b"%d" % n) for n in range(50)))
    asked = [int(parts[1]) for parts in server.got[1:]]
    assert [got[n] for n in asked] == list(range(50))
    assert server.connections == 1


async def test_one_who_left_leaves_his_reply_to_nobody(tmp_path):
    async with a_link(tmp_path) as (link, server):
        await link.call(b"PING")
        server.answers = [None, b":1\r\n:2\r\n"]
        server.got_another.clear()
        gone = asyncio.gather(link.call(b"FIRST"))
        await server.got_another.wait()
        gone.cancel()
        assert await link.call(b"SECOND") == 2
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert server.connections == 1


async def test_an_error_is_a_value(tmp_path):
    async with a_link(tmp_path) as (link, server):
        server.answers = [b"-OOM no\r\n"]
        reply = await link.call(b"SET")
        assert isinstance(reply, ServerError)
        assert link.healthy()


async def test_what_was_sent_and_not_answered_is_unknown_and_is_not_sent_again(tmp_path):
    async with a_link(tmp_path) as (link, server):
        server.answers = [b"cut", b":2\r\n"]
        with pytest.raises(StoreUnavailableError) as refusal:
            await link.call(b"FIRST")
        assert refusal.value.cause == "unknown"
        assert not link.healthy()
        assert await link.call(b"SECOND") == 2
        assert link.healthy()
    assert [parts for parts in server.got if parts != [b"PING"]] == [[b"FIRST"], [b"SECOND"]]
    assert server.connections == 2


async def test_a_reply_that_stays_out_ends_the_connection_for_all_who_wait(tmp_path):
    async with a_link(tmp_path, timeout_s=0.3) as (link, server):
        server.answers = [None, None]
        done = await asyncio.gather(link.call(b"A"), link.call(b"B"), return_exceptions=True)
        assert [one.cause for one in done] == ["unknown", "unknown"]
        server.answers, link._timeout_s = [b":3\r\n"], 5.0
        assert await link.call(b"C") == 3
    assert server.connections == 2


async def test_a_server_that_is_not_there_did_nothing_and_is_not_asked_at_once_again(tmp_path):
    link = RedisLink(RedisPlace(path=str(tmp_path / "none")), timeout_s=5.0)
    for _ in range(2):
        with pytest.raises(StoreUnavailableError) as refusal:
            await link.call(b"PING")
        assert refusal.value.cause is None


async def test_a_server_without_tls_is_found_as_we_are_told(tmp_path):
    server, asked = FakeServer(), []
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]

    async def lookup(host, port):
        asked.append((host, port))
        return ["::1", "127.0.0.1"]  # nobody listens at the first

    place = RedisPlace(host="state.example", port=port, lookup=lookup)
    link = RedisLink(place, timeout_s=5.0)
    try:
        assert await link.call(b"PING") == b"PONG"
    finally:
        await link.close()
        listener.close()
        server.cut()
    assert asked == [("state.example", port)]


@pytest.mark.parametrize(
    "said", [OSError("the name means this pod itself"), []], ids=["refused", "nothing"]
)
async def test_a_server_that_is_not_found_is_not_asked_for_elsewhere(said):
    async def lookup(host, port):
        if isinstance(said, OSError):
            raise said
        return said

    link = RedisLink(RedisPlace(host="localhost", lookup=lookup), timeout_s=5.0)
    with pytest.raises(StoreUnavailableError) as refusal:
        await link.call(b"PING")
    assert refusal.value.cause is None


async def test_a_server_that_says_nothing_to_the_greeting_did_nothing(tmp_path):
    async with a_link(tmp_path, timeout_s=0.3) as (link, server):
        server.greeting = b"\r"
        with pytest.raises(StoreUnavailableError) as refusal:
            await link.call(b"SET")
        assert refusal.value.cause is None
    assert server.got == [[b"PING"]]


async def test_who_we_are_is_said_first(tmp_path):
    place = {"username": "pep", "password": Secret(b"s3cret"), "database": 3}
    async with a_link(tmp_path, **place) as (link, server):
        assert await link.call(b"PING") == b"PONG"
    assert server.got[:2] == [[b"AUTH", b"pep", b"s3cret"], [b"SELECT", b"3"]]


async def test_a_server_that_will_not_have_us_is_not_used(tmp_path):
    async with a_link(tmp_path) as (link, server):
        server.greeting = b"-NOAUTH Authentication required.\r\n"
        with pytest.raises(StoreUnavailableError) as refusal:
            await link.call(b"SET")
        assert refusal.value.cause == "refused"
    assert server.got == [[b"PING"]]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="another-protocol"),
        pytest.param(b":1\r\n:2\r\n", id="more-than-was-asked"),
    ],
)
async def test_what_cannot_be_told_apart_ends_the_connection(tmp_path, answer):
    async with a_link(tmp_path) as (link, server):
        server.answers = [answer, b":7\r\n"]
        with contextlib.suppress(StoreUnavailableError):
            await link.call(b"A")
        assert await link.call(b"B") == 7
    assert server.connections == 2


async def test_a_closed_link_refuses(tmp_path):
    async with a_link(tmp_path) as (link, _):
        await link.call(b"PING")
        await link.close()
        with pytest.raises(StoreUnavailableError):
            await link.call(b"PING")


async def test_what_waits_is_bounded(tmp_path):
    async with a_link(tmp_path) as (link, server):
        await link.call(b"PING")
        wire = link._wire
        wire._full = True
        with pytest.raises(StoreUnavailableError, match="too much") as refusal:
            await link.call(b"A")
        assert refusal.value.cause is None
        wire._full = False
        server.answers = [b":1\r\n"]
        assert await link.call(b"A") == 1


@pytest.mark.parametrize("cuts", [1, 2])
async def test_what_may_be_sent_again_is_sent_once_more(tmp_path, cuts):
    async with a_link(tmp_path) as (link, server):
        server.answers = [b"cut"] * cuts + [b":7\r\n"]
        if cuts == 1:
            assert await link.call(b"GET", again=True) == 7
        else:
            with pytest.raises(StoreUnavailableError):
                await link.call(b"GET", again=True)
    assert server.got.count([b"GET"]) == 2
