"""An upstream's answer as it is pulled: a bounded buffer between two connections."""

import asyncio
from collections import deque
from typing import Final, Protocol

from outrider.core.errors import EnforcementError
from outrider.core.exchange import ResponseHead, TlsPeer

HIGH_BYTES: Final = 65_536
LOW_BYTES: Final = 16_384


class Tap(Protocol):
    """The connection that fills an answer."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def drop(self) -> None: ...


class Answer:
    """`core.ports.Incoming`: pulled by one reader, filled by one connection. `peer` is who the
    upstream proved to be, where it did by its SPIFFE ID."""

    __slots__ = (
        "_chunks",
        "_done",
        "_error",
        "_head",
        "_paused",
        "_size",
        "_tap",
        "_waiter",
        "peer",
    )

    def __init__(self, *, head: ResponseHead, tap: Tap, peer: TlsPeer | None = None) -> None:
        self._head = head
        self.peer = peer
        self._tap = tap
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._done = False
        self._error: EnforcementError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def head(self) -> ResponseHead:
        return self._head

    def __aiter__(self) -> "Answer":
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._done:
                raise StopAsyncIteration
            await self._filled()
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        if self._paused and self._size <= LOW_BYTES:
            self._paused = False
            self._tap.resume()
        return chunk

    def wake(self) -> None:
        """Give a reader that waits an empty piece; one that does not wait needs none."""
        if self._waiter is not None and not self._waiter.done():
            self._chunks.append(b"")
            self._wake()

    def abort(self) -> None:
        """Drop the connection; what was not read yet is lost. Nothing once the body is whole."""
        if not self._done and self._error is None:
            self._tap.drop()

    def put(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > HIGH_BYTES and not self._paused:
            self._paused = True
            self._tap.pause()
        self._wake()

    def finish(self) -> None:
        self._done = True
        self._paused = False
        self._wake()

    def fail(self, error: EnforcementError) -> None:
        """What was received is not delivered any more: the body is known to be no whole one."""
        self._error = error
        self._chunks.clear()
        self._size = 0
        self._wake()

    async def _filled(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
