"""Policy's own tests: what is undefined, false or broken fails, and so does nothing at all."""

from xml.etree import ElementTree as ET

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.policy.bundle import read
from outrider.policy.engines.embedded import EmbeddedEngine
from outrider.policy.release import load
from outrider.policy.suite import (
    TestReport,
    TestResult,
    read_suite,
    run_rules,
    run_tests,
    uncovered,
)
from tests.support.policy import ENTRYPOINT, a_release, a_tree

SHIPPED = shipped_rego()
TREE = read(SHIPPED)
RELEASE = load(SHIPPED)
MAIN = """package outrider

default decision := {"effect": "deny", "reasons": [{"code": "D"}]}

decision := {"effect": "allow", "obligations": [{"type": "limit", "records": 1}]} if {
	input.a.b == 1
	input.list[1] == 2
	input.pairs[0].k == 1
}
"""
FIXTURES = {"fixtures/base.yaml": {"a": {"b": 1, "c/d": 0}, "list": [1, 2], "pairs": [{"k": 1}]}}


async def run(tree, release):
    clock = SystemClock()
    engine = EmbeddedEngine(clock=clock, entrypoint=ENTRYPOINT, slowest_fixture_s=10.0)
    return await run_tests(
        tree, release, engine.activate, engine=engine.name, entrypoint=ENTRYPOINT, clock=clock
    )


def a_suite(cases, base="../fixtures/base.yaml", data=""):
    text = f"suite: X\nbase: {base}\n{data}cases:\n" + "".join(f"  - {case}\n" for case in cases)
    return a_tree(MAIN, suites={"outrider/main.suite.yaml": text}, fixtures=FIXTURES)


async def outcomes(*cases):
    report = await run(a_suite(cases), a_release(MAIN))
    return [one.message for one in report.results]


async def test_the_shipped_library_passes_its_own_tests():
    report = await run(TREE, RELEASE)
    assert [f"{one.suite} {one.name}: {one.message}" for one in report.failed] == []
    assert report.passed
    assert {one.kind for one in report.results} == {"rule", "positive", "near_miss", "hostile"}
    assert uncovered(report.results) == []


@pytest.mark.parametrize(
    ("case", "message"),
    [
        pytest.param("{name: a, kind: near_miss, expect: {effect: allow}}", "", id="as-expected"),
        pytest.param(
            "{name: a, kind: positive, set: {/a/b: 2}, expect: {effect: deny, codes: [D]}}", "",
            id="set",
        ),
        pytest.param(
            "{name: a, kind: positive, set: {/list/1: 3}, expect: {effect: deny}}", "",
            id="set-in-a-list",
        ),
        pytest.param(
            "{name: a, kind: positive, set: {/pairs/0/k: 2}, expect: {effect: deny}}", "",
            id="set-below-a-list",
        ),
        pytest.param(
            "{name: a, kind: hostile, remove: [/a/b], expect: {effect: deny}}", "", id="remove"
        ),
        pytest.param(
            "{name: a, kind: near_miss, set: {/a/c~1d: 1}, remove: [/a/c~1d],"
            " expect: {effect: allow, codes: [], obligations: [limit]}}", "", id="escaped-pointer",
        ),
        pytest.param(
            "{name: a, kind: positive, expect: {effect: deny}}", "effect is allow, expected deny",
            id="other-effect",
        ),
        pytest.param(
            "{name: a, kind: positive, set: {/a: 1}, expect: {effect: deny, codes: [E]}}",
            "codes are D, expected E", id="other-codes",
        ),
        pytest.param(
            "{name: a, kind: positive, set: {/a: 1}, expect: {effect: deny, codes: []}}",
            "codes are D, expected none", id="codes-are-the-exact-set",
        ),
        pytest.param(
            "{name: a, kind: near_miss, expect: {effect: allow, obligations: []}}",
            "obligations are limit, expected none", id="other-obligations",
        ),
        pytest.param(
            "{name: a, kind: positive, set: {/a: 1}, expect: {effect: deny, reason: policy}}", "",
            id="reason",
        ),
        pytest.param(
            "{name: a, kind: positive, set: {/a: 1}, expect: {effect: deny, reason: obligation}}",
            "reason is policy, expected obligation", id="other-reason",
        ),
    ],
)  # fmt: skip
async def test_a_case_is_compared_whole(case, message):
    assert await outcomes(case) == [message]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param("{name: a, kind: odd, expect: {effect: deny}}", id="unknown-kind"),
        pytest.param("{name: a, kind: hostile}", id="nothing-expected"),
        pytest.param("{name: a, kind: hostile, expect: {effect: perhaps}}", id="unknown-effect"),
        pytest.param("{name: a, kind: hostile, expect: {efect: deny}}", id="misspelt"),
        pytest.param(
            "{name: a, kind: hostile, sets: {}, expect: {effect: deny}}", id="unknown-key"
        ),
        pytest.param(
            "{name: a, kind: hostile, remove: [/a/z], expect: {effect: deny}}", id="not-there"
        ),
        pytest.param(
            "{name: a, kind: hostile, set: {/a/b/c/d: 1}, expect: {effect: deny}}",
            id="no-way-there",
        ),
        pytest.param(
            "{name: a, kind: hostile, set: {/a/b/c: 1}, expect: {effect: deny}}",
            id="below-a-value",
        ),
        pytest.param(
            "{name: a, kind: hostile, set: {a: 1}, expect: {effect: deny}}", id="no-slash"
        ),
        pytest.param(
            "{name: a, kind: hostile, set: {/list/9: 1}, expect: {effect: deny}}", id="past-the-end"
        ),
    ],
)
async def test_a_case_that_cannot_be_read_fails(case):
    report = await run(a_suite([case]), a_release(MAIN))
    assert [one.kind for one in report.failed] == ["suite"]
    with pytest.raises(ConfigError, match=r"main\.suite\.yaml"):
        read_suite(a_suite([case]), "outrider/main.suite.yaml")


OPEN = "package outrider\n\ndefault decision := false\n\ndecision if data.outrider.open == 1\n"
ALLOWED = "{name: a, kind: positive, expect: {effect: allow}}"


async def test_a_suite_may_change_data_and_only_for_itself():
    apart = a_suite([ALLOWED], data="data: {/outrider/open: 1}\n").suites[
        "outrider/main.suite.yaml"
    ]
    plain = a_suite([ALLOWED.replace("allow", "deny")]).suites["outrider/main.suite.yaml"]
    suites = {"outrider/a.suite.yaml": apart, "outrider/b.suite.yaml": plain}
    tree = a_tree(OPEN, {"open": 0}, suites=suites, fixtures=FIXTURES)
    release = a_release(OPEN, {"open": 0})
    report = await run(tree, release)
    assert [one.passed for one in report.results] == [True, True]
    assert release.data["outrider"]["open"] == 0


async def test_a_suite_whose_data_leads_nowhere_fails():
    tree = a_suite([ALLOWED], data="data: {/outrider/rules/XX-01/mode: shadow}\n")
    report = await run(tree, a_release(OPEN))
    assert [one.message for one in report.failed] == [
        "outrider/main.suite.yaml: /outrider/rules/XX-01/mode leads nowhere"
    ]


async def test_a_base_that_is_no_fixture_fails():
    case = "{name: a, kind: positive, expect: {effect: allow}}"
    report = await run(a_suite([case], base="../fixtures/other.yaml"), a_release(MAIN))
    assert "no fixture" in report.failed[0].message


async def test_a_base_that_leads_above_the_tree_stays_in_it():
    case = "{name: a, kind: positive, expect: {effect: allow}}"
    report = await run(a_suite([case], base="../../../fixtures/base.yaml"), a_release(MAIN))
    assert report.passed


async def test_a_suite_whose_cases_are_no_list_fails():
    tree = a_tree(
        MAIN,
        suites={"outrider/main.suite.yaml": "suite: X\nbase: b.yaml\ncases: none\n"},
        fixtures=FIXTURES,
    )
    report = await run(tree, a_release(MAIN))
    assert "suite, base and cases" in report.failed[0].message


def rules(text):
    tree = a_tree(MAIN, tests={"outrider/main_test.rego": f"package outrider_test\n\n{text}\n"})
    return [(one.name, one.message) for one in run_rules(tree)]


def test_test_rules_pass_when_they_hold():
    assert rules("test_a if true\n\nhelper := 1\n\ntest_b := 2 if helper == 1") == [
        ("test_a", ""),
        ("test_b", ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("test_a if 1 == 2", "undefined", id="undefined"),
        pytest.param("test_a := false", "false", id="false"),
        pytest.param("test_a if lower(data.outrider.n.x) == 1", "undefined", id="missing"),
        pytest.param("test_a if lower(1) == 1", "lower", id="error"),
    ],
)
def test_test_rules_fail_when_they_do_not(text, message):
    ((_, said),) = rules(text)
    assert message in said
    assert said


def test_test_rules_may_change_input_and_data():
    text = (
        'test_a if {\n\tdata.outrider.decision.effect == "allow" with input as '
        '{"a": {"b": 1}, "list": [1, 2], "pairs": [{"k": 1}]}\n}'
    )
    assert rules(text) == [("test_a", "")]


def test_a_test_module_that_does_not_load_fails():
    ((name, said),) = rules("test_a if {")
    assert name == "load"
    assert "main_test.rego" in said


async def test_no_tests_at_all_is_a_failure():
    report = await run(a_tree(MAIN), a_release(MAIN))
    assert not report.passed
    assert TestReport(results=()).document()["passed"] is False


async def test_reports_are_written_as_junit_and_json():
    case = '{name: "<&\\"x", kind: positive, expect: {effect: deny}}'
    report = await run(a_suite([case]), a_release(MAIN))
    (found,) = ET.fromstring(report.junit())  # noqa: S314 - our own text
    assert found.get("name") == '<&"x'
    assert found[0].get("message") == "effect is allow, expected deny"
    assert report.document()["results"][0]["passed"] is False


async def test_a_case_that_passes_has_no_failure_in_the_report():
    report = await run(
        a_suite(["{name: a, kind: positive, expect: {effect: allow}}"]), a_release(MAIN)
    )
    root = ET.fromstring(report.junit())  # noqa: S314 - our own text
    assert (root.get("failures"), [list(case) for case in root]) == ("0", [[]])


def test_a_suite_without_each_kind_is_named():
    one = TestResult(suite="X", name="a", kind="positive", engine="embedded", passed=True)
    assert uncovered([one]) == ["X has no near_miss case", "X has no hostile case"]
