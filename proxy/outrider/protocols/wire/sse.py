"""Server-sent events, read piece by piece and written anew (PROTOCOLS §3).

Laws: the split of the bytes never changes the events; an event is bounded; what the end of the
stream cuts off is no event.
"""

import codecs
from dataclasses import dataclass
from typing import Final, TypeAlias

from outrider.core.errors import UpstreamFailedError

_BOM: Final = "\ufeff"
_ID_LENGTH: Final = 1024  # ids are kept, so that a stream can be resumed


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `data` is None where it had no data line; `id` and `retry` None where absent."""

    name: str
    data: str | None
    id: str | None
    retry: int | None


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment line; it is passed on at once, since it keeps a connection alive."""

    text: str


Piece: TypeAlias = Event | Comment


class SseReader:
    """An incremental reader. Raises `UpstreamFailedError` past `event_bytes` or for bad UTF-8."""

    def __init__(self, *, event_bytes: int) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._limit = event_bytes
        self._size = 0
        self._line: list[str] = []
        self._after_cr = False
        self._started = False
        self._data: list[str] = []
        self._name = ""
        self._id: str | None = None
        self._retry: int | None = None

    @property
    def pending(self) -> int:
        """Bytes of the event that has begun."""
        return self._size

    def feed(self, chunk: bytes) -> list[Piece]:
        """What `chunk` completes."""
        try:
            text = self._decode(chunk)
        except UnicodeDecodeError:
            raise UpstreamFailedError("the event stream is not UTF-8") from None
        if not self._started and text:
            self._started = True
            text = text.removeprefix(_BOM)
        self._size += len(chunk)
        if self._after_cr and text:
            text = text.removeprefix("\n")
            self._after_cr = False
        pieces = self._lines(text)
        if self._size > self._limit:
            raise self._too_long()
        return pieces

    def _too_long(self) -> UpstreamFailedError:
        return UpstreamFailedError(
            f"an event is longer than limits.sse_event_bytes ({self._limit})",
            cause="sse_event_bytes",
        )

    def _lines(self, text: str) -> list[Piece]:
        self._after_cr = text.endswith("\r")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        *whole, rest = text.split("\n")
        pieces: list[Piece] = []
        for part in whole:
            if self._line:
                self._line.append(part)
                part = "".join(self._line)  # noqa: PLW2901 - the line as it was before the split
                self._line.clear()
            piece = self._take(part)
            if piece is not None:
                pieces.append(piece)
        if rest:
            self._line.append(rest)
        return pieces

    def _take(self, line: str) -> Piece | None:
        if not line:
            return self._dispatch()
        if len(line) > self._limit:
            raise self._too_long()
        field, _, value = line.partition(":")
        if not field:
            return Comment(value)
        value = value.removeprefix(" ")
        match field:
            case "data":
                self._data.append(value)
            case "event":
                self._name = value
            case "id" if "\0" not in value and len(value) <= _ID_LENGTH:
                self._id = value
            case "retry" if value.isascii() and value.isdigit() and len(value) <= 9:
                self._retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        event: Event | None = None
        if self._data or self._id is not None or self._retry is not None:
            data = "\n".join(self._data) if self._data else None
            event = Event(self._name or "message", data, self._id, self._retry)
        # What stands behind this event in the same piece counts once that piece is done.
        self._size = 0
        self._reset()
        return event

    def _reset(self) -> None:
        self._data = []
        self._name = ""
        self._id = self._retry = None


def encode_event(data: bytes, *, id_: str | None = None, retry: int | None = None) -> bytes:
    """An event of type `message` whose `data` has no line break."""
    head = b""
    if id_ is not None:
        head += b"id: " + id_.encode() + b"\n"
    if retry is not None:
        head += b"retry: %d\n" % retry
    return head + b"event: message\ndata: " + data + b"\n\n"


def encode_retry(retry: int) -> bytes:
    return b"retry: %d\n\n" % retry


def encode_comment(comment: Comment) -> bytes:
    """The comment alone; it ends no event."""
    return b":" + comment.text.encode() + b"\n\n"
