"""The administrative edge on real loopback sockets: the gate stands, bodies are bounded."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from outrider.config.listener_settings import Listener
from outrider.control.http import BODY_BYTES, Edge, Request, Response
from outrider.core.errors import ConfigError
from tests.support.net import RawAnswer, RawClient


@dataclass(slots=True)
class RecordingHandler:
    requests: list[Request] = field(default_factory=list)
    reads: bool = True
    response: Response = field(default_factory=lambda: Response(status=200, body=b'{"ok":true}'))

    async def __call__(self, request: Request) -> Response:
        if self.reads:
            request = replace(request, body=await request.read_body(), source=None)
        self.requests.append(request)
        return self.response


@asynccontextmanager
async def an_edge(
    handler: RecordingHandler, listener: Listener | None = None, *, any_host: bool = False
) -> AsyncIterator[Edge]:
    edge = Edge(
        name="control",
        listener=listener or Listener(addresses=("127.0.0.1:0",)),
        handler=handler,
        any_host=any_host,
    )
    await edge.start()
    try:
        yield edge
    finally:
        await edge.stop()


async def asked(edge: Edge, data: bytes) -> RawAnswer:
    host, _, port = edge.addresses[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        client = RawClient(reader, writer)
        await client.send(data.replace(b"HOST", edge.addresses[0].encode()))
        return await client.answer()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_good_request_reaches_the_handler_whole() -> None:
    handler = RecordingHandler()
    async with an_edge(handler) as edge:
        answer = await asked(
            edge,
            b'POST /v1/x?a=1 HTTP/1.1\r\nHost: HOST\r\nX-Y: z\r\nContent-Length: 7\r\n\r\n{"a":1}',
        )

    assert (answer.status, answer.body) == (200, b'{"ok":true}')
    assert answer.field("cache-control") == "no-store"
    (request,) = handler.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/x", "a=1")
    assert (request.body, request.uid, request.headers["x-y"]) == (b'{"a":1}', None, "z")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421, id="foreign-host"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 421, id="rebinding"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: HOST\r\nOrigin: https://evil.example\r\n\r\n",
            403,
            id="foreign-origin",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: HOST\r\nOrigin: null\r\n\r\n", 403, id="null-origin"
        ),
        pytest.param(b"GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", 400, id="two-hosts"),
        pytest.param(
            b"GET http://evil.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 400, id="absolute"
        ),
        pytest.param(b"GET /a/../b HTTP/1.1\r\nHost: HOST\r\n\r\n", 400, id="dots"),
        pytest.param(b"TRACE / HTTP/1.1\r\nHost: HOST\r\n\r\n", 405, id="trace"),
        pytest.param(b"GET / HTTP/1.0\r\nHost: HOST\r\n\r\n", 505, id="old-version"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="two-lengths",
        ),
    ],
)
async def test_what_the_gate_refuses_reaches_nobody(head: bytes, status: int) -> None:
    handler = RecordingHandler()
    async with an_edge(handler) as edge:
        answer = await asked(edge, head)
    assert (answer.status, answer.field("connection")) in (
        (status, "close"),
        (505, None),  # the old version closes without saying so
    )
    assert answer.field("server") == "outrider"
    assert handler.requests == []
    assert b"evil" not in answer.body


async def test_localhost_with_the_port_is_served() -> None:
    handler = RecordingHandler()
    async with an_edge(handler) as edge:
        port = edge.addresses[0].rpartition(":")[2]
        answer = await asked(edge, f"GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
    assert answer.status == 200


async def test_any_host_is_for_the_page_without_secrets() -> None:
    handler = RecordingHandler()
    async with an_edge(handler, any_host=True) as edge:
        answer = await asked(edge, b"GET / HTTP/1.1\r\nHost: 10.1.2.3:15020\r\n\r\n")
    assert answer.status == 200


@pytest.mark.parametrize(
    ("size", "status"),
    [
        pytest.param(BODY_BYTES, 200, id="as-large-as-allowed"),
        pytest.param(BODY_BYTES + 1, 413, id="one-byte-more"),
    ],
)
async def test_a_body_is_bounded(size: int, status: int) -> None:
    handler = RecordingHandler()
    head = b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: %d\r\n\r\n" % size
    async with an_edge(handler) as edge:
        answer = await asked(edge, head + b"x" * size)
    assert answer.status == status
    assert len(handler.requests) == (status == 200)


async def test_a_chunked_body_is_bounded_too() -> None:
    handler = RecordingHandler()
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with an_edge(handler) as edge:
        answer = await asked(edge, head + chunk * 17 + b"0\r\n\r\n")
    assert answer.status == 413
    assert handler.requests == []


async def test_a_body_nobody_asks_for_is_not_waited_for() -> None:
    handler = RecordingHandler(reads=False)
    head = b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1000\r\n\r\nx"
    async with an_edge(handler) as edge:
        answer = await asked(edge, head)
    assert (answer.status, answer.field("connection")) == (200, "close")
    assert handler.requests[0].body == b""


async def test_a_body_that_does_not_come_is_a_408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outrider.control.http._BODY_S", 0.05)
    handler = RecordingHandler()
    head = b"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 5\r\n\r\nx"
    async with an_edge(handler) as edge:
        answer = await asked(edge, head)
    assert (answer.status, answer.body) == (408, b'{"error":"refused"}')
    assert handler.requests == []


async def test_a_body_that_breaks_off_its_framing_is_a_400() -> None:
    handler = RecordingHandler()
    head = b"POST / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with an_edge(handler) as edge:
        answer = await asked(edge, head + b"evil\r\nx\r\n")
    assert (answer.status, answer.body) == (400, b'{"error":"refused"}')
    assert handler.requests == []


async def test_the_peer_of_a_unix_socket_is_known_by_its_uid(tmp_path: Path) -> None:
    handler = RecordingHandler()
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    listener = Listener(unix=str(path), unix_mode=0o600)
    async with an_edge(handler, listener):
        assert path.stat().st_mode & 0o777 == 0o600
        reader, writer = await asyncio.open_unix_connection(str(path))
        client = RawClient(reader, writer)
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await client.answer()
        writer.close()
        await writer.wait_closed()
    assert answer.status == 200
    assert handler.requests[0].uid == os.getuid()


async def test_a_unix_socket_that_another_listens_at_and_a_file_are_left_alone(
    tmp_path: Path,
) -> None:
    path, file = tmp_path / "control.sock", tmp_path / "notes"
    file.write_text("mine")
    async with an_edge(RecordingHandler(), Listener(unix=str(path))):
        for taken in (path, file):
            other = Edge(
                name="control",
                listener=Listener(addresses=("127.0.0.1:0",), unix=str(taken)),
                handler=RecordingHandler(),
            )
            with pytest.raises(
                ConfigError, match=rf"listeners\.control: the socket {taken} cannot"
            ):
                await other.start()
            assert other.addresses == ()
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.close()
        await writer.wait_closed()
    assert file.read_text() == "mine"


async def test_an_address_that_is_taken_is_named_and_nothing_stays_bound() -> None:
    async with an_edge(RecordingHandler()) as edge:
        taken = edge.addresses[0]
        other = Edge(
            name="control",
            listener=Listener(addresses=("127.0.0.1:0", taken)),
            handler=RecordingHandler(),
        )
        with pytest.raises(ConfigError, match=r"listeners\.control: cannot listen at "):
            await other.start()
        assert other.addresses == ()


async def test_an_answer_carries_the_handlers_own_fields() -> None:
    handler = RecordingHandler(response=Response(status=405, body=b"", headers=(("allow", "GET"),)))
    async with an_edge(handler) as edge:
        answer = await asked(edge, b"PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer.field("allow")) == (405, "GET")
