"""Small calls at even times to one host outside."""

import pytest

from outrider.tasks.behaviour import beats
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.document import BEACONS, BEATS, TaskDocument
from outrider.tasks.provenance.answers import Looked
from tests.support.builders import a_destination, an_action, an_ask


def an_act(host: str = "out.test", text: str = "x") -> Act:
    action = an_action(
        ask=an_ask(arguments={"text": text}), destinations=(a_destination(host, zone="external"),)
    )
    return Act(action, Looked(entries={}, incomplete=False))


def a_document() -> TaskDocument:
    return TaskDocument("ab" * 32)


@pytest.mark.parametrize(
    ("times_s", "told"),
    [
        pytest.param([0, 60, 120, 180, 240, 300], {"calls": 6, "jitter_percent": 0}, id="even"),
        pytest.param([0, 60, 121, 180, 239, 300], {"calls": 6, "jitter_percent": 1}, id="nearly"),
        pytest.param([0, 10, 200, 210, 400], {"calls": 5, "jitter_percent": 90}, id="irregular"),
        pytest.param([0, 0, 0], {"calls": 3, "jitter_percent": 100}, id="a-burst-is-no-beat"),
        pytest.param([0, 60], None, id="two-are-no-row"),
    ],
)
def test_a_row_is_told_by_its_length_and_evenness(times_s: list[int], told: object) -> None:
    document, act = a_document(), an_act()
    for time_s in times_s:
        beats.count(document, act, time_s * 1000)
    assert beats.told(document, act) == told


def test_a_large_call_ends_the_row() -> None:
    document, act = a_document(), an_act()
    for time in range(3):
        beats.count(document, act, time)
    large = an_act(text="x" * 5000)
    beats.count(document, large, 3)
    assert beats.told(document, large) is None
    assert document.beacons == {}


def test_what_is_taken_back_beats_no_more() -> None:
    document, act = a_document(), an_act()
    for time in (0, 1, 2):
        beats.count(document, act, time)
    beats.take_back(document, act, 1)
    assert document.beacons == {"out.test": [0, 2]}
    beats.take_back(document, act, 0)
    beats.take_back(document, act, 2)
    assert document.beacons == {}


def test_a_host_without_room_counts_as_a_long_even_row_until_another_is_idle() -> None:
    document = a_document()
    for number in range(BEACONS):
        beats.count(document, an_act(f"h{number}.test"), 0)
    one_more = an_act("more.test")
    beats.count(document, one_more, 1000)
    assert beats.told(document, one_more) == {"calls": BEATS, "jitter_percent": 0}
    beats.count(document, one_more, 4_000_000)
    assert beats.told(document, one_more) is None


def test_times_are_bounded() -> None:
    document, act = a_document(), an_act()
    for time in range(100):
        beats.count(document, act, time * 1000)
    assert len(document.beacons["out.test"]) == BEATS
