"""A scripted raw upstream against the pool: what is delivered, what ends, what is never reused."""

import asyncio
import gzip
from dataclasses import replace

import pytest

from outrider.config.limit_settings import Limits
from outrider.core.errors import (
    EnforcementError,
    OverloadError,
    UpstreamFailedError,
    UpstreamUnavailableError,
)
from outrider.core.secret import Secret
from tests.support.net import RecordingUpstream, ScriptedUpstream
from tests.support.peers import running_pool, whole

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(*lines: str, body: bytes = b"", status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *lines)).encode("latin-1") + b"\r\n\r\n" + body


CHUNKED = "Transfer-Encoding: chunked"

WHOLE = [
    pytest.param(OK, b"ok", True, id="length"),
    pytest.param(answer(CHUNKED, body=b"2\r\nok\r\n0\r\n\r\n"), b"ok", True, id="chunked"),
    pytest.param(
        answer(CHUNKED, body=b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n"), b"ok", True,
        id="chunks",
    ),
    pytest.param(answer("Transfer-Encoding: Chunked", body=b"0\r\n\r\n"), b"", True, id="te-case"),
    pytest.param(answer("Content-Length: 0"), b"", True, id="empty"),
    pytest.param(answer(status="204 No Content"), b"", True, id="204"),
    pytest.param(
        answer("Content-Length: 5", status="304 Not Modified"), b"", True,
        id="304-length",
    ),
    pytest.param(
        answer("Connection: close", "Content-Length: 2", body=b"ok"), b"ok", False,
        id="close",
    ),
    pytest.param(
        answer(status="100 Continue") + answer("Link: x", status="103 Early Hints") + OK,
        b"ok", True, id="informational",
    ),
    pytest.param(OK + b"HTTP/1.1 200 OK\r\n\r\n", b"ok", False, id="poison-behind"),
    pytest.param(OK + b"\r\n", b"ok", False, id="bare-crlf-behind"),
    pytest.param(OK + b"x", b"ok", False, id="one-byte-too-many"),
    pytest.param(
        answer(CHUNKED, body=b"2\r\nok\r\n0\r\n\r\n\r\n"), b"ok", False, id="crlf-behind-chunks"
    ),
    pytest.param(
        answer(CHUNKED, body=b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        b"ok", False, id="answer-behind-chunks",
    ),
    pytest.param(
        answer("Content-Length: 2", body=b"ok").replace(b"/1.1", b"/1.0"), b"ok", False,
        id="1.0",
    ),
    pytest.param(
        answer("Keep-Alive: timeout=1", "Content-Length: 0"), b"", False,
        id="short-keep-alive",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("said", "body", "reused"), WHOLE)
@pytest.mark.parametrize("drip", [False, True])
async def test_a_whole_answer_is_delivered_and_its_connection_kept_only_if_clean(
    said, body, reused, drip
):
    async def script(turn):
        while True:
            await turn.request()
            if not drip:
                await turn.say(said)
                continue
            for index in range(len(said)):
                await turn.say(said[index : index + 1])
                await asyncio.sleep(0)

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        for _ in range(2):
            incoming = await pool.send()
            assert (incoming.head.status // 100 in (2, 3), await whole(incoming)) == (True, body)
            await asyncio.sleep(0.05)  # what comes too late meets an idle connection
        assert upstream.connections == (1 if reused else 2)


REFUSED = [
    pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="version"),
    pytest.param(b"HTTP/1.1 42 OK\r\nContent-Length: 0\r\n\r\n", id="short-status"),
    pytest.param(answer("Content-Length: 0", status="999 X"), id="status-999"),
    pytest.param(answer("Content-Length: 0", status="600 X"), id="status-600"),
    pytest.param(
        answer("Upgrade: x", "Connection: upgrade", status="101 Switching Protocols"), id="101"
    ),
    pytest.param(answer(status="100 Continue") * 9 + OK, id="1xx-flood"),
    pytest.param(answer("Transfer-Encoding: gzip", body=b"x"), id="te-gzip"),
    pytest.param(answer("Transfer-Encoding: xchunked", body=b"x"), id="te-xchunked"),
    pytest.param(answer("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), id="te-list"),
    pytest.param(answer(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), id="te-twice"),
    pytest.param(answer(CHUNKED, "Content-Length: 2", body=b"0\r\n\r\n"), id="te-and-length"),
    pytest.param(
        answer(CHUNKED, body=b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"), id="te-on-1.0"
    ),
    pytest.param(answer("Content-Length: 2", "Content-Length: 2", body=b"ok"), id="length-twice"),
    pytest.param(answer("Content-Length: 2, 2", body=b"ok"), id="length-list"),
    pytest.param(answer("Content-Length: -1", body=b"ok"), id="length-sign"),
    pytest.param(answer("X: a\x00b", "Content-Length: 0"), id="advisory-31-CVE-2026-34520-nul"),
    pytest.param(answer("X: a\x01b", "Content-Length: 0"), id="control"),
    pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + b"x" * 40_000, id="bare-lf"),
    pytest.param(answer("X: a\r\n b", "Content-Length: 0"), id="obs-fold"),
    pytest.param(answer("X" + "x" * 40_000 + ": 1", "Content-Length: 0"), id="giant-field"),
    pytest.param(answer(*[f"X-{n}: 1" for n in range(120)], "Content-Length: 0"), id="many-fields"),
    pytest.param(
        answer("Content-Type: a/b", "Content-Type: c/d", "Content-Length: 0"), id="two-types"
    ),
    pytest.param(answer("Location: /a", "Location: /b", "Content-Length: 0"), id="two-locations"),
    pytest.param(answer("Content-Encoding: br", "Content-Length: 2", body=b"ok"), id="unasked-br"),
    pytest.param(b"\r\n" + OK, id="crlf-before"),
    pytest.param(b"garbage\r\n\r\n", id="garbage"),
]


@pytest.mark.parametrize("said", REFUSED)
async def test_an_odd_answer_is_a_failure_and_delivers_nothing(said):
    async with RecordingUpstream(answers=(said,)) as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(UpstreamFailedError):
            await whole(await pool.send())
        assert len(upstream.seen) == 1  # nothing is tried twice
        assert ("fault", "protocol") in pool.events.log


async def _then_close(turn, said):
    await turn.request()
    await turn.say(said)
    turn.writer.close()


async def _then_reset(turn, said):
    await turn.request()
    await turn.say(said)
    await asyncio.sleep(0.02)
    turn.reset()


@pytest.mark.parametrize("end", [_then_close, _then_reset])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(answer("Content-Length: 5", body=b"ok"), id="short-body"),
        pytest.param(answer(CHUNKED, body=b"2\r\nok\r\n"), id="no-last-chunk"),
        pytest.param(answer(CHUNKED, body=b"5\r\nok"), id="half-a-chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nConte", id="half-a-head"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_an_answer_cut_short_is_never_taken_for_whole(said, end):
    async def script(turn):
        await end(turn, said)

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(UpstreamFailedError):
            await whole(await pool.send())
        assert (len(upstream.seen), upstream.connections) == (1, 1)


async def test_a_close_delimited_body_ends_with_the_connection_and_no_other_way():
    async def clean(turn):
        await _then_close(turn, answer(body=b"all"))

    async def cut(turn):
        await _then_reset(turn, answer(body=b"all"))

    async with ScriptedUpstream(script=clean) as upstream, running_pool(upstream.port) as pool:
        assert await whole(await pool.send()) == b"all"
    async with ScriptedUpstream(script=cut) as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(UpstreamFailedError):
            await whole(await pool.send())


async def test_trailers_never_become_headers():
    said = answer(CHUNKED, body=b"2\r\nok\r\n0\r\nSet-Cookie: a=b\r\nX-T: 1\r\n\r\n")
    async with (
        RecordingUpstream(answers=(said, OK)) as upstream,
        running_pool(upstream.port) as pool,
    ):
        incoming = await pool.send()
        assert (incoming.head.headers, await whole(incoming)) == ((), b"ok")
        incoming = await pool.send()
        assert incoming.head.headers == (("content-length", "2"),)


async def test_an_answer_to_head_has_no_body_whatever_its_length():
    said = answer("Content-Length: 500")
    async with RecordingUpstream(answers=(said,)) as upstream, running_pool(upstream.port) as pool:
        for _ in range(2):
            incoming = await pool.send(method="HEAD")
            assert (incoming.head.header("content-length"), await whole(incoming)) == ("500", b"")
        assert upstream.connections == 1


async def test_what_stands_for_the_connection_or_for_us_does_not_go_on():
    said = answer(
        "Connection: x-gone, mcp-session-id", "X-Gone: 1", "Mcp-Session-Id: s", "Alt-Svc: h3",
        "Server: x", "Outrider-Subject: forged", "Set-Cookie: a=b", "Keep-Alive: timeout=9",
        "Trailer: x", "X-Bad: caf\xe9", "Content-Type: a/b", "Content-Type: a/b", "X-Kept: 1",
        "Content-Length: 0",
    )  # fmt: skip
    async with RecordingUpstream(answers=(said,)) as upstream, running_pool(upstream.port) as pool:
        incoming = await pool.send()
        assert incoming.head.headers == (
            ("mcp-session-id", "s"),
            ("content-type", "a/b"),
            ("x-kept", "1"),
            ("content-length", "0"),
        )


async def test_cookies_go_on_where_the_upstream_keeps_them():
    said = answer("Set-Cookie: a=b", "Set-Cookie: c=d", "Content-Length: 0")
    async with (
        RecordingUpstream(answers=(said,)) as upstream,
        running_pool(upstream.port, set_cookie=True) as pool,
    ):
        incoming = await pool.send()
        assert [value for name, value in incoming.head.headers if name == "set-cookie"] == [
            "a=b",
            "c=d",
        ]


async def test_bytes_on_an_idle_connection_reach_nobody():
    async def script(turn):
        await turn.request()
        await turn.say(OK)
        await asyncio.sleep(0.02)
        await turn.say(answer("Content-Length: 6", body=b"poison"))
        await turn.request()

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        assert await whole(await pool.send()) == b"ok"
        await asyncio.sleep(0.1)
        assert ("fault", "unsolicited") in pool.events.log
        assert await whole(await pool.send()) == b"ok"
        assert upstream.connections == 2


async def test_an_idle_connection_that_died_is_replaced_before_anything_is_written():
    async def script(turn):
        await _then_close(turn, OK)

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        for _ in range(3):
            assert await whole(await pool.send(method="DELETE")) == b"ok"
        assert (len(upstream.seen), upstream.connections) == (3, 3)


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_a_request_whose_answer_was_lost_is_not_repeated(method):  # P21
    async def script(turn):
        await turn.request()
        turn.reset()

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(UpstreamFailedError):
            await pool.send(method=method)
        assert len(upstream.seen) == 1


async def test_connections_are_far_fewer_than_requests():  # P23
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        for _ in range(50):
            await whole(await pool.send())
        assert (upstream.connections, len(upstream.seen)) == (1, 50)


async def test_leases_never_share_a_connection():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        for fingerprint in ("a", "b", "a", "b", ""):
            await whole(await pool.send(lease_fingerprint=fingerprint))
        assert upstream.connections == 3


async def test_what_leaves_is_framed_by_us_and_the_credential_goes_last():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        headers = (
            ("host", "evil"), ("content-length", "99"), ("transfer-encoding", "chunked"),
            ("connection", "x"), ("expect", "100-continue"), ("authorization", "Bearer agent"),
            ("proxy-authorization", "x"), ("x-a", "1"),
        )  # fmt: skip
        secrets = (("authorization", Secret("Bearer lease")),)
        await whole(await pool.send(b"{}", method="POST", headers=headers, secret_headers=secrets))
        seen = upstream.seen[0]
        assert (seen.line, seen.body) == ("POST /x HTTP/1.1", b"{}")
        assert seen.fields == [
            ("host", pool.origin.authority),
            ("x-a", "1"),
            ("accept-encoding", "identity"),
            ("content-length", "2"),
            ("authorization", "Bearer lease"),
        ]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"target": "/x HTTP/1.1\r\nX: y"}, id="target"),
        pytest.param({"target": "/x y"}, id="space"),
        pytest.param({"headers": (("x", "1\r\nY: 2"),)}, id="value"),
        pytest.param({"headers": (("x\r\nY", "2"),)}, id="name"),
        pytest.param({"headers": (("x", "a\x00"),)}, id="nul"),
        pytest.param({"secret_headers": (("authorization", Secret("a\r\nB: c")),)}, id="secret"),
    ],
)
async def test_a_head_that_would_split_is_not_sent(changes):  # advisory-48
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(EnforcementError):
            await pool.send(**changes)
        assert upstream.seen == []
        assert await whole(await pool.send()) == b"ok"


async def _pieces(*pieces):
    for piece in pieces:
        yield piece


async def test_a_streamed_body_is_chunked_or_held_to_its_length():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send(_pieces(b"ab", b"", b"c"), method="POST"))
        headers = (("content-length", "3"),)
        await whole(await pool.send(_pieces(b"ab", b"c"), method="POST", headers=headers))
        assert [seen.body for seen in upstream.seen] == [b"abc", b"abc"]
        assert upstream.seen[0].field("transfer-encoding") == "chunked"
        assert upstream.seen[1].field("content-length") == "3"
        assert upstream.connections == 1


@pytest.mark.parametrize("length", ["2", "4"])
async def test_a_streamed_body_of_another_length_is_cut(length):
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        headers = (("content-length", length),)
        with pytest.raises(UpstreamFailedError):
            await pool.send(_pieces(b"ab", b"c"), method="POST", headers=headers)
        assert [seen.body for seen in upstream.seen] in ([], [b"ab"])


async def test_an_early_answer_is_delivered_and_its_connection_dropped():
    async def script(turn):
        await turn.reader.readuntil(b"\r\n\r\n")
        await turn.say(answer("Content-Length: 2", body=b"no", status="413 Large"))
        await turn.reader.read(-1)

    async def endless():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        incoming = await pool.send(endless(), method="POST")
        assert (incoming.head.status, await whole(incoming)) == (413, b"no")
        await asyncio.sleep(0.02)
        assert pool.pool._lines["crm"]._idle == {}


async def test_a_fault_of_the_streamed_body_ends_the_connection():
    async def broken():
        yield b"x"
        raise OverloadError("no room")

    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(OverloadError):
            await pool.send(broken(), method="POST")
        assert upstream.seen == []
        assert await whole(await pool.send()) == b"ok"


async def test_gzip_sent_in_spite_of_identity_is_taken_off():
    data = gzip.compress(b"hello" * 100)
    said = answer("Content-Encoding: gzip", f"Content-Length: {len(data)}", body=data)
    async with RecordingUpstream(answers=(said,)) as upstream, running_pool(upstream.port) as pool:
        incoming = await pool.send()
        assert (incoming.head.headers, await whole(incoming)) == ((), b"hello" * 100)
        incoming = await pool.send(headers=(("accept-encoding", "gzip"),))
        assert incoming.head.header("content-encoding") == "gzip"
        assert await whole(incoming) == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(gzip.compress(b"a" * 10_000_000), id="bomb"),
        pytest.param(gzip.compress(b"hello")[:-4], id="cut-short"),
        pytest.param(gzip.compress(b"a") + gzip.compress(b"b"), id="two-members"),
        pytest.param(b"plain", id="not-gzip"),
    ],
)
async def test_gzip_that_is_not_one_bounded_member_is_refused(data):
    said = answer("Content-Encoding: gzip", f"Content-Length: {len(data)}", body=data)
    async with RecordingUpstream(answers=(said,)) as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(UpstreamFailedError):
            await whole(await pool.send())


async def test_an_upstream_that_floods_is_read_no_faster_than_it_is_taken():
    said = 0

    async def script(turn):
        nonlocal said
        await turn.request()
        await turn.say(answer("Content-Length: 200000000"))
        while True:
            await turn.say(b"x" * 65_536)
            said += 65_536

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        incoming = await pool.send()
        before = -1
        while said != before:
            before = said
            await asyncio.sleep(0.05)
        assert incoming._size < 1 << 20
        incoming.abort()
        with pytest.raises(EnforcementError):
            await whole(incoming)


@pytest.mark.parametrize(
    ("said", "times"),
    [
        pytest.param(b"", {"first_byte_s": 0.1}, id="first-byte"),
        pytest.param(b"HTTP/1.1 200", {"first_byte_s": 0.1}, id="half-a-head"),
        pytest.param(answer("Content-Length: 9", body=b"x"), {"read_idle_s": 0.1}, id="read-idle"),
    ],
)
async def test_an_upstream_that_stalls_is_given_up(said, times):
    async def script(turn):
        await turn.request()
        await turn.say(said)
        await turn.reader.read(-1)

    async with (
        ScriptedUpstream(script=script) as upstream,
        running_pool(upstream.port, **times) as pool,
    ):
        with pytest.raises(UpstreamFailedError) as caught:
            await whole(await pool.send())
        assert caught.value.cause == "timeout"
        assert ("fault", "timeout") in pool.events.log


async def test_a_closed_port_is_unavailable_and_opens_the_breaker():
    async with RecordingUpstream() as upstream:
        port = upstream.port
    limits = Limits(breaker_failures=2, breaker_open_s=60)
    async with running_pool(port, limits=limits) as pool:
        causes = []
        for _ in range(3):
            with pytest.raises(UpstreamUnavailableError) as caught:
                await pool.send()
            causes.append(caught.value.cause)
        assert causes == ["connect", "connect", "breaker"]
        assert pool.events.count("breaker", "open") == 1


async def test_an_address_that_is_not_listed_is_not_dialled():
    async with RecordingUpstream() as upstream, running_pool(upstream.port, networks=()) as pool:
        with pytest.raises(UpstreamUnavailableError) as caught:
            await pool.send()
        assert (caught.value.cause, upstream.connections) == ("address", 0)


async def test_a_cancelled_exchange_drops_its_connection_at_once():  # fault 22
    left = asyncio.Event()

    async def script(turn):
        await turn.request()
        await turn.reader.read(-1)
        left.set()

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await pool.send()
        async with asyncio.timeout(1):
            await left.wait()
        assert pool.pool._lines["crm"]._turnstile.inside == 0


async def test_an_answer_given_up_drops_its_connection_and_frees_its_place():
    async def script(turn):
        await turn.request()
        await turn.say(answer("Content-Length: 9", body=b"x"))
        await turn.reader.read(-1)

    async with ScriptedUpstream(script=script) as upstream, running_pool(upstream.port) as pool:
        incoming = await pool.send()
        incoming.abort()
        incoming.abort()
        assert pool.pool._lines["crm"]._turnstile.inside == 0
        assert pool.pool._lines["crm"]._all == set()


async def test_connections_to_an_upstream_are_bounded_and_the_wait_is_too():
    async def script(turn):
        await turn.request()
        await turn.reader.read(-1)

    limits = Limits(wait_s=0.05, wait_queue=1)
    async with (
        ScriptedUpstream(script=script) as upstream,
        running_pool(upstream.port, limits=limits, connections=1) as pool,
        asyncio.TaskGroup() as group,
    ):
        first = group.create_task(pool.send())
        await asyncio.sleep(0.02)
        with pytest.raises(OverloadError):
            await pool.send()
        first.cancel()
        assert upstream.connections == 1


async def test_idle_connections_end_by_themselves():
    async with RecordingUpstream() as upstream, running_pool(upstream.port, idle_s=0.1) as pool:
        await whole(await pool.send())
        assert pool.pool._lines["crm"]._idle
        await asyncio.sleep(0.35)
        assert pool.pool._lines["crm"]._all == set()


async def test_a_new_revision_retires_the_connections_of_the_old():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        await whole(await pool.send())
        pool.pool.replace(replace(pool.origin, revision="another"))
        await whole(await pool.send())
        assert upstream.connections == 2
