"""Capture's modes and ways are the closed ones; tunnels are counted as they stand and carry."""

import pytest

from outrider.core.capture import CaptureMode
from outrider.server.events import Way
from outrider.telemetry.families.capture import MODES, WAYS
from tests.support.metrics import a_registry, total, value


def test_the_words_are_those_of_settings_and_server() -> None:
    assert tuple(mode.value for mode in CaptureMode) == MODES
    assert set(WAYS) == {way.value for way in Way}


@pytest.mark.parametrize("mode", MODES)
def test_the_mode_is_told(mode: str) -> None:
    metrics = a_registry()
    metrics.capture_is(mode)
    assert value(metrics, "outrider_capture_mode_info", mode=mode) == 1
    assert total(metrics, "outrider_capture_mode_info") == 1


def test_probes_that_arrive_and_that_do_not_are_told() -> None:
    metrics = a_registry()
    assert value(metrics, "outrider_capture_failures_total") == 0
    metrics.capture_verified(1234.5)
    metrics.capture_failed()
    assert value(metrics, "outrider_capture_verified_timestamp_seconds") == 1234.5
    assert value(metrics, "outrider_capture_failures_total") == 1


def test_tunnels_are_counted_by_upstream_and_way_and_strangers_are_other() -> None:
    metrics = a_registry()
    metrics.tunnel(1)
    metrics.tunnel(1)
    metrics.tunnel(-1)
    metrics.tunnel_bytes("crm", Way.OUT, 5)
    metrics.tunnel_bytes("stranger", Way.IN, 7)
    assert value(metrics, "outrider_tunnels") == 1
    assert value(metrics, "outrider_tunnel_bytes_total", upstream="crm", way="out") == 5
    assert value(metrics, "outrider_tunnel_bytes_total", upstream="other", way="in") == 7
