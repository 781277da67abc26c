"""One connection to an upstream: one exchange at a time, nothing carried from one to the next.

Laws (HARDENING §5): bytes that answer nothing close the connection and reach nobody; the end of a
message is known exactly or the connection is not used again; once a byte of a request was written
nothing is tried twice.
"""

import asyncio
import select
import ssl
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol, cast

import httptools

from outrider.core.errors import EnforcementError, UpstreamFailedError, UpstreamUnavailableError
from outrider.core.exchange import TlsPeer
from outrider.core.ports import Clock
from outrider.core.vocabulary import Reason
from outrider.server.answer import Answer
from outrider.server.answer_head import (
    HEAD_BYTES,
    AnswerHead,
    Framing,
    HeadReader,
    bad_answer,
    read_head,
)
from outrider.server.events import UpstreamFault
from outrider.server.gunzip import Gunzip
from outrider.server.wheel import NEVER

_INFORMATIONAL: Final = 8
_OVERHEAD_BYTES: Final = 65_536
_HIGH_BYTES: Final = 65_536
_LOW_BYTES: Final = 16_384
_END: Final = b"\r\n\r\n"
_MUTE: Final = frozenset(
    (UpstreamFault.RESET, UpstreamFault.TIMEOUT, UpstreamFault.TLS, UpstreamFault.IDENTITY)
)


class State(IntEnum):
    IDLE = 0
    HEAD = 1
    BODY = 2
    CLOSED = 3


class Owner(Protocol):
    """The pool a connection belongs to."""

    def ended(self, connection: "UpstreamConnection", *, reusable: bool) -> None:
        """The exchange is over; called once for each that began."""

    def lost(self, connection: "UpstreamConnection") -> None:
        """The connection is gone."""

    def faulted(self, fault: UpstreamFault, *, unanswered: bool = False) -> None: ...

    def answered(self, status: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for every connection of one upstream. Times in seconds."""

    clock: Clock
    first_byte_s: float
    read_idle_s: float
    sse_idle_s: float
    set_cookie: bool
    decoded_bytes: int
    tls_s: float = 0.0


class UpstreamConnection(asyncio.Protocol):
    """Writes requests, reads answers. `deadline_s` is the wheel's."""

    def __init__(self, *, owner: Owner, terms: Terms, key: tuple[str, str]) -> None:
        self._owner = owner
        self._terms = terms
        self.key = key
        self.peer: TlsPeer | None = None  # who is there, where it proved its SPIFFE ID
        self.born_s = terms.clock.monotonic_s()
        self.requests = 0
        self.deadline_s = NEVER
        self.keep_s = NEVER  # how long the upstream said it keeps an idle connection
        self.state = State.IDLE
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._buffer = b""
        self._method = ""
        self._sent = False  # the request was written to its end
        self._written = False  # at least one byte of it left
        self._decode = True
        self._informational = 0
        self._head_waiter: asyncio.Future[Answer] | None = None
        self._drain_waiter: asyncio.Future[None] | None = None
        self._full = False
        self._answer: Answer | None = None
        self._head: AnswerHead | None = None
        self._reader: HeadReader | None = None
        self._gunzip: Gunzip | None = None
        self._left = 0
        self._raw = 0
        self._tail = b""
        self._idle_s = 0.0

    # --- the pool's side ---

    def is_dead(self) -> bool:
        """True where bytes or an end wait on an idle connection: it must not be used."""
        transport = self._transport
        if self.state is not State.IDLE or transport is None or transport.is_closing():
            return True
        return bool(self._poll.poll(0))

    def begin(self, method: str, *, decode: bool) -> None:
        """Start an exchange on an idle connection."""
        self.state = State.HEAD
        self.requests += 1
        self.deadline_s = NEVER
        self._method = method
        self._decode = decode
        self._sent = self._written = False
        self._informational = 0
        self._answer = self._head = self._gunzip = None
        self._head_waiter = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        """Raises `EnforcementError` where the connection is gone or has failed."""
        transport = self._transport
        if transport is None or self.state is State.CLOSED or transport.is_closing():
            self._raise_head_error()
            raise self._gone()
        self._written = True
        transport.write(data)

    def sent(self) -> None:
        """The request was written to its end: from here on the upstream's time runs."""
        self._sent = True
        if self.state is State.HEAD:
            self.deadline_s = self._terms.clock.monotonic_s() + self._terms.first_byte_s

    @property
    def has_answer(self) -> bool:
        return self._head_waiter is None or self._head_waiter.done()

    async def drained(self) -> None:
        """Wait until the upstream takes more. Raises `EnforcementError` past the read-idle time."""
        if not self._full or self.state is State.CLOSED:
            return
        self.deadline_s = self._terms.clock.monotonic_s() + self._terms.read_idle_s
        self._drain_waiter = asyncio.get_running_loop().create_future()
        try:
            await self._drain_waiter
        finally:
            self._drain_waiter = None
            if self.state is State.HEAD:
                self.deadline_s = NEVER

    async def answer(self) -> Answer:
        """The answer once its head is whole. Raises `EnforcementError`."""
        waiter = self._head_waiter
        if waiter is None:
            raise self._gone()
        return await waiter

    # --- core.ports.Incoming's side (Tap) ---

    def pause(self) -> None:
        if self._transport is not None and self.state is State.BODY:
            self.deadline_s = NEVER
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and self.state is State.BODY:
            self.deadline_s = self._terms.clock.monotonic_s() + self._idle_s
            self._transport.resume_reading()

    def drop(self) -> None:
        """End the exchange and the connection at once; whoever waits is told. Idempotent."""
        if self.state in (State.HEAD, State.BODY):
            self.fail(UpstreamFailedError("the exchange was given up", cause="dropped"), None)
        else:
            self._close()

    def distrust(self) -> None:
        """What the upstream proved holds no more: end the exchange and the connection at once."""
        if self.state in (State.HEAD, State.BODY):
            self._owner.faulted(UpstreamFault.IDENTITY)
            said = "what the upstream proved of its identity holds no more"
            self.fail(self._unidentified(said), None)
        else:
            self._close()

    # --- the wheel's side ---

    def expired(self) -> None:
        if self.state is State.IDLE:
            self._close()
        elif self.state is not State.CLOSED:
            late = UpstreamFailedError("the upstream did not answer in time", cause="timeout")
            self.fail(late, UpstreamFault.TIMEOUT)

    # --- asyncio's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_HIGH_BYTES, low=_LOW_BYTES)
        sock = transport.get_extra_info("socket")
        self._poll.register(sock.fileno(), select.POLLIN)
        made = transport.get_extra_info("ssl_object")
        if made is not None:
            proven: object = getattr(made, "spiffe_peer", None)
            self.peer = proven if isinstance(proven, TlsPeer) else None
            # at the peer's end uvloop drops what it read but was paused from giving us: keep none
            cast("Any", transport).set_read_buffer_limits(high=1, low=0)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            if self.state is State.HEAD:
                self._take_head(data)
            elif self.state is State.BODY:
                self._take_body(data)
            elif self.state is State.IDLE:
                self._owner.faulted(UpstreamFault.UNSOLICITED)
                self._close()
        except EnforcementError as error:
            self.fail(error, UpstreamFault.PROTOCOL)

    def eof_received(self) -> None:
        head = self._head
        until_close = head is not None and head.framing is Framing.CLOSE
        if self.state is State.BODY and until_close and self._is_clean_end():
            try:
                self._finish(extra=True)
            except EnforcementError as error:
                self.fail(error, UpstreamFault.PROTOCOL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.state is State.HEAD and self._may_be_refused(exc):
            said = "the upstream ended the new connection: it may not accept our identity"
            self.fail(self._unidentified(said), UpstreamFault.IDENTITY)
        elif self.state in (State.HEAD, State.BODY):
            fault = UpstreamFault.TRUNCATED
            if self.state is State.HEAD:  # TLS 1.3 tells a refused client after its handshake
                is_tls = isinstance(exc, ssl.SSLError)
                fault = UpstreamFault.TLS if is_tls else UpstreamFault.RESET
            self.fail(self._gone(), fault)
        self._close()

    def _may_be_refused(self, exc: Exception | None) -> bool:
        """Whether an end without an answer may be a refusal of our certificate: TLS 1.3 tells one
        by an alert, or by nothing but the end, when our side of the handshake is over."""
        if self.peer is None or self.requests > 1 or self._buffer or self._informational:
            return False
        age_s = self._terms.clock.monotonic_s() - self.born_s
        return isinstance(exc, ssl.SSLError) or age_s <= self._terms.tls_s

    def _is_clean_end(self) -> bool:
        """False for an end without close_notify over TLS; asyncio, not uvloop, tells of it."""
        tls = self._transport.get_extra_info("ssl_object") if self._transport else None
        if tls is None:
            return True
        try:
            return not tls.read(1)
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False

    # --- reading ---

    def _take_head(self, data: bytes) -> None:
        if not self._written:
            raise bad_answer("the upstream answered before it was asked")
        start = max(0, len(self._buffer) - 3)
        buffer = self._buffer + data if self._buffer else data
        while True:
            end = buffer.find(_END, start)
            if (len(buffer) if end < 0 else end) > HEAD_BYTES:
                raise bad_answer("the upstream's head is too long")
            if end < 0:
                self._buffer = buffer
                return
            reader = HeadReader()
            method, terms = self._method, self._terms
            head = read_head(buffer[: end + 4], reader, method=method, set_cookie=terms.set_cookie)
            buffer, start = buffer[end + 4 :], 0
            if head.head.status >= 200:
                break
            self._informational += 1
            if self._informational > _INFORMATIONAL:
                raise bad_answer("the upstream sent too many informational answers")
        self._buffer = b""
        self._begin_body(head, reader)
        self._take_body(buffer)

    def _begin_body(self, head: AnswerHead, reader: HeadReader) -> None:
        self.state = State.BODY
        self._head, self._reader = head, reader
        self._left = head.length
        self._raw, self._tail = 0, b""
        if head.idle_s is not None:
            self.keep_s = head.idle_s
        coding = head.head.header("content-encoding")
        if self._decode and coding is not None and coding.lower() != "identity":
            self._check_coding(head)
        kind = head.head.header("content-type")
        stream = kind is not None and kind.startswith("text/event-stream")
        self._idle_s = self._terms.sse_idle_s if stream else self._terms.read_idle_s
        self.deadline_s = self._terms.clock.monotonic_s() + self._idle_s
        self._answer = Answer(head=head.head, tap=self, peer=self.peer)
        self._owner.answered(head.head.status)
        if self._head_waiter is not None and not self._head_waiter.done():
            self._head_waiter.set_result(self._answer)

    def _check_coding(self, head: AnswerHead) -> None:
        if not head.gzip:
            raise bad_answer("the upstream's content coding was not asked for")
        if head.framing is not Framing.NONE:
            self._gunzip = Gunzip(self._terms.decoded_bytes)
        head.head = head.decoded()

    def _take_body(self, data: bytes) -> None:
        head, answer = self._head, self._answer
        if head is None or answer is None:
            return
        if head.framing is Framing.LENGTH:
            piece = data[: self._left]
            self._left -= len(piece)
            self._put(answer, piece)
            if not self._left:
                self._finish(extra=len(piece) != len(data))
        elif head.framing is Framing.CHUNKED:
            self._take_chunked(head, answer, data)
        elif head.framing is Framing.CLOSE:
            self._put(answer, data)
        else:
            self._finish(extra=bool(data))

    def _take_chunked(self, head: AnswerHead, answer: Answer, data: bytes) -> None:
        reader, parser = self._reader, head.parser
        if reader is None or parser is None or not data:
            return
        self._raw += len(data)
        extra = False
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            # behind a complete message it is only bytes too many
            if not reader.complete:
                raise bad_answer("the upstream's chunks are not valid") from error
            extra = True
        chunks, reader.chunks = reader.chunks, []
        for chunk in chunks:
            self._put(answer, chunk)
        if self._raw > 2 * reader.payload + _OVERHEAD_BYTES:
            raise bad_answer("the upstream's chunks are mostly framing")
        # llhttp skips empty lines behind a message: the end must be the message's own
        self._tail = (self._tail + data)[-6:]
        if reader.complete:
            self._finish(extra=extra or reader.again or self._tail == b"\r\n\r\n\r\n")

    def _put(self, answer: Answer, piece: bytes) -> None:
        if self._gunzip is not None:
            try:
                piece = self._gunzip.feed(piece)
            except EnforcementError as error:
                raise bad_answer("the upstream's gzip cannot be taken off") from error
        if piece:
            self.deadline_s = self._terms.clock.monotonic_s() + self._idle_s
            answer.put(piece)

    # --- ends ---

    def _finish(self, *, extra: bool) -> None:
        """The message is whole. `extra` says that the connection is not fit for another."""
        head, answer = self._head, self._answer
        if head is None or answer is None:
            return
        if self._gunzip is not None:
            try:
                self._gunzip.end()
            except EnforcementError as error:
                raise bad_answer("the upstream's gzip was cut short") from error
        transport = self._transport
        reusable = (
            head.keep_alive
            and self._sent
            and not extra
            and transport is not None
            and not transport.is_closing()
        )
        if extra and head.framing is not Framing.CLOSE:
            self._owner.faulted(UpstreamFault.UNSOLICITED)
        self._answer = self._head = self._reader = self._gunzip = None
        self.state = State.IDLE
        self.deadline_s = NEVER
        if transport is not None and not transport.is_reading() and not transport.is_closing():
            transport.resume_reading()
        answer.finish()
        if not reusable:
            self._close()
        self._owner.ended(self, reusable=reusable)

    def fail(self, error: EnforcementError, fault: UpstreamFault | None) -> None:
        """End the exchange with `error`, and the connection with it."""
        if self.state is State.CLOSED:
            return
        busy = self.state in (State.HEAD, State.BODY)
        if fault is not None:
            self._owner.faulted(fault, unanswered=fault in _MUTE and self.state is State.HEAD)
        if self._answer is not None:
            self._answer.fail(error)
        waiter = self._head_waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
            waiter.exception()  # it may be that nobody asks for the answer any more
        self._close()
        if busy:
            self._owner.ended(self, reusable=False)

    def _close(self) -> None:
        if self.state is State.CLOSED:
            return
        self.state = State.CLOSED
        self.deadline_s = NEVER
        self._answer = self._head = self._reader = self._gunzip = None
        self.resume_writing()
        if self._transport is not None:
            self._transport.abort()
        self._owner.lost(self)

    def _gone(self) -> EnforcementError:
        if self._written:
            return UpstreamFailedError("the upstream closed the connection", cause="reset")
        return UpstreamUnavailableError("the upstream closed the connection", cause="reset")

    def _unidentified(self, said: str) -> EnforcementError:
        kind = UpstreamFailedError if self._written else UpstreamUnavailableError
        return kind(said, reason=Reason.UPSTREAM_IDENTITY, cause=UpstreamFault.IDENTITY)

    def _raise_head_error(self) -> None:
        waiter = self._head_waiter
        if waiter is not None and waiter.done() and not waiter.cancelled():
            error = waiter.exception()
            if error is not None:
                raise error
