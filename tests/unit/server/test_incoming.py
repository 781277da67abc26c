import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from outrider.core.errors import MalformedError, SlowClientError
from outrider.server.incoming import IncomingBody

END = b"\r\n0\r\n\r\n"


async def a_body(*, chunked: bool = True) -> tuple[IncomingBody, StreamReader]:
    loop = asyncio.get_running_loop()
    payload = StreamReader(BaseProtocol(loop), 65_536, loop=loop)
    body = IncomingBody()
    body.begin(payload, chunked=chunked)
    return body, payload


async def test_nothing_is_open_before_a_request_has_begun():
    body = IncomingBody()
    body.saw(b"GET / HTTP/1.1")
    body.fail(MalformedError("x"))
    assert (body.is_open, body.tainted, body.is_mostly_framing(1_000_000)) == (False, False, False)


@pytest.mark.parametrize(
    ("pieces", "tainted"),
    [
        ([b"1\r\nx" + END], False),
        ([b"1\r\nx\r", b"\n0\r\n", b"\r\n"], False),
        ([b"1\r\nx\r\n0\r\nname: value\r\n\r\n"], True),
        ([b"1\r\nx\r\n0\r\nname: value\r", b"\n\r\n"], True),
        ([b"1\r\nx" + END + b"GET"], True),
    ],
    ids=["plain", "plain-in-pieces", "trailer", "trailer-in-pieces", "bytes-behind"],
)
async def test_a_connection_is_tainted_by_what_follows_the_last_chunk(pieces, tainted):
    body, payload = await a_body()
    for piece in pieces[:-1]:
        body.saw(piece)
    assert body.is_open
    payload.feed_eof()
    body.saw(pieces[-1])
    assert (body.is_open, body.tainted) == (False, tainted)


async def test_a_body_of_announced_length_taints_nothing():
    body, payload = await a_body(chunked=False)
    payload.feed_eof()
    body.saw(b"anything")
    assert not body.tainted
    assert not body.is_mostly_framing(1_000_000)


@pytest.mark.parametrize(
    ("raw", "refused"), [(65_536 + 20, False), (65_536 + 21, True)], ids=["just-so", "over"]
)
async def test_a_body_that_is_mostly_framing_is_refused(raw, refused):
    body, payload = await a_body()
    payload.feed_data(b"0123456789")
    assert body.is_mostly_framing(raw) is refused
    assert isinstance(payload.exception(), MalformedError) is refused


async def test_the_framing_of_a_whole_body_is_nobodys_concern():
    body, payload = await a_body()
    payload.feed_eof()
    assert not body.is_mostly_framing(1_000_000)


async def test_whoever_reads_is_told_while_the_body_is_not_whole():
    body, payload = await a_body()
    late = SlowClientError("the body came too slowly", cause="body")
    body.fail(late)
    assert payload.exception() is late


async def test_a_whole_body_does_not_fail_afterwards():
    body, payload = await a_body()
    payload.feed_eof()
    body.fail(MalformedError("x"))
    assert payload.exception() is None


async def test_what_is_forgotten_is_nobodys_body():
    body, payload = await a_body()
    body.forget()
    body.fail(MalformedError("x"))
    assert (body.is_open, payload.exception()) == (False, None)
