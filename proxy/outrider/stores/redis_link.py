"""One connection to Redis or Valkey, shared by everyone in this process.

Laws: replies belong to commands in the order they were sent, so one who leaves leaves his reply to
nobody else; nothing is ever sent twice by itself; where a reply stays out in time or cannot be
read, the connection ends and what was sent on it may have happened. The next command connects anew.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from outrider.core.errors import StoreUnavailableError
from outrider.core.secret import Secret
from outrider.stores.resp import Replies, Reply, RespError, ServerError, command

logger = logging.getLogger("outrider.stores")

UNKNOWN: Final = "unknown"
_WAITING_LIMIT: Final = 4_096
_HOLD_OFF_S: Final = 0.1
"""So long after a connection could not be made the next is not tried."""


Lookup: TypeAlias = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisPlace:
    """Where the server is: `path` of a Unix socket, else host and port; `tls` where it has some.
    Without, `lookup` is how its host is found; None: as the system has it."""

    host: str = ""
    port: int = 6379
    path: str | None = None
    database: int = 0
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: Secret | None = None
    lookup: Lookup | None = None


class RedisLink:
    """Commands and their replies. Each is answered within `timeout_s`, connecting included."""

    def __init__(self, place: RedisPlace, *, timeout_s: float) -> None:
        self._place = place
        self._timeout_s = timeout_s
        self._wire: _Wire | None = None
        self._connecting = asyncio.Lock()
        self._not_before_s = 0.0
        self._healthy = True
        self._closed = False

    def healthy(self) -> bool:
        """True while the last command was answered."""
        return self._healthy

    async def call(self, *parts: bytes, again: bool = False) -> Reply:
        """The server's reply; its errors are values (`ServerError`).

        Raises `StoreUnavailableError`: with cause `unknown` the command may have been carried out,
        or may still be; else it was not. With `again` it is one that may be carried out twice: it
        is sent once more where the connection is cut before the reply.
        """
        return (await self.calls((parts,), again=again))[0]

    async def calls(
        self, commands: "tuple[tuple[bytes, ...], ...]", *, again: bool = False
    ) -> list[Reply]:
        """The replies to `commands`, which go in one piece, one behind the other."""
        data = [command(*parts) for parts in commands]
        wire: _Wire | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                wire = self._current() or await self._connected()
                try:
                    replies = [await future for future in wire.send(data)]
                except StoreUnavailableError as fault:
                    if not again or fault.cause != UNKNOWN:
                        raise
                    wire = None
                    wire = await self._connected()
                    replies = [await future for future in wire.send(data)]
        except TimeoutError:
            self._healthy = False
            if wire is None:
                raise StoreUnavailableError("the store cannot be reached in time") from None
            wire.end("no reply in time")
            raise StoreUnavailableError("the store did not answer in time", cause=UNKNOWN) from None
        except StoreUnavailableError:
            self._healthy = False
            raise
        self._healthy = True
        return replies

    def drop(self) -> None:
        """End the connection, since the server behind it is not the right one any more."""
        if self._wire is not None:
            self._wire.end("dropped")

    async def close(self) -> None:
        """End the connection for good; what waits is refused. Idempotent."""
        self._closed = True
        self.drop()

    def _current(self) -> "_Wire | None":
        return None if self._wire is None or self._wire.ended else self._wire

    async def _connected(self) -> "_Wire":
        """The connection, made where there is none; by one at a time."""
        async with self._connecting:
            if (wire := self._current()) is not None:
                return wire
            loop = asyncio.get_running_loop()
            if self._closed:
                raise StoreUnavailableError("the store is closed")
            if loop.time() < self._not_before_s:
                raise StoreUnavailableError("the store cannot be reached")
            self._not_before_s = loop.time() + _HOLD_OFF_S
            self._wire = await self._opened(loop)
            self._not_before_s = 0.0
            return self._wire

    async def _opened(self, loop: asyncio.AbstractEventLoop) -> "_Wire":
        place = self._place
        try:
            if place.path is not None:
                _, wire = await loop.create_unix_connection(_Wire, place.path)
            elif place.tls is None and place.lookup is not None:
                wire = await _found(place.lookup, place, loop)
            else:
                _, wire = await loop.create_connection(_Wire, place.host, place.port, ssl=place.tls)
        except OSError as fault:
            logger.warning(
                "the store cannot be reached",
                extra={"event": "store_unreachable", "why": fault.strerror or type(fault).__name__},
            )
            raise StoreUnavailableError("the store cannot be reached") from fault
        try:
            await _greet(wire, place)
        except BaseException:
            wire.end("greeting failed")
            raise
        return wire


async def _found(lookup: Lookup, place: RedisPlace, loop: asyncio.AbstractEventLoop) -> "_Wire":
    """A connection to the first address of the server's that takes one. Raises `OSError`."""
    last = OSError("the store's name has no address")
    for address in await lookup(place.host, place.port):
        try:
            _, wire = await loop.create_connection(_Wire, address, place.port)
        except OSError as fault:
            last = fault
        else:
            return wire
    raise last


async def _greet(wire: "_Wire", place: RedisPlace) -> None:
    """Show who we are. Raises `StoreUnavailableError` where the server will not have us."""
    said: list[tuple[bytes, ...]] = []
    if place.password is not None:
        user = (place.username.encode(),) if place.username else ()
        said.append((b"AUTH", *user, place.password.reveal()))
    if place.database:
        said.append((b"SELECT", b"%d" % place.database))
    said.append((b"PING",))
    for future in wire.send([command(*parts) for parts in said]):
        try:
            reply = await future
        except StoreUnavailableError as fault:  # nothing but the greeting was sent
            raise StoreUnavailableError("the store cannot be reached") from fault
        if isinstance(reply, ServerError):
            logger.warning(
                "the store refused us", extra={"event": "store_refused", "code": reply.code[:32]}
            )
            raise StoreUnavailableError("the store refused us", cause="refused") from reply


class _Wire(asyncio.Protocol):
    """One connection: what was sent on it waits in order for its replies."""

    def __init__(self) -> None:
        self.ended = False
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[asyncio.Future[Reply]] = deque()
        self._replies = Replies()
        self._outgoing: list[bytes] = []
        self._full = False

    def send(self, commands: list[bytes]) -> "list[asyncio.Future[Reply]]":
        """Send, and one future for each reply. Raises `StoreUnavailableError`; nothing was sent."""
        if self.ended or self._transport is None:
            raise StoreUnavailableError("the store cannot be reached")
        if self._full or len(self._waiting) + len(commands) > _WAITING_LIMIT:
            raise StoreUnavailableError("too much waits for the store")
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[Reply]] = [loop.create_future() for _ in commands]
        self._waiting.extend(futures)
        if not self._outgoing:
            loop.call_soon(self._flush)  # what others send in this turn of the loop goes with it
        self._outgoing += commands
        return futures

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._transport is not None and not self.ended:
            self._transport.write(b"".join(outgoing))

    def end(self, why: str) -> None:
        """Drop the connection: whoever waits is told that his command may have been carried out."""
        if self.ended:
            return
        self.ended = True
        if self._transport is not None:
            self._transport.abort()
        logger.debug("a connection to the store ended", extra={"event": "store_cut", "why": why})
        for future in self._waiting:
            if not future.done():
                future.set_exception(
                    StoreUnavailableError("the store did not answer", cause=UNKNOWN)
                )
                future.exception()  # seen, should nobody wait any more
        self._waiting.clear()

    # --- asyncio.Protocol -------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return
        try:
            replies = self._replies.feed(data)
        except RespError:
            self.end("a reply that cannot be read")
            return
        for reply in replies:
            if not self._waiting:
                self.end("a reply that nobody asked for")
                return
            future = self._waiting.popleft()
            if not future.done():  # else he left
                future.set_result(reply)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.end("lost")
