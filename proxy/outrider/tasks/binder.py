"""Which task a call works for (CONTRACTS §4): by name, the single active one, or a standing grant.

Laws: a name that cannot be verified is refused, never trusted, in one sentence whatever is wrong
with it; an agent with a task that has not ended, suspended or not, never falls back to its
standing grant by naming none; nothing serves an agent that policy data does not call active.
"""

import re
from typing import Final

from outrider.core.errors import EnforcementError, MalformedError
from outrider.core.ports import ActivePolicy, TaskNames
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Reason, TaskState
from outrider.tasks.registry import TaskRegistry
from outrider.tasks.shelf import UnknownTaskError
from outrider.tasks.standing import StandingTasks
from outrider.tasks.task import Task
from outrider.tasks.tokens import TaskTokens, TokenMismatchError, looks_like_token, same_id

_ID: Final = re.compile(r"tsk_[0-9a-f]{32}")
_ACTIVE: Final = "active"
_UNKNOWN: Final = "no such active task of this agent"


class TaskBinder:
    """`core.ports.TaskBinder`. `required` is the setting `tasks.required`."""

    def __init__(
        self,
        *,
        registry: TaskRegistry,
        tokens: TaskTokens,
        standing: StandingTasks,
        required: bool,
    ) -> None:
        self._registry = registry
        self._tokens = tokens
        self._standing = standing
        self._required = required

    async def bind(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy
    ) -> BoundTask | None:
        """As the port says; raises `StoreUnavailableError` besides."""
        given = [name for name in (names.header, names.message) if name is not None]
        if not given:
            return await self._unnamed(subject, policy)
        ids = {self._id_of(name) for name in given}
        if len(ids) > 1:
            raise MalformedError("header and message name different tasks", cause="task_names")
        task = await self._own_task(ids.pop(), subject)
        for name in given:
            self._check(name, task)
        return await self._serving(task, policy)

    def _id_of(self, name: str) -> str:
        """The task that `name` names, an id or a token of ours; itself where it is neither."""
        if not looks_like_token(name):
            return name
        try:
            return self._tokens.name_in(name)
        except TokenMismatchError as fault:
            raise _unknown(fault.cause) from None

    def _check(self, name: str, task: Task) -> None:
        if not looks_like_token(name):
            return
        try:
            self._tokens.check(name, task)
        except TokenMismatchError as fault:
            raise _unknown(fault.cause) from None

    async def _own_task(self, name: str, subject: Subject) -> Task:
        if not _ID.fullmatch(name):
            raise _unknown("unknown_task")
        task = await self._registry.shelf.find(name)
        if task is None:
            raise _unknown("unknown_task")
        if not same_id(task.agent, subject.id):
            raise _unknown("foreign_task")
        return task

    async def _serving(self, task: Task, policy: ActivePolicy) -> BoundTask:
        try:
            chain = await self._registry.chain(task)
        except UnknownTaskError:
            raise _unknown("parent") from None
        state = await self._registry.state_of(chain)
        if state is TaskState.ENDED:
            raise EnforcementError("the task has ended", reason=Reason.TASK_ENDED)
        if state is not TaskState.ACTIVE:
            raise _unknown(state.value)
        _check_agent(task.agent, policy)
        return self._registry.bound(chain)

    async def _unnamed(self, subject: Subject, policy: ActivePolicy) -> BoundTask | None:
        under_way = await self._registry.under_way_of(subject.id)
        if len(under_way.active) > 1:
            raise EnforcementError(
                "the agent has more than one active task: name one",
                reason=Reason.NO_TASK,
                cause="ambiguous",
            )
        if under_way.active:
            _check_agent(subject.id, policy)
            return self._registry.bound(under_way.active[0])
        if under_way.waiting:
            raise EnforcementError(
                "the agent's task is not active", reason=Reason.NO_TASK, cause="not_active"
            )
        if self._required:
            raise EnforcementError("a task is required", reason=Reason.NO_TASK, cause="required")
        return self._standing.of(subject, policy)


def _check_agent(agent: str, policy: ActivePolicy) -> None:
    entry = policy.agents.get(agent)
    if entry is None or entry.status != _ACTIVE:
        raise EnforcementError(
            "the agent is not active", reason=Reason.NO_TASK, cause="agent_status"
        )


def _unknown(cause: str | None) -> EnforcementError:
    return EnforcementError(_UNKNOWN, reason=Reason.NO_TASK, cause=cause)
