"""What policy has done to tasks and agents: their grants narrowed, themselves cut off."""

from collections.abc import Callable

from outrider.core.action import Action
from outrider.core.clock import rfc3339
from outrider.core.errors import ConfigError, ObligationError
from outrider.core.jsonvalue import JsonObject
from outrider.core.obligation import QuarantineObligation
from outrider.core.ports import AuditLog, Clock
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Reason, RecordKind, TaskEnd
from outrider.pipeline.live import LiveExchange, LiveExchanges
from outrider.pipeline.records import base
from outrider.tasks.cut_off import CutOffs
from outrider.tasks.quarantine import Scope
from outrider.tasks.registry import TaskRegistry
from outrider.tasks.standing import StandingTasks

BY_POLICY = "policy"


class PolicyCare:
    """`core.ports.Care` over the tasks and the list of who is cut off."""

    def __init__(
        self,
        *,
        registry: TaskRegistry,
        standing: StandingTasks,
        cut_offs: CutOffs,
        live: LiveExchanges,
        audit: AuditLog,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._standing = standing
        self._cut_offs = cut_offs
        self._live = live
        self._audit = audit
        self._clock = clock

    async def narrow(self, subject: Subject, task: BoundTask | None, grant: JsonObject) -> None:
        """As `core.ports.Care.narrow`."""
        if task is None:
            raise ObligationError("there is no task to narrow")
        try:
            if task.standing:
                await self._standing.confine(task, grant)
            else:
                await self._registry.confine(task.id, grant, by=BY_POLICY)
        except ConfigError as fault:
            raise ObligationError("the grant to narrow to cannot be read") from fault

    async def quarantine(
        self,
        obligation: QuarantineObligation,
        *,
        subject: Subject,
        task: BoundTask | None,
        action: Action,
    ) -> None:
        """As `core.ports.Care.quarantine`."""
        scope, name = _named(obligation, subject, task, action)
        await self._record(scope, name, obligation, subject, task)
        await self._cut_offs.cut(scope, name, obligation.reason)
        if scope is Scope.TASK and task is not None and not task.standing:
            await self._registry.end(name, TaskEnd.QUARANTINED, by=BY_POLICY)
        self._live.cut_others(is_of(scope, name), Reason.QUARANTINED)

    async def _record(
        self,
        scope: Scope,
        name: str,
        obligation: QuarantineObligation,
        subject: Subject,
        task: BoundTask | None,
    ) -> None:
        record = base(RecordKind.QUARANTINE, self._clock, None, subject, task)
        record["quarantine"] = {
            "scope": scope.value,
            "name": name,
            "reason": obligation.reason,
            "by": BY_POLICY,
            "at": rfc3339(self._clock.unix_s()),
        }
        await self._audit.append(record, durable=True)


def _named(
    obligation: QuarantineObligation, subject: Subject, task: BoundTask | None, action: Action
) -> tuple[Scope, str]:
    """What the obligation cuts off. Raises `ObligationError`."""
    names = {
        Scope.AGENT: subject.id,
        Scope.TASK: task.id if task is not None else None,
        Scope.TOOL: action.resource_id,
        Scope.UPSTREAM: action.ask.upstream,
    }
    try:
        scope = Scope(obligation.scope)
    except ValueError:
        raise ObligationError("nobody knows the scope that is to be quarantined") from None
    name = names[scope]
    if name is None:
        raise ObligationError("there is no task to quarantine")
    return scope, name


def is_of(scope: Scope, name: str) -> Callable[[LiveExchange], bool]:
    """Whether an exchange under way is of what was cut off."""

    def picked(entry: LiveExchange) -> bool:
        found = {
            Scope.AGENT: entry.agent,
            Scope.TASK: entry.task,
            Scope.UPSTREAM: entry.upstream,
        }
        return name in entry.tools if scope is Scope.TOOL else found[scope] == name

    return picked
