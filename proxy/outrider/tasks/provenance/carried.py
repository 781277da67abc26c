"""What the arguments of a call carry: secrets that were read, keys and cards, each by its place.

The work grows with the length of the arguments, and the generators yield after a small part of it,
however many secrets stand in however many of them.
"""

from bisect import bisect_right
from collections.abc import Generator, Iterable, Iterator
from itertools import accumulate
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from outrider.core.constraints import escape_token
from outrider.core.jsonvalue import Json, JsonObject
from outrider.tasks.provenance.forms import written
from outrider.tasks.provenance.memory import Memory
from outrider.tasks.provenance.patterns import Marks, patterns_in
from outrider.tasks.provenance.secrets import squash_bytes

MAX_NAMED: Final = 16
"""Secrets that are told of one place, and of one kind: those found first."""
MAX_IDS: Final = 64
"""Secrets of one call."""
_STEP_TEXTS: Final = 128
_STEP_CHARS: Final = 16 << 10
_STEP_PLACES: Final = 64
_PERSONAL: Final = "pii_"


class Text(NamedTuple):
    """A text of the arguments: a value, a number as it is written, or the name of a member."""

    parent: str
    token: str | int
    text: str
    kind: str  # value, number, name

    @property
    def pointer(self) -> str:
        token = self.token if isinstance(self.token, int) else escape_token(self.token)
        return f"{self.parent}/{token}"


class Carried:
    """Ids of secrets by the pointer of the text they stand in, and of all that is above it."""

    __slots__ = ("_below", "places")

    def __init__(self) -> None:
        self.places: dict[str, None] = {}
        self._below: dict[str, tuple[dict[str, None], dict[str, None]]] = {}

    def __bool__(self) -> bool:
        return bool(self.places)

    def add(self, pointer: str, name: str) -> None:
        self.places[pointer] = None
        for place in (*above(pointer), ""):
            both = self._below.setdefault(place, ({}, {}))
            names = both[name.startswith(_PERSONAL)]
            if len(names) < (MAX_NAMED if place else MAX_IDS):
                names[name] = None

    def at(self, pointer: str) -> tuple[str, ...]:
        """At and below `pointer`, secrets and keys before personal data."""
        grave, personal = self._below.get(pointer, ({}, {}))
        return (*grave, *personal)[: MAX_NAMED if pointer else MAX_IDS]


def above(pointer: str) -> Iterator[str]:
    """`pointer` and the pointers of all it stands in, but for the document's."""
    while pointer:
        yield pointer
        pointer = pointer.rpartition("/")[0]


def carried_in(
    arguments: JsonObject, marks: Marks, memory: Memory
) -> Generator[None, None, Carried]:
    """By the pointer of each text, the ids of what it carries or carries a part of."""
    carried = Carried()
    if not (marks.run or marks.card or memory.secrets):
        return carried
    texts: list[Text] = []
    for number, text in enumerate(texts_in(arguments), 1):
        if text is not None:
            texts.append(text)
        if number % _STEP_TEXTS == 0:
            yield
    if marks.run or marks.card:
        yield from _by_marks(texts, marks, memory, carried)
    if memory.secrets:
        yield from _by_fingerprint(texts, memory, carried)
    return carried


def _by_marks(
    texts: list[Text], marks: Marks, memory: Memory, carried: Carried
) -> Generator[None, None, None]:
    chars = 0
    for text in texts:
        for name in patterns_in(text.text, marks, memory.digest):
            if name is None:
                yield
            else:
                carried.add(text.pointer, name)
        chars += len(text.text) + _STEP_CHARS // _STEP_TEXTS
        if chars >= _STEP_CHARS:
            chars = 0
            yield


def _by_fingerprint(
    texts: list[Text], memory: Memory, carried: Carried
) -> Generator[None, None, None]:
    # Values in a row, then names, then what was escaped, then numbers: a secret that is split
    # stands in one of them.
    row: list[Text] = []
    squashed: list[bytes] = []
    chars = 0
    for text, escaped in _row(texts):
        data = yield from _squashed(text.text, escaped=escaped)
        if data:
            row.append(text)
            squashed.append(data)
        chars += len(text.text) % _STEP_CHARS + _STEP_CHARS // _STEP_TEXTS
        if chars >= _STEP_CHARS:
            chars = 0
            yield
    ends = list(accumulate(map(len, squashed)))
    places = 0
    for hit in memory.secrets.find(b"".join(squashed)):
        if hit is None:
            yield
            continue
        start, end, name = hit
        for number in range(bisect_right(ends, start), len(row)):
            if ends[number] - len(squashed[number]) >= end:
                break
            carried.add(row[number].pointer, name)
            places += 1
            if places % _STEP_PLACES == 0:
                yield


def _row(texts: list[Text]) -> Iterator[tuple[Text, bool]]:
    """Each text, and whether what is escaped in it is to be plain."""
    for kind in ("value", "name"):
        yield from ((text, False) for text in texts if text.kind == kind)
    yield from ((text, True) for text in texts if "%" in text.text)
    yield from ((text, False) for text in texts if text.kind == "number")


def _squashed(text: str, *, escaped: bool) -> Generator[None, None, bytes]:
    squashed: list[bytes] = []
    start = 0
    while start < len(text):
        end = start + _STEP_CHARS
        if end < len(text):
            cut = text.rfind("%", end - 2, end)  # no escape is cut
            end = cut if cut >= 0 else end
        data = text[start:end].encode("utf-8", "replace")
        squashed.append(squash_bytes(unquote_to_bytes(data) if escaped else data))
        start = end
        if start < len(text):
            yield
    return b"".join(squashed)


def texts_in(arguments: JsonObject) -> Iterator[Text | None]:
    """Every text of the arguments, in their order; None for each list and object."""
    stack: list[tuple[str, str | int, Json, bool]] = []
    _put(stack, "", _named(arguments))
    while stack:
        parent, token, value, is_name = stack.pop()
        if isinstance(value, str):
            yield Text(parent, token, value, "name" if is_name else "value")
        elif isinstance(value, list):
            _put(stack, Text(parent, token, "", "").pointer, enumerate(value))
            yield None
        elif isinstance(value, dict):
            _put(stack, Text(parent, token, "", "").pointer, _named(value))
            yield None
        elif value is not None and not isinstance(value, bool):
            yield Text(parent, token, written(value), "number")


def _named(members: JsonObject) -> Iterable[tuple[str, Json]]:
    return members.items()


def _put(
    stack: list[tuple[str, str | int, Json, bool]],
    parent: str,
    inner: Iterable[tuple[str | int, Json]],
) -> None:
    """On top of `stack`, the first uppermost; the name of a member above its value."""
    found: list[tuple[str, str | int, Json, bool]] = []
    for token, value in inner:
        if isinstance(token, str):
            found.append((parent, token, token, True))
        found.append((parent, token, value, False))
    stack += reversed(found)
