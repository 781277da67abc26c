"""The implicit task of a standing grant (CONTRACTS §4).

Laws: it ends with the agent's `active` status, and with the grant's own text; what policy narrowed
stays narrowed until the period of its budgets has turned, over a restart too.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

import orjson

from outrider.core.errors import ConfigError, EnforcementError, StoreUnavailableError
from outrider.core.grant import Grant, meet, parse_grant
from outrider.core.jsonvalue import JsonObject, as_object, json_digest
from outrider.core.ports import ActivePolicy, AgentEntry, Clock, Held, States
from outrider.core.subject import Subject
from outrider.core.task import Allowance, BoundTask
from outrider.core.vocabulary import Reason
from outrider.tasks.lifecycle import asked_grant

TABLE: Final = "standing"
PERIOD_S: Final = 86_400
"""How long the budgets of a standing grant run where it does not say."""
_ACTIVE: Final = "active"


class StandingTasks:
    """What a revision's standing grants say is made once and kept until the next is bound."""

    def __init__(self, *, states: States, clock: Clock) -> None:
        self._states = states
        self._clock = clock
        self._narrowed: dict[str, _Narrowed] = {}
        self._agents: dict[str, AgentEntry] = {}  # of the revision `_tasks` were read from
        self._tasks: dict[str, BoundTask | None] = {}

    def of(self, subject: Subject, policy: ActivePolicy) -> BoundTask | None:
        """The implicit task of the subject's standing grant, or None where it has none.

        Raises `EnforcementError(policy_malformed)` for a grant nobody can read.
        """
        entry = policy.agents.get(subject.id)
        if entry is None:
            return None
        if policy.agents is not self._agents:
            self._agents, self._tasks = policy.agents, {}
        if entry.id not in self._tasks:
            self._tasks[entry.id] = _standing(entry)
        task = self._tasks[entry.id]
        narrowed = self._narrowed.get(task.id) if task is not None and self._narrowed else None
        if task is None or narrowed is None or narrowed.until_s <= self._clock.unix_s():
            return task
        grant = meet(task.grant, narrowed.grant)
        return replace(task, grant=grant, grant_revision=1 + narrowed.version)

    async def load(self) -> None:
        """Take in what was narrowed by now. Raises `StoreUnavailableError`: all that can be read
        counts even then."""
        unread: StoreUnavailableError | None = None
        for name, held in (await self._states.items(TABLE)).items():
            known = self._narrowed.get(name)
            if known is not None and self._is_newer(known, held.version):
                continue
            try:
                self._narrowed[name] = _kept(held)
            except StoreUnavailableError as fault:
                unread = fault
        if unread is not None:
            raise unread

    def _is_newer(self, known: "_Narrowed", version: int) -> bool:
        """Whether `known` was narrowed here while the list was on its way. One whose time is up
        may have begun anew, from the first version."""
        return known.version >= version and known.until_s > self._clock.unix_s()

    async def confine(self, task: BoundTask, ask: JsonObject) -> None:
        """Leave of the standing task what its grant and `ask` have in common, for a period.

        Raises `ConfigError` for an `ask` that is no grant, `StoreUnavailableError`.
        """
        grant = meet(task.grant, asked_grant(task.grant, ask))
        period_s = task.period_s or PERIOD_S
        until_s = int(self._clock.unix_s()) + period_s
        before = self._narrowed.get(task.id)
        version = before.version if before is not None else 0
        if before is not None and before.until_s > self._clock.unix_s():
            grant = meet(grant, before.grant)  # `task` may have been bound before that
        while True:
            value = orjson.dumps({"grant": grant.document, "until": until_s})
            held = await self._states.swap(
                TABLE, task.id, version, value, life_s=period_s, durable=True
            )
            if held is None:
                break
            version = held.version
            if version:  # another sidecar narrowed it too
                grant = meet(grant, _kept(held).grant)
        self._narrowed[task.id] = _Narrowed(version=version + 1, grant=grant, until_s=until_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Narrowed:
    """What is left of a standing grant, and until when no more is."""

    version: int
    grant: Grant
    until_s: int


def _kept(held: Held) -> _Narrowed:
    try:
        document = as_object(orjson.loads(held.value))
        grant = parse_grant(document.get("grant"), "narrowed")
        return _Narrowed(version=held.version, grant=grant, until_s=int(str(document.get("until"))))
    except (orjson.JSONDecodeError, ConfigError, ValueError) as fault:
        raise StoreUnavailableError("a narrowed grant cannot be read") from fault


def _standing(entry: AgentEntry) -> BoundTask | None:
    document = entry.document.get("grant")
    if document is None or entry.status != _ACTIVE:
        return None
    grant = entry.grant if entry.grant is not None else _read(entry)
    name = hashlib.sha256(f"{entry.id}\n{json_digest(document)}".encode()).hexdigest()[:32]
    task = f"tsk_standing_{name}"
    return BoundTask(
        id=task,
        purpose=entry.purpose,
        purpose_digest=json_digest({"purpose": entry.purpose, "anchors": []}),
        grant=grant,
        grant_revision=1,
        standing=True,
        lineage=(Allowance(task=task, limits=grant.limits),),
        period_s=grant.period_s or PERIOD_S,
    )


def _read(entry: AgentEntry) -> Grant:
    try:
        return parse_grant(entry.document["grant"], "agents[...].grant")
    except ConfigError as fault:
        raise EnforcementError(
            "the agent's standing grant cannot be read", reason=Reason.POLICY_MALFORMED
        ) from fault
