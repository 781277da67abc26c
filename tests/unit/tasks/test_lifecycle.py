"""The life of a task: a table, an end that is final, a grant that only ever shrinks."""

from typing import Any

import pytest

from outrider.core.errors import ConfigError, EnforcementError
from outrider.core.grant import narrower
from outrider.core.vocabulary import ActionEffect, Reason, TaskEnd, TaskState
from outrider.tasks.lifecycle import (
    CHILDREN,
    NEXT,
    LifecycleError,
    Step,
    WideningError,
    confined,
    ended,
    narrowed,
    stepped,
    with_child,
)
from outrider.tasks.task import EVENTS
from tests.support.builders import NOW_UNIX_S
from tests.support.tasks import a_registered_task

BY: dict[str, Any] = {"by": "control:operator", "now_unix_s": NOW_UNIX_S + 5}


@pytest.mark.parametrize("step", list(Step))
@pytest.mark.parametrize("state", list(TaskState))
def test_a_step_that_is_not_in_the_table_changes_nothing(state: TaskState, step: Step) -> None:
    task = a_registered_task(state=state)
    following = NEXT[state].get(step)
    if following is None:
        with pytest.raises(LifecycleError, match=f"the task is {state.value}"):
            stepped(task, step, **BY)
    else:
        after = stepped(task, step, **BY)
        assert (after.state, after.events[-1].name) == (following, step.value)


def test_the_table_is_total_and_nothing_leaves_the_end() -> None:
    assert set(NEXT) == set(TaskState)
    assert NEXT[TaskState.ENDED] == {}
    left = [state for state in TaskState if state is not TaskState.ENDED]
    assert all(NEXT[state][Step.ENDED] is TaskState.ENDED for state in left)


def test_the_first_end_is_the_end() -> None:
    over = ended(a_registered_task(), TaskEnd.CANCELLED, **BY)
    assert (over.state, over.end, over.ended_unix_s) == (
        TaskState.ENDED,
        TaskEnd.CANCELLED,
        NOW_UNIX_S + 5,
    )
    assert ended(over, TaskEnd.COMPLETED, **BY) is over


def test_narrowing_leaves_what_it_does_not_name() -> None:
    task = a_registered_task()
    less = narrowed(task, {"effects": ["read"], "calls": 3}, **BY)
    assert less.grant.effects == {ActionEffect.READ}
    assert (less.grant.tools, less.grant.limits.calls) == (task.grant.tools, 3)
    assert (less.grant_revision, less.events[-1].detail) == (2, "revision 2")


def test_asking_for_what_it_has_changes_nothing() -> None:
    task = a_registered_task()
    assert narrowed(task, {"tools": ["crm/*"]}, **BY) is task
    assert confined(task, {"tools": ["*"]}, **BY) is task


@pytest.mark.control("TS-05")
@pytest.mark.parametrize(
    "ask",
    [
        pytest.param({"tools": ["crm/*", "crm2/x"]}, id="a-tool-more"),
        pytest.param({"effects": ["read", "send", "pay"]}, id="an-effect-more"),
        pytest.param({"sensitivity": "secret"}, id="more-sensitive"),
        pytest.param({"destinations": ["*"]}, id="further"),
        pytest.param({"calls": 11}, id="a-call-more"),
        pytest.param({"calls": None}, id="a-bound-removed"),
        pytest.param({"arguments": {}}, id="a-rule-removed"),
        pytest.param({"delegation": {"to": ["spiffe://acme.test/x"]}}, id="handed-on"),
        pytest.param({"effects": ["read"], "tools": ["*"]}, id="less-and-more"),
    ],
)
def test_what_is_not_provably_narrower_takes_a_person(ask: dict[str, Any]) -> None:
    rules = {"crm/get_ticket": {"/ticket_id": {"max_length": 9}}}
    before = a_registered_task()
    task = narrowed(before, {"calls": 10, "arguments": rules}, **BY)
    with pytest.raises(WideningError):
        narrowed(task, ask, **BY)
    kept = confined(task, ask, **BY)
    assert narrower(kept.grant, task.grant)


def test_confining_takes_what_both_say_whatever_is_asked() -> None:
    less = confined(a_registered_task(), {"effects": ["read", "pay"], "tools": ["*"]}, **BY)
    assert less.grant.effects == {ActionEffect.READ}
    assert (less.grant.tools, less.grant_revision) == (("crm/*",), 2)


@pytest.mark.parametrize("change", [narrowed, confined])
def test_a_task_that_has_ended_keeps_its_grant(change: Any) -> None:
    over = ended(a_registered_task(), TaskEnd.COMPLETED, **BY)
    with pytest.raises(LifecycleError):
        change(over, {"effects": ["read"]}, **BY)
    with pytest.raises(ConfigError, match=r"grant\.tools"):
        change(a_registered_task(), {"tools": 1}, **BY)


def test_a_parent_has_so_many_children_and_only_while_it_is_active() -> None:
    task = with_child(a_registered_task(), "tsk_c", **BY)
    assert (task.children, task.events[-1].detail) == (("tsk_c",), "tsk_c")
    full = a_registered_task(children=tuple(map(str, range(CHILDREN))))
    with pytest.raises(EnforcementError) as refusal:
        with_child(full, "tsk_c", **BY)
    assert refusal.value.cause == "children"
    for state, reason in (
        (TaskState.SUSPENDED, Reason.NO_TASK),
        (TaskState.ENDED, Reason.TASK_ENDED),
    ):
        with pytest.raises(EnforcementError) as refusal:
            with_child(a_registered_task(state=state), "tsk_c", **BY)
        assert refusal.value.reason is reason


def test_only_the_latest_events_are_kept() -> None:
    task = a_registered_task()
    for number in range(EVENTS + 5):
        step = Step.RESUMED if number % 2 else Step.SUSPENDED
        task = stepped(task, step, **BY)
    assert len(task.events) == EVENTS
