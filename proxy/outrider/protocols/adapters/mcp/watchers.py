"""The watchers of an answer's bytes: JSON whole, event streams event by event.

Law: what is large is read, changed and written in turns with everything else (HARDENING §1.9).
"""

from collections.abc import Generator, Sequence
from typing import Final

import orjson

from outrider.core.errors import MalformedError, UnrecognisedError, UpstreamFailedError
from outrider.core.exchange import Headers, ResponseHead
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import Emit, Judge, Step
from outrider.core.strict_json import NOT_ALLOWED, JsonLimits, read, read_steps
from outrider.core.vocabulary import Phase
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.answers import Answering
from outrider.protocols.adapters.mcp.edits import cleaned, encode_clean
from outrider.protocols.adapters.mcp.news import News, tells
from outrider.protocols.wire.sse import (
    Comment,
    Event,
    Piece,
    SseReader,
    encode_comment,
    encode_event,
    encode_retry,
)
from outrider.protocols.wire.turns import LARGE_BYTES, Work, in_turns

_SLICE_BYTES: Final = 16_384
_UNREAD_BYTES: Final = 65_536
_JSON_HEAD: Final[Headers] = (("content-type", spec.JSON),)
_SSE_HEAD: Final[Headers] = (
    ("content-type", spec.SSE),
    ("cache-control", "no-store"),
    ("x-accel-buffering", "no"),
)


class EmptyWatcher:
    """An answer without a body; what the upstream may have sent is not passed on."""

    def __init__(self, *, status: int, headers: Headers, steps: Sequence[Step] = ()) -> None:
        self._head = ResponseHead(status=status, headers=headers)
        self._steps = list(steps)
        self._size = 0

    def head(self) -> ResponseHead:
        return self._head

    @property
    def streaming(self) -> bool:
        return False

    def feed(self, chunk: bytes) -> list[Step]:
        self._size += len(chunk)
        if self._size > _UNREAD_BYTES:
            raise UpstreamFailedError("the answer has no end in sight", cause="response_bytes")
        return self.end()  # what is to be stored waits for no body

    def end(self) -> list[Step]:
        steps, self._steps = self._steps, []
        return steps


class LostWatcher(EmptyWatcher):
    """The upstream knows the session no more: once that is stored, the caller is told."""

    def __init__(self, steps: Sequence[Step]) -> None:
        told = Judge(asks=(), phase=Phase.RESPONSE, then=_session_over)
        super().__init__(status=404, headers=(), steps=(*steps, told))


def _session_over(verdicts: tuple[bool, ...]) -> list[Step]:
    raise UnrecognisedError("the session is over", status=404, code=-32001, cause="session")


class JsonWatcher:
    """One JSON-RPC response in one body."""

    def __init__(self, answering: Answering, status: int) -> None:
        self._answering = answering
        self._status = status
        self._body: bytes | bytearray = b""
        self._limit = answering.response_bytes

    def head(self) -> ResponseHead:
        headers = (*_JSON_HEAD, *self._answering.head_fields())
        return ResponseHead(status=self._status, headers=headers)

    @property
    def streaming(self) -> bool:
        return False

    def feed(self, chunk: bytes) -> list[Step]:
        if not self._body:
            self._body = chunk
        elif isinstance(self._body, bytes):
            self._body = bytearray(self._body + chunk)
        else:
            self._body += chunk  # not kept apart: many small pieces take many times their size
        if len(self._body) > self._limit:
            raise self._too_long()
        return []

    def _too_long(self) -> UpstreamFailedError:
        ours = self._limit == self._answering.desk.limits.response_bytes
        named = "limits.response_bytes" if ours else "policy's limit"
        return UpstreamFailedError(
            f"the answer is longer than {named} ({self._limit})", cause="response_bytes"
        )

    def end(self) -> list[Step]:
        body, self._body = bytes(self._body), b""
        if len(body) > LARGE_BYTES:
            return in_turns(self._read(body))
        value = read_answer(body, self._answering.json_limits)
        return self._checked(self._answering.take(value, _emit_body))

    def _read(self, body: bytes) -> Work:
        value = yield from _reading(body, self._answering.json_limits)
        self._answering.large = True
        return self._checked(self._answering.take(value, _emit_large))

    def _checked(self, steps: list[Step]) -> list[Step]:
        if not self._answering.is_final:
            raise UpstreamFailedError("the answer is no response to the request")
        return steps


class SseWatcher:
    """An event stream: every message on its own, nothing waits for a later one."""

    def __init__(self, answering: Answering, *, resumable: bool = False) -> None:
        self._answering = answering
        self._reader = SseReader(event_bytes=answering.desk.limits.sse_event_bytes)
        self._passed = 0
        self._resumable = resumable
        self.news = self._look_again if tells(answering.turn) else None
        if self.news is not None:
            answering.news = News(turn=answering.turn, desk=answering.desk)

    def head(self) -> ResponseHead:
        return ResponseHead(status=200, headers=(*_SSE_HEAD, *self._answering.head_fields()))

    @property
    def streaming(self) -> bool:
        return True

    def feed(self, chunk: bytes) -> list[Step]:
        self._passed += len(chunk)
        bound = self._answering.edits.response_bytes
        if bound is not None and self._passed > bound:
            raise UpstreamFailedError("the answer is longer than policy allows", cause="limit")
        if len(chunk) <= _SLICE_BYTES and self._reader.pending <= LARGE_BYTES:
            steps: list[Step] = []
            for piece in self._reader.feed(chunk):
                steps.extend(self._piece(piece))
            return steps
        return in_turns(self._pieces(chunk))

    def _pieces(self, chunk: bytes) -> Work:
        steps: list[Step] = []
        for start in range(0, len(chunk), _SLICE_BYTES):
            for piece in self._reader.feed(chunk[start : start + _SLICE_BYTES]):
                if isinstance(piece, Event) and piece.data and len(piece.data) > LARGE_BYTES:
                    steps.extend((yield from self._large(piece)))
                else:
                    steps.extend(self._piece(piece))
            yield
        return _joined(steps)

    def _piece(self, piece: Piece) -> list[Step]:
        if isinstance(piece, Event):
            return self._event(piece)
        # It keeps the connection alive; its words are free text, which a pointer misses.
        told = Comment("") if self._answering.edits.redactions else piece
        return [Emit(data=encode_comment(told))]

    def end(self) -> list[Step]:
        if self._answering.awaits_final and not self._resumable:
            raise UpstreamFailedError("the upstream ended before it answered")
        return []

    def _look_again(self) -> list[Step]:
        return self._answering.news.steps() if self._answering.news is not None else []

    def _event(self, event: Event) -> list[Step]:
        id_ = self._id(event)
        if not event.data:
            return [Emit(data=_marker(id_, event))]
        if event.name != "message":
            return [self._answering.dropped("event_dropped", "event")]
        try:
            value = read(event.data.encode(), self._answering.json_limits)
        except MalformedError as fault:
            return self._unread(event.data, fault)
        return self._message(value, id_, event)

    def _large(self, event: Event) -> Work:
        """`_event`, for one that takes long to read."""
        id_ = self._id(event)
        if event.name != "message" or not event.data:
            return [self._answering.dropped("event_dropped", "event")]
        try:
            value = yield from read_steps(event.data.encode(), self._answering.json_limits)
        except MalformedError as fault:
            return self._unread(event.data, fault)
        self._answering.large = True
        return self._message(value, id_, event)

    def _unread(self, data: str, fault: MalformedError) -> list[Step]:
        """The note of an event that is not passed on. Raises where it was the answer: nothing
        else will come."""
        if fault.code == NOT_ALLOWED and self._answering.is_answer(_guessed(data)):
            raise _unreadable(fault, self._answering.json_limits)
        return [self._answering.dropped("event_dropped", fault.cause or "malformed")]

    def _id(self, event: Event) -> str | None:
        """The event's id where it means anything: the stream can be resumed behind it."""
        id_ = None if self._answering.turn.is_modern else event.id
        if id_ is not None:
            self._resumable = True
            self._answering.streamed(id_)
        return id_

    def _message(self, value: Json, id_: str | None, event: Event) -> list[Step]:
        def emit(message: JsonObject) -> list[Step]:
            return [Emit(data=encode_event(encode_clean(message), id_=id_, retry=event.retry))]

        return self._answering.take(value, emit)


def _joined(steps: list[Step]) -> list[Step]:
    """`steps` with neighbouring pieces of bytes as one: each costs the caller's connection."""
    joined: list[Step] = []
    run: list[bytes] = []
    for step in steps:
        if isinstance(step, Emit):
            run.append(step.data)
            continue
        if run:
            joined.append(Emit(data=b"".join(run)))
            run.clear()
        joined.append(step)
    return [*joined, Emit(data=b"".join(run))] if run else joined


def _marker(id_: str | None, event: Event) -> bytes:
    """An event without a message: it says where to resume, or when."""
    if id_ is None:
        return b"" if event.retry is None else encode_retry(event.retry)
    retry = b"" if event.retry is None else b"retry: %d\n" % event.retry
    return b"id: " + id_.encode() + b"\n" + retry + b"data: \n\n"


def _emit_body(message: JsonObject) -> list[Step]:
    return [Emit(data=encode_clean(message))]


def _emit_large(message: JsonObject) -> list[Step]:
    return in_turns(_written(message))


def _written(message: JsonObject) -> Work:
    yield
    data = yield from cleaned(message)
    return [Emit(data=data)]


def read_answer(body: bytes, limits: JsonLimits) -> Json:
    """The upstream's JSON. Raises `UpstreamFailedError`: it is no fault of the caller's."""
    try:
        return read(body, limits)
    except MalformedError as fault:
        raise _unreadable(fault, limits) from None


def _reading(body: bytes, limits: JsonLimits) -> Generator[None, None, Json]:
    """`read_answer`, with turns of the loop between its pieces."""
    try:
        return (yield from read_steps(body, limits))
    except MalformedError as fault:
        raise _unreadable(fault, limits) from None


def _guessed(data: str) -> Json:
    """What an event that is not taken says, only to see whom it was for."""
    try:
        value: Json = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value


def _unreadable(fault: MalformedError, limits: JsonLimits) -> UpstreamFailedError:
    """What is told of an answer that is refused for `fault`; the tool may have run."""
    why = {
        "number": "the answer holds a number beyond 2^53",
        "nodes": f"the answer holds more values than limits.response_nodes ({limits.nodes})",
        "depth": f"the answer is nested deeper than limits.json_depth ({limits.depth})",
    }
    said = why.get(fault.cause or "", "the answer cannot be read")
    return UpstreamFailedError(said, cause=fault.cause)
