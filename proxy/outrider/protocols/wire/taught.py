"""Watchers of plain answers that say what they hold before it leaves (GOVERNANCE §4.4).

Law: a piece of an answer is learnt before it is relayed. JSON is held back until it can be read by
its fields, up to `HELD_BYTES`; text is learnt piece by piece; of what cannot be read it is said
that there was more. The words of its head are learnt before that leaves. Where the manifest says
that fields of it are guarded, it is read by its fields or nothing of it leaves: how an answer
looks is the agent's to ask for.
"""

import codecs
from typing import Final, TypeVar

from outrider.core.errors import MalformedError, ObligationError, TooLargeError
from outrider.core.exchange import ResponseHead
from outrider.core.jsonvalue import Json
from outrider.core.ports import Emit, Learn, Step
from outrider.core.strict_json import JsonLimits, read, read_steps
from outrider.protocols.wire.answers import (
    FAILED_STATUS,
    BufferedJson,
    Opening,
    PassThrough,
    announced_bytes,
    longest_list,
)
from outrider.protocols.wire.headers import is_json, media_type, unframed, worded
from outrider.protocols.wire.turns import LARGE_BYTES, Work, in_turns

HELD_BYTES: Final = 1 << 20
"""A longer JSON answer is relayed as it comes, and counts as read in part."""
OVERLAP: Final = 256
"""Characters of a text that are learnt again with its next piece: a value may lie across both."""
Headed = TypeVar("Headed", bound="PassThrough | HeldJson | BufferedJson")
_TEXTS: Final = ("text/",)
_TEXTUAL: Final = frozenset(
    {"application/xml", "application/x-ndjson", "application/yaml", "application/javascript"}
)
_OK: Final = 200
_PART: Final = 206
_REDIRECTS: Final = 300
_UNREAD: Final = "fields of this answer are guarded, and it cannot be read by its fields"


class HeldJson:
    """A JSON answer, held back until it is read; it leaves as it came. `core.ports.Watcher`.

    With `records` it must be read whole: raises `ObligationError` where its longest list is
    longer, or where it cannot be counted. So it must where it is `guarded`, up to `limit_bytes`.
    """

    opening: Opening = None

    def __init__(
        self,
        head: ResponseHead,
        *,
        limit_bytes: int,
        limits: JsonLimits,
        records: int | None,
        guarded: bool = False,
    ) -> None:
        announced = announced_bytes(head)
        if announced is not None and announced > limit_bytes:
            raise TooLargeError(limit_bytes, cause="answer", status=502)
        self._head = ResponseHead(status=head.status, headers=unframed(head.headers))
        self._limit_bytes = limit_bytes
        self._limits = limits
        self._records = records
        self._data: bytearray | None = bytearray()
        self._passed = 0
        self._guarded = guarded
        self._failed = head.status >= FAILED_STATUS
        self._held_bytes = limit_bytes if guarded else HELD_BYTES
        self._whole = guarded or (announced is not None and announced <= HELD_BYTES)

    def head(self) -> ResponseHead:
        return self._head

    @property
    def streaming(self) -> bool:
        return not self._whole

    def feed(self, chunk: bytes) -> list[Step]:
        self._passed += len(chunk)
        if self._passed > self._limit_bytes:
            raise TooLargeError(self._limit_bytes, cause="answer", status=502)
        if self._data is None:
            return [Emit(data=chunk)]
        self._data += chunk
        if len(self._data) <= self._held_bytes:
            return []
        if self._records is not None:
            raise ObligationError("the answer holds more than can be counted")
        data, self._data = bytes(self._data), None
        return [Learn(texts=(_text(data),), whole=False), Emit(data=data)]

    def end(self) -> list[Step]:
        if not self._data:
            return []
        data, self._data = bytes(self._data), None
        if len(data) > LARGE_BYTES:
            return in_turns(self._read(data))
        try:
            value = read(data, self._limits)
        except MalformedError:
            return self._unread(data)
        return self._taken(value, data)

    def _read(self, data: bytes) -> Work:
        try:
            value = yield from read_steps(data, self._limits)
        except MalformedError:
            return self._unread(data)
        yield
        return self._taken(value, data)

    def _unread(self, data: bytes) -> list[Step]:
        if self._records is not None:
            raise ObligationError("the answer holds more than can be counted")
        if self._guarded:
            raise ObligationError(_UNREAD)
        return [Learn(texts=(_text(data),)), Emit(data=data)]

    def _taken(self, value: Json, data: bytes) -> list[Step]:
        if self._records is not None and longest_list(value) > self._records:
            raise ObligationError("the answer holds more records than policy allows")
        return [Learn(value=value, failed=self._failed), Emit(data=data)]


class HeardText(PassThrough):
    """A text, learnt as it passes."""

    def __init__(self, head: ResponseHead, limit_bytes: int) -> None:
        super().__init__(head, limit_bytes, empty=False)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._tail = ""

    def feed(self, chunk: bytes) -> list[Step]:
        steps = super().feed(chunk)
        text = self._tail + self._decoder.decode(chunk)
        self._tail = text[-OVERLAP:]
        return [Learn(texts=(text,)), *steps]


class Unheard(PassThrough):
    """What nobody reads on the way: it is only known that there was something."""

    def __init__(self, head: ResponseHead, limit_bytes: int) -> None:
        super().__init__(head, limit_bytes, empty=False)
        self._said = False

    def feed(self, chunk: bytes) -> list[Step]:
        steps = super().feed(chunk)
        if self._said or not chunk:
            return steps
        self._said = True
        return [Learn(whole=False), *steps]


def taught(
    head: ResponseHead,
    *,
    judged: bool,
    limit_bytes: int,
    limits: JsonLimits,
    records: int | None = None,
    guarded: bool = False,
) -> HeldJson | HeardText | Unheard:
    """The watcher that fits the answer's type. Raises `ObligationError` where `records` are to be
    counted in what is no JSON, or that is `guarded`; `TooLargeError` where it announces too much.
    """
    kind = head.header("content-type")
    plain = judged and head.header("content-encoding") is None
    if guarded and is_guardable(head):
        if not plain or head.status == _PART or not _spells_json(kind):
            raise ObligationError(_UNREAD)
        return HeldJson(head, limit_bytes=limit_bytes, limits=limits, records=records, guarded=True)
    if plain and is_json(kind):
        return HeldJson(head, limit_bytes=limit_bytes, limits=limits, records=records)
    if records is not None:
        raise ObligationError("records are counted in JSON alone")
    if plain and _is_text(kind):
        return HeardText(head, limit_bytes)
    return Unheard(head, limit_bytes)


def headed(watcher: Headed, head: ResponseHead) -> Headed:
    """`watcher`, which says what the words of `head` are before that leaves."""
    words = worded(head.headers)
    if words:
        watcher.opening = lambda: [Learn(texts=words, failed=head.status >= FAILED_STATUS)]
    return watcher


def is_guardable(head: ResponseHead) -> bool:
    """Whether an answer with `head` may hold what was asked for: errors and redirects do not."""
    return _OK <= head.status < _REDIRECTS and announced_bytes(head) != 0


def _spells_json(kind: str | None) -> bool:
    found = media_type(kind)
    return found is not None and found.plain and (is_json(kind) or found.name.endswith("+json"))


def _is_text(kind: str | None) -> bool:
    if kind is None:
        return True  # it may be anything, text too
    found = media_type(kind)
    if found is None:
        return False
    name = found.name
    return name.startswith(_TEXTS) or name in _TEXTUAL or name.endswith(("+json", "+xml", "/json"))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
