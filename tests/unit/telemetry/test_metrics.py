"""Every event is counted, under closed labels, whatever the agent says."""

from itertools import product

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from outrider.core.decision import ReasonEntry
from outrider.core.vocabulary import Effect, ProtocolName
from outrider.telemetry.families.base import CODES, MAX_SERIES, RESOURCES, UPSTREAMS, Shape
from outrider.telemetry.families.upstreams import CODE_CLASSES, FAULTS
from outrider.telemetry.metrics import Metrics
from tests.support.metrics import EVIL, a_registry, decided, ended, lines, total, value

# --- labels ---------------------------------------------------------------------------------


def test_names_of_the_agent_are_never_labels() -> None:
    metrics = a_registry("crm")
    metrics.catalogue(["crm/send"], ["SQ-04"])

    decided(metrics, resource=EVIL, codes=(EVIL, "SQ-04"))
    metrics.upstream_request(EVIL, "2xx")
    metrics.upstream_error(EVIL, "reset")
    metrics.breaker(EVIL, is_open=True)

    page = generate_latest(metrics.registry).decode()
    assert "evil" not in page
    assert value(metrics, "outrider_resource_decisions_total", resource="other", effect="deny") == 1
    assert value(metrics, "outrider_policy_reasons_total", code="SQ-04", effect="deny") == 1
    assert value(metrics, "outrider_policy_reasons_total", code="other", effect="deny") == 1
    assert value(metrics, "outrider_label_overflow_total", label="resource") == 1
    assert value(metrics, "outrider_label_overflow_total", label="code") == 1
    assert value(metrics, "outrider_upstream_requests_total", upstream="other", code_class="2xx")


def test_series_exist_at_zero_before_anything_happens() -> None:
    metrics = a_registry("crm")
    zero = {
        "outrider_exchanges_total": {
            "direction": "egress",
            "protocol": "unknown",
            "outcome": "fault",
        },
        "outrider_decisions_total": {"effect": "hold", "class": "write", "reason": "held"},
        "outrider_upstream_requests_total": {"upstream": "crm", "code_class": "5xx"},
        "outrider_control_requests_total": {"result": "refused"},
        "outrider_policy_bundle_failures_total": {"bundle": "outrider", "stage": "verify"},
    }
    for name, labels in zero.items():
        assert value(metrics, name, **labels) == 0


def test_the_widest_traffic_stays_within_the_series_bound() -> None:
    names = [f"up{number:03}" for number in range(UPSTREAMS)]
    metrics = a_registry(*names)
    metrics.catalogue((f"crm/t{n}" for n in range(10_000)), (f"C-{n}" for n in range(10_000)))
    for number, effect in product(range(10_000), Effect):
        decided(
            metrics,
            effect=effect,
            resource=f"crm/t{number}",
            codes=(f"C-{number}",),
        )

    page = generate_latest(metrics.registry).decode()

    assert len(page.splitlines()) < 5000
    assert list(text_string_to_metric_families(page))


ORDINARY = Shape(
    ingress=False,
    protocols=frozenset({ProtocolName.MCP, ProtocolName.HTTP}),
    tls=frozenset({"true"}),
    tokens=frozenset({"jwt_svid"}),
    jwt_fetches=False,
    tunnels=False,
    engines=frozenset({"opa"}),
    shared=False,
)


def test_an_ordinary_pod_stays_under_a_thousand_lines() -> None:
    metrics = Metrics(upstreams=["crm", "mail", "llm"], shape=ORDINARY)
    metrics.catalogue((f"crm/t{number}" for number in range(50)), ("SQ-04", "EF-02"))
    metrics.store_opened("sqlite")
    for number, effect in product(range(50), Effect):
        decided(metrics, effect=effect, resource=f"crm/t{number}", codes=("SQ-04", "EF-02"))
    for upstream in ("crm", "mail", "llm"):
        metrics.upstream_connected(upstream, tls=True, took_s=0.01)
        metrics.upstream_error(upstream, "timeout")
    for protocol in ORDINARY.protocols:
        ended(metrics, protocol=protocol)
    metrics.decision_made("opa", 0.001, 2000)
    metrics.identity_is(
        state="serving", remaining_s=1, lifetime_s=2, contact_unix_s=3, trust_domains=1
    )
    assert lines(metrics) < 1000


def test_the_widest_legal_traffic_stays_under_the_hard_stop() -> None:
    """Everything there is, each name of ours that may be a label, every effect."""
    metrics = Metrics(upstreams=[f"up{number:03}" for number in range(UPSTREAMS)])
    codes = [f"C-{number}" for number in range(CODES)]
    metrics.catalogue([f"crm/t{number}" for number in range(RESOURCES)], codes)
    entries = [
        ReasonEntry(code=code, excepted=True, mode="shadow", would=would)
        for code in codes
        for would in (Effect.HOLD, Effect.DENY)
    ]
    for effect in Effect:
        for number in range(RESOURCES):
            decided(metrics, effect=effect, resource=f"crm/t{number}")
        decided(metrics, effect=effect, reasons=tuple(entries))
    for number, fault in product(range(UPSTREAMS), FAULTS):
        metrics.upstream_error(f"up{number:03}", fault)
    for number, code in product(range(UPSTREAMS), CODE_CLASSES):
        metrics.upstream_request(f"up{number:03}", code)
    assert lines(metrics) < MAX_SERIES
    assert value(metrics, "outrider_label_overflow_total", label="series") == 0


def test_past_the_hard_stop_names_are_folded_and_nothing_is_lost() -> None:
    metrics = Metrics(upstreams=["crm"], max_series=1000)
    metrics.catalogue([f"crm/t{number}" for number in range(RESOURCES)], [])
    for number in range(RESOURCES):
        decided(metrics, resource=f"crm/t{number}")
    assert lines(metrics) < 1000 + 2 * len(metrics.declared) + 100
    assert total(metrics, "outrider_resource_decisions_total") == RESOURCES
    folded = value(metrics, "outrider_label_overflow_total", label="series")
    assert folded == value(
        metrics, "outrider_resource_decisions_total", resource="other", effect="deny"
    )
    assert folded


# --- declarations ---------------------------------------------------------------------------


def test_every_metric_is_named_and_described() -> None:
    for family in a_registry().registry.collect():
        if not family.name.startswith(("process_", "python_")):
            assert family.name.startswith("outrider_"), family.name
        assert family.documentation.strip(), family.name


@pytest.mark.parametrize("forbidden", ["spiffe", "task", "principal", "user", "url", "message"])
def test_no_label_names_a_person_a_task_or_a_place(forbidden: str) -> None:
    labels = {
        key
        for family in a_registry().registry.collect()
        for sample in family.samples
        for key in sample.labels
    }
    assert forbidden not in labels
