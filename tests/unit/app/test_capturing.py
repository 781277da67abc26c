"""Capture of one sidecar: only mode `transparent` asks the kernel; probes are answered."""

from pathlib import Path

import orjson
import pytest

from outrider.app.capturing import Capturing
from outrider.app.name_memory import FILE
from outrider.config.load import Loaded
from outrider.config.settings import Capture, Settings
from outrider.core.capture import Meant
from outrider.protocols.gate import GateRules
from outrider.telemetry.metrics import Metrics
from tests.support.builders import FixedClock

RULES = GateRules(hosts=frozenset())


def loaded(base=Path(), pod_uid=None, **capture):
    return Loaded(
        settings=Settings(capture=Capture(**capture)), base=base, source=None, pod_uid=pod_uid
    )


def capturing(base=Path(), pod_uid=None, **capture):
    metrics, clock = Metrics(upstreams=()), FixedClock()
    made = Capturing(
        loaded=loaded(base, pod_uid, **capture),
        instance="start:1",
        clock=clock,
        metrics=metrics,
        original=lambda _: Meant(address="203.0.113.7", port=80),
    )
    return made, metrics, clock


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"outrider_{name}", labels)


@pytest.mark.parametrize(
    ("mode", "is_captured"),
    [("transparent", True), ("enforce-drop", False), ("cooperative", False)],
)
def test_only_where_connections_are_redirected_the_kernel_is_asked(mode, is_captured):
    made, metrics, _ = capturing(mode=mode)
    assert (made.parts(RULES) is not None) is is_captured
    assert value(metrics, "capture_mode_info", mode=mode) == 1
    assert orjson.loads(made.document()) == {"instance": "start:1", "mode": mode}


def test_a_probe_is_answered_with_who_we_are_and_noted():
    made, metrics, _ = capturing(mode="transparent")
    parts = made.parts(RULES)
    assert parts is not None
    assert value(metrics, "capture_verified_timestamp_seconds") == 0
    assert parts.probed() == made.document()
    assert value(metrics, "capture_verified_timestamp_seconds") == FixedClock().unix_s()


@pytest.mark.parametrize(
    ("mode", "watch", "is_missing"),
    [
        pytest.param("transparent", True, True, id="watched"),
        pytest.param("transparent", False, False, id="not-watched"),
        pytest.param("enforce-drop", True, False, id="no-probe-arrives-there"),
    ],
)
def test_readiness_hangs_on_probes_where_they_are_promised(mode, watch, is_missing):
    made, metrics, clock = capturing(mode=mode, watch=watch)
    clock.pass_s(60)
    made.watch.beat()
    assert (made.check().missing() is not None) is is_missing
    assert (value(metrics, "capture_failures_total") > 0) is is_missing


@pytest.mark.parametrize(
    ("mode", "pod_uid", "is_kept"),
    [
        pytest.param("transparent", "u-1", True, id="transparent"),
        pytest.param("enforce-drop", "u-1", True, id="enforce-drop"),
        pytest.param("transparent", None, False, id="in-no-pod"),
        pytest.param("cooperative", "u-1", False, id="cooperative"),
    ],
)
def test_what_names_mean_is_kept_where_a_pod_shares_its_files(tmp_path, mode, pod_uid, is_kept):
    made, _, _ = capturing(base=tmp_path, pod_uid=pod_uid, mode=mode)
    made.names.take()
    assert (tmp_path / FILE).exists() is is_kept
