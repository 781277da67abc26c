"""Raw bytes on loopback: a client that sends exactly what it is told, upstreams that record."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Self


@dataclass(slots=True)
class RawAnswer:
    """One answer as it came: status, fields in order, body, and whether the connection ended."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)


class RawClient:
    """One connection, written to as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def drip(self, data: bytes) -> None:
        """Byte by byte, each in a write of its own."""
        for index in range(len(data)):
            self.writer.write(data[index : index + 1])
            await self.writer.drain()
            await asyncio.sleep(0)

    async def answer(self, *, head_only: bool = False) -> RawAnswer:
        """The next answer. Raises `asyncio.IncompleteReadError` where the connection ends first."""
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            lines = head[:-4].decode("latin-1").split("\r\n")
            fields = [
                (name.lower(), value.strip())
                for name, _, value in (line.partition(":") for line in lines[1:])
            ]
            answer = RawAnswer(status=int(lines[0].split(" ")[1]), fields=fields, body=b"")
            if not head_only and answer.status >= 200:
                answer.body = await self._body(answer)
            return answer

    async def rest(self) -> bytes:
        """Everything until the other side ends the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read(-1)
            except (ConnectionError, ssl.SSLError):
                return b""

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError, TimeoutError):
            await self.writer.wait_closed()

    async def _body(self, answer: RawAnswer) -> bytes:
        if answer.field("transfer-encoding") == "chunked":
            body = b""
            while size := int((await self.reader.readuntil(b"\r\n"))[:-2], 16):
                body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
            return body
        return await self.reader.readexactly(int(answer.field("content-length") or 0))


@asynccontextmanager
async def dialled(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawClient]:
    """A connection to `port`, over `tls` where it is given. Raises what the handshake raises."""
    if tls is None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    else:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="", ssl_shutdown_timeout=1.0
        )
    client = RawClient(reader, writer)
    try:
        yield client
    finally:
        await client.close()


@dataclass(slots=True)
class Seen:
    """One request as an upstream read it."""

    line: str
    fields: list[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key == name), None)


@dataclass(slots=True)
class UpstreamTurn:
    """One connection in the hands of a script."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    upstream: "RecordingUpstream"

    async def request(self) -> Seen:
        """Read one request whole and record it."""
        head = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1")
        line, *rest = head.split("\r\n")
        fields = [
            (name.lower(), value.strip()) for name, _, value in (x.partition(":") for x in rest)
        ]
        seen = Seen(line=line, fields=fields, body=b"")
        if seen.field("transfer-encoding") == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n"))[:-2], 16):
                seen.body += await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        elif seen.field("content-length"):
            seen.body = await self.reader.readexactly(int(seen.field("content-length") or 0))
        self.upstream.seen.append(seen)
        return seen

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a reset, not an orderly end."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass(slots=True)
class RecordingUpstream:
    """An upstream on loopback: it answers each request with the next of `answers` (the last for
    ever), and keeps what it read. Every connection counts."""

    answers: Sequence[bytes] = (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",)
    port: int = 0
    connections: int = 0
    seen: list[Seen] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    """What settings call it; it listens on 127.0.0.1 in any case."""
    _server: asyncio.Server | None = None
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def converse(self, turn: UpstreamTurn) -> None:
        """What is said on one connection; scripts override it."""
        while True:
            await turn.request()
            await turn.say(self.answers[min(len(self.seen), len(self.answers)) - 1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            await self.converse(UpstreamTurn(reader=reader, writer=writer, upstream=self))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@dataclass(slots=True)
class ScriptedUpstream(RecordingUpstream):
    """An upstream that plays one script on every connection."""

    script: Callable[[UpstreamTurn], "asyncio.Future[None]"] | None = None

    async def converse(self, turn: UpstreamTurn) -> None:
        if self.script is not None:
            await self.script(turn)
