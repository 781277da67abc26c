"""What the task itself wrote: it does not come back as somebody's record or a platform's value.

Else one allowed write launders: an attacker's account number goes into a field of the principal's
own, is read again from there and is a record. What comes back keeps the label it had before.
"""

import re
from collections.abc import Iterator
from typing import Final

from outrider.core.jsonvalue import Json
from outrider.tasks.provenance.anchors import addresses_in
from outrider.tasks.provenance.forms import Value, fold, pieces, texts_of, value_of
from outrider.tasks.provenance.heard import alone_in

MAX_KEYS: Final = 32_768
"""Forms that are known; with more than that nothing that is read is trusted any more."""
MAX_EVENTS: Final = 64
MAX_NAMES: Final = 64
"""Whole values, the last that were written, that are looked for inside a longer text."""
SHORTEST_NAME: Final = 8  # bytes; a shorter one stands in too many texts by chance
_LONGEST_NAME: Final = 256
_LONGEST_PART: Final = 2048  # characters of what is known as a whole
_PIECE_CHARS: Final = 4096
_PARTS: Final = re.compile(r"[,;\n]")
_BLANK: Final = "\n"


class Own:
    """Values that the task's calls carried, whole, by line and part, and each address in them."""

    __slots__ = ("_events", "_keys", "_names", "full")

    def __init__(self) -> None:
        self._events: dict[str, None] = {}
        self._keys: set[int] = set()
        self._names: dict[bytes, None] = {}
        self.full = False

    def __bool__(self) -> bool:
        return self.full or bool(self._keys)

    def add(self, event: str, arguments: Json) -> Iterator[None]:
        """Take in what the call `event` carries; yields between its parts. Its answer may come in
        many, so one that is known is not read again."""
        if event in self._events:
            return
        self._events[event] = None
        if len(self._events) > MAX_EVENTS:
            del self._events[next(iter(self._events))]
        taken = 0
        for leaf in texts_of(arguments):
            if not isinstance(leaf, str):
                self._keep(leaf)
                continue
            for piece in pieces(leaf, _PIECE_CHARS):
                for part in dict.fromkeys((piece, *_parts_of(piece))):
                    self._keep(part)
                taken += len(piece)
                if taken >= _PIECE_CHARS:
                    taken = 0
                    yield

    def _keep(self, part: str | float) -> None:
        if isinstance(part, str) and len(part) > _LONGEST_PART:
            return
        value = value_of(part)
        if value is None or value.short:
            return
        if len(self._keys) >= MAX_KEYS:
            self.full = True
            return
        self._keys.update(map(hash, _keys_of(value)))
        if SHORTEST_NAME <= len(value.key) <= _LONGEST_NAME:
            self._names.pop(value.key, None)
            self._names[value.key] = None
            if len(self._names) > MAX_NAMES:
                del self._names[next(iter(self._names))]

    def wrote(self, leaf: str | float) -> bool:
        """True where `leaf` as a whole is what the task wrote, or an address of what it wrote."""
        value = value_of(leaf) if self._keys and not self.full else None
        if value is None or value.short:
            return self.full
        return any(hash(key) in self._keys for key in _keys_of(value))

    def without(self, text: str) -> str:
        """`text` without the parts of it that the task wrote."""
        if self.full:
            return ""
        left = text
        for part in sorted(dict.fromkeys(_parts_of(text)), key=len, reverse=True):
            if not self.wrote(part):
                continue
            if part not in text:
                return ""  # it stands there in another spelling
            left = left.replace(part, _BLANK)
        folded = fold(left)
        for name in self._names:
            if name in folded and alone_in(folded, name) >= 0:
                return ""
        return left


def _parts_of(text: str) -> Iterator[str]:
    """Its lines and the parts of a list, and the addresses in it."""
    yield from _PARTS.split(text)
    yield from addresses_in(text)


def _keys_of(value: Value) -> Iterator[bytes]:
    yield from (form.key for form in value.forms)
    if value.url is not None:
        yield from value.url.origins
