"""What an agent may ask of its own task: look, narrow, take a child, end (CONTRACTS §4).

Laws: the task is bound as for any call, so an agent reaches no task but its own; it never widens,
and never says anything of its principal: anchors come from those who registered it.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from outrider.core.clock import rfc3339
from outrider.core.errors import ConfigError, EnforcementError, MalformedError
from outrider.core.globs import Glob
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.ports import ActivePolicy, TaskNames
from outrider.core.registration import Caller
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Reason, TaskEnd
from outrider.tasks.binder import TaskBinder
from outrider.tasks.lifecycle import LifecycleError, WideningError
from outrider.tasks.registry import TaskRegistry
from outrider.tasks.showing import shown
from outrider.tasks.task import Task

Register = Callable[[Json, Caller], Awaitable[Task]]
End = Callable[..., Awaitable[Task]]
_UNREAD: Final = "what is asked for cannot be read"
_CHILD: Final = frozenset({"purpose", "template", "grant", "deadline", "agent"})
_ENDS: Final = {"completed": TaskEnd.COMPLETED, "cancelled": TaskEnd.CANCELLED}


class OwnDesk:
    """`core.ports.OwnTasks`. `budget` is what the books say is used of a task's limits."""

    def __init__(
        self,
        *,
        binder: TaskBinder,
        registry: TaskRegistry,
        register: Register,
        end: End,
        token: Callable[[Task], str],
        budget: Callable[[Subject, BoundTask], Awaitable[JsonObject | None]],
    ) -> None:
        self._binder = binder
        self._registry = registry
        self._register = register
        self._end = end
        self._token = token
        self._budget = budget

    async def show(self, subject: Subject, names: TaskNames, policy: ActivePolicy) -> JsonObject:
        bound = await self._bound(subject, names, policy)
        budget = await self._budget(subject, bound)
        if bound.standing:
            return {**_standing(bound), "budget": budget}
        task = await self._registry.shelf.get(bound.id)
        said = {**shown(task), "grant": bound.grant.document, "budget": budget}
        return {**said, "token": self._token(task)}

    async def narrow(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject:
        bound = await self._own(subject, names, policy)
        ask = as_object(as_object(body).get("grant"))
        if not ask or len(as_object(body)) != 1:
            raise MalformedError("give {grant}, narrower than the task's")
        try:
            task = await self._registry.narrow(bound.id, ask, by=subject.id)
        except WideningError:
            raise EnforcementError(
                "the grant that is asked for is not provably narrower: widening it needs a "
                "person's approval, and approvals cannot be asked for yet",
                reason=Reason.OBLIGATION,
                status=409,
                cause="widening",
            ) from None
        except (ConfigError, LifecycleError):
            raise MalformedError(_UNREAD, cause="grant") from None
        return {**shown(task), "token": self._token(task)}

    async def child(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject:
        bound = await self._own(subject, names, policy)
        if not isinstance(body, dict) or not body.keys() <= _CHILD:
            raise MalformedError(f"give {{{', '.join(sorted(_CHILD))}}}", cause="child")
        agent = body.get("agent", subject.id)
        if agent != subject.id and not _may_hand_on(bound, agent):
            raise EnforcementError(
                "the task's grant does not let it be handed on to that agent",
                reason=Reason.DELEGATION,
            )
        caller = Caller(id=subject.id, type=subject.type, trust_domain=subject.trust_domain)
        ask: JsonObject = {**body, "agent": agent, "parent": bound.id}
        try:
            task = await self._register(ask, caller)
        except ConfigError:
            raise MalformedError(_UNREAD, cause="child") from None
        if task.agent != subject.id:
            return shown(task)
        return {**shown(task), "token": self._token(task)}

    async def end(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject:
        bound = await self._own(subject, names, policy)
        given = as_object(body).get("end", "completed")
        end = _ENDS.get(given) if isinstance(given, str) else None
        if end is None or not as_object(body).keys() <= {"end"}:
            raise MalformedError(f"give {{end}}, one of {', '.join(_ENDS)}", cause="end")
        return shown(await self._end(bound.id, end, by=subject.id))

    async def _bound(self, subject: Subject, names: TaskNames, policy: ActivePolicy) -> BoundTask:
        bound = await self._binder.bind(subject, names, policy)
        if bound is None:
            raise EnforcementError("the agent has no task", reason=Reason.NO_TASK)
        return bound

    async def _own(self, subject: Subject, names: TaskNames, policy: ActivePolicy) -> BoundTask:
        """The bound task, which must be one that was registered."""
        bound = await self._bound(subject, names, policy)
        if bound.standing:
            raise EnforcementError(
                "a standing grant is policy data: no agent narrows it, ends it or hands it on",
                reason=Reason.NO_TASK,
                status=409,
                cause="standing",
            )
        return bound


def _may_hand_on(bound: BoundTask, agent: Json) -> bool:
    delegation = bound.grant.delegation
    if delegation is None or delegation.depth < 1 or not isinstance(agent, str):
        return False
    return _some(delegation.to, agent)


def _some(globs: tuple[Glob, ...], name: str) -> bool:
    return any(glob.matches(name) for glob in globs)


def _standing(bound: BoundTask) -> JsonObject:
    ends = bound.ends_unix_s
    return {
        "id": bound.id,
        "state": "active",
        "standing": True,
        "purpose": bound.purpose,
        "grant": bound.grant.document,
        "grant_revision": bound.grant_revision,
        "deadline": rfc3339(ends) if ends is not None else None,
        "period_s": bound.period_s,
    }
