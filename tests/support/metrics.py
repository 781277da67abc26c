"""A registry to move, and what it then shows."""

from prometheus_client.exposition import generate_latest

from outrider.core.decision import ReasonEntry
from outrider.core.vocabulary import Effect, EffectClass, ProtocolName, Reason
from outrider.telemetry.metrics import Metrics

EVIL = 'evil"\n# HELP outrider_x {a="b"} 1'


def a_registry(*upstreams: str) -> Metrics:
    return Metrics(upstreams=upstreams or ("crm",))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def total(metrics: Metrics, name: str) -> float:
    """The sum over every label of the samples of this name."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    )


def decided(metrics: Metrics, *, codes: tuple[str, ...] = (), **changes: object) -> None:
    fields: dict[str, object] = {
        "effect": Effect.DENY,
        "effect_class": EffectClass.EXECUTE,
        "reason": Reason.POLICY,
        "resource": "crm/send",
        "reasons": tuple(ReasonEntry(code=code) for code in codes),
    }
    metrics.decided(**fields | changes)  # type: ignore[arg-type]


def ended(metrics: Metrics, **changes: object) -> None:
    fields: dict[str, object] = {
        "direction": "egress",
        "protocol": ProtocolName.MCP,
        "reason": None,
        "aborted": False,
        "whole_s": 0.2,
        "upstream_s": 0.19,
    }
    metrics.exchange_ended(**fields | changes)  # type: ignore[arg-type]


def lines(metrics: Metrics) -> int:
    """How many lines the page has, those of help and type among them."""
    return len(generate_latest(metrics.registry).splitlines())
