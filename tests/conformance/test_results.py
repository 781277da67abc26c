"""The comparison is strict: what was not run, not passed or not the same is not equal."""

import json

import pytest

from tests.conformance.results import Baseline, Counts, compare, read_results

SUMMARY = """
Running all suite (2 scenarios) against http://127.0.0.1:1/mcp
✓ ping: 9 passed, 9 failed

=== SUMMARY ===
✓ ping: 2 passed, 0 failed
✗ auth/some-name: 1 passed, 3 failed

Total: 3 passed, 3 failed
"""


def some(passed: int = 2, failed: int = 0, warned: int = 0) -> Counts:
    return Counts(passed=passed, failed=failed, warned=warned)


def test_reads_the_figures_of_the_summary_alone(tmp_path):
    results = read_results(SUMMARY, tmp_path)
    assert {name: one.figures for name, one in results.items()} == {
        "ping": (2, 0, 0),
        "auth/some-name": (1, 3, 0),
    }


def test_reads_what_did_not_pass_from_the_saved_checks(tmp_path):
    saved = tmp_path / "server-ping-2026-11-23T03-37-08-038Z"
    saved.mkdir()
    checks = [
        {"id": "a", "status": "SUCCESS"},
        {"id": "b", "status": "WARNING", "errorMessage": "no priming event"},
        {"id": "c", "status": "INFO"},
    ]
    (saved / "checks.json").write_text(json.dumps(checks))
    ping = read_results(SUMMARY, tmp_path)["ping"]
    assert (ping.warned, ping.complaints) == (1, ("b: no priming event",))


def test_a_run_without_a_summary_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no summary"):
        read_results("✓ ping: 2 passed, 0 failed", tmp_path)


def test_equal_runs_on_the_baseline_are_equal():
    runs = {"ping": some(2), "tools-list": some(3)}
    compared = compare("w", runs, runs, baseline=Baseline(scenarios=2, passed=5))
    assert (compared.is_equal, compared.totals()) == (True, (5, 0, 5, 0))


@pytest.mark.parametrize(
    ("direct", "proxied"),
    [
        pytest.param({"a": some(2)}, {"a": some(1)}, id="one-check-less"),
        pytest.param({"a": some(2)}, {"a": some(3)}, id="one-check-more"),
        pytest.param({"a": some(2)}, {"a": some(2, warned=1)}, id="a-warning-more"),
        pytest.param({"a": some(2)}, {"a": some(2, failed=1)}, id="a-failure-more"),
        pytest.param({"a": some(2), "b": some()}, {"a": some(2)}, id="not-run-through"),
        pytest.param({"a": some(2)}, {"a": some(2), "b": some()}, id="not-run-directly"),
        pytest.param({"a": some(0)}, {"a": some(0)}, id="nothing-passed"),
        pytest.param({"a": some(1, 1)}, {"a": some(1, 1)}, id="failing-alike"),
        pytest.param({}, {}, id="nothing-run"),
    ],
)
def test_anything_else_is_not_equal(direct, proxied):
    assert not compare("w", direct, proxied, baseline=None).is_equal


def test_a_direct_run_off_its_baseline_is_a_fault():
    runs = {"ping": some(2)}
    compared = compare("w", runs, runs, baseline=Baseline(scenarios=2, passed=4))
    assert not compared.is_equal
    assert compared.faults == (
        "the direct run has 2 checks over 1 scenarios; its baseline is 4 over 2",
    )


def test_the_document_for_machines_carries_every_scenario():
    document = compare("w", {"a": some(2)}, {"a": some(1)}, baseline=None).as_json()
    assert document["totals"] == {
        "direct_passed": 2,
        "direct_failed": 0,
        "proxied_passed": 1,
        "proxied_failed": 0,
    }
    assert [(one["scenario"], one["equal"]) for one in document["scenarios"]] == [("a", False)]
