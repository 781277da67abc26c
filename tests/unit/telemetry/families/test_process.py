"""What the process says of itself."""

import pytest

from outrider.telemetry.families.process import CONTROL_RESULTS, STORE_RESULTS, STORES
from tests.support.metrics import a_registry, total, value


def test_one_build_and_one_configuration_are_shown() -> None:
    metrics = a_registry()
    metrics.built({"version": "1.2.3", "revision": "abc", "python": "3.11.7"})
    metrics.configured("d" * 64, "dev")
    metrics.configured("e" * 64, "prod")
    build = {"version": "1.2.3", "revision": "abc", "python": "3.11.7"}
    assert value(metrics, "outrider_build_info", **build) == 1
    assert value(metrics, "outrider_config_info", hash="e" * 16, environment="prod") == 1
    assert total(metrics, "outrider_config_info") == 1


def test_a_bad_reload_keeps_the_time_of_the_last_good_one() -> None:
    metrics = a_registry()
    metrics.reloaded(ok=True, unix_s=10.0)
    metrics.reloaded(ok=False, unix_s=20.0)
    assert value(metrics, "outrider_config_last_reload_successful") == 0
    assert value(metrics, "outrider_config_last_reload_success_timestamp_seconds") == 10


@pytest.mark.parametrize("kind", STORES)
def test_a_store_is_up_or_down(kind: str) -> None:
    metrics = a_registry()
    metrics.store(kind, ok=True)
    assert value(metrics, "outrider_store_up", store=kind) == 1
    metrics.store(kind, ok=False)
    assert value(metrics, "outrider_store_up", store=kind) == 0


@pytest.mark.parametrize("result", STORE_RESULTS)
def test_operations_of_the_store_there_is_are_counted_from_zero(result: str) -> None:
    metrics = a_registry()
    name = "outrider_store_operations_total"
    assert value(metrics, name, store="redis", result=result) is None
    metrics.store_opened("redis")
    assert value(metrics, name, store="redis", result=result) == 0
    metrics.store_operation("redis", result)
    assert value(metrics, name, store="redis", result=result) == 1
    assert value(metrics, name, store="sqlite", result=result) is None


@pytest.mark.parametrize("result", CONTROL_RESULTS)
def test_control_requests_are_counted_by_what_came_of_them(result: str) -> None:
    metrics = a_registry()
    metrics.control_request(result)
    assert value(metrics, "outrider_control_requests_total", result=result) == 1


def test_drain_skew_and_lost_lines_are_shown() -> None:
    metrics = a_registry()
    metrics.draining(on=True)
    metrics.clock_skew(-3.5)
    metrics.log_dropped()
    assert value(metrics, "outrider_draining") == 1
    assert value(metrics, "outrider_clock_skew_seconds") == -3.5
    assert value(metrics, "outrider_log_records_dropped_total") == 1


def test_the_clients_own_are_there() -> None:
    assert total(a_registry(), "process_resident_memory_bytes") > 0
