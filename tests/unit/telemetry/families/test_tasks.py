"""Tasks, their ends and what their behaviour showed."""

import pytest

from outrider.core.vocabulary import Effect, Role, TaskEnd
from outrider.tasks.behaviour.document import FLAGS
from outrider.tasks.page import AUTHORITY as COUNTED
from outrider.tasks.quarantine import Scope
from outrider.telemetry.families.tasks import AUTHORITY, FLAGS as TOLD_FLAGS, SCOPES
from tests.support.metrics import a_registry, total, value


def test_the_flags_are_the_behaviours() -> None:
    assert set(TOLD_FLAGS) == set(FLAGS.values())


@pytest.mark.parametrize("end", TaskEnd)
def test_every_end_is_counted(end: TaskEnd) -> None:
    metrics = a_registry()
    metrics.task_ended(end)
    assert value(metrics, "outrider_tasks_total", end=end.value) == 1
    assert total(metrics, "outrider_tasks_total") == 1


@pytest.mark.parametrize("flag", TOLD_FLAGS)
def test_every_flag_is_counted(flag: str) -> None:
    metrics = a_registry()
    metrics.flag_set(flag)
    assert value(metrics, "outrider_behaviour_flags_total", flag=flag) == 1


@pytest.mark.parametrize("role", Role)
def test_untrusted_arguments_are_counted_by_role_and_effect(role: Role) -> None:
    metrics = a_registry()
    metrics.untrusted_argument(role, Effect.DENY)
    name = "outrider_untrusted_arguments_total"
    assert value(metrics, name, role=role.value, effect="deny") == 1
    assert total(metrics, name) == 1


def test_what_is_cut_off_is_shown_by_scope_and_what_is_lifted_no_longer() -> None:
    metrics = a_registry()
    metrics.quarantined({"agent": 2, "task": 1})
    metrics.quarantined({"agent": 1})
    shown = {scope: value(metrics, "outrider_quarantined", scope=scope) for scope in SCOPES}
    assert shown == {"agent": 1, "task": 0, "tool": 0, "upstream": 0}


def test_propagation_is_never_below_nothing() -> None:
    metrics = a_registry()
    metrics.quarantine_propagated(-1)
    metrics.quarantine_propagated(0.7)
    name = "outrider_quarantine_propagation_seconds"
    assert value(metrics, f"{name}_sum") == 0.7
    assert value(metrics, f"{name}_bucket", le="1.0") == 2
    assert value(metrics, f"{name}_bucket", le="0.1") == 1


def test_the_roles_shown_from_the_start_are_those_that_are_counted() -> None:
    assert set(AUTHORITY) == set(COUNTED)


def test_the_scopes_are_the_quarantines() -> None:
    assert set(SCOPES) == {scope.value for scope in Scope}


def test_levels_show_what_is_now() -> None:
    metrics = a_registry()
    metrics.tasks_active(4)
    metrics.review_overdue(60)
    assert value(metrics, "outrider_tasks_active") == 4
    assert value(metrics, "outrider_review_overdue_seconds") == 60
