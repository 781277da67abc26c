"""What may become a label: a name the active bundle knows, short and printable; else `other`."""

from collections.abc import Callable, Iterable
from typing import Final

OTHER: Final = "other"
_LONGEST: Final = 64


class LabelGuard:
    """At most `limit` names; anything else is `other` and calls `overflow`."""

    def __init__(self, limit: int, overflow: Callable[[], None]) -> None:
        self._limit = limit
        self._overflow = overflow
        self._known: frozenset[str] = frozenset()

    def clean(self, name: str) -> str:
        if name in self._known or name == OTHER:
            return name
        self._overflow()
        return OTHER

    def replace(self, names: Iterable[str]) -> frozenset[str]:
        """Know these names from now on, the first `limit` of them; the names no longer known."""
        fit = [name for name in names if name.isprintable() and len(name.encode()) <= _LONGEST]
        known = frozenset(sorted(fit)[: self._limit])
        gone = self._known - known
        self._known = known
        return gone
