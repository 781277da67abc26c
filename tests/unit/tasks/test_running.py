"""Which tasks an agent has under way, and which it began on what it heard."""

import pytest

from outrider.tasks.running import AGENTS, HEARD_S, ROOTS, Running
from tests.support.books import a_root


@pytest.mark.parametrize(
    ("after_s", "tainted"),
    [
        pytest.param(HEARD_S - 1, True, id="within-the-hour"),
        pytest.param(HEARD_S, False, id="later"),
    ],
)
def test_a_task_begun_soon_after_a_message_counts_as_begun_on_it(
    after_s: int, tainted: bool
) -> None:
    running = Running()
    running.heard("agent", 1000)
    assert running.began("agent", "task:1", None, 1000 + after_s) is tainted


def test_another_agent_heard_nothing() -> None:
    running = Running()
    running.heard("agent", 1000)
    assert running.began("other", "task:1", None, 1001) is False


def test_a_task_begins_once() -> None:
    running = Running()
    running.began("agent", "task:1", None, 999)
    running.heard("agent", 1000)
    assert running.began("agent", "task:1", None, 1001) is False


def test_what_is_under_way_hears() -> None:
    running, task = Running(), a_root()
    running.began("agent", "task:1", task, 999)
    running.began("agent", "task:2", None, 999)
    running.ended("task:2")
    assert running.heard("agent", 1000) == [("task:1", task)]


def test_agents_and_tasks_are_bounded() -> None:
    running = Running()
    for number in range(ROOTS + 10):
        running.began("agent", f"task:{number}", None, 0)
    assert len(running.heard("agent", 0)) == ROOTS
    for number in range(AGENTS + 10):
        running.began(f"agent-{number}", "task:1", None, 0)
        running.heard(f"agent-{number}", 0)
    assert running.heard("agent-0", 0) == []
