"""What a pin table has taken in and nobody has stored or told yet.

Laws: what is due stays due until its step was carried out, whoever set out to do so: a store that
fails and a caller that leaves lose no row and no note. A row is stored before it is told of, and
before the listing that it came from goes on.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, TypeAlias

from outrider.core.jsonvalue import JsonObject, digest
from outrider.core.ports import MANY_KEYS, Judge, Note, Persist, Step
from outrider.core.vocabulary import Phase

TABLE: Final = "pins"
_ROWS: Final = 1000  # stored in one step

Key: TypeAlias = tuple[str, str, str]
Written: TypeAlias = tuple[object, JsonObject]
"""What stands under a key, by its identity, and the row that stores it."""


class Dues:
    """Rows and notes that are due, by upstream and kind. Of each name there is one row, and one
    note of each event, the latest."""

    def __init__(self, written: Callable[[Key], Written]) -> None:
        self._written = written
        self._rows: dict[tuple[str, str], dict[str, None]] = {}
        self._notes: dict[tuple[str, str], dict[tuple[str, str], Note]] = {}

    def owe(self, key: Key, note: Note | None = None) -> None:
        """What stands under `key` is to be stored, and then `note` to be told."""
        upstream, kind, name = key
        self._rows.setdefault((upstream, kind), {})[name] = None
        if note is not None:
            self.tell(key, note)

    def tell(self, key: Key, note: Note) -> None:
        upstream, kind, name = key
        self._notes.setdefault((upstream, kind), {})[name, note.event] = note

    def steps(self, upstream: str, kind: str) -> list[Step]:
        """The steps that store all that is due of a kind of an upstream, and tell it."""
        place = (upstream, kind)
        names = iter(self._rows.get(place, {}))
        steps: list[Step] = []
        while some := [(upstream, kind, name) for name in islice(names, _ROWS)]:
            steps += self._store(some)
        if place in self._notes:
            steps.append(_then(lambda: self._telling(place)))
        return steps

    def _store(self, keys: Sequence[Key]) -> list[Step]:
        written = {key: self._written(key) for key in keys}
        rows: JsonObject = {store_key(*key): row for key, (_, row) in written.items()}
        one = len(rows) == 1

        def stored() -> list[Step]:
            for key, (what, _) in written.items():
                self._stored(key, what)
            return []

        (last,) = keys[-1:]
        persist = Persist(
            table=TABLE,
            key=store_key(*last) if one else MANY_KEYS,
            value=written[last][1] if one else rows,
        )
        return [persist, _then(stored)]

    def _stored(self, key: Key, what: object) -> None:
        place, name = key[:2], key[2]
        if self._written(key)[0] is not what:
            # It has changed since: that may have been stored already, and be undone by this.
            self.owe(key)
        elif place in self._rows:
            self._rows[place].pop(name, None)
            if not self._rows[place]:
                del self._rows[place]

    def _telling(self, place: tuple[str, str]) -> list[Step]:
        """One note after the other, each no longer due once it is under way: the list grows by
        one as long as there are more, and who leaves leaves the rest to the next."""
        steps: list[Step] = []

        def go_on() -> list[Step]:
            notes = self._notes.get(place)
            if notes:
                steps.extend((notes.pop(next(iter(notes))), _then(go_on)))
            else:
                self._notes.pop(place, None)
            return []

        steps.append(_then(go_on))
        return steps


def store_key(upstream: str, kind: str, name: str) -> str:
    """A store key of fixed shape; names come from outside and are only hashed into it."""
    return digest(f"{upstream}\n{kind}\n{name}".encode())


def _then(then: Callable[[], list[Step]]) -> Step:
    """What is done once all the steps before it were."""
    return Judge(asks=(), phase=Phase.RESPONSE, then=lambda _verdicts: then())
