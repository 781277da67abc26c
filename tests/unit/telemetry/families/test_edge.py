"""What the edge refuses, holds and sheds is counted under the server's own words."""

import pytest

from outrider.protocols.gate import GateCause
from outrider.server.events import ShedCause, Threshold
from outrider.telemetry.families.edge import (
    EDGE_CAUSES,
    EGRESS_CAUSES,
    LISTENERS,
    PRESSED,
    SHED_CAUSES,
    THRESHOLDS,
)
from tests.support.metrics import EVIL, a_registry, total, value


def test_the_labels_are_the_servers_enums() -> None:
    assert set(EDGE_CAUSES) == {cause.value for cause in GateCause} | {"no_peer", "peer_uid"}
    assert set(SHED_CAUSES) == {cause.value for cause in ShedCause}
    assert set(THRESHOLDS) == {threshold.value for threshold in Threshold}
    assert set(PRESSED) < set(SHED_CAUSES)


@pytest.mark.parametrize(
    ("listener", "cause"),
    [
        (listener, cause)
        for listener in LISTENERS
        for cause in EDGE_CAUSES
        if listener == "egress" or cause not in EGRESS_CAUSES
    ],
)
def test_each_refusal_moves_its_own_series_from_zero(listener: str, cause: str) -> None:
    metrics = a_registry()
    name = "outrider_edge_refusals_total"
    assert value(metrics, name, listener=listener, cause=cause) == 0
    metrics.edge_refused(listener, cause)
    assert value(metrics, name, listener=listener, cause=cause) == 1
    assert total(metrics, name) == 1


@pytest.mark.parametrize("cause", ShedCause)
@pytest.mark.parametrize("threshold", Threshold)
def test_what_is_shed_is_counted_by_what_was_used_up(
    cause: ShedCause, threshold: Threshold
) -> None:
    metrics = a_registry()
    metrics.shed(cause, threshold)
    labels = {"cause": cause.value, "threshold": threshold.value}
    assert value(metrics, "outrider_shed_total", **labels) == 1
    assert total(metrics, "outrider_shed_total") == 1


def test_levels_show_what_is_now() -> None:
    metrics = a_registry()
    metrics.connection("egress", 2)
    metrics.connection("egress", -1)
    metrics.buffered_bytes(4096)
    metrics.pressure("fds", 0.5)
    metrics.headers_dropped("egress", 3)
    metrics.loop_lag(0.003)
    assert value(metrics, "outrider_connections", listener="egress") == 1
    assert value(metrics, "outrider_connections", listener="ingress") == 0
    assert value(metrics, "outrider_buffered_bytes") == 4096
    assert value(metrics, "outrider_pressure_ratio", resource="fds") == 0.5
    assert value(metrics, "outrider_edge_headers_dropped_total") == 3
    assert value(metrics, "outrider_event_loop_lag_seconds_count") == 1


def test_what_the_edge_does_not_know_is_no_label_and_stops_nothing() -> None:
    metrics = a_registry()
    metrics.edge_refused(EVIL, EVIL)
    metrics.shed(EVIL, "soft")
    metrics.connection(EVIL, 1)
    metrics.pressure(EVIL, 1)
    assert value(metrics, "outrider_label_overflow_total", label="edge") == 4
    assert total(metrics, "outrider_edge_refusals_total") == 0
