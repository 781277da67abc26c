"""TLS to upstreams, byte by byte: what ends a body, what is used again, how fast it is read."""

import asyncio
import hashlib
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from outrider.core.errors import UpstreamFailedError
from tests.support.net import RecordingUpstream, ScriptedUpstream
from tests.support.peers import whole
from tests.support.tls import (
    HOST,
    HandMadeUpstream,
    Issued,
    Trust,
    listen_for_names,
    secure_pool,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    return Trust.made(tmp_path)


@pytest.fixture
def leaf(trust: Trust) -> Issued:
    return trust.authority.issue(HOST)


# --- used again, and not -------------------------------------------------------------------


@pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)
async def test_one_handshake_serves_many_requests_and_the_next_resumes_nothing(
    trust, leaf, version
):
    resumed = []

    async def script(turn):
        resumed.append(turn.writer.get_extra_info("ssl_object").session_reused)
        for _ in range(5):
            await turn.request()
            await turn.say(OK)
        await turn.reader.read(-1)

    context = leaf.server(minimum_version=version, maximum_version=version)
    names = listen_for_names(context)
    async with (
        ScriptedUpstream(tls=context, script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        for _ in range(5):
            assert await whole(await pool.send()) == b"ok"
        assert (upstream.connections, len(upstream.seen), names) == (1, 5, [HOST])
        pool.pool.replace(replace(pool.origin, revision="another"))
        assert await whole(await pool.send()) == b"ok"
        assert (upstream.connections, resumed, names) == (2, [False, False], [HOST, HOST])
        assert upstream.seen[0].field("host") == f"{HOST}:{upstream.port}"


async def test_a_connection_that_its_peer_closed_between_two_requests_is_replaced_unwritten(
    trust, leaf
):
    async def script(turn):
        await turn.request()
        await turn.say(OK)
        turn.writer.close()

    async with (
        ScriptedUpstream(tls=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        for _ in range(3):
            assert await whole(await pool.send(method="DELETE")) == b"ok"
            await asyncio.sleep(0.02)
        assert (len(upstream.seen), upstream.connections) == (3, 3)


async def test_a_connection_that_its_peer_killed_between_two_requests_is_replaced_unwritten(
    trust, leaf
):
    async def script(turn):
        await turn.request()
        await turn.say(OK)
        turn.reset()

    async with (
        ScriptedUpstream(tls=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        for _ in range(3):
            assert await whole(await pool.send(method="DELETE")) == b"ok"
        assert (len(upstream.seen), upstream.connections) == (3, 3)


async def test_half_a_close_between_two_requests_ends_the_connection(trust, leaf):
    """close_notify alone: the peer's TCP connection stays open."""

    async def script(turn):
        await turn.handshake()
        await turn.request()
        await turn.say(OK)
        await turn.close_notify()

    async with (
        HandMadeUpstream(context=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        for _ in range(2):
            assert await whole(await pool.send()) == b"ok"
            async with asyncio.timeout(5):
                await upstream.gone.wait()
            upstream.gone.clear()
        assert upstream.connections == 2
        assert pool.pool._lines["crm"]._all == set()


async def test_bytes_on_an_idle_secure_connection_reach_nobody(trust, leaf):
    async def script(turn):
        await turn.request()
        await turn.say(OK)
        await asyncio.sleep(0.02)
        await turn.say(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        await turn.reader.read(-1)

    async with (
        ScriptedUpstream(tls=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        for _ in range(2):
            assert await whole(await pool.send()) == b"ok"
            await asyncio.sleep(0.1)
        assert (pool.events.count("fault", "unsolicited"), upstream.connections) == (2, 2)


# --- what ends a body ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", id="length"),
        pytest.param(CHUNKED + b"4\r\nhalf\r\n", id="chunked"),
        pytest.param(CHUNKED + b"4\r\nhalf\r\n0\r\n", id="chunked-but-for-its-last-line"),
        pytest.param(UNTIL_CLOSE + b"half", id="until-close"),
        pytest.param(UNTIL_CLOSE, id="until-close-empty"),
    ],
)
@pytest.mark.parametrize("end", ["fin", "reset"])
async def test_a_body_cut_off_without_close_notify_is_no_whole_one(trust, leaf, said, end):
    async def script(turn):
        await turn.request()
        await turn.say(said)
        turn.reset() if end == "reset" else turn.writer.transport.abort()

    async with (
        ScriptedUpstream(tls=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        with pytest.raises(UpstreamFailedError):
            await whole(await pool.send())
        assert len(upstream.seen) == 1
        assert {("fault", "truncated"), ("fault", "reset")} & set(pool.events.log)


@pytest.mark.parametrize(
    ("said", "body"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", None, id="length"),
        pytest.param(CHUNKED + b"4\r\nhalf\r\n", None, id="chunked"),
        pytest.param(UNTIL_CLOSE + b"all", b"all", id="until-close"),
        pytest.param(UNTIL_CLOSE, b"", id="until-close-empty"),
    ],
)
@pytest.mark.parametrize("tcp", ["closed", "left-open"])
async def test_close_notify_ends_a_body_that_nothing_else_ends_and_no_other(
    trust, leaf, said, body, tcp
):
    async def script(turn):
        await turn.handshake()
        await turn.request()
        await turn.say(said)
        await turn.close_notify()
        if tcp == "closed":
            turn.writer.close()

    async with (
        HandMadeUpstream(context=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        if body is None:
            with pytest.raises(UpstreamFailedError):
                await whole(await pool.send())
        else:
            assert await whole(await pool.send()) == body
        async with asyncio.timeout(5):
            await upstream.gone.wait()
        assert pool.pool._lines["crm"]._all == set()


@pytest.mark.parametrize("end", ["close-notify", "close-notify-and-fin", "bare-fin"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_whole_answer_is_whole_however_slowly_it_is_taken(trust, leaf, framing, end):
    """The upstream has long ended its connection when the answer is read."""
    said = bytes(range(256)) * 2000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(said)
    answer = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(said), said)

    async def script(turn):
        await turn.handshake()
        await turn.request()
        await turn.say(head + said if framing == "length" else answer)
        if end != "bare-fin":
            await turn.close_notify()
        if end != "close-notify":
            turn.writer.close()

    async with (
        HandMadeUpstream(context=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        incoming = await pool.send()
        await asyncio.sleep(0.1)
        taken = b""
        async for piece in incoming:
            taken += piece
            await asyncio.sleep(0.01)
        assert taken == said
        assert pool.events.log == [("answered", "2xx")]


async def test_a_whole_answer_that_ends_with_the_connection_is_whole_however_slowly_it_is_taken(
    trust, leaf
):
    said = bytes(range(256)) * 2000

    async def script(turn):
        await turn.handshake()
        await turn.request()
        await turn.say(UNTIL_CLOSE + said)
        await turn.close_notify()
        turn.writer.close()

    async with (
        HandMadeUpstream(context=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        incoming = await pool.send()
        await asyncio.sleep(0.1)
        assert await whole(incoming) == said


# --- as fast as it is taken ----------------------------------------------------------------


async def test_an_upstream_that_floods_is_read_no_faster_than_it_is_taken(trust, leaf):
    said = 0

    async def script(turn):
        nonlocal said
        await turn.request()
        await turn.say(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        while True:
            await turn.say(b"x" * 65_536)
            said += 65_536

    async with (
        ScriptedUpstream(tls=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        incoming = await pool.send()
        before = -1
        while said != before:
            before = said
            await asyncio.sleep(0.05)
        (connection,) = pool.pool._lines["crm"]._all
        held = incoming._size + connection._transport.get_read_buffer_size()
        assert (held < 1 << 20, said < 100_000_000) == (True, True)
        incoming.abort()


async def test_an_upstream_that_does_not_read_is_written_no_faster_than_it_takes(trust, leaf):
    gave = 0
    go = asyncio.Event()
    took = hashlib.sha256()
    gave_digest = hashlib.sha256()
    size = 40_000_000

    async def script(turn):
        await turn.reader.readuntil(b"\r\n\r\n")
        await go.wait()
        left = size
        while left:
            data = await turn.reader.read(262_144)
            left -= len(data)
            took.update(data)
        await turn.say(OK)
        await turn.reader.read(-1)

    async def body():
        nonlocal gave
        while gave < size:
            piece = bytes([gave // 50_000 % 251]) * 50_000
            gave += len(piece)
            gave_digest.update(piece)
            yield piece

    async with (
        ScriptedUpstream(tls=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
        asyncio.TaskGroup() as group,
    ):
        headers = (("content-length", str(size)),)
        sending = group.create_task(pool.send(body(), method="POST", headers=headers))
        before = -1
        while gave != before or not gave:
            before = gave
            await asyncio.sleep(0.1)
        (connection,) = pool.pool._lines["crm"]._all
        assert connection._transport.get_write_buffer_size() < 1 << 20
        assert gave < size
        go.set()
        assert await whole(await sending) == b"ok"
        assert (gave, took.digest()) == (size, gave_digest.digest())


async def test_an_early_answer_to_a_long_body_is_delivered_over_tls(trust, leaf):
    async def script(turn):
        await turn.reader.readuntil(b"\r\n\r\n")
        await turn.say(b"HTTP/1.1 413 Large\r\nContent-Length: 2\r\n\r\nno")
        await turn.reader.read(-1)

    async def endless():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async with (
        ScriptedUpstream(tls=leaf.server(), script=script) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        incoming = await pool.send(endless(), method="POST")
        assert (incoming.head.status, await whole(incoming)) == (413, b"no")
        await asyncio.sleep(0.02)
        assert pool.pool._lines["crm"]._idle == {}


async def test_a_secure_connection_has_no_nagle(trust, leaf):
    async with (
        RecordingUpstream(tls=leaf.server()) as upstream,
        secure_pool(upstream.port, trust.file) as pool,
    ):
        await whole(await pool.send())
        (connection,) = pool.pool._lines["crm"]._all
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
