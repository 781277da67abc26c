"""A real Prometheus over a real sidecar: rules evaluate, panels have series, exemplars are kept."""

import asyncio
import os
from pathlib import Path
from typing import Final

import pytest

from tests.integration.operations.test_dashboards import expressions
from tests.support import opa, prometheus
from tests.support.rules import rules
from tests.support.watched import PODS, Seen, watch

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(180)]

_NO_INJECTOR: Final = "no injector runs here; `make test-cluster` has one"
_NO_CLUSTER: Final = "kube-state-metrics needs a cluster"
STILL: Final = {
    "outrider-security.json: Until a quarantine is in force A": "takes two sidecars on one Redis",
    "outrider-injector.json: Replicas up A": _NO_INJECTOR,
    "outrider-injector.json: Certificate left A": _NO_INJECTOR,
    "outrider-injector.json: CA bundle in sync A": _NO_INJECTOR,
    "outrider-injector.json: Verdicts A": _NO_INJECTOR,
    "outrider-injector.json: Denied and failed, by reason A": _NO_INJECTOR,
    "outrider-injector.json: Time to a verdict A": _NO_INJECTOR,
    "outrider-injector.json: Time to a verdict B": _NO_INJECTOR,
    "outrider-injector.json: Governed namespaces A": _NO_CLUSTER,
    "outrider-injector.json: Injected pods A": _NO_CLUSTER,
}
"""Queries that can give nothing in this run, and why; held to be no more than those."""
_OPA_ALONE: Final = {"outrider-policy.json: OPA as a child A": "no OPA here"}


@pytest.fixture(scope="module")
def engine() -> str:
    return "opa" if opa.is_here() else "embedded"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, engine: str) -> Seen:
    """One run for all: some half a minute of traffic, scraped once a second."""
    room: Path = tmp_path_factory.mktemp("watched")
    try:
        return asyncio.run(watch([text for _, text in expressions()], room, engine))
    except prometheus.UnavailableError as why:
        pytest.skip(str(why))


def test_both_sidecars_are_found_and_well(seen: Seen) -> None:
    assert {target["labels"]["pod"]: target["health"] for target in seen.targets} == dict.fromkeys(
        PODS, "up"
    )


def test_every_rule_evaluates(seen: Seen) -> None:
    assert [rule["name"] for rule in seen.rules if rule["health"] != "ok"] == []
    assert len(seen.rules) == len(rules())


def test_every_recorded_series_is_there(seen: Seen) -> None:
    assert [name for name, count in seen.recorded.items() if not count] == []


def test_what_is_wrong_fires_and_what_is_well_does_not(seen: Seen) -> None:
    """The run asks what policy has no word for, under codes that no bundle names."""
    assert {"OutriderPolicyUndefined"} <= set(seen.firing)
    assert set(seen.firing) <= {"OutriderPolicyUndefined", "OutriderLabelOverflow"}


def test_every_panel_has_series_but_for_those_that_cannot(seen: Seen, engine: str) -> None:
    empty = {where for where, text in expressions() if not seen.results[text]}
    assert empty == set(STILL) | (set(_OPA_ALONE) if engine != "opa" else set())


def test_exemplars_lead_to_traces_that_were_sent(seen: Seen) -> None:
    found = [one for series in seen.exemplars for one in series["exemplars"]]
    assert found
    linked = {one["labels"]["trace_id"] for one in found}
    assert linked <= seen.traces


def test_a_scrape_is_quick(seen: Seen) -> None:
    """Sidecars, upstreams and callers share one process here: a machine that is busy besides is
    asked for its better half alone."""
    busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    assert len(seen.scrapes_s) >= 10
    at = len(seen.scrapes_s) // (4 if busy else 2)
    assert seen.scrapes_s[at] < 0.05, seen.scrapes_s


def test_the_page_is_as_promtool_wants_it(seen: Seen) -> None:
    programs = prometheus.find()
    done = prometheus.run(programs.promtool, "check", "metrics", given=seen.page)
    told = [line for line in done.stdout.splitlines() if line.startswith("outrider_")]
    assert told == [], done.stdout
    assert done.returncode in {0, 3}, done.stdout  # 3: words on the client's own process_*
