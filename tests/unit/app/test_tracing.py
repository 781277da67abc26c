"""Traces are off without an endpoint, and say what they lack with one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from outrider.app.data_plane import places_of
from outrider.app.tracing import export_of
from outrider.config.load import Loaded, validate
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.spans import Place


def test_nobody_else_needs_opentelemetry() -> None:
    script = (
        "import sys, outrider.app.sidecar, outrider.cli.injector;"
        "sys.exit(any(name.partition('.')[0] == 'opentelemetry' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class NoEvents:
    def spans(self, result: str, count: int) -> None:
        raise AssertionError("nothing was sent")


def loaded(room: Path, **tracing: Any) -> Loaded:
    settings = validate({"telemetry": {"tracing": tracing}})
    return Loaded(settings=settings, base=room, source=None, pod_uid=None)


def test_without_an_endpoint_nothing_is_made(tmp_path: Path) -> None:
    assert export_of(loaded(tmp_path), SystemClock(), NoEvents(), "i") is None


def test_with_one_its_terms_are_those_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"pem")
    found = export_of(
        loaded(tmp_path, endpoint="https://collector.test:4317", ca_file="ca.pem", ratio=0.5),
        SystemClock(),
        NoEvents(),
        "i",
    )
    assert found is not None
    terms, _ = found
    assert (terms.endpoint, terms.authorities) == ("https://collector.test:4317", b"pem")
    assert terms.ratio == 0.5


def test_a_ca_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    settings = loaded(tmp_path, endpoint="https://collector.test:4317", ca_file="none.pem")
    with pytest.raises(ConfigError, match=r"telemetry\.tracing\.ca_file cannot be read"):
        export_of(settings, SystemClock(), NoEvents(), "i")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        pytest.param("https://crm.test/base", Place(address="crm.test", port=443), id="https"),
        pytest.param("http://127.0.0.1/", Place(address="127.0.0.1", port=80), id="http"),
        pytest.param("http://[::1]:9000", Place(address="::1", port=9000), id="v6-and-port"),
    ],
)
def test_an_upstream_is_told_where_its_setting_has_it(url: str, place: Place) -> None:
    own = {"spiffe_id": "spiffe://acme.test/ns/support/sa/triage"}
    crm = {"url": url, "prefix": "/crm"}
    settings = validate({"identity": own, "upstreams": {"crm": crm}})
    assert places_of(settings) == {"crm": place}
