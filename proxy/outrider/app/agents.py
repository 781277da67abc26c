"""Agents as this sidecar knows them: who spoke here, who is declared, who is out.

Law: who is not active any more is refused from this moment on, and what it had under way ends.
"""

from collections.abc import Mapping
from typing import Final

from outrider.core.clock import rfc3339
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.ports import ActivePolicy, AgentEntry, Clock
from outrider.core.vocabulary import Reason
from outrider.identity.seen import SeenAgents, Sighting
from outrider.pipeline.live import LiveExchanges
from outrider.policy.ownership import overdue_s
from outrider.tasks.quarantine import QuarantineList

_ACTIVE: Final = "active"
_SAID: Final = ("owner", "sponsor", "escalation", "class", "tier", "environment", "review_by")


class Agents:
    """Told of each policy that comes into force; read by the control API and the metrics."""

    def __init__(self, *, clock: Clock, quarantine: QuarantineList, live: LiveExchanges) -> None:
        self.seen: Final = SeenAgents(clock)
        self._clock = clock
        self._quarantine = quarantine
        self._live = live
        self._declared: Mapping[str, AgentEntry] = {}

    def policy_changed(self, policy: ActivePolicy) -> None:
        """Refuse who is out by the data now, and end what they have under way."""
        self._declared = policy.agents
        out = frozenset(name for name, entry in policy.agents.items() if entry.status != _ACTIVE)
        self._quarantine.out_by_status(out)
        if out:
            self._live.cut(lambda entry: entry.agent in out, Reason.QUARANTINED)

    def overdue_s(self, agent: str | None) -> float:
        """How long the review of `agent` is overdue; 0 where it is not, or nobody knows it."""
        entry = self._declared.get(agent or "")
        return self._overdue_s(entry) if entry is not None else 0.0

    def document(self) -> JsonObject:
        """Declared agents first, then those that only spoke here."""
        seen = self.seen.sightings
        rows: list[Json] = [
            self._row(name, entry, seen.get(name)) for name, entry in self._declared.items()
        ]
        rows += [
            self._row(name, None, sighting)
            for name, sighting in seen.items()
            if name not in self._declared
        ]
        return {"agents": rows, "forgotten": self.seen.forgotten}

    def _overdue_s(self, entry: AgentEntry) -> float:
        return overdue_s(entry.document.get("review_by"), self._clock.unix_s())

    def _row(self, name: str, entry: AgentEntry | None, sighting: Sighting | None) -> JsonObject:
        overdue = self._overdue_s(entry) if entry is not None else 0.0
        row: JsonObject = {
            "id": name,
            "declared": entry is not None,
            "status": entry.status if entry is not None else None,
            "overdue_s": int(overdue),
            "marks": _marks(entry, overdue=overdue > 0),
            "seen": None if sighting is None else _sighted(sighting),
        }
        said = entry.document if entry is not None else {}
        return row | {key: said.get(key) for key in _SAID}


def _marks(entry: AgentEntry | None, *, overdue: bool) -> list[Json]:
    """What somebody should look at."""
    if entry is None:
        return ["unknown"]
    marks: list[Json] = [] if entry.status == _ACTIVE else [entry.status]
    return [*marks, "overdue"] if overdue else marks


def _sighted(sighting: Sighting) -> JsonObject:
    return {
        "type": sighting.type,
        "credential": sighting.credential.value,
        "direction": sighting.direction.value,
        "first": rfc3339(sighting.first_unix_s),
        "last": rfc3339(sighting.last_unix_s),
        "exchanges": sighting.exchanges,
    }
