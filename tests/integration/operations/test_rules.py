"""Rules, their cases and runbooks belong together, and say nothing that no metric stands behind."""

import re
from functools import cache
from typing import Any, Final

import pytest
import yaml

from outrider.cli.main import COMMANDS
from tests.support.rules import (
    BASE,
    CASES,
    DEPLOY,
    RULES,
    RUNBOOKS,
    Rule,
    alerts,
    declared,
    faults,
    rules,
)

SEVERITIES = {"page", "ticket", "info"}
SECTIONS = ["Meaning", "Impact", "Look at", "Do", "Escalate"]
LATER = {
    "OutriderRevocationSlow": "outrider_lease_revoke_lag_seconds",
    "OutriderLeaseLeak": "outrider_leases_active",
    "OutriderApprovalsStuck": "outrider_approvals_pending",
    "OutriderApproverFatigue": "outrider_approval_wait_seconds",
    "OutriderShadowDisagrees": "outrider_shadow_decisions_total",
    "OutriderCheckpointStale": "outrider_audit_checkpoint_timestamp_seconds",
}
"""Alerts of the design whose metric nothing moves yet."""
OWN: Final = ("kind.md", "upgrade.md")
_CALLED: Final = re.compile(r"^(?:\$ )?outrider ((?:[a-z]+ ?)+)", re.MULTILINE)
_CODE: Final = re.compile(r"```console\n(.*?)```|`([^`\n]+)`", re.DOTALL)


@cache
def cases() -> list[dict[str, Any]]:
    return [
        group
        for path in sorted(CASES.glob("*.yaml"))
        for group in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)["tests"]
    ]


def runbook(alert: str) -> str:
    return (RUNBOOKS / f"{alert}.md").read_text("utf-8")


def queries(text: str) -> list[str]:
    return re.findall(r"```promql\n(.*?)\n```", text, re.DOTALL)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_a_rule_reads_only_what_is_declared(rule: Rule) -> None:
    assert faults(rule.expression) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        pytest.param("outrider_exchange_total", "declared nowhere", id="no-such-metric"),
        pytest.param('outrider_store_up{sotre="redis"}', "no label sotre", id="no-such-label"),
        pytest.param('outrider_store_up{store="etcd"}', "never etcd", id="no-such-value"),
        pytest.param(
            'outrider_shed_total{cause=~"memory|diskspace"}', "never", id="one-of-two-values"
        ),
        pytest.param("sum by (tool) (outrider_store_up)", "groups by tool", id="no-such-group"),
        pytest.param("rate(outrider_store_up[5m)", "does not parse", id="no-promql"),
    ],
)
def test_what_is_not_declared_is_found(expression: str, fault: str) -> None:
    assert fault in " ".join(faults(expression))


def test_what_is_declared_is_not_found_at_fault() -> None:
    assert faults('sum by (cause) (rate(outrider_shed_total{threshold="soft"}[5m]))') == []


@pytest.mark.parametrize("rule", [one for one in rules() if one.alert], ids=lambda rule: rule.id)
def test_an_alert_says_how_grave_it_is_what_it_means_and_where_to_read_on(rule: Rule) -> None:
    assert rule.labels["severity"] in SEVERITIES
    assert set(rule.annotations) == {"summary", "description", "runbook_url"}
    assert rule.annotations["runbook_url"] == f"{BASE}{rule.alert}.md"
    assert len(rule.annotations["summary"]) < 110


def test_alerts_and_runbooks_are_one_to_one() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(alerts())


@pytest.mark.parametrize("alert", alerts())
def test_a_runbook_has_its_sections_and_queries_that_read_what_is_declared(alert: str) -> None:
    text = runbook(alert)
    assert text.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert queries(text)
    assert {query: faults(query) for query in queries(text) if faults(query)} == {}


@pytest.mark.parametrize("alert", alerts())
def test_what_a_runbook_leads_to_is_there(alert: str) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", runbook(alert))
    assert [link for link in links if not (RUNBOOKS / link).resolve().exists()] == []
    severities = {rule.labels["severity"] for rule in rules() if rule.alert == alert}
    head = runbook(alert).splitlines()[2]
    assert [one for one in severities if one not in head] == []


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_is_shown_to_fire_to_stay_quiet_on_a_near_miss_and_to_resolve(alert: str) -> None:
    own = [group for group in cases() if str(group.get("name", "")).startswith(alert)]
    assert own
    assert any("near" in one["series"] for group in own for one in group["input_series"])
    for group in own:
        told = [row for row in group["alert_rule_test"] if row["alertname"] == alert]
        fired = [row["eval_time"] for row in told if row["exp_alerts"]]
        if "fires" not in group["name"] or "resolves" not in group["name"]:
            continue
        assert fired, group["name"]
        assert told[-1]["exp_alerts"] == [], group["name"]
    assert any("resolves" in group["name"] for group in own)


@pytest.mark.parametrize("kind", ["thin traffic", "counter reset", "absent series"])
def test_the_quiet_cases_are_there(kind: str) -> None:
    assert [group for group in cases() if group["name"].startswith(kind)]


def test_every_alert_has_a_case_without_its_series() -> None:
    quiet = {
        row["alertname"]
        for group in cases()
        if group["name"].startswith("absent series")
        for row in group["alert_rule_test"]
    }
    assert quiet >= set(alerts())


def test_each_file_of_rules_is_run_by_a_case() -> None:
    run = {
        (path.parent / name).resolve()
        for path in CASES.glob("*.yaml")
        for name in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)["rule_files"]
    }
    assert run == {path.resolve() for path in RULES.glob("*.yaml")}


@pytest.mark.parametrize("alert", LATER)
def test_an_alert_that_waits_for_its_feature_is_listed_as_long_as_its_metric_is_not_there(
    alert: str,
) -> None:
    assert LATER[alert] not in declared()
    assert alert not in alerts()
    page = (RUNBOOKS / "README.md").read_text("utf-8")
    assert alert in page
    assert LATER[alert] in page


def commands(text: str) -> list[list[str]]:
    """The words of each `outrider …` in the code of a page."""
    code = "\n".join("".join(pair) for pair in _CODE.findall(text))
    return [found.split() for found in _CALLED.findall(code)]


def test_what_the_pages_tell_to_run_are_commands_of_ours() -> None:
    pages = [*RUNBOOKS.glob("*.md"), *(DEPLOY / "kubernetes" / name for name in OWN)]
    told = {tuple(words[:2]) for page in pages for words in commands(page.read_text("utf-8"))}
    assert len(told) > 10
    for first, *second in told:
        source = DEPLOY.parent / "proxy" / f"{COMMANDS[first][0].replace('.', '/')}.py"
        for word in second:
            named = rf"@app\.command\((?:name=)?\"{word}\"|@app\.command\([^)]*\)\s+def {word}\("
            assert re.search(named, source.read_text("utf-8")), (first, word)
