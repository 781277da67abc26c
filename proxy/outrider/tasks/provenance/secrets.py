"""Fingerprints of secrets that were read, and where a call carries one (GOVERNANCE §4.11).

A call's values are put in a row and squashed: letters and digits alone, lower case. So one
needle finds a secret in any case, cut into DNS labels, with other separators or split over
arguments that follow one another; the caller puts what is percent-escaped there a second time,
unescaped. Other encodings have needles of their own: reversed, hex, base64 (and base64url) at
three offsets, JSON's `\\u` escapes.

Of a needle nothing is kept but a keyed digest, its length and keyed hashes of five pieces: every
fourth place of a text is hashed, so one of the first four is met wherever the needle stands, and
where the fifth, its last, is met too the digest tells.

Not caught: a part of a secret, encryption, compression, XOR and ROT, base32 and other bases, two
encodings on top of one another, a split over several calls or in another order, paraphrase.
"""

import base64
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

SHORTEST: Final = 12
"""Characters of a secret that is fingerprinted."""
MAX_SECRETS: Final = 256
_PIECE: Final = 6
_STRIDE: Final = 4
_SURE: Final = _PIECE + _STRIDE - 1
"""Bytes of a needle that is met for sure; a secret with fewer letters and digits has none."""
_SLICE: Final = 16 << 10
_DIGEST_WORK: Final = 256  # what a digest costs beside its bytes

_KEPT: Final = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz" + bytes(range(128, 256)))
_LOWER: Final = bytes(range(256)).lower()
_LEFT_OUT: Final = bytes(code for code in range(256) if _LOWER[code] not in _KEPT)


def squash(text: str) -> bytes:
    """`text` as its letters and digits, lower case, in UTF-8."""
    return squash_bytes(text.encode("utf-8", "replace"))


def squash_bytes(data: bytes) -> bytes:
    """The same of a text in UTF-8, or of a part of one."""
    return data.translate(_LOWER, _LEFT_OUT)


class _Known(NamedTuple):
    """A piece of a needle: its place in it, the needle's length, the hash of its last piece, and
    the secret's id."""

    place: int
    length: int
    last: int
    name: str


class Secrets:
    """The secrets of one task. `digest` is keyed by it."""

    __slots__ = ("_digest", "_ids", "_pieces", "incomplete")

    def __init__(self, digest: Callable[[bytes], str]) -> None:
        self._digest = digest
        self._ids: dict[str, str] = {}  # digest of a needle -> id of the secret
        self._pieces: dict[int, list[_Known]] = {}
        self.incomplete = False

    def __bool__(self) -> bool:
        return bool(self._ids)

    def add(self, value: str) -> str | None:
        """The id of the secret `value`, known from now on; None where it is too short."""
        value = value.strip()
        if len(value) < SHORTEST:
            return None
        name = "sec_" + self._digest(value.encode("utf-8", "replace"))
        if name in self._ids:
            return name
        if len(self._ids) >= MAX_SECRETS * 10:
            self.incomplete = True
            return name
        self._ids[name] = name
        for needle in set(needles_of(value)):
            if len(needle) >= _SURE:
                self._ids[self._digest(needle)] = name
                last = hash(needle[-_PIECE:])
                for place in range(_STRIDE):
                    piece = hash(needle[place : place + _PIECE])
                    known = _Known(place, len(needle), last, name)
                    self._pieces.setdefault(piece, []).append(known)
        return name

    def find(self, text: bytes) -> Iterator[tuple[int, int, str] | None]:
        """(start, end, id) of each secret in the squashed `text`, of one that meets itself the
        first; None after each slice of the text and of the work."""
        pieces = self._pieces
        met: dict[str, int] = {}  # ids by where they were met last
        for first in range(0, len(text), _SLICE):
            for at in range(first, min(first + _SLICE, len(text) - _PIECE + 1), _STRIDE):
                known = pieces.get(hash(text[at : at + _PIECE]))
                if known is not None:
                    yield from self._checked(text, at, known, met)
            yield None

    def _checked(
        self, text: bytes, at: int, known: list[_Known], met: dict[str, int]
    ) -> Iterator[tuple[int, int, str] | None]:
        work = 0
        for place, length, last, secret in known:
            start, end = at - place, at - place + length
            if start < met.get(secret, 0) or end > len(text):
                continue
            if hash(text[end - _PIECE : end]) != last:
                continue
            name = self._ids.get(self._digest(text[start:end]))
            if name is not None:
                met[secret] = met[name] = end
                yield start, end, name
            work += length + _DIGEST_WORK
            if work >= _SLICE:
                work = 0
                yield None


def needles_of(value: str) -> Iterator[bytes]:
    """`value` squashed, in each encoding that is looked for."""
    data = value.encode("utf-8", "replace")
    yield squash(value)
    yield squash(value[::-1])
    yield squash(data.hex())
    yield squash("".join(f"\\u{ord(char):04x}" for char in value))
    yield squash(value.encode("unicode_escape").decode())
    for offset in range(3):
        yield squash(_in_base64(data, offset))


def _in_base64(data: bytes, offset: int) -> str:
    """What of base64 is the same whatever stands before and behind `data` at this offset."""
    coded = base64.b64encode(b"\0" * offset + data).decode()
    bits = 8 * (offset + len(data))
    return coded[(8 * offset + 5) // 6 : bits // 6]
