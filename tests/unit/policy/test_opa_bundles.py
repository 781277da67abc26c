"""The bundle's listener: token, ETag, long polls, and what OPA's next question says."""

import asyncio

import pytest

from outrider.core.errors import ConfigError
from outrider.core.secret import Secret
from outrider.policy.opa_bundles import CONTENT_TYPE, PATH, BundleListener, BundleSource
from tests.support.opa import a_release, until

TOKEN = "t" * 43


@pytest.fixture
async def served():
    source = BundleSource()
    listener = BundleListener(source=source, token=Secret(TOKEN))
    port = await listener.start()
    yield source, port
    listener.stop()


class Poller:
    """OPA's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, *, path=PATH, method="GET", token=TOKEN, etag=None, wait_s=0) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}"]
        lines += [f"If-None-Match: {etag}"] if etag else []
        lines += [f"Prefer: modes=snapshot,delta;wait={wait_s}"] if wait_s else []
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(5):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = dict(line.split(": ", 1) for line in head[1:] if line)
            body = await self._reader.readexactly(int(fields.get("Content-Length", "0")))
        return int(head[0].split()[1]), fields, body

    async def at_end(self) -> bool:
        async with asyncio.timeout(5):
            return await self._reader.read(1) == b""

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def poller(served):
    made = Poller(*await asyncio.open_connection("127.0.0.1", served[1]))
    yield made
    made.close()


async def test_the_bundle_is_given_whole_then_not_again(served, poller):
    source, _ = served
    etag = source.offer(a_release("r1"))
    poller.send()
    status, fields, body = await poller.answer()
    assert (status, fields["ETag"], fields["Content-Type"]) == (200, etag, CONTENT_TYPE)
    assert (200, etag, body) == source.bundle(None)
    poller.send(etag=etag)
    status, fields, body = await poller.answer()
    assert (status, fields["ETag"], body) == (304, etag, b"")


async def test_a_long_poll_is_held_until_there_is_something_new(served, poller):
    source, _ = served
    first = source.offer(a_release("r1"))
    poller.send(etag=first, wait_s=30)
    await until(lambda: bool(source._polls))
    second = source.offer(a_release("r2"))
    status, fields, _ = await poller.answer()
    assert (status, fields["ETag"]) == (200, second)
    assert first != second


async def test_a_long_poll_before_the_first_release_is_held_too(served, poller):
    poller.send(wait_s=30)
    await until(lambda: bool(served[0]._polls))
    etag = served[0].offer(a_release("r1"))
    status, fields, _ = await poller.answer()
    assert (status, fields["ETag"]) == (200, etag)


async def test_a_long_poll_ends_when_it_said(served, poller):
    etag = served[0].offer(a_release("r1"))
    poller.send(etag=etag, wait_s=1)
    assert (await poller.answer())[0] == 304


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({"token": "x"}, 401, id="wrong token"),
        pytest.param({"token": ""}, 401, id="no token"),
        pytest.param({"token": TOKEN + "é"}, 401, id="not ASCII"),
        pytest.param({"path": PATH + "?x"}, 404, id="a query"),
        pytest.param({"path": "/v1/opa/../opa/bundle.tar.gz"}, 404, id="another path"),
        pytest.param({"method": "POST"}, 405, id="writing"),
        pytest.param({"method": "HEAD"}, 405, id="head"),
    ],
)
async def test_anything_else_gets_nothing(served, poller, asked, expected):
    served[0].offer(a_release("r1"))
    poller.send(**asked)
    status, fields, body = await poller.answer()
    assert (status, body) == (expected, b"")
    assert "ETag" not in fields


async def test_without_a_release_there_is_nothing_to_give(served, poller):
    poller.send()
    assert (await poller.answer())[0] == 404


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 9999]
)
async def test_nonsense_ends_the_connection(served, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", served[1])
    writer.write(data)
    async with asyncio.timeout(5):
        try:
            rest = await reader.read()
        except ConnectionError:
            rest = b""
    assert rest == b""
    writer.close()


async def test_connections_are_bounded(served):
    pollers = [Poller(*await asyncio.open_connection("127.0.0.1", served[1])) for _ in range(9)]
    ended = 0
    try:
        for one in pollers:
            one.send()
        for one in pollers:
            try:
                await one.answer()
            except (asyncio.IncompleteReadError, ConnectionError):
                ended += 1
    finally:
        for one in pollers:
            one.close()
    assert ended == 1


async def test_what_opa_asks_next_says_whether_it_took_the_bundle(served):
    source, _ = served
    for asks_with, verdict in (("same", True), (None, False), ('"other"', False)):
        etag = source.offer(a_release("r1"))
        waiting = asyncio.ensure_future(source.taken())
        await asyncio.sleep(0)
        source.given(etag)
        source.asked(etag if asks_with == "same" else asks_with)
        assert await waiting is verdict


async def test_an_older_question_says_nothing_of_a_newer_bundle(served):
    source, _ = served
    older = source.offer(a_release("r1"))
    source.given(older)
    newer = source.offer(a_release("r2"))
    waiting = asyncio.ensure_future(source.taken())
    await asyncio.sleep(0)
    source.asked(older)  # OPA took the older one, of the newer it has not heard
    assert not waiting.done()
    source.given(newer)
    source.asked(newer)
    assert await waiting


async def test_an_opa_that_began_anew_has_refused_nothing(served):
    source, _ = served
    etag = source.offer(a_release("r1"))
    source.given(etag)
    waiting = asyncio.ensure_future(source.taken())
    await asyncio.sleep(0)
    source.forget()
    source.asked(None)
    assert not waiting.done()
    source.asked(etag)
    assert await waiting


async def test_two_cannot_wait_for_a_verdict_at_once(served):
    source, _ = served
    source.offer(a_release("r1"))
    waiting = asyncio.ensure_future(source.taken())
    await asyncio.sleep(0)
    with pytest.raises(ConfigError):
        await source.taken()
    waiting.cancel()
