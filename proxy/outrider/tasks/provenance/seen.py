"""Whole values that were seen, each with every place's label (GOVERNANCE §4.2).

Bounds: 8,192 places in all, of which untrusted short values take at most 1,024.
"""

from typing import Final, NamedTuple

from outrider.core.vocabulary import Label
from outrider.tasks.provenance.forms import Form

MAX_VALUES: Final = 8192
MAX_SHORT: Final = 1024


class Place(NamedTuple):
    """One place a value was seen in. `exact`: nothing heard elsewhere takes its label away."""

    label: Label
    source: str
    cased: bytes
    upstream: str
    exact: bool


class Seen:
    """Values by their forms; each keeps one place for each label, spelling and upstream."""

    __slots__ = ("_by_key", "_count", "_short", "incomplete")

    def __init__(self) -> None:
        self._by_key: dict[bytes, tuple[Place, ...]] = {}
        self._count = 0
        self._short = 0
        self.incomplete = False

    def add(self, form: Form, place: Place) -> None:
        known = self._by_key.get(form.key, ())
        for one in known:
            if (
                one.label is place.label
                and one.cased == place.cased
                and one.upstream == place.upstream
                and (one.exact or not place.exact)
            ):
                return
        if self._count >= MAX_VALUES:
            self.incomplete = True
            return
        if place.label is Label.UNTRUSTED:
            if self._short >= MAX_SHORT:
                self.incomplete = True
                return
            self._short += 1
        self._count += 1
        self._by_key[form.key] = (*known, place)

    @property
    def has_room_for_short(self) -> bool:
        return self._short < MAX_SHORT

    def at(self, form: Form) -> tuple[Place, ...]:
        """The places `form` was seen in."""
        places = self._by_key.get(form.key)
        if places is None:
            return ()
        if not form.sensitive:
            return places
        return tuple(place for place in places if place.cased == form.cased)
