"""Folding of identical refusals (CONTRACTS §7): no agent can fill the disk. Pure.

Law: of identical refusals the first `limit` of a second are recorded each; the rest are counted
and become one `repeat` record when the second is over. Nothing is lost but their detail.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from outrider.core.jsonvalue import Json, JsonObject, as_object

RepeatKey: TypeAlias = tuple[str, str, str]


class Folded(NamedTuple):
    """Refusals that were counted: the first of them whole, how many, and the last one's id."""

    first: JsonObject
    folded: int
    last_id: Json
    started_s: float


@dataclass(slots=True)
class _Window:
    started_s: float
    admitted: int = 0
    folded: int = 0
    first: JsonObject | None = None
    last_id: Json = None


def repeat_key(record: JsonObject) -> RepeatKey:
    """What makes two refusals identical: subject, reason and cause."""
    decision = as_object(record.get("decision"))
    subject = as_object(record.get("subject")).get("id")
    return str(subject or ""), str(decision.get("reason") or ""), str(decision.get("cause") or "")


class RepeatFolder:
    """Counts refusals by key in windows of a second. At most `keys` keys are told apart at once;
    further ones share a window, so a flood of new names folds too."""

    def __init__(self, *, limit: int = 10, window_s: float = 1.0, keys: int = 1024) -> None:
        self._limit = limit
        self._window_s = window_s
        self._keys = keys
        self._windows: dict[RepeatKey, _Window] = {}
        self._ended: list[Folded] = []

    def admit(self, record: JsonObject, now_s: float) -> bool:
        """True where the refusal is to be recorded as it is; False where it was counted."""
        key = repeat_key(record)
        if key not in self._windows and len(self._windows) >= self._keys:
            key = ("", "", "")
        window = self._windows.get(key)
        if window is None or now_s - window.started_s >= self._window_s:
            if window is not None:
                self._end(window)
            window = self._windows[key] = _Window(now_s)
        if window.admitted < self._limit:
            window.admitted += 1
            return True
        window.first = window.first or record
        window.folded += 1
        window.last_id = as_object(record.get("decision")).get("id")
        return False

    def due(self, now_s: float) -> list[Folded]:
        """What the windows that are over have counted; each is given once."""
        for key, window in list(self._windows.items()):
            if now_s - window.started_s >= self._window_s:
                self._end(window)
                del self._windows[key]
        ended, self._ended = self._ended, []
        return ended

    def _end(self, window: _Window) -> None:
        if window.first is not None:
            self._ended.append(
                Folded(window.first, window.folded, window.last_id, window.started_s)
            )
