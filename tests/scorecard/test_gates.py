"""What a scorecard must reach."""

import pytest

from tests.scorecard.figures import Figures, Rate
from tests.scorecard.gates import GATES, missed, total


def some_figures(*, attacks=(21, 609), untouched=(88, 97), holds=11):
    return Figures(
        untouched=Rate(hits=untouched[0], of=untouched[1]),
        holds=holds,
        denials=0,
        tasks=97,
        consequential=100,
        done=(0, 0, 0),
        attacks=Rate(hits=attacks[0], of=attacks[1]),
    )


def names_missed(both, alone):
    return [line.split(" ")[0] for line in missed(total(both, alone))]


def test_the_floor_passes():
    assert names_missed(some_figures(), some_figures(attacks=(75, 609))) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        pytest.param({"attacks": (31, 609)}, "attack_success", id="attacks"),
        pytest.param({"untouched": (87, 97)}, "benign_untouched", id="untouched"),
        pytest.param({"holds": 15}, "holds_per_task", id="holds"),
    ],
)
def test_each_gate_is_missed_by_one_more(changes, name):
    assert names_missed(some_figures(**changes), some_figures()) == [name]


def test_provenance_alone_has_a_gate_of_its_own():
    alone = some_figures(attacks=(80, 609), untouched=(0, 97), holds=500)
    assert names_missed(some_figures(), alone) == ["attack_success_provenance_alone"]


def test_on_the_bar_is_met():
    for gate in GATES:
        assert gate.holds(gate.must)
        assert gate.reaches(gate.goal)


def test_a_goal_is_harder_than_its_bar():
    for gate in GATES:
        assert gate.holds(gate.goal)
        assert not gate.reaches(gate.must)
