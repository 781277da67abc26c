"""Running text: what was heard in untrusted places, and what people and records said.

Bounds: 256 KiB of folded text, then hashed shingles of 16 bytes at every eighth; past 32,768 of
those what comes is forgotten, and whoever asks is told that the text is incomplete.
"""

from bisect import bisect_right
from typing import Final

from outrider.tasks.provenance.confusables import skeleton
from outrider.tasks.provenance.forms import JOINTS, SEPARATOR, Form

TEXT_BYTES: Final = 256 << 10
SHINGLE_BYTES: Final = 16
SHINGLE_STRIDE: Final = 8
MAX_SHINGLES: Final = 32_768
FOUND_SURELY_BYTES: Final = SHINGLE_BYTES + SHINGLE_STRIDE - 1
"""A value of so many bytes or more is found among the shingles wherever it stood; one that differs
from it in the first or last few may be taken for it."""
_LONGEST_SOUGHT: Final = 256  # bytes of a value whose shingles are looked for
_MOST_PLACES: Final = 64  # of a value in one text, looked at for one that stands alone

_WORD: Final = frozenset(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz" + bytes(range(128, 256))
)
_JOINT: Final = frozenset(b"-.@/+%~")
_BREAK: Final = SEPARATOR.encode()


class Heard:
    """Untrusted text: any part of it counts. `add` takes what `fold_many` gave."""

    __slots__ = ("_joined", "_joined_to", "_pointers", "_shingles", "_starts", "_text",
                 "incomplete")  # fmt: skip

    def __init__(self) -> None:
        self._text = bytearray(_BREAK)
        self._starts: list[int] = []
        self._pointers: list[tuple[str, list[str]]] = []
        self._shingles: set[int] = set()
        self._joined = bytearray()
        self._joined_to = 0
        self.incomplete = False

    def add(self, text: bytes, event: str, pointers: list[str]) -> None:
        """`pointers` names the place of each separated part of `text`."""
        room = TEXT_BYTES - len(self._text)
        if room >= len(text):
            self._starts.append(len(self._text))
            self._pointers.append((event, pointers))
            self._text += text
            self._text += _BREAK
            return
        if room > 0:
            self._starts.append(len(self._text))
            self._pointers.append((event, pointers))
            self._text += text[:room]
            text = text[max(0, room - FOUND_SURELY_BYTES) :]
        self._hash(text)

    def append(self, text: bytes, source: str) -> None:
        """The next piece of one long text; `end` follows the last."""
        if self._text[-1] == 32:
            text = text.lstrip(b" ")
        room = TEXT_BYTES - len(self._text)
        if room >= len(text):
            self._starts.append(len(self._text))
            self._pointers.append((source, []))
            self._text += text
        else:
            self.add(text, source, [])

    def end(self) -> None:
        if len(self._text) < TEXT_BYTES:
            self._text += _BREAK

    def _hash(self, text: bytes) -> None:
        left = MAX_SHINGLES - len(self._shingles)
        last = len(text) - SHINGLE_BYTES
        if last < 0 or last // SHINGLE_STRIDE >= left:
            self.incomplete = True
        for start in range(0, min(last + 1, left * SHINGLE_STRIDE), SHINGLE_STRIDE):
            self._shingles.add(hash(text[start : start + SHINGLE_BYTES]))

    def find(self, key: bytes) -> str | None:
        """Where `key` was heard first: `evt_17#/items/3/body`, `#` where only its shingles are
        known; None where it was not."""
        if not self._starts:
            return None
        at = self._text.find(key)
        if at >= 0:
            return self._source(at)
        return "#" if self._shingles and self._has_shingle(key) else None

    def may_have_lost(self, key: bytes) -> bool:
        """True where `key` may have been heard though `find` and `find_compact` know nothing of it:
        text was forgotten, or only its shingles are known and it is too short for those."""
        return self.incomplete or (bool(self._shingles) and len(key) < FOUND_SURELY_BYTES)

    def find_compact(self, key: bytes) -> str | None:
        """The same of an IBAN or number, whatever stands between its parts in the text."""
        fresh = len(self._text)
        if self._joined_to < fresh:
            self._joined += self._text[self._joined_to : fresh].translate(None, JOINTS)
            self._joined_to = fresh
        return "#" if self._joined.find(key) >= 0 else None

    def _has_shingle(self, key: bytes) -> bool:
        """True where at one alignment all shingles of `key` were heard, and there are some."""
        last = min(len(key), _LONGEST_SOUGHT) - SHINGLE_BYTES
        return any(
            all(
                hash(key[start : start + SHINGLE_BYTES]) in self._shingles
                for start in range(first, last + 1, SHINGLE_STRIDE)
            )
            for first in range(min(SHINGLE_STRIDE, last + 1))
        )

    def _source(self, at: int) -> str:
        segment = bisect_right(self._starts, at) - 1
        event, pointers = self._pointers[segment]
        if not pointers:
            return event
        part = self._text.count(_BREAK, self._starts[segment], at)
        return f"{event}#{pointers[min(part, len(pointers) - 1)]}"


class Said:
    """Text whose whole words and values count, each where nothing is joined to it."""

    __slots__ = ("_cased", "_folded", "_limit", "_look", "_sources", "_starts", "incomplete")

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._folded = bytearray(_BREAK)
        self._cased = bytearray(_BREAK)
        self._look = bytearray(_BREAK)
        self._starts: list[int] = []
        self._sources: list[str] = []
        self.incomplete = False

    def add(self, folded: bytes, cased: bytes, source: str) -> None:
        if len(self._folded) + len(folded) > self._limit:
            self.incomplete = True  # what a trusted place said is forgotten: it only leans to hold
            return
        self._starts.append(len(self._folded))
        self._sources.append(source)
        self._folded += folded + _BREAK
        self._cased += cased + _BREAK
        self._look += skeleton(folded) + _BREAK

    def looks_like(self, look: bytes) -> bool:
        """True where a whole word or value has the skeleton `look`."""
        return alone_in(self._look, look) >= 0

    def find(self, form: Form) -> str | None:
        """The source that says `form` as a whole, or None."""
        if not self._starts:
            return None
        at = alone_in(self._folded, form.key)
        if at < 0 or (form.sensitive and alone_in(self._cased, form.cased) < 0):
            return None
        return self._sources[bisect_right(self._starts, at) - 1]

    def names_host(self, host: bytes) -> str | None:
        """The source that names `host`, alone or before its own port or path."""
        at = alone_in(self._folded, host, host=True)
        return None if at < 0 else self._sources[bisect_right(self._starts, at) - 1]

    def names_directory(self, directory: bytes) -> str | None:
        """The source that names `directory`, which ends with a slash, and nothing below it."""
        at = alone_in(self._cased, directory)
        return None if at < 0 else self._sources[bisect_right(self._starts, at) - 1]


def alone_in(text: bytes | bytearray, key: bytes, *, host: bool = False) -> int:
    """Where `key` stands in `text` with nothing joined to either side; -1 where it does not.

    A dot, hyphen, at, slash, plus, per cent or tilde joins where a letter or digit follows it:
    `12` does not stand in `file-12`, nor `corp.example` in `bob@corp.example`.
    """
    if not key or key[0] == 0:
        return -1
    at = -1
    for _ in range(_MOST_PLACES):
        at = text.find(key, at + 1)
        if at < 0:
            return -1
        if _free_before(text, at) and _free_after(text, at + len(key), host=host):
            return at
    return -1


def _free_before(text: bytes | bytearray, at: int) -> bool:
    before = text[at - 1] if at else 32
    if before in _WORD:
        return False
    return before not in _JOINT or at < 2 or (text[at - 2] not in _WORD and text[at - 2] != before)


def _free_after(text: bytes | bytearray, end: int, *, host: bool) -> bool:
    after = text[end] if end < len(text) else 32
    if after in _WORD:
        return False
    if host and after == 47:
        return True
    return after not in _JOINT or end + 1 >= len(text) or text[end + 1] not in _WORD
