"""Coverage: a line no test runs, a kind of case that is missing, a control without tests: told."""

from xml.etree import ElementTree as ET

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.coverage import coverage
from tests.support.policy import ENTRYPOINT, a_release, a_tree

MAIN = """package outrider

default decision := {"effect": "deny"}

decision := {"effect": "allow"} if data.outrider.controls.findings == set()
"""
INDEX = """package outrider.controls

findings contains f if some f in data.outrider.controls.one.findings
"""
ONE = """package outrider.controls.one

findings contains "one" if input.a == 1

findings contains "two" if {
	input.b == 1
	input.c == data.outrider.open
}
"""
MODULES = {
    "outrider/main.rego": MAIN,
    "outrider/controls.rego": INDEX,
    "outrider/controls/one/one.rego": ONE,
}
SUITE = "outrider/controls/one/one.suite.yaml"
KINDS = ("positive", "near_miss", "hostile")


def a_suite(kinds=KINDS, change="{a: 0}", data=""):
    cases = "".join(
        f"  - {{name: {kind}, kind: {kind}, set: {change}, expect: {{effect: deny}}}}\n"
        for kind in kinds
    )
    return f"suite: ONE\nbase: ../../../fixtures/base.yaml\n{data}cases:\n{cases}"


def report(suites, tests=None, threshold=95.0):
    tree = a_tree(
        MODULES,
        {"open": 0},
        suites=suites,
        tests=tests or {},
        fixtures={"fixtures/base.yaml": {"a": 1, "b": 1, "c": 0}},
    )
    release = a_release(MODULES, {"open": 0})
    return coverage(tree, release, entrypoint=ENTRYPOINT, threshold=threshold)


def test_every_line_and_every_kind_is_enough():
    found = report({SUITE: a_suite(change="{/a: 1}")})
    assert found.passed
    assert [(one.package, one.percent, one.missed) for one in found.controls] == [
        ("outrider.controls.one", 100.0, ())
    ]


def test_a_line_that_no_case_runs_is_named():
    found = report({SUITE: a_suite(change="{/b: 0}")})
    assert not found.passed
    assert found.controls[0].missed == (
        "outrider/controls/one/one.rego:5",
        "outrider/controls/one/one.rego:7",
    )
    assert "one.rego:7" in found.controls[0].why_not(95.0)


def test_a_test_rule_runs_lines_too():
    test = (
        "package outrider.controls.one_test\n\n"
        "test_two if {\n"
        '\tdata.outrider.controls.one.findings == {"two"} with input as {"b": 1, "c": 0}\n'
        "}\n"
    )
    tests = {"outrider/controls/one/one_test.rego": test}
    assert report({SUITE: a_suite(change="{/b: 0}")}, tests).passed


def test_a_suite_with_data_of_its_own_runs_on_it():
    whole = a_suite(change="{/b: 0}")
    apart = a_suite(("hostile",), "{/c: 1}", "data: {/outrider/open: 1}\n")
    beside = {SUITE: whole, "outrider/controls/one/apart.suite.yaml": apart}
    assert report(beside).passed


@pytest.mark.parametrize("missing", KINDS)
def test_a_kind_that_is_missing_fails(missing):
    found = report({SUITE: a_suite([kind for kind in KINDS if kind != missing], "{/a: 1}")})
    assert found.controls[0].lacks == (missing,)
    assert not found.passed


@pytest.mark.control("GV-03")
def test_a_control_without_a_suite_lacks_them_all():
    found = report({})
    assert found.controls[0].lacks == KINDS
    assert found.controls[0].percent == 0.0


def test_a_lower_threshold_takes_less():
    assert report({SUITE: a_suite(change="{/b: 0}")}, threshold=50.0).passed


def test_nothing_to_cover_is_no_success():
    assert not coverage(a_tree(), a_release(), entrypoint=ENTRYPOINT).passed


def test_a_suite_that_cannot_be_read_is_told():
    with pytest.raises(ConfigError, match=r"one\.suite\.yaml"):
        report({SUITE: "suite: ONE\nbase: nowhere.yaml\ncases: []\n"})


def test_the_report_reads_as_junit_and_json():
    found = report({SUITE: a_suite(("positive",), "{/a: 1}")})
    suite = ET.fromstring(found.junit())  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert found.document() == {
        "passed": False,
        "threshold": 95.0,
        "controls": [
            {
                "package": "outrider.controls.one",
                "percent": 100.0,
                "missed": [],
                "lacks": ["near_miss", "hostile"],
                "passed": False,
            }
        ],
    }
