"""One revision is shown at a time, and every refused bundle by how far it came."""

import pytest
from prometheus_client.exposition import generate_latest

from outrider.telemetry.families.bundles import STAGES
from tests.support.metrics import a_registry, value

INFO = "outrider_policy_revision_info"


def test_the_revision_before_is_no_longer_shown() -> None:
    metrics = a_registry()
    metrics.policy_activated("rev-1", 10.0)
    metrics.policy_activated("rev-2", 20.0)
    assert value(metrics, INFO, bundle="outrider", revision="rev-1") is None
    assert value(metrics, INFO, bundle="outrider", revision="rev-2") == 1
    assert (
        value(metrics, "outrider_policy_bundle_confirmed_timestamp_seconds", bundle="outrider")
        == 20
    )


def test_a_long_revision_is_cut() -> None:
    metrics = a_registry()
    metrics.policy_activated("r" * 1000, 10.0)
    assert b'"' + b"r" * 64 + b'"' in generate_latest(metrics.registry)


@pytest.mark.parametrize("stage", STAGES)
def test_a_refused_bundle_counts_by_how_far_it_came(stage: str) -> None:
    metrics = a_registry()
    name = "outrider_policy_bundle_failures_total"
    assert value(metrics, name, bundle="outrider", stage=stage) == 0
    metrics.policy_refused(stage)
    assert value(metrics, name, bundle="outrider", stage=stage) == 1


def test_a_confirmation_moves_its_time() -> None:
    metrics = a_registry()
    metrics.policy_activated("rev-1", 10.0)
    metrics.policy_confirmed(30.0)
    name = "outrider_policy_bundle_confirmed_timestamp_seconds"
    assert value(metrics, name, bundle="outrider") == 30


def test_the_bound_is_shown_only_where_there_is_one() -> None:
    metrics = a_registry()
    name = "outrider_policy_max_staleness_seconds"
    metrics.policy_bounded(0)
    assert value(metrics, name, bundle="outrider") is None
    metrics.policy_bounded(3600)
    assert value(metrics, name, bundle="outrider") == 3600
    metrics.policy_bounded(0)
    assert value(metrics, name, bundle="outrider") is None
