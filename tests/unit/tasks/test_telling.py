"""Which period it is, and the facts of a task alone."""

import pytest

from outrider.core.task import BoundTask
from outrider.tasks.behaviour.document import TaskDocument
from outrider.tasks.telling import DAY_S, period_of, task_facts
from tests.support.books import a_root, an_office

NOON_S = 100 * DAY_S + 43_200


@pytest.mark.parametrize(
    ("task", "after_s", "turned"),
    [
        pytest.param(a_root(), 400 * DAY_S, False, id="a-task-has-one"),
        pytest.param(None, 43_199, False, id="without-a-task-the-same-day"),
        pytest.param(None, 43_200, True, id="without-a-task-the-next-day"),
        pytest.param(a_root(standing=True), 43_200, True, id="standing-the-next-day"),
        pytest.param(a_root(standing=True, period_s=3600), 3599, False, id="within-its-period"),
        pytest.param(a_root(standing=True, period_s=3600), 3600, True, id="its-next-period"),
    ],
)
def test_periods_turn(task: BoundTask | None, after_s: float, turned: bool) -> None:
    assert (period_of(task, NOON_S + after_s) > period_of(task, NOON_S)) is turned


def test_a_task_alone_is_told_with_every_signal() -> None:
    office = an_office()
    facts = task_facts(TaskDocument("ab" * 32), office.opening(), NOON_S)
    assert facts.behaviour["signals"] == {
        "amount_target_24h": None,
        "approval_misuse": False,
        "beacon": None,
        "bytes_read": 0,
        "consent_other_agent": False,
        "deletes_60s": 0,
        "denied_tools_300s": 0,
        "distinct_subjects": 0,
        "first_use": False,
        "instances_60s": 0,
        "listed": None,
        "oscillation": 0,
        "outside_template": False,
        "rejected_same_3600s": 0,
        "secret_denials": 0,
        "secret_destinations": 0,
        "target_age_s": None,
    }
    assert (facts.budget is None, facts.provenance) == (False, {})


def test_without_a_task_there_is_no_budget() -> None:
    office = an_office(task=None)
    assert task_facts(TaskDocument("ab" * 32), office.opening(), NOON_S).budget is None
