"""Byte-exact requests against a real listener: what may reach a handler, and what the rest get."""

import asyncio
import gzip
from contextlib import suppress

import pytest

from outrider.core.exchange import Ending, Reply
from tests.support.peers import loopback_rules, running_edge

HOST = "Host: 127.0.0.1:1"
OK = 200


def raw(*lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def get(*lines: str, target: str = "/a") -> bytes:
    return raw(f"GET {target} HTTP/1.1", HOST, *lines)


def post(*lines: str, body: bytes = b"") -> bytes:
    return raw("POST /a HTTP/1.1", HOST, *lines, body=body)


CHUNKED = "Transfer-Encoding: chunked"

TABLE = [
    # what passes
    pytest.param(get(), OK, None, id="get"),
    pytest.param(post("Content-Length: 2", body=b"{}"), OK, None, id="post"),
    pytest.param(post(CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n"), OK, None, id="chunked"),
    pytest.param(post(CHUNKED, body=b"2;a=b\r\n{}\r\n0\r\n\r\n"), OK, None, id="chunk-extension"),
    pytest.param(post("Content-Length: 0"), OK, None, id="empty-post"),
    pytest.param(get(target="/%61"), OK, None, id="canonicalised"),
    pytest.param(get(target="http://127.0.0.1:1/a"), OK, None, id="absolute-form"),
    pytest.param(get("Expect: 100-continue"), OK, None, id="expect-without-body"),
    pytest.param(
        get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA"),
        OK, None, id="edge-42-h2c-offer",
    ),
    # rule 1-4
    pytest.param(raw("GET /a HTTP/1.0", HOST), 505, "version", id="http-1.0"),
    pytest.param(raw("GET /a HTTP/2.0", HOST), 505, "version", id="http-2.0"),
    pytest.param(raw("GET /a HTTP/1.12", HOST), 400, "syntax", id="advisory-42-version"),
    pytest.param(raw("GET /a HTTP/\u00b2.1", HOST), 400, "syntax", id="advisory-30-unicode-digit"),
    pytest.param(raw("TRACE /a HTTP/1.1", HOST), 405, "trace", id="trace"),
    pytest.param(raw("CONNECT a:1 HTTP/1.1", "Host: a:1"), 405, "connect", id="connect"),
    pytest.param(raw("get /a HTTP/1.1", HOST), 501, "method", id="lower-case-method"),
    pytest.param(raw("FOO /a HTTP/1.1", HOST), 501, "method", id="unknown-method"),
    pytest.param(raw("PROPFIND /a HTTP/1.1", HOST), 501, "method", id="webdav-method"),
    pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "preface", id="h2-preface"),
    pytest.param(raw("OPTIONS * HTTP/1.1", HOST), 400, "asterisk", id="options-asterisk"),
    pytest.param(raw("GET /a HTTP/1.1"), 400, "syntax", id="no-host"),
    pytest.param(get(HOST), 400, "syntax", id="advisory-12-CVE-2026-34525-duplicate-host"),
    pytest.param(raw("GET /a HTTP/1.1", "Host: evil.test"), 421, "unknown_host", id="edge-29-host"),
    pytest.param(raw("GET /a HTTP/1.1", "Host: u@127.0.0.1:1"), 400, "host", id="userinfo"),
    pytest.param(get("Origin: http://evil.test"), 403, "origin", id="edge-29-origin"),
    pytest.param(get(target="http://127.0.0.1:2/a"), 400, "host", id="edge-40-absolute-form"),
    pytest.param(get(target="/a/../b"), 400, "path", id="edge-40-dots"),
    pytest.param(get(target="/a/%2e%2e/b"), 400, "path", id="edge-40-encoded-dots"),
    pytest.param(get(target="//a"), 400, "path", id="edge-40-double-slash"),
    pytest.param(get(target="/a;x"), 400, "path", id="edge-40-semicolon"),
    pytest.param(get(target="/a%00"), 400, "path", id="edge-40-nul"),
    pytest.param(get(target="/a#b"), 400, "path", id="advisory-3-CVE-2021-32779"),
    pytest.param(get(target="/" + "a" * 4096), 414, "target_length", id="long-path"),
    pytest.param(get(target="/" + "a" * 20_000), 414, "target_length", id="advisory-40-long-line"),
    pytest.param(get(target="/?" + "a" * 9000), 414, "target_length", id="long-query"),
    # rule 6: fields
    pytest.param(get("X_A: 1"), 400, "field_name", id="underscore"),
    pytest.param(get("X A: 1"), 400, "syntax", id="space-in-name"),
    pytest.param(get("X-A : 1"), 400, "syntax", id="advisory-27-space-before-colon"),
    pytest.param(get("X-A: 1\r\n 2"), 400, "syntax", id="edge-32-obs-fold"),
    pytest.param(get("X-A: a\x00b"), 400, "syntax", id="advisory-26-CVE-2023-37276-nul"),
    pytest.param(get("X-A: a\nB: c"), 400, "syntax", id="advisory-26-bare-lf"),
    pytest.param(get("X-A: a\rB: c"), 400, "syntax", id="advisory-26-bare-cr"),
    pytest.param(get("X-A: caf\xe9"), 400, "field_value", id="high-byte"),
    pytest.param(get("X-A: " + "a" * 8200), 431, "head_length", id="long-field"),
    pytest.param(
        get(*[f"X-{n}: {'a' * 8000}" for n in range(5)]), 431, "head_length",
        id="big-head",
    ),
    pytest.param(get(*[f"X-{n}: 1" for n in range(120)]), 431, "field_count", id="many-fields"),
    pytest.param(get("Mcp-Name: a", "mcp-name: b"), 400, "duplicate", id="edge-22-duplicate"),
    pytest.param(
        get("Authorization: a", "Authorization: b"), 400, "duplicate",
        id="two-credentials",
    ),
    pytest.param(get("Outrider-Subject: x"), 400, "reserved", id="reserved"),
    pytest.param(get("Connection: mcp-name"), 400, "connection", id="edge-38-nominated"),
    pytest.param(get("TE: gzip"), 400, "te", id="te"),
    # rule 8: framing
    pytest.param(
        post("Content-Length: 4", CHUNKED, body=b"0\r\n\r\n"), 400, "syntax",
        id="advisory-25-CVE-2023-47641",
    ),
    pytest.param(
        post("Content-Length: 2", "Content-Length: 2", body=b"{}"), 400, "syntax",
        id="edge-32-duplicate-length",
    ),
    pytest.param(post("Content-Length: 02", body=b"{}"), 400, "framing", id="leading-zero"),
    pytest.param(post("Content-Length: +2", body=b"{}"), 400, "syntax", id="advisory-27-sign"),
    pytest.param(post("Content-Length: 2, 2", body=b"{}"), 400, "syntax", id="length-list"),
    pytest.param(
        post("Transfer-Encoding: Chunked", body=b"0\r\n\r\n"), 400, "framing",
        id="te-case",
    ),
    pytest.param(
        post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 400, "framing", id="te-list"
    ),
    pytest.param(
        post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 400, "syntax",
        id="te-odd",
    ),
    pytest.param(post("Content-Length: 9999999"), 413, "body_length", id="edge-36-over-the-limit"),
    pytest.param(get("Content-Length: 1"), 400, "body", id="body-on-get"),
    pytest.param(post("Expect: 200-ok"), 417, "expect", id="edge-35-expect"),
    pytest.param(
        get("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        400, "upgrade", id="edge-42-websocket",
    ),
    pytest.param(get("Connection: Upgrade", "Upgrade: TLS/1.0"), 400, "upgrade", id="tls-upgrade"),
    pytest.param(
        post("Content-Encoding: br", "Content-Length: 1", body=b"x"), 415, "encoding",
        id="edge-31-br"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("data", "status", "cause"), TABLE)
async def test_a_request_sent_whole_gets_its_verdict(data, status, cause):
    async with running_edge() as edge, edge.client() as client:
        await client.send(data)
        answer = await client.answer()
        refused = [refusal.error.cause for refusal in edge.refusals]
        assert (answer.status, refused) == (status, [] if cause is None else [cause])
        if cause is not None:
            assert edge.exchanges == []
            assert answer.field("connection") == "close"
            assert await client.rest() == b""
            assert edge.events.count("refused", cause) == 1
        assert [ending for ending, _ in edge.settled.endings] == [Ending.SENT]


@pytest.mark.parametrize(
    ("data", "status", "cause"),
    [row for row in TABLE if row.id not in ("long-path", "long-query", "big-head", "many-fields",
                                            "advisory-40-long-line", "long-field")],
)  # fmt: skip
async def test_a_request_sent_byte_by_byte_gets_the_same_verdict(data, status, cause):
    async with running_edge() as edge, edge.client() as client:
        with suppress(ConnectionError):
            await client.drip(data)
        answer = await client.answer()
        assert answer.status == status
        assert [refusal.error.cause for refusal in edge.refusals] == ([cause] if cause else [])


@pytest.mark.parametrize(("data", "status", "cause"), TABLE)
async def test_a_refusal_drops_the_request_behind_it(data, status, cause):
    async with running_edge() as edge, edge.client() as client:
        await client.send(data + get(target="/behind"))
        answered = (await client.answer()).status
        # what stands behind may spoil the first for the parser: refused then, for another cause
        assert answered == status if cause is None else answered >= 400
        rest = await client.rest() if cause is not None else b""
        paths = [exchange.head.path for exchange in edge.exchanges]
        assert ("/behind" not in paths, rest) == (True, b"") if cause else "/a" in paths


async def test_requests_behind_one_another_are_answered_in_turn():
    async with running_edge() as edge, edge.client() as client:
        await client.send(
            post("Content-Length: 1", body=b"1") + post("Content-Length: 1", body=b"2")
        )
        bodies = [(await client.answer()).body for _ in range(2)]
        assert bodies == [b"ok1", b"ok2"]
        assert len({exchange.id for exchange in edge.exchanges}) == 2


async def test_bytes_behind_an_h2c_offer_are_never_read():
    offer = get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
    async with running_edge() as edge, edge.client() as client:
        await client.send(offer + get(target="/behind"))
        answer = await client.answer()
        assert (answer.status, answer.field("connection")) == (200, "close")
        assert await client.rest() == b""
        assert [exchange.head.path for exchange in edge.exchanges] == ["/a"]


async def test_a_body_behind_an_h2c_offer_arrives():
    head = post(
        "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA",
        "Content-Length: 4",
    )  # fmt: skip
    async with running_edge() as edge, edge.client() as client:
        await client.send(head)
        await client.send(b"body")
        assert (await client.answer()).body == b"okbody"


async def test_a_client_hello_gets_no_answer_but_a_record():
    async with running_edge() as edge, edge.client() as client:
        await client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert await client.rest() == b""
        assert [refusal.error.cause for refusal in edge.refusals] == ["tls"]


@pytest.mark.parametrize("apart", [False, True])
async def test_trailers_are_dropped_and_never_merged(apart):  # edge-33, advisory-29-CVE-2025-53643
    # aiohttp 3.14.5 hands the last trailer to the next request of the connection: there is none
    body = b"2\r\n{}\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    async with running_edge() as edge, edge.client() as client:
        await client.send(post(CHUNKED, body=body) + (b"" if apart else get(target="/next")))
        answer = await client.answer()
        assert (answer.status, answer.field("connection")) == (200, "close")
        with suppress(ConnectionError):
            await client.send(get(target="/next"))
        assert await client.rest() == b""
        assert [exchange.head.path for exchange in edge.exchanges] == ["/a"]
        assert edge.exchanges[0].head.header("authorization") is None


@pytest.mark.parametrize("pieces", [1, 3, 30])
async def test_a_chunked_body_without_trailers_keeps_the_connection(pieces):
    data = post(CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n")
    step = len(data) // pieces + 1
    async with running_edge() as edge, edge.client() as client:
        for _ in range(2):
            for start in range(0, len(data), step):
                await client.send(data[start : start + step])
                await asyncio.sleep(0.001)
            answer = await client.answer()
            assert (answer.body, answer.field("connection")) == (b"ok{}", None)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"zz\r\n{}\r\n0\r\n\r\n", id="bad-size"),
        pytest.param(b"2\r\n{}0\r\n\r\n", id="no-crlf"),
        pytest.param(b"-2\r\n{}\r\n0\r\n\r\n", id="sign"),
        pytest.param(b"2 \r\n{}\r\n0\r\n\r\n", id="space"),
        pytest.param(b"2;a\nb\r\n{}\r\n0\r\n\r\n", id="advisory-28-CVE-2024-52304"),
        pytest.param(b"ffffffffffffffffff\r\n", id="overflow"),
    ],
)
async def test_broken_chunks_reach_no_reader_as_a_whole_body(body):
    async with running_edge() as edge, edge.client() as client:
        await client.send(post(CHUNKED))
        await client.send(body)
        try:
            answer = await client.answer()
        except asyncio.IncompleteReadError:
            return
        assert answer.status == 400
        assert Ending.SENT not in [ending for ending, _ in edge.settled.endings[1:]]


async def test_chunk_framing_may_not_outgrow_the_payload():  # advisory-36-CVE-2025-69229
    async with running_edge() as edge, edge.client() as client:
        await client.send(post(CHUNKED))
        with suppress(ConnectionError):
            for _ in range(200):  # far more than two reads of the socket bring, and no last chunk
                await client.send(b"1;" + b"e" * 8000 + b"\r\nx\r\n")
        assert b"200" not in await client.rest()
        assert edge.budget.held == 0


async def test_a_body_shorter_than_announced_reaches_nobody():  # edge-34
    async with running_edge() as edge:
        async with edge.client() as client:
            await client.send(post("Content-Length: 10", body=b"{}"))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.02)
        assert edge.settled.endings == []
        assert edge.budget.held == 0


async def test_continue_is_said_when_the_body_is_first_read():  # edge-35
    async with running_edge() as edge, edge.client() as client:
        await client.send(post("Content-Length: 2", "Expect: 100-continue"))
        assert (await client.answer()).status == 100
        await client.send(b"{}")
        assert (await client.answer()).body == b"ok{}"
        assert edge.exchanges[0].head.header("expect") is None


async def test_continue_is_not_said_for_a_body_nobody_reads():
    settled = []

    async def refuse(exchange):
        return Reply(
            status=403, headers=(), body=b"no", settle=lambda *ending: settled.append(ending)
        )

    async with running_edge(refuse) as edge, edge.client() as client:
        await client.send(post("Content-Length: 2", "Expect: 100-continue"))
        answer = await client.answer()
        assert (answer.status, answer.field("connection")) == (403, "close")
        assert await client.rest() == b""


async def test_an_unread_upload_still_sees_the_refusal():  # edge-36: bounded drain, no reset
    async with running_edge() as edge, edge.client() as client:
        await client.send(post("Content-Length: 900000000"))
        with suppress(ConnectionError):
            for _ in range(64):
                await client.send(b"x" * 16_384)
        assert (await client.answer()).status == 413
        assert edge.budget.held == 0


async def test_gzip_is_taken_off_before_a_reader_sees_it():  # edge-31
    data = gzip.compress(b'{"a":1}')
    async with running_edge() as edge, edge.client() as client:
        head = ("Content-Encoding: gzip", f"Content-Length: {len(data)}")
        await client.send(post(*head, body=data))
        assert (await client.answer()).body == b'ok{"a":1}'
        assert edge.exchanges[0].head.header("content-encoding") is None


async def test_a_gzip_bomb_is_cut_within_its_bounds():  # edge-31, fault 28
    data = gzip.compress(b"a" * 50_000_000)
    async with running_edge(budget_bytes=8 << 20) as edge, edge.client() as client:
        head = ("Content-Encoding: gzip", f"Content-Length: {len(data)}")
        await client.send(post(*head, body=data))
        assert await client.rest() == b""  # the test's handler lets the refusal through
        assert edge.budget.held == 0


async def test_a_handler_is_cancelled_when_its_caller_leaves():
    gone = asyncio.Event()

    async def wait(exchange):
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    async with running_edge(wait) as edge:
        async with edge.client() as client:
            await client.send(get())
            await edge.arrived.wait()
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_stream_is_sent_in_pieces_and_settled_once():
    settled = []

    async def pieces():
        yield b"one"
        yield b""
        yield b"two"

    async def stream(exchange):
        return Reply(
            status=200,
            headers=(("content-type", "text/event-stream"), ("content-length", "9")),
            body=pieces(),
            settle=lambda *ending: settled.append(ending),
        )

    async with running_edge(stream) as edge, edge.client() as client:
        await client.send(get())
        answer = await client.answer()
        assert (answer.body, answer.field("content-length")) == (b"onetwo", None)
        assert settled == [(Ending.SENT, 6)]


async def test_a_stream_that_fails_is_cut_and_never_ended():
    settled = []

    async def pieces():
        yield b"one"
        raise ConnectionAbortedError

    async def stream(exchange):
        return Reply(
            status=200, headers=(), body=pieces(), settle=lambda *ending: settled.append(ending)
        )

    async with running_edge(stream) as edge, edge.client() as client:
        await client.send(get())
        rest = await client.rest()
        assert b"0\r\n\r\n" not in rest
        assert len(settled) == 1
        assert settled[0][0] is not Ending.SENT


async def test_a_caller_that_never_reads_holds_little():
    sent = 0

    async def pieces():
        nonlocal sent
        while True:
            sent += 65_536
            yield b"x" * 65_536

    async def stream(exchange):
        return Reply(status=200, headers=(), body=pieces(), settle=lambda *_: None)

    async with running_edge(stream) as edge, edge.client() as client:
        client.writer.transport.pause_reading()
        await client.send(get())
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        assert sent < 16 << 20  # what the kernel's socket buffers take, and then it waits


@pytest.mark.parametrize(
    ("status", "body", "length"),
    [(200, b"hello", "5"), (304, b"", None), (204, b"", None)],
)
async def test_an_answer_to_head_has_no_body(status, body, length):
    async def answer(exchange):
        return Reply(status=status, headers=(), body=body, settle=lambda *_: None)

    async with running_edge(answer) as edge, edge.client() as client:
        await client.send(raw("HEAD /a HTTP/1.1", HOST) + get(target="/b"))
        head = await client.answer(head_only=True)
        assert (head.status, head.field("content-length")) == (status, length)
        assert (await client.answer()).status == status


async def test_a_value_that_would_end_its_line_is_not_sent():
    async def answer(exchange):
        headers = (("x-a", "1\r\nSet-Cookie: a=b"),)
        return Reply(status=200, headers=headers, body=b"", settle=lambda *_: None)

    async with running_edge(answer) as edge, edge.client() as client:
        await client.send(get())
        assert await client.rest() == b""


@pytest.mark.parametrize("limit", [1, 2])
async def test_connections_past_the_cap_are_not_accepted(limit):
    async with running_edge(connections=limit) as edge, edge.client() as first:
        await first.send(get())
        assert (await first.answer()).status == 200
        async with edge.client() as second:
            try:
                await second.send(get())
                rest = (await second.answer()).status
            except (ConnectionError, asyncio.IncompleteReadError):
                rest = None
            assert rest == (200 if limit == 2 else None)
            assert edge.events.count("shed", "connections", "hard") == (0 if limit == 2 else 1)


async def test_a_connection_serves_as_many_requests_as_allowed():
    async with running_edge(connection_requests=2) as edge, edge.client() as client:
        await client.send(get() + get() + get())
        answers = [await client.answer() for _ in range(2)]
        assert [answer.field("connection") for answer in answers] == [None, "close"]
        assert await client.rest() == b""
        assert len(edge.exchanges) == 2


async def test_every_answer_closes_while_draining():
    async with running_edge() as edge, edge.client() as client:
        edge.listener.drain()
        await client.send(get())
        assert (await client.answer()).field("connection") == "close"
        assert await client.rest() == b""


async def test_bodies_take_their_room_before_they_are_read():
    async with running_edge(budget_bytes=4) as edge, edge.client() as client:
        await client.send(post("Content-Length: 5", body=b"hello"))
        assert await client.rest() == b""
        assert edge.events.count("shed", "buffered_bytes", "soft") == 1
        assert edge.budget.held == 0


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET /a HT", 408, id="edge-37-slow-head"),
        pytest.param(b"G", 408, id="one-byte"),
        pytest.param(b"CONN", 408, id="half-a-method"),
        pytest.param(b"", None, id="nothing"),
    ],
)
async def test_a_head_that_never_ends_is_ended(data, status):
    async with (
        running_edge(head_s=0.1, keepalive_s=0.1) as edge,
        edge.client() as client,
    ):
        await client.send(data)
        rest = await client.rest()
        assert rest[9:12] == (b"" if status is None else b"%d" % status)
        assert edge.exchanges == []


async def test_a_body_that_never_ends_is_ended():  # edge-37
    async with running_edge(body_idle_s=0.1) as edge, edge.client() as client:
        await client.send(post("Content-Length: 5", body=b"he"))
        assert await client.rest() == b""  # the test's handler lets the refusal through
        assert edge.budget.held == 0


async def test_an_unfinished_head_is_bounded_in_bytes():  # advisory-37-CVE-2026-22815
    async with running_edge() as edge, edge.client() as client:
        await client.send(b"GET /a HTTP/1.1\r\n")
        with suppress(ConnectionError):
            for number in range(40):
                await client.send(b"X-%d: %b\r\n" % (number, b"a" * 4000))
        assert (await client.answer()).status == 431
        assert edge.exchanges == []


async def test_pipelined_requests_are_queued_within_a_bound():  # advisory-38-CVE-2026-54273
    release = asyncio.Event()

    async def wait(exchange):
        await release.wait()
        return Reply(status=200, headers=(), body=b"", settle=lambda *_: None)

    async with running_edge(wait) as edge, edge.client() as client:
        await client.send(get() * 200)
        await edge.arrived.wait()
        connection = next(iter(edge.listener.edge.connections))
        assert len(connection._messages) <= 32
        release.set()
        for _ in range(200):
            assert (await client.answer()).status == 200


async def test_loopback_peers_are_known_as_such():
    async with running_edge() as edge, edge.client() as client:
        await client.send(get("Traceparent: 00-" + "a" * 32 + "-" + "b" * 16 + "-01"))
        await client.answer()
        exchange = edge.exchanges[0]
        assert (exchange.peer.transport, exchange.peer.loopback) == ("tcp", True)
        assert (exchange.trace.trace_id, exchange.trace.parent_id) == ("a" * 32, "b" * 16)
        assert exchange.head.header("traceparent") is None


async def test_absolute_form_is_refused_where_the_rules_say_so():
    rules = loopback_rules(absolute=False)
    async with running_edge(rules=rules) as edge, edge.client() as client:
        await client.send(get(target="http://127.0.0.1:1/a"))
        assert (await client.answer()).status == 400
