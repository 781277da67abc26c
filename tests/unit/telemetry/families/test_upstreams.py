"""Upstreams are told apart by the names in the settings, and by no others."""

from outrider.server.events import UpstreamFault
from outrider.telemetry.families.base import UPSTREAMS
from outrider.telemetry.families.upstreams import FAULTS
from tests.support.metrics import a_registry, total, value


def test_the_faults_are_the_servers() -> None:
    assert set(FAULTS) == {fault.value for fault in UpstreamFault}


def test_upstreams_beyond_the_bound_are_other() -> None:
    metrics = a_registry(*(f"up{number:03}" for number in range(UPSTREAMS + 1)))
    metrics.upstream_request("up000", "2xx")
    metrics.upstream_request(f"up{UPSTREAMS:03}", "2xx")
    requests = "outrider_upstream_requests_total"
    assert value(metrics, requests, upstream="up000", code_class="2xx") == 1
    assert value(metrics, requests, upstream="other", code_class="2xx") == 1


def test_each_connection_is_timed_by_its_kind() -> None:
    metrics = a_registry()
    metrics.upstream_connected("crm", tls=True, took_s=0.01)
    name = "outrider_upstream_connect_duration_seconds_count"
    assert (value(metrics, name, tls="true"), value(metrics, name, tls="false")) == (1, 0)


def test_an_open_breaker_is_seen_and_seen_closing() -> None:
    metrics = a_registry()
    metrics.breaker("crm", is_open=True)
    assert value(metrics, "outrider_upstream_breaker_open", upstream="crm") == 1
    metrics.breaker("crm", is_open=False)
    assert total(metrics, "outrider_upstream_breaker_open") == 0


def test_a_reload_brings_its_upstreams_and_takes_series_of_those_gone() -> None:
    metrics = a_registry("crm", "desk")
    requests = "outrider_upstream_requests_total"
    metrics.upstream_request("desk", "2xx")
    metrics.upstream_error("crm", "reset")
    metrics.upstreams_are(["desk", "mail"])
    assert value(metrics, requests, upstream="desk", code_class="2xx") == 1
    assert value(metrics, requests, upstream="mail", code_class="5xx") == 0
    assert value(metrics, requests, upstream="crm", code_class="2xx") is None
    assert total(metrics, "outrider_upstream_errors_total") == 0
    metrics.upstream_request("crm", "2xx")
    assert value(metrics, requests, upstream="other", code_class="2xx") == 1
