"""Tasks as far as this version has them: the implicit task of a standing grant (CONTRACTS §4).

Laws: a named task is refused, since none can be verified yet, in one text for unknown and foreign;
the standing grant ends with the agent's `active` status; required tasks refuse before it is looked
at.
"""

import hashlib
from typing import Final

from outrider.core.errors import ConfigError, EnforcementError, MalformedError
from outrider.core.grant import parse_grant
from outrider.core.jsonvalue import json_digest
from outrider.core.ports import ActivePolicy, AgentEntry, TaskNames
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Reason

_ACTIVE: Final = "active"


class StandingTasks:
    """`core.ports.TaskBinder`. `required` is the setting `tasks.required`.

    What a revision's grants say is parsed once and kept until the next revision is bound.
    """

    def __init__(self, *, required: bool) -> None:
        self._required = required
        self._agents: dict[str, AgentEntry] = {}  # of the revision `_tasks` were read from
        self._tasks: dict[str, BoundTask | None] = {}

    async def bind(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy
    ) -> BoundTask | None:
        """The implicit task of the subject's standing grant, or None where it has none.

        Raises `EnforcementError`: `malformed` where header and message name different tasks,
        `no_task` where one is named or required, `policy_malformed` for a grant nobody can read.
        """
        if names.header is not None and names.message is not None and names.header != names.message:
            raise MalformedError("header and message name different tasks", cause="task_names")
        if names.header is not None or names.message is not None:
            raise EnforcementError(
                "no such active task of this agent", reason=Reason.NO_TASK, cause="unknown_task"
            )
        if self._required:
            raise EnforcementError("a task is required", reason=Reason.NO_TASK, cause="required")
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
    try:
        grant = parse_grant(document, "agents[...].grant")
    except ConfigError as fault:
        raise EnforcementError(
            "the agent's standing grant cannot be read", reason=Reason.POLICY_MALFORMED
        ) from fault
    name = hashlib.sha256(f"{entry.id}\n{json_digest(document)}".encode()).hexdigest()[:32]
    return BoundTask(
        id=f"tsk_standing_{name}",
        purpose=entry.purpose,
        purpose_digest=json_digest({"purpose": entry.purpose, "anchors": []}),
        grant=grant,
        grant_revision=1,
        standing=True,
    )
