"""Tasks, their ends and what their behaviour showed."""

import pytest

from outrider.core.vocabulary import Effect, Role, TaskEnd
from outrider.tasks.behaviour.document import FLAGS
from outrider.telemetry.families.tasks import FLAGS as TOLD_FLAGS
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


def test_levels_show_what_is_now() -> None:
    metrics = a_registry()
    metrics.tasks_active(4)
    metrics.review_overdue(60)
    assert value(metrics, "outrider_tasks_active") == 4
    assert value(metrics, "outrider_review_overdue_seconds") == 60
