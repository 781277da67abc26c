"""The life of a task as plain functions (GOVERNANCE §2).

Laws: a pair that is not in the table raises and changes nothing; `ended` is final, and ending again
gives the same task; a grant only ever becomes narrower here, and each time its revision grows.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from outrider.core.errors import EnforcementError, OutriderError
from outrider.core.grant import Grant, meet, narrower, parse_grant
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import Reason, TaskEnd, TaskState
from outrider.tasks.task import EVENTS, Event, Task

CHILDREN: Final = 64
"""Children a task may ever have."""


class Step(StrEnum):
    """What happens to a task."""

    ACTIVATED = "activated"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    ENDED = "ended"


NEXT: Final[Mapping[TaskState, Mapping[Step, TaskState]]] = {
    TaskState.PROPOSED: {Step.ACTIVATED: TaskState.ACTIVE, Step.ENDED: TaskState.ENDED},
    TaskState.ACTIVE: {Step.SUSPENDED: TaskState.SUSPENDED, Step.ENDED: TaskState.ENDED},
    TaskState.SUSPENDED: {Step.RESUMED: TaskState.ACTIVE, Step.ENDED: TaskState.ENDED},
    TaskState.ENDED: {},
}


class LifecycleError(OutriderError):
    """What was asked does not fit the state a task is in; a fixed sentence."""


class WideningError(OutriderError):
    """What was asked is not provably narrower: it takes a person."""


def stepped(task: Task, step: Step, *, by: str, now_unix_s: float) -> Task:
    """`task` after `step`. Raises `LifecycleError`."""
    following = NEXT[task.state].get(step)
    if following is None:
        raise LifecycleError(f"the task is {task.state.value}")
    return _told(replace(task, state=following), step.value, by, now_unix_s)


def ended(task: Task, end: TaskEnd, *, by: str, now_unix_s: float) -> Task:
    """`task` ended for `end`; one that has ended already stays as it is."""
    if task.state is TaskState.ENDED:
        return task
    over = stepped(task, Step.ENDED, by=by, now_unix_s=now_unix_s)
    return replace(over, end=end, ended_unix_s=now_unix_s)


def asked_grant(grant: Grant, ask: JsonObject) -> Grant:
    """What `ask` makes of `grant`: of what it does not name, all stays. Raises `ConfigError`."""
    return parse_grant({**grant.document, **ask}, "grant")


def narrowed(task: Task, ask: JsonObject, *, by: str, now_unix_s: float) -> Task:
    """`task` under what `ask` leaves of its grant.

    Raises `WideningError` for an ask that is not provably narrower, `LifecycleError` for a task
    that has ended, `ConfigError`.
    """
    wanted = asked_grant(task.grant, ask)
    if not narrower(wanted, task.grant):
        raise WideningError("the grant that is asked for is not provably narrower")
    return _regranted(task, wanted, by, now_unix_s)


def confined(task: Task, ask: JsonObject, *, by: str, now_unix_s: float) -> Task:
    """`task` under what its grant and `ask` have in common: never wider, whatever is asked.

    Raises `LifecycleError` for a task that has ended, `ConfigError`.
    """
    return _regranted(task, meet(task.grant, asked_grant(task.grant, ask)), by, now_unix_s)


def _regranted(task: Task, grant: Grant, by: str, now_unix_s: float) -> Task:
    if task.state is TaskState.ENDED:
        raise LifecycleError("the task is ended")
    if narrower(task.grant, grant):
        return task  # nothing less than before
    fresh = replace(task, grant=grant, grant_revision=task.grant_revision + 1)
    return _told(fresh, "narrowed", by, now_unix_s, f"revision {fresh.grant_revision}")


def with_child(task: Task, child: str, *, by: str, now_unix_s: float) -> Task:
    """`task` with one more child. Raises `EnforcementError` where it takes none."""
    if task.state is not TaskState.ACTIVE:
        raise EnforcementError("the parent task is not active", reason=_why(task))
    if len(task.children) >= CHILDREN:
        raise EnforcementError(
            f"the task has had its {CHILDREN} children", reason=Reason.BUDGET, cause="children"
        )
    grown = replace(task, children=(*task.children, child))
    return _told(grown, "child", by, now_unix_s, child)


def _why(task: Task) -> Reason:
    return Reason.TASK_ENDED if task.state is TaskState.ENDED else Reason.NO_TASK


def _told(task: Task, name: str, by: str, now_unix_s: float, detail: str | None = None) -> Task:
    event = Event(name=name, unix_s=now_unix_s, by=by, detail=detail)
    return replace(task, events=(*task.events, event)[-EVENTS:])
