"""A proxy between a client and a real server that cuts, delays, swallows and loses replies.

It passes bytes, not messages: a test says what happens to the next piece in each direction.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from pathlib import Path
from typing import Final

_PIECE: Final = 65_536


class Way(Enum):
    OUT = auto()  # from the client to the server
    BACK = auto()


class Fate(Enum):
    """What becomes of one piece, and with `CUT` of its connection."""

    PASS = auto()
    CUT = auto()  # it is lost, and both ends are closed
    SWALLOW = auto()  # it is lost, and the connection stays: half open
    DELAY = auto()  # it passes `delay_s` later


Plan = Callable[[Way], Fate]


def passing(way: Way) -> Fate:
    del way
    return Fate.PASS


def losing_replies(way: Way) -> Fate:
    """Requests reach the server; the connection is cut before it can be answered."""
    return Fate.CUT if way is Way.BACK else Fate.PASS


def losing_requests(way: Way) -> Fate:
    return Fate.CUT if way is Way.OUT else Fate.PASS


def half_open(way: Way) -> Fate:
    """Nothing passes, and nobody is told."""
    del way
    return Fate.SWALLOW


class ChaosProxy:
    """Listens at `path` for `server`. `plan` may be changed at any time; `down` refuses new
    connections; `cut` ends those there are."""

    def __init__(self, *, path: Path, server: Path) -> None:
        self.path = path
        self.plan: Plan = passing
        self.down = False
        self.delay_s = 0.02
        self.pieces = {Way.OUT: 0, Way.BACK: 0}
        self._server = server
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """End every connection, in both directions, at once."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            writer.transport.abort()
            return
        try:
            back, out = await asyncio.open_unix_connection(str(self._server))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, out}
        try:
            with contextlib.suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(Way.OUT, reader, out, writer))
                    group.create_task(self._pass(Way.BACK, back, writer, out))
        except* OSError:
            pass
        finally:
            self._writers -= {writer, out}
            writer.transport.abort()
            out.transport.abort()

    async def _pass(
        self,
        way: Way,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        other: asyncio.StreamWriter,
    ) -> None:
        while piece := await reader.read(_PIECE):
            self.pieces[way] += 1
            fate = self.plan(way)
            if fate is Fate.CUT:
                break
            if fate is Fate.SWALLOW:
                continue
            if fate is Fate.DELAY:
                await asyncio.sleep(self.delay_s)
            writer.write(piece)
            await writer.drain()
        writer.transport.abort()
        other.transport.abort()


@asynccontextmanager
async def chaos(path: Path, server: Path) -> AsyncIterator[ChaosProxy]:
    """A proxy at `path` for as long as the block runs."""
    proxy = ChaosProxy(path=path, server=server)
    listener = await asyncio.start_unix_server(proxy.serve, str(path))
    try:
        yield proxy
    finally:
        listener.close()
        proxy.cut()
        await listener.wait_closed()
