"""Prometheus' own tools on what we ship: rules, their cases, Alertmanager's routes."""

import pytest
import yaml

from tests.support import prometheus
from tests.support.prometheus import Programs
from tests.support.rules import CASES, DEPLOY, RULES, alerts, rules

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(300)]
ROUTING = DEPLOY / "alertmanager" / "alertmanager.yaml"


@pytest.fixture(scope="module")
def programs() -> Programs:
    try:
        return prometheus.find()
    except prometheus.UnavailableError as why:
        pytest.skip(str(why))


def test_the_rules_pass_promtools_check(programs: Programs) -> None:
    done = prometheus.run(programs.promtool, "check", "rules", *map(str, RULES.glob("*.yaml")))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", ["prometheus", "compose"])
def test_the_sample_scrapes_pass_promtools_check(programs: Programs, folder: str) -> None:
    file = str(DEPLOY / folder / "prometheus.yaml")
    done = prometheus.run(programs.promtool, "check", "config", file)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("*.yaml")))
def test_every_alert_fires_spares_the_near_miss_and_resolves(programs: Programs, name: str) -> None:
    done = prometheus.run(programs.promtool, "test", "rules", name, folder=CASES)
    assert done.returncode == 0, done.stdout


def test_a_case_that_expects_the_wrong_thing_fails(programs: Programs) -> None:
    """So that the above shows something."""
    name = "audit.yaml"
    case = yaml.safe_load((CASES / name).read_text("utf-8"))
    case["tests"][0]["alert_rule_test"][0]["exp_alerts"] = []
    wrong = CASES / ".wrong.yaml"
    try:
        wrong.write_text(yaml.safe_dump(case), "utf-8")
        done = prometheus.run(programs.promtool, "test", "rules", wrong.name, folder=CASES)
    finally:
        wrong.unlink()
    assert done.returncode != 0


def test_alertmanager_takes_the_sample(programs: Programs) -> None:
    done = prometheus.run(programs.amtool, "check-config", str(ROUTING))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("alert", alerts())
def test_an_alert_goes_where_its_severity_says(programs: Programs, alert: str) -> None:
    where = {"page": "on-call", "ticket": "queue", "info": "channel"}
    for severity in {rule.labels["severity"] for rule in rules() if rule.alert == alert}:
        done = prometheus.run(
            programs.amtool, "config", "routes", "test", f"--config.file={ROUTING}",
            f"--verify.receivers={where[severity]}",
            f"alertname={alert}", f"severity={severity}", "namespace=shop", "agent=triage",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_somebody_elses_alert_goes_to_nobody_of_ours(programs: Programs) -> None:
    done = prometheus.run(
        programs.amtool, "config", "routes", "test", f"--config.file={ROUTING}",
        "--verify.receivers=others", "alertname=KubeNodeNotReady", "severity=page",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
