"""The hot path to OPA: one POST after another over a few kept connections (POLICY §3).

Laws: one request in flight a connection; a connection whose exchange did not end whole is closed,
never used again; one retry, at once, and only where OPA cannot have begun to answer; every wait
ends by the deadline; an answer counts only while what OPA proved still holds. Nothing of a query
ever stands in a path or a header.
"""

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from typing import Final, TypeVar, cast

import httptools

from outrider.core.ports import Clock, Failed
from outrider.core.vocabulary import Reason
from outrider.policy.opa_door import Door
from outrider.policy.opa_reply import ENVELOPE_BYTES, Reply
from outrider.policy.result import MAX_RESULT_BYTES

MOST_WAITERS: Final = 512

_MOST_REPLY_BYTES: Final = MAX_RESULT_BYTES + ENVELOPE_BYTES
_MOST_HEADERS: Final = 64
# Who waits for a slot hears of it before the decision's own deadline cuts it off as too slow.
_SLOT_MARGIN_S: Final = 0.002
_Settled = TypeVar("_Settled")

_TIMED_OUT: Final = Failed(code=Reason.POLICY_TIMEOUT, detail="no answer by the deadline")
_OVERLOAD: Final = Failed(code=Reason.OVERLOAD, detail="no connection to OPA came free in time")
_REFUSED: Final = Failed(code=Reason.POLICY_UNAVAILABLE, detail="OPA does not take connections")
_WITHDRAWN: Final = Failed(
    code=Reason.POLICY_UNAVAILABLE, detail="what OPA had proved holds no longer"
)
_LOST: Final = Failed(code=Reason.POLICY_UNAVAILABLE, detail="OPA closed the connection")
_NOT_HTTP: Final = Failed(code=Reason.POLICY_MALFORMED, detail="OPA's answer is not HTTP")
_TOO_LARGE: Final = Failed(code=Reason.POLICY_MALFORMED, detail="the answer is too large")


def request_head(entrypoint: str, *, provenance: bool = False, host: str = "opa") -> bytes:
    """The constant beginning of every request for `entrypoint` (`data.a.b`, checked settings).

    Without `strict-builtin-errors` a failing built-in makes a rule undefined: a deny would open.
    """
    path = "/".join(entrypoint.split("."))
    query = "strict-builtin-errors=true" + ("&provenance=true" if provenance else "")
    return (
        f"POST /v1/{path}?{query} HTTP/1.1\r\n"
        f"Host: {host}\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    ).encode("ascii")


class HotClient:
    """A bounded pool of connections to the one OPA behind `door`."""

    def __init__(self, *, door: Door, connections: int, clock: Clock) -> None:
        self._door = door
        self._slots = connections
        self._clock = clock
        self._era = 0
        self._idle: list[_Connection] = []
        self._waiters: deque[asyncio.Future[bool]] = deque()

    async def ask(
        self, head: bytes, query: bytes, deadline_s: float, trace: str | None = None
    ) -> Reply | Failed:
        """OPA's answer to `{"input": query}` sent under `head`. Raises only CancelledError.

        `query` is spliced in as it is; `trace` is a `traceparent` of our own. On cancellation the
        connection in use is closed.
        """
        if not await self._slot(deadline_s):
            return _OVERLOAD
        try:
            return await self._ask(_request(head, query, trace), deadline_s)
        finally:
            self._free_slot()

    def close(self) -> None:
        """Close what is idle; what is in use ends with its answer."""
        while self._idle:
            self._idle.pop().close()

    def renew(self) -> None:
        """Use no connection made before now again: what is idle is closed, the rest with its
        answer."""
        self._era += 1
        self.close()

    async def _ask(self, request: bytes, deadline_s: float) -> Reply | Failed:
        reply: Reply | Failed = _LOST
        for _ in range(2):
            connection = self._take() or await self._connect(deadline_s)
            if isinstance(connection, Failed):
                reply = connection
                if reply is not _REFUSED:
                    break
                continue  # no byte was written
            reused = connection.used
            reply = await self._exchange(connection, request, deadline_s)
            if not (reply is _LOST and reused and not connection.begun):
                break
        return reply

    async def _exchange(
        self, connection: "_Connection", request: bytes, deadline_s: float
    ) -> Reply | Failed:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Reply | Failed] = loop.create_future()
        timer = loop.call_later(self._left_s(deadline_s), _settle, answer, _TIMED_OUT)
        try:
            connection.send(request, answer)
            reply = await answer
        finally:
            timer.cancel()
            holds = self._door.holds(connection.tls)
            if connection.release():
                self._keep(connection, holds=holds)
        if isinstance(reply, Reply):
            if self._left_s(deadline_s) < 0:
                return _TIMED_OUT
            if not holds:
                return _WITHDRAWN
        return reply

    def _keep(self, connection: "_Connection", *, holds: bool) -> None:
        if holds and connection.era == self._era:
            self._idle.append(connection)
        else:
            connection.close()

    def _take(self) -> "_Connection | None":
        """An idle connection that still stands, the last used first."""
        while self._idle:
            connection = self._idle.pop()
            if connection.alive and self._door.holds(connection.tls):
                return connection
            connection.close()
        return None

    async def _connect(self, deadline_s: float) -> "_Connection | Failed":
        left_s = self._left_s(deadline_s)
        if left_s <= 0:
            return _TIMED_OUT
        connection = _Connection(self._era)
        try:
            async with asyncio.timeout(min(self._door.connect_s, left_s)):
                fault = await self._door.open(connection)
        except OSError:  # TimeoutError is one
            fault = _REFUSED
        except asyncio.CancelledError:
            connection.close()
            raise
        if fault is not None:
            connection.close()
            return fault
        return connection

    async def _slot(self, deadline_s: float) -> bool:
        if self._slots > 0:
            self._slots -= 1
            return True
        if len(self._waiters) >= MOST_WAITERS:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        left_s = self._left_s(deadline_s) - _SLOT_MARGIN_S
        timer = loop.call_later(left_s, _settle, turn, False)
        self._waiters.append(turn)
        try:
            granted = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self._free_slot()
            raise
        finally:
            timer.cancel()
            with suppress(ValueError):  # whoever freed a slot may have taken it out already
                self._waiters.remove(turn)
        return granted

    def _free_slot(self) -> None:
        """Hand the slot to whoever waits longest, or put it back."""
        while self._waiters:
            turn = self._waiters.popleft()
            if not turn.done():
                turn.set_result(True)
                return
        self._slots += 1

    def _left_s(self, deadline_s: float) -> float:
        return deadline_s - self._clock.monotonic_s()


class _Connection(asyncio.Protocol):
    """One connection: sends a request, settles its answer, says whether it may be used again."""

    def __init__(self, era: int) -> None:
        self.era: Final = era
        self.tls: ssl.SSLObject | None = None
        self.used = False
        self.begun = False
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[Reply | Failed] | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._headers = 0
        self._content_type = b""
        self._whole = False

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes, answer: "asyncio.Future[Reply | Failed]") -> None:
        self.begun = False
        self._whole = False
        self._body.clear()
        self._size = self._headers = 0
        self._content_type = b""
        if self._transport is None or self._transport.is_closing():
            answer.set_result(_LOST)
            return
        self._answer = answer
        self._transport.write(request)

    def release(self) -> bool:
        """End the exchange. True where the connection may be used again; else it is closed."""
        self._answer = None
        self.used = True
        if self._whole and self.alive:
            return True
        self.close()
        return False

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by type
        self.tls = transport.get_extra_info("ssl_object")

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            self.close()  # nobody asked
            return
        self.begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(_NOT_HTTP)

    def connection_lost(self, exc: Exception | None) -> None:
        self._whole = False
        _settle(self._answer, _LOST)

    # --- httptools ---

    def on_message_begin(self) -> None:
        if self._whole:
            self._fail(_NOT_HTTP)  # a second answer to one question

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        if self._headers > _MOST_HEADERS:
            self._fail(_TOO_LARGE)
        elif name.lower() == b"content-type":
            self._content_type = value.lower()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > _MOST_REPLY_BYTES:
            self._fail(_TOO_LARGE)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._answer is None or self._answer.done() or status < 200:
            self._fail(_NOT_HTTP)
            return
        self._whole = True
        if not self._parser.should_keep_alive():  # the parser knows it only here
            self.close()
        self._answer.set_result(
            Reply(status=status, content_type=self._content_type, body=b"".join(self._body))
        )

    def _fail(self, why: Failed) -> None:
        self._whole = False
        _settle(self._answer, why)
        self.close()


def _settle(future: "asyncio.Future[_Settled] | None", value: "_Settled") -> None:
    if future is not None and not future.done():
        future.set_result(value)


def _request(head: bytes, query: bytes, trace: str | None) -> bytes:
    traced = b""
    if trace is not None and len(trace) <= 64 and trace.isascii() and trace.isprintable():
        traced = b"traceparent: %s\r\n" % trace.encode("ascii")
    return b'%b%bContent-Length: %d\r\n\r\n{"input":%b}' % (head, traced, len(query) + 10, query)
