"""The implicit task of a standing grant (CONTRACTS §4).

Law: it ends with the agent's `active` status, and with the grant's own text.
"""

import hashlib
from typing import Final

from outrider.core.errors import ConfigError, EnforcementError
from outrider.core.grant import Grant, parse_grant
from outrider.core.jsonvalue import json_digest
from outrider.core.ports import ActivePolicy, AgentEntry
from outrider.core.subject import Subject
from outrider.core.task import Allowance, BoundTask
from outrider.core.vocabulary import Reason

PERIOD_S: Final = 86_400
"""How long the budgets of a standing grant run where it does not say."""
_ACTIVE: Final = "active"


class StandingTasks:
    """What a revision's standing grants say is made once and kept until the next is bound."""

    def __init__(self) -> None:
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
        return self._tasks[entry.id]


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
