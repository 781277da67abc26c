"""What may become a label: a name the active bundle knows, short and printable; else `other`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

OTHER: Final = "other"
_LONGEST: Final = 64


def is_label(name: str) -> bool:
    """Whether `name` is short and printable, so that it may be a label if it is known."""
    # `isprintable` is false of a lone surrogate, which cannot be encoded
    return len(name) <= _LONGEST and name.isprintable() and len(name.encode()) <= _LONGEST


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
        fit = [name for name in names if is_label(name)]
        known = frozenset(sorted(fit)[: self._limit])
        gone = self._known - known
        self._known = known
        return gone


class SeriesBudget:
    """How many lines the page may have. Past `limit` a new child of a family with names of ours is
    folded into `other` and calls `overflow`; closed labels always have their room."""

    def __init__(self, limit: int, overflow: Callable[[], None]) -> None:
        self.limit = limit
        self.used = 0
        self.overflow = overflow

    def room(self, is_open: Sequence[bool], lines: int) -> "Room":
        """The room of a family whose labels are `is_open` or closed, with `lines` a child."""
        return Room(self, tuple(is_open), lines)


class Room:
    """What one family takes of the budget."""

    def __init__(self, budget: SeriesBudget, is_open: tuple[bool, ...], lines: int) -> None:
        self._budget = budget
        self._is_open = is_open
        self._lines = lines

    def fold(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """The labels that a child not yet there may have. Whatever came before, a name that is
        long or not printable is none."""
        budget = self._budget
        if not any(self._is_open):
            return values
        full = budget.used + self._lines > budget.limit
        folded = tuple(
            OTHER if is_open and (full or not is_label(value)) else value
            for is_open, value in zip(self._is_open, values, strict=True)
        )
        if folded != values:
            budget.overflow()
        return folded

    def taken(self) -> None:
        self._budget.used += self._lines

    def given_back(self) -> None:
        self._budget.used -= self._lines
