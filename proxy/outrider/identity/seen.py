"""Who spoke to this sidecar since it started, for the inventory (GOVERNANCE §10).

Law: bounded; whoever was quiet longest is forgotten first, and that is said.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from outrider.core.exchange import Exchange
from outrider.core.ports import Clock, Identifier
from outrider.core.subject import Subject
from outrider.core.vocabulary import Credential, Direction

MOST_AGENTS: Final = 4096


@dataclass(slots=True, kw_only=True)
class Sighting:
    """One proven caller. Mutable; owned by `SeenAgents`."""

    id: str
    type: str
    credential: Credential
    direction: Direction
    first_unix_s: float
    last_unix_s: float
    exchanges: int = 0


class SeenAgents:
    """Every caller that proved who it is. One event loop's own."""

    def __init__(self, clock: Clock, *, limit: int = MOST_AGENTS) -> None:
        self._clock = clock
        self._limit = limit
        self._seen: OrderedDict[str, Sighting] = OrderedDict()
        self.forgotten = 0

    @property
    def sightings(self) -> Mapping[str, Sighting]:
        """By id, who spoke last at the end."""
        return self._seen

    def note(self, subject: Subject, direction: Direction) -> None:
        now = self._clock.unix_s()
        known = self._seen.get(subject.id)
        if known is None:
            known = self._seen[subject.id] = Sighting(
                id=subject.id,
                type=subject.type,
                credential=subject.credential,
                direction=direction,
                first_unix_s=now,
                last_unix_s=now,
            )
            if len(self._seen) > self._limit:
                self._seen.popitem(last=False)
                self.forgotten += 1
        else:
            self._seen.move_to_end(subject.id)
        known.credential, known.direction, known.last_unix_s = subject.credential, direction, now
        known.exchanges += 1

    def noting(self, identifier: Identifier) -> Identifier:
        """`identifier`, with whoever it proves noted."""
        return _Noting(identifier, self)


class _Noting:
    """`core.ports.Identifier`."""

    def __init__(self, identifier: Identifier, seen: SeenAgents) -> None:
        self._identifier = identifier
        self._seen = seen

    async def authenticate(self, exchange: Exchange) -> Subject:
        subject = await self._identifier.authenticate(exchange)
        self._seen.note(subject, exchange.direction)
        return subject
