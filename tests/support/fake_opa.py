"""A double of OPA on a Unix socket: answers by script, right or wrong, and keeps what it got."""

import asyncio
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias

import orjson

from outrider.core.jsonvalue import Json
from outrider.policy.opa_door import UnixDoor
from outrider.policy.release import Release


class Fault(Enum):
    """What it does instead of an answer."""

    HANG = "hang"
    CLOSE = "close"
    HALF = "half"


Line: TypeAlias = bytes | Fault


def an_answer(
    body: Json | bytes,
    *,
    status: int = 200,
    content_type: str = "application/json",
    extra: str = "",
) -> bytes:
    """A whole HTTP answer."""
    data = body if isinstance(body, bytes) else orjson.dumps(body) + b"\n"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(data)}\r\n"
    return (head + extra + "\r\n").encode() + data


def a_result(value: Json, revision: str | None = None) -> bytes:
    """A 200 with `value` as its result, and OPA's provenance where a revision is given."""
    document: dict[str, Json] = {"result": value}
    if revision is not None:
        bundles: Json = {"outrider": {"revision": revision}}
        document["provenance"] = {"version": "1.20.2", "bundles": bundles}
    return an_answer(document)


@dataclass(slots=True)
class FakeOpa:
    """`script` is used up first, then `always` again and again."""

    path: Path
    always: Line
    script: deque[Line] = field(default_factory=deque)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)
    offered: list[str] = field(default_factory=list)
    pids: frozenset[int] | None = None
    takes: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def door(self) -> UnixDoor:
        return UnixDoor(self.path, self.owns)

    def owns(self, pid: int) -> bool:
        return self.pids is None or pid in self.pids

    async def offer(self, release: Release) -> bool:
        self.offered.append(release.revision)
        return self.takes

    async def run(self) -> None:
        """Nothing runs here."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(
                    head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0
                )
                self.requests.append(head + await reader.readexactly(size))
                if not await self._answer(writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._over.set()

    async def close(self) -> None:
        """End every connection and wait until it is over."""
        self.held.set()
        while self._writers:
            self._over.clear()
            for writer in self._writers:
                writer.close()
            await self._over.wait()

    async def _answer(self, writer: asyncio.StreamWriter) -> bool:
        line = self.script.popleft() if self.script else self.always
        match line:
            case Fault.HANG:
                await self.held.wait()
                return False
            case Fault.CLOSE:
                return False
            case Fault.HALF:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
                return False
            case bytes():
                writer.write(line)
                return True


@asynccontextmanager
async def fake_opa(always: Line = Fault.CLOSE, *script: Line) -> AsyncIterator[FakeOpa]:
    """A double that listens; gone at the end."""
    with tempfile.TemporaryDirectory(prefix="opa-") as folder:
        double = FakeOpa(path=Path(folder) / "s", always=always, script=deque(script))
        server = await asyncio.start_unix_server(double.serve, double.path)
        try:
            yield double
        finally:
            server.close()
            await double.close()
