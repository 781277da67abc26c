"""The injector's numbers: what pods were answered, and the certificate."""

import pytest

from outrider.injector.reasons import Outcome, Reason
from outrider.telemetry.families.injector import OCCURRING, REASONS, VERDICTS, InjectorMetrics


def value(metrics: InjectorMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_its_words_are_those_of_the_injector() -> None:
    assert tuple(Outcome) == VERDICTS
    assert tuple(Reason) == REASONS


def test_every_reason_occurs_with_some_verdict() -> None:
    assert {reason for _, reason in OCCURRING} == set(REASONS)
    assert {verdict for verdict, _ in OCCURRING} == set(VERDICTS)


@pytest.mark.parametrize("pair", OCCURRING, ids="-".join)
def test_each_pair_exists_at_zero_and_is_counted(pair: tuple[str, str]) -> None:
    metrics, (verdict, reason) = InjectorMetrics(), pair
    name = "outrider_injector_admissions_total"
    assert value(metrics, name, verdict=verdict, reason=reason) == 0
    metrics.admitted(verdict, reason, 0.002)
    assert value(metrics, name, verdict=verdict, reason=reason) == 1
    assert value(metrics, "outrider_injector_admission_duration_seconds_count") == 1


def test_a_pair_that_cannot_occur_is_folded() -> None:
    metrics = InjectorMetrics()
    metrics.admitted("injected", "evil\n", 0.002)
    assert value(metrics, "outrider_label_overflow_total", label="edge") == 1


def test_the_certificate_is_told_with_its_end_and_its_life() -> None:
    metrics = InjectorMetrics()
    metrics.certificate(until_unix_s=1000.0, life_s=86_400.0)
    name = "outrider_injector_certificate_not_after_timestamp_seconds"
    assert value(metrics, name) == 1000
    assert value(metrics, "outrider_injector_certificate_lifetime_seconds") == 86_400


def test_the_ca_bundle_is_told_only_by_who_may_look() -> None:
    metrics = InjectorMetrics()
    name = "outrider_injector_ca_bundle_in_sync"
    assert value(metrics, name) is None
    metrics.ca_bundle(in_sync=False)
    assert value(metrics, name) == 0
    metrics.ca_bundle(in_sync=True)
    assert value(metrics, name) == 1
