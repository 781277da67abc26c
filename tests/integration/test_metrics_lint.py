"""The whole page, with everything on it moved, as Prometheus's own tool reads it."""

import pytest
from prometheus_client.exposition import generate_latest

from outrider.telemetry.families.base import Families
from outrider.telemetry.families.injector import InjectorMetrics
from tests.support import prometheus
from tests.support.debian import UnavailableError
from tests.support.metrics import EVIL, a_registry, decided, ended


def _moved() -> Families:
    metrics = a_registry("crm", EVIL)
    metrics.catalogue(["crm/send", EVIL, "nul\0"], ["SQ-04", "\u202egnp"])
    decided(metrics, resource="crm/send", codes=("SQ-04", EVIL))
    ended(metrics)
    metrics.decision_made("opa", 0.001, 2000)
    metrics.policy_activated('rev-"1"\\\n', 1.0)
    metrics.configured("d" * 64, "prod")
    metrics.built({"version": "1", "revision": EVIL, "python": "3.11"})
    metrics.engine_child(version=EVIL, gogc=400, memory_limit_bytes=1)
    metrics.upstream_error(EVIL, "reset")
    return metrics


@pytest.mark.parametrize("made", [_moved, InjectorMetrics], ids=["sidecar", "injector"])
def test_promtool_finds_nothing_to_mend(made: type[Families]) -> None:
    try:
        promtool = prometheus.find().promtool
    except UnavailableError as fault:
        pytest.skip(str(fault))
    page = generate_latest(made().registry)
    done = prometheus.run(promtool, "check", "metrics", given=page)
    assert (done.returncode, done.stdout) == (0, "")
