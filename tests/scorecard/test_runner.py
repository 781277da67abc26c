"""Which runs a plan has."""

import pytest

from tests.scorecard.data import Call, Goal, Suite, Task
from tests.scorecard.replay import Ran
from tests.scorecard.runner import Plan

CALL = Call(tool="t", arguments={})


def a_suite(tasks=10, goals=6):
    return Suite(
        name="slack",
        tools=(),
        tasks=tuple(
            Task(id=f"t{one}", prompt="", calls=(CALL,), useful=True, exposed_at=0, vectors=("v",))
            for one in range(tasks)
        ),
        goals=(
            *(Goal(id=f"g{one}", text="", calls=(CALL,)) for one in range(goals)),
            Goal(id="words", text="", calls=()),
        ),
    )


def a_plan(**changes):
    return Plan(suites=(a_suite(),), kinds={}, **changes)


def goals_of(plan):
    return [goal.id for _, goal in plan.of(plan.suites[0]) if goal is not None]


def test_whole_every_task_meets_every_goal_that_can_be_replayed():
    plan = a_plan()
    assert len(goals_of(plan)) == 60
    assert plan.runs == 70
    assert "words" not in goals_of(plan)


@pytest.mark.parametrize(("every", "count"), [(2, 30), (4, 15), (7, 9), (100, 1)])
def test_a_sample_is_so_large_and_the_same_each_time(every, count):
    plan = a_plan(every=every)
    assert len(goals_of(plan)) == count
    assert goals_of(plan) == goals_of(a_plan(every=every))


def test_a_sample_that_counts_like_the_goals_still_meets_several():
    assert len(set(goals_of(a_plan(every=6)))) > 1


def test_a_sample_leaves_no_task_alone_out():
    alone = [task.id for task, goal in a_plan(every=10).of(a_suite()) if goal is None]
    assert alone == [f"t{one}" for one in range(10)]


def test_a_run_is_known_to_be_of_the_sample_or_not():
    plan = a_plan(every=6)
    known = [
        plan.holds(Ran(suite="slack", task=task.id, goal=goal.id if goal else None, steps=()))
        for task, goal in a_plan().of(a_suite())
    ]
    assert sum(known) == plan.runs
