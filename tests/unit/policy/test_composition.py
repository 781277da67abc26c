"""Packages are named in full and reached; rules and data share no path."""

import pytest

from tests.support.policy import a_release
from tests.support.policy_gate import GATE, HEAD, gated


@pytest.mark.parametrize(
    ("text", "check"),
    [
        pytest.param("x if data.outrider[_].findings", "composition", id="wildcard-over-packages"),
        pytest.param("x := data.outrider", "composition", id="whole-package"),
    ],
)
def test_names_what_may_not_be_there_with_its_line(text, check):
    problems = gated(text)
    assert check in {name for name, _ in problems}
    assert all(line >= 5 for _, line in problems)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('x := data.outrider.tiers["low"]', id="data-by-key"),
        pytest.param("x contains v if { some v in input.context.behaviour.recent }", id="set-rule"),
    ],
)
def test_lets_near_misses_pass(text):
    assert gated(text) == []


def test_refuses_a_package_that_no_index_names():
    modules = {
        "outrider/main.rego": HEAD,
        "outrider/controls.rego": "package outrider.controls\n\n"
        "findings contains f if some f in data.outrider.controls.a.findings\n",
        "outrider/controls/a/a.rego": "package outrider.controls.a\n\nfindings contains 1\n",
        "outrider/controls/b/b.rego": "package outrider.controls.b\n\nfindings contains 1\n",
    }
    problems = GATE.problems(a_release(modules))
    assert [(one.file, one.line) for one in problems] == [("outrider/controls/b/b.rego", 3)]
    assert "controls.rego" in problems[0].message


def test_refuses_a_rule_whose_path_the_data_has_too():
    assert gated("tiers := 1", {"tiers": {"low": {}}}) == [("composition", 5)]
    assert gated("tiers.low := 1", {"tiers": 7}) == [("composition", 5)]
    assert gated("tears := 1", {"tiers": {"low": {}}}) == []
