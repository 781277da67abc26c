"""Identifiers: UUIDv7 that sort by time (RFC 9562 §5.7), and random ids of traces."""

import os
from functools import lru_cache
from typing import Final

_BLOCK: Final = 4096


class _Random:
    """The kernel's random bytes, fetched a block at a time: a system call for each id costs more
    than the rest of the id. Used by one thread, the event loop's."""

    __slots__ = ("_block", "_next")

    def __init__(self) -> None:
        self._block = ""
        self._next = 0

    def hex(self, digits: int) -> str:
        """`digits` fresh hexadecimal digits, never given twice."""
        end = self._next + digits
        if end > len(self._block):
            self._block = os.urandom(_BLOCK).hex()
            self._next, end = 0, digits
        found = self._block[self._next : end]
        self._next = end
        return found


random_hex: Final = _Random().hex
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def uuid7(unix_s: float) -> str:
    """A new UUIDv7 for the wall time `unix_s`, in its usual 36-character spelling."""
    tail = random_hex(19)
    return f"{_head(int(unix_s * 1000))}{tail[:3]}-{_VARIANT[tail[3]]}{tail[4:7]}-{tail[7:]}"


@lru_cache(maxsize=8)
def _head(unix_ms: int) -> str:
    """What the ids of a millisecond begin with."""
    text = f"{unix_ms & 0xFFFF_FFFF_FFFF:012x}"
    return f"{text[:8]}-{text[8:]}-7"
