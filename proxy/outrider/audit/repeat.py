"""Folding of identical refusals (CONTRACTS §7): no agent can fill the disk. Pure.

Laws: of identical refusals the first `limit` of a second are recorded each; the rest are counted
and become one `repeat` record when the second is over. Refusals of different things are not
identical. What one subject is refused for one cause fills at most `room` records and as many
repeats a second; beyond that one repeat counts the rest and says how many were different.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from outrider.core.jsonvalue import Json, JsonObject, as_object

GroupKey: TypeAlias = tuple[str, str, str]
RepeatKey: TypeAlias = tuple[GroupKey, tuple[str, str, str]]

_SHARED: Final[GroupKey] = ("", "", "")
_DISTINCT: Final = 256


class Folded(NamedTuple):
    """Refusals that were counted: the first of them whole, how many, and the last one's id.

    `distinct` says how many different ones they were, 256 standing for more; where it is not 1,
    `first` names no action.
    """

    first: JsonObject
    folded: int
    last_id: Json
    started_s: float
    distinct: int


@dataclass(slots=True)
class _Count:
    """What was recorded of one key, and what was folded into the same repeat."""

    admitted: int = 0
    folded: int = 0
    first: JsonObject = field(default_factory=dict)
    last_id: Json = None
    keys: set[int] = field(default_factory=set)

    def fold(self, key: RepeatKey, record: JsonObject) -> None:
        self.first = self.first or record
        self.folded += 1
        self.last_id = as_object(record.get("decision")).get("id")
        if len(self.keys) < _DISTINCT:
            self.keys.add(hash(key))

    def ended(self, started_s: float) -> Folded:
        distinct = len(self.keys)
        first = self.first
        if distinct > 1:
            first = {name: value for name, value in first.items() if name != "action"}
        return Folded(first, self.folded, self.last_id, started_s, distinct)


@dataclass(slots=True)
class _Window:
    """One second of one group."""

    started_s: float
    admitted: int = 0
    counts: dict[RepeatKey, _Count] = field(default_factory=dict)
    rest: _Count = field(default_factory=_Count)


def repeat_key(record: JsonObject) -> RepeatKey:
    """What makes two refusals identical: subject, reason and cause (the group), and what was
    asked for: the action's name, resource and arguments."""
    decision = as_object(record.get("decision"))
    action = as_object(record.get("action"))
    subject = as_object(record.get("subject")).get("id")
    group = (_text(subject), _text(decision.get("reason")), _text(decision.get("cause")))
    asked = (action.get("name"), action.get("resource"), action.get("arguments_digest"))
    return group, (_text(asked[0]), _text(asked[1]), _text(asked[2]))


def _text(value: Json) -> str:
    return str(value or "")


class RepeatFolder:
    """Counts refusals by key in windows of a second. At most `groups` groups are told apart at
    once and `room` keys in each; further groups share a window, further keys a count."""

    def __init__(
        self, *, limit: int = 10, room: int = 64, window_s: float = 1.0, groups: int = 1024
    ) -> None:
        self._limit = limit
        self._room = room
        self._window_s = window_s
        self._groups = groups
        self._windows: dict[GroupKey, _Window] = {}
        self._ended: list[Folded] = []

    def admit(self, record: JsonObject, now_s: float) -> bool:
        """True where the refusal is to be recorded as it is; False where it was counted."""
        key = repeat_key(record)
        window = self._window(key[0], now_s)
        count = window.counts.get(key)
        if count is None and len(window.counts) < self._room:
            count = window.counts[key] = _Count()
        count = count or window.rest
        if count.admitted < self._limit and window.admitted < self._room:
            count.admitted += 1
            window.admitted += 1
            return True
        count.fold(key, record)
        return False

    def due(self, now_s: float) -> list[Folded]:
        """What the windows that are over have counted; each is given once."""
        for group, window in list(self._windows.items()):
            if now_s - window.started_s >= self._window_s:
                self._end(window)
                del self._windows[group]
        ended, self._ended = self._ended, []
        return ended

    def _window(self, group: GroupKey, now_s: float) -> _Window:
        if group not in self._windows and len(self._windows) >= self._groups:
            group = _SHARED
        window = self._windows.get(group)
        if window is not None and now_s - window.started_s < self._window_s:
            return window
        if window is not None:
            self._end(window)
        window = self._windows[group] = _Window(now_s)
        return window

    def _end(self, window: _Window) -> None:
        for count in (*window.counts.values(), window.rest):
            if count.folded:
                self._ended.append(count.ended(window.started_s))
