"""What policy is told."""

from typing import Any

import pytest

from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.counting import count_in
from outrider.tasks.behaviour.document import HOSTS, SATURATED, SUBJECTS, TaskDocument
from outrider.tasks.behaviour.summary import HOSTS_TOLD, Before, summary
from outrider.tasks.provenance.answers import Looked
from tests.support.builders import a_destination, an_action, an_ask


def an_act(name: str = "a", **changes: Any) -> Act:
    action = an_action(ask=an_ask(arguments={"name": name}), **changes)
    return Act(action, Looked(entries={}, incomplete=False))


def a_document() -> TaskDocument:
    return TaskDocument("ab" * 32)


def told(document: TaskDocument, act: Act, second: int = 1000) -> Any:
    return count_in(document, [act], [{}], second * 1000, "t").behaviours[0]


@pytest.mark.parametrize(
    ("names", "turns"),
    [
        pytest.param("a", 0, id="alone"),
        pytest.param("aa", 0, id="the-same"),
        pytest.param("ab", 1, id="once"),
        pytest.param("abab", 2, id="twice"),
        pytest.param("abababab", 4, id="four-times"),
        pytest.param("abababc", 1, id="another-between"),
        pytest.param("xyabab", 2, id="others-before"),
    ],
)
def test_two_that_take_turns_are_counted(names: str, turns: int) -> None:
    document = a_document()
    behaviours = [told(document, an_act(name)) for name in names]
    assert behaviours[-1]["signals"]["oscillation"] == turns


def test_repeats_are_those_of_a_minute() -> None:
    document = a_document()
    same = [told(document, an_act(), second) for second in (0, 10, 59, 60, 119)]
    assert [one["repeats"]["same_action_60s"] for one in same] == [1, 2, 3, 3, 2]


def test_more_patterns_than_are_kept_are_over_any_limit() -> None:
    document = a_document()
    for number in range(600):
        behaviour = told(document, an_act(str(number)))
    assert behaviour["repeats"]["same_action_60s"] == SATURATED


def test_at_most_eight_events_are_told_newest_first() -> None:
    document = a_document()
    for number in range(20):
        behaviour = told(document, an_act(str(number)), number)
    ids = [event["id"] for event in behaviour["recent"]]
    assert ids == [f"evt_{number}" for number in range(19, 11, -1)]
    assert behaviour["recent"][0]["age_s"] == 1


def test_hosts_beyond_those_kept_are_over_any_limit() -> None:
    document = a_document()
    for number in range(HOSTS + 1):
        act = an_act(destinations=(a_destination(f"h{number}.test"),))
        counters = told(document, act)["counters"]
    assert counters["distinct_destinations"] == SATURATED
    assert counters["bytes_out"][f"h{HOSTS}.test"] == SATURATED
    assert len(counters["bytes_out"]) == HOSTS_TOLD + 1


def test_a_long_host_is_told_by_its_name() -> None:
    host = "h" * 70 + ".test"
    act = an_act(destinations=(a_destination(host),))
    assert told(a_document(), act)["counters"]["bytes_out"][host] == 12


def test_as_many_subjects_as_are_kept_are_over_any_limit() -> None:
    document = a_document()
    document.subjects = {str(number): 1 for number in range(SUBJECTS)}
    assert told(document, an_act())["signals"]["distinct_subjects"] == SATURATED


def test_without_an_action_the_task_is_told_alone() -> None:
    document = a_document()
    told(document, an_act())
    behaviour: Any = summary(document, Before(document, 0), None, 1_000_000, {})
    assert behaviour["counters"]["calls_60s"] == 1
    assert behaviour["repeats"] == {"same_action_60s": 0, "same_target_after_deny": False}
