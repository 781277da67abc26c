"""Whatever anybody is called, the metrics page stays readable, bounded and ours."""

import tracemalloc

import pytest
from hypothesis import given, settings, strategies as st
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from outrider.core.decision import ReasonEntry
from outrider.core.vocabulary import Effect
from outrider.telemetry.families.base import CODES, RESOURCES, Shape
from outrider.telemetry.metrics import Metrics
from tests.support.metrics import decided, lines, total

NASTY = ["a\nb", 'q"q', "b\\b", "n\0n", "\u202egnp", "\ud800", '{x="y"} 1', "# EOF", "", "é" * 40]
NAMES = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=80),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=5),
    st.from_regex(r"[a-z]{1,8}/[a-z]{1,8}", fullmatch=True),
)


def _ask(metrics: Metrics, name: str) -> None:
    """Everything by which a name could become a label."""
    reasons = (ReasonEntry(code=name, excepted=True, mode="shadow", would=Effect.HOLD),)
    decided(metrics, effect=Effect.ALLOW, reason=None, resource=name, reasons=reasons)
    metrics.upstream_request(name, "2xx")
    metrics.upstream_error(name, "reset")
    metrics.breaker(name, is_open=True)
    metrics.policy_activated(name, 1.0)
    metrics.configured(name, name)
    metrics.edge_refused(name, name)
    metrics.token("oidc", name)


SMALL = Shape(
    ingress=False,
    protocols=frozenset(),
    tls=frozenset(),
    tokens=frozenset(),
    source=False,
    workload_api=False,
    jwt_fetches=False,
    tunnels=False,
    engines=frozenset(),
    shared=False,
)
OURS = ("resource_decisions", "policy_reasons", "policy_exceptions", "shadow", "upstream_")
"""Families whose labels are names."""


@settings(max_examples=30)
@given(known=st.lists(NAMES, max_size=6), asked=st.lists(NAMES, max_size=6))
def test_whatever_is_named_both_formats_read_and_hold_only_known_names(
    known: list[str], asked: list[str]
) -> None:
    metrics = Metrics(upstreams=known, shape=SMALL)
    metrics.catalogue(known, known)
    before = lines(metrics)
    for name in (*known, *asked):
        _ask(metrics, name)
    page = generate_latest(metrics.registry).decode()
    modern = open_metrics(metrics.registry).decode()  # type: ignore[no-untyped-call]
    families = list(parse_classic(page))
    assert list(parse_open(modern))  # type: ignore[no-untyped-call]
    assert page.count("\n") <= before + 16 * (len(known) + 1) + 8
    shown = {
        sample.labels[label]
        for family in families
        if family.name.removeprefix("outrider_").startswith(OURS)
        for sample in family.samples
        for label in ("resource", "code", "upstream")
        if label in sample.labels
    }
    assert shown <= {"other", *(name for name in known if name.isprintable())}


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "in-the-bundle"])
def test_a_hundred_thousand_names_and_one_of_eight_megabytes_cost_next_to_nothing(
    known: bool,
) -> None:
    metrics = Metrics(upstreams=["crm"])
    names = [f"crm/t{number}" for number in range(100_000)]
    large = "x" * (8 << 20)
    metrics.catalogue([*names, large] if known else [], [large] if known else [])
    tracemalloc.start()
    for name in names:
        decided(metrics, resource=name)
    decided(metrics, resource=large, codes=(large,))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    page = generate_latest(metrics.registry)
    assert held < 1 << 20
    assert len(page) < 1 << 20
    assert large.encode() not in page
    seen = page.count(b"outrider_resource_decisions_total{")
    assert seen == (RESOURCES + 1 if known else 1)
    assert page.count(b"outrider_policy_reasons_total{") <= CODES
    assert total(metrics, "outrider_resource_decisions_total") == 100_001
