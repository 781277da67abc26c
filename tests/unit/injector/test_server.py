"""Whatever is sent to the webhook, a pod comes through on a review that was judged, or not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from outrider.core.errors import ConfigError
from outrider.injector.plan import Entry
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.server import PROBE_HEADER
from tests.support.injector import (
    SERVICE,
    Listening,
    a_request,
    a_review,
    a_webhook,
    calling,
    until,
)
from tests.support.net import RawAnswer, RawClient

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedAnswer:
    body: bytes
    outcome: Outcome = Outcome.INJECTED
    reason: Reason = Reason.OK


class Recording:
    """Judges what is JSON, and keeps it."""

    def __init__(self, **answer: Any) -> None:
        self.asked: list[tuple[Entry, bytes]] = []
        self._answer = answer

    def __call__(self, entry: Entry, body: bytes) -> FixedAnswer | None:
        self.asked.append((entry, body))
        try:
            uid = orjson.loads(body)["request"]["uid"]
        except (ValueError, KeyError, TypeError):
            return None
        return FixedAnswer(**{"body": orjson.dumps({"uid": uid}), **self._answer})


async def sent(listening: Listening, data: bytes) -> RawAnswer:
    async with calling(listening.port, listening.client) as (reader, writer):
        client = RawClient(reader, writer)
        await client.send(data)
        return await client.answer()


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        pytest.param("/mutate/namespace?timeout=5s", Entry.NAMESPACE, id="namespace"),
        pytest.param("/mutate/pod?timeout=5s", Entry.POD, id="pod"),
        pytest.param("/mutate/pod", Entry.POD, id="without-a-query"),
    ],
)
async def test_a_review_is_judged_by_the_entry_of_its_path(path: str, entry: Entry) -> None:
    judge = Recording()
    async with a_webhook(judge) as listening:
        answer = await sent(listening, a_request(a_review(uid="abc"), path))
    assert (answer.status, orjson.loads(answer.body)) == (200, {"uid": "abc"})
    assert answer.field("content-type") == "application/json"
    assert judge.asked == [(entry, a_review(uid="abc"))]
    assert listening.events.admitted_as == [("injected", "ok")]


async def test_a_denial_is_a_200_and_counted_by_its_reason() -> None:
    judge = Recording(outcome=Outcome.DENIED, reason=Reason.HOST_NAMESPACE)
    async with a_webhook(judge) as listening:
        answer = await sent(listening, a_request(a_review()))
    assert answer.status == 200
    assert listening.events.admitted_as == [("denied", "host_namespace")]


async def test_many_reviews_pass_over_one_connection() -> None:
    async with (
        a_webhook(Recording()) as listening,
        calling(listening.port, listening.client) as (reader, writer),
    ):
        client = RawClient(reader, writer)
        for number in range(20):
            await client.send(a_request(a_review(uid=str(number))))
            assert orjson.loads((await client.answer()).body) == {"uid": str(number)}


async def test_a_rehearsal_counts_in_no_metric_and_a_forged_one_does() -> None:
    async with a_webhook(Recording()) as listening:
        own = f"{PROBE_HEADER}: {listening.webhook.probe_token}"
        kind = "Content-Type: application/json"
        path = "/mutate/pod"
        assert (await sent(listening, a_request(a_review(), path, kind, own))).status == 200
        assert listening.events.admitted_as == []
        forged = f"{PROBE_HEADER}: {'0' * 32}"
        assert (await sent(listening, a_request(a_review(), path, kind, forged))).status == 200
        assert len(listening.events.admitted_as) == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(a_request(b"{"), 400, id="no-review"),
        pytest.param(a_request(b""), 400, id="empty"),
        pytest.param(a_request(a_review(), "/mutate/pods"), 404, id="no-such-path"),
        pytest.param(a_request(a_review(), "/mutate/pod/"), 404, id="a-slash-more"),
        pytest.param(a_request(a_review(), "/mutate/%70od"), 404, id="an-escaped-path"),
        pytest.param(a_request(a_review(), "/"), 404, id="root"),
        pytest.param(a_request(a_review(), "https://x/mutate/pod"), 404, id="an-absolute-target"),
        pytest.param(a_request(b"", method="GET"), 405, id="get"),
        pytest.param(a_request(a_review(), method="PUT"), 405, id="put"),
        pytest.param(
            a_request(a_review(), "/mutate/pod", "Content-Type: text/yaml"), 415, id="yaml"
        ),
        pytest.param(a_request(a_review(), "/mutate/pod", "X: y"), 415, id="no-type"),
        pytest.param(
            a_request(
                a_review(),
                "/mutate/pod",
                "Content-Type: application/json",
                "Content-Encoding: gzip",
            ),
            415,
            id="compressed",
        ),
        pytest.param(b"POST /mutate/pod HTTP/1.1\r\nHost x\r\n\r\n", 400, id="no-http"),
        pytest.param(
            b"POST /mutate/pod HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
            400,
            id="endless-head",
        ),
    ],
)
async def test_what_is_no_review_to_be_judged_is_refused(data: bytes, status: int) -> None:
    judge = Recording(outcome=Outcome.INJECTED)
    async with a_webhook(judge) as listening:
        answer = await sent(listening, data)
        assert answer.status == status
        assert answer.body == b'{"error":"refused"}'
        assert all(verdict == "error" for verdict, _ in listening.events.admitted_as)
        assert (await sent(listening, a_request(a_review()))).status == 200, "others are served"


async def test_a_judge_that_fails_refuses_this_pod_alone(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_entry: Entry, body: bytes) -> FixedAnswer | None:
        if b"poison" in body:
            raise RuntimeError("a bug")
        return FixedAnswer(body=b"{}")

    async with a_webhook(broken) as listening:
        answer = await sent(listening, a_request(a_review(uid="poison")))
        assert (answer.status, answer.body) == (500, b'{"error":"refused"}')
        assert listening.events.admitted_as == [("error", "internal")]
        assert (await sent(listening, a_request(a_review()))).status == 200
    assert "poison" not in caplog.text


async def test_a_panic_of_an_extension_refuses_this_pod_alone() -> None:
    class PanicException(BaseException):
        """As pyo3 raises it."""

    def panics(_entry: Entry, body: bytes) -> FixedAnswer | None:
        raise PanicException

    async with a_webhook(panics) as listening:
        assert (await sent(listening, a_request(a_review()))).status == 500
        assert (await sent(listening, a_request(a_review()))).status == 500


# --- sizes and waits ---


async def test_a_review_as_large_as_allowed_is_judged_and_a_larger_one_is_not() -> None:
    room = 1 << 16
    pad = room - len(a_review())
    largest = a_review() + b" " * pad
    async with a_webhook(Recording(), body_bytes=room) as listening:
        assert (await sent(listening, a_request(largest))).status == 200
        assert (await sent(listening, a_request(largest + b" "))).status == 413
        chunked = (
            b"POST /mutate/pod HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        assert (await sent(listening, chunked + chunk * 3 + b"0\r\n\r\n")).status == 413
        assert listening.webhook._held_bytes == 0


async def test_a_size_that_is_only_announced_is_refused_before_it_comes() -> None:
    head = (
        b"POST /mutate/pod HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n"
    )
    async with a_webhook(Recording()) as listening:
        assert (await sent(listening, head)).status == 413


async def test_bodies_together_are_bounded_and_given_back() -> None:
    judge = Recording()
    async with a_webhook(judge, buffered_bytes=1 << 20, body_s=5.0) as listening:
        head = a_request(b" " * (1 << 20))[: -(1 << 20)]
        async with calling(listening.port, listening.client) as (_, writer):
            writer.write(head + b" " * 900_000)
            await writer.drain()
            await until(lambda: listening.webhook._held_bytes >= 900_000)
            crowded = await sent(listening, a_request(a_review() + b" " * 200_000))
            assert crowded.status == 503
        await until(lambda: listening.webhook._held_bytes == 0)
        assert (await sent(listening, a_request(a_review()))).status == 200


async def test_a_body_that_drips_is_given_up_in_time() -> None:
    async with a_webhook(Recording(), body_s=0.2) as listening:
        answer = await sent(listening, a_request(a_review())[:-5])
        assert answer.status == 408
        assert listening.webhook._held_bytes == 0


async def test_a_body_that_ends_early_leaves_nothing_behind() -> None:
    judge = Recording()
    async with a_webhook(judge) as listening:
        async with calling(listening.port, listening.client) as (_, writer):
            writer.write(a_request(a_review())[:-5])
            await writer.drain()
            await until(lambda: listening.webhook._held_bytes > 0)
        await until(lambda: listening.webhook._held_bytes == 0)
        assert judge.asked == []


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with (
        a_webhook(Recording(), head_s=0.1) as listening,
        calling(listening.port, listening.client) as (reader, _),
    ):
        async with asyncio.timeout(3):
            assert await reader.read() == b""


async def test_a_head_that_drips_is_closed() -> None:
    async with (
        a_webhook(Recording(), head_s=0.2) as listening,
        calling(listening.port, listening.client) as (reader, writer),
    ):
        writer.write(b"POST /mutate/pod HTTP/1.1\r\nHost: x\r\n")
        async with asyncio.timeout(3):
            assert await reader.read() == b""


async def test_an_idle_connection_makes_room_and_a_busy_one_does_not() -> None:
    async with a_webhook(Recording(), connections=8, body_s=5.0) as listening:
        held = [await _opened(listening) for _ in range(8)]
        for _, writer in held[1:]:
            writer.write(a_request(a_review())[:-5])
            await writer.drain()
        await until(lambda: listening.webhook._held_bytes == 7 * (len(a_review()) - 5))
        assert (await sent(listening, a_request(a_review()))).status == 200
        async with asyncio.timeout(3):
            assert await held[0][0].read() == b"", "the idle one went"
        for reader, writer in held[1:]:
            writer.write(a_review()[-5:])
            assert (await RawClient(reader, writer).answer()).status == 200
        for _, writer in held:
            writer.transport.abort()


async def test_bodies_that_drip_keep_no_review_out() -> None:
    async with a_webhook(Recording(), connections=8, body_s=5.0) as listening:
        held = [await _opened(listening) for _ in range(8)]
        for _, writer in held:
            writer.write(a_request(a_review())[:-5])
            await writer.drain()
        await until(lambda: listening.webhook._held_bytes == 8 * (len(a_review()) - 5))
        assert (await sent(listening, a_request(a_review()))).status == 200
        await until(lambda: listening.webhook._held_bytes == 7 * (len(a_review()) - 5))
        for _, writer in held:
            writer.transport.abort()


async def _opened(listening: Listening) -> Streams:
    return await asyncio.open_connection(
        "127.0.0.1", listening.port, ssl=listening.client, server_hostname=SERVICE
    )


async def test_bytes_that_are_no_tls_are_dropped_in_time() -> None:
    async with a_webhook(Recording(), handshake_s=0.2) as listening:
        for data in (b"GET / HTTP/1.1\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", listening.port)
            writer.write(data)
            async with asyncio.timeout(3):
                with_alert = await reader.read()
            assert b"HTTP" not in with_alert
            writer.close()


# --- callers whose handshake is not done ---

UNFINISHED_HELLO = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03" + b"A" * 16_370


@asynccontextmanager
async def a_crowd(
    listening: Listening, count: int, *, host: str = "127.0.0.1", data: bytes = b""
) -> AsyncIterator[list[Streams]]:
    """Connections from `host` that begin no handshake, or do not end it."""
    crowd = list[Streams]()
    try:
        for _ in range(count):
            caller = await asyncio.open_connection(
                "127.0.0.1", listening.port, local_addr=(host, 0)
            )
            crowd.append(caller)
            caller[1].write(data)
        yield crowd
    finally:
        for _, writer in crowd:
            writer.transport.abort()


def _open(callers: list[Streams]) -> int:
    return sum(not reader.at_eof() and reader.exception() is None for reader, _ in callers)


@pytest.mark.parametrize(
    "data", [pytest.param(b"", id="idle"), pytest.param(UNFINISHED_HELLO, id="unfinished-hello")]
)
async def test_callers_that_end_no_handshake_are_few_and_keep_no_review_out(data: bytes) -> None:
    async with (
        a_webhook(Recording(), handshakes=8, handshake_s=60.0) as listening,
        a_crowd(listening, 40, data=data) as crowd,
    ):
        assert (await sent(listening, a_request(a_review()))).status == 200
        await until(lambda: _open(crowd) <= 4)
        assert _open(crowd) >= 3, "only who makes room goes"


async def test_a_crowd_elsewhere_ends_no_handshake_that_has_begun() -> None:
    async with (
        a_webhook(Recording(), handshakes=8, handshake_s=60.0) as listening,
        a_crowd(listening, 1) as ((reader, writer),),
        a_crowd(listening, 40, host="127.0.0.2") as crowd,
    ):
        await until(lambda: _open(crowd) <= 4)
        await writer.start_tls(listening.client, server_hostname=SERVICE)
        client = RawClient(reader, writer)
        await client.send(a_request(a_review()))
        assert (await client.answer()).status == 200


async def test_connections_take_no_place_of_a_handshake() -> None:
    async with a_webhook(Recording(), handshakes=2) as listening, AsyncExitStack() as stack:
        tls = listening.client
        held = [await stack.enter_async_context(calling(listening.port, tls)) for _ in range(8)]
        async with a_crowd(listening, 8) as crowd:
            await until(lambda: _open(crowd) <= 1)
            for reader, writer in held:
                client = RawClient(reader, writer)
                await client.send(a_request(a_review()))
                assert (await client.answer()).status == 200


async def test_handshakes_under_way_end_with_the_webhook() -> None:
    async with (
        a_webhook(Recording(), handshake_s=60.0) as listening,
        a_crowd(listening, 1) as ((reader, _),),
    ):
        assert (await sent(listening, a_request(a_review()))).status == 200, "it was accepted"
        await listening.webhook.stop()
        async with asyncio.timeout(3):
            assert await reader.read() == b""


# --- coming and going ---


async def test_an_address_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"cannot listen at {address}"):
            async with a_webhook(Recording(), addresses=("127.0.0.1:0", address)):
                pass


async def test_who_is_about_to_leave_answers_and_closes() -> None:
    async with a_webhook(Recording()) as listening:
        async with calling(listening.port, listening.client) as (reader, writer):
            client = RawClient(reader, writer)
            await client.send(a_request(a_review()))
            assert (await client.answer()).field("connection") != "close"
            listening.webhook.leave()
            await client.send(a_request(a_review()))
            assert (await client.answer()).field("connection") == "close"
        assert (await sent(listening, a_request(a_review()))).status == 200, "new ones are taken"


async def test_what_is_under_way_is_answered_before_the_end() -> None:
    async with a_webhook(Recording(), grace_s=3.0) as listening:
        reader, writer = await _opened(listening)
        writer.write(a_request(a_review())[:-5])
        await writer.drain()
        await until(lambda: listening.webhook._held_bytes > 0)
        port, tls = listening.port, listening.client
        async with asyncio.TaskGroup() as group:
            group.create_task(listening.webhook.stop())
            await asyncio.sleep(0.05)
            with pytest.raises(ConnectionRefusedError):
                async with calling(port, tls):
                    pass
            writer.write(a_review()[-5:])
            assert (await RawClient(reader, writer).answer()).status == 200
        writer.transport.abort()
