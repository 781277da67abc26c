"""A real Alertmanager on the sample: who is told, and who is spared."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

import orjson
import pytest

from tests.support import prometheus
from tests.support.rules import DEPLOY
from tests.support.sidecar_process import free_ports

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120)]
_DIRECT = build_opener(ProxyHandler({}))
WAIT_S = 20.0


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """Its API's address."""
    try:
        program = prometheus.alertmanager(prometheus.find())
    except prometheus.UnavailableError as why:
        pytest.skip(str(why))
    port = free_ports(1)[0]
    command = [
        *program,
        f"--config.file={DEPLOY / 'alertmanager' / 'alertmanager.yaml'}",
        f"--storage.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with prometheus.serving(command, "Listening on"):
        yield f"http://127.0.0.1:{port}/api/v2/alerts"


def raise_alerts(address: str, *alerts: dict[str, str]) -> None:
    body = orjson.dumps([{"labels": labels} for labels in alerts])
    kind = {"content-type": "application/json"}
    asked = Request(address, body, kind)  # noqa: S310 - loopback
    with _DIRECT.open(asked, timeout=10) as answer:
        assert answer.status == 200


def states(address: str) -> dict[tuple[str, ...], tuple[str, list[str]]]:
    """(alert, severity, agent) -> its state and receivers."""
    with _DIRECT.open(address, timeout=10) as answer:
        found = orjson.loads(answer.read())
    return {
        tuple(one["labels"][name] for name in ("alertname", "severity", "agent")): (
            one["status"]["state"],
            [receiver["name"] for receiver in one["receivers"]],
        )
        for one in found
    }


def an_alert(name: str, severity: str, agent: str = "triage") -> dict[str, str]:
    return {"alertname": name, "severity": severity, "namespace": "shop", "agent": agent}


def test_what_is_down_speaks_for_what_it_burns(tmp_path: Path) -> None:
    cause = an_alert("OutriderPolicyEngineDown", "page")
    burnt = an_alert("OutriderAvailabilityBurnFast", "page")
    elsewhere = an_alert("OutriderAvailabilityBurnFast", "page", agent="billing")
    unrelated = an_alert("OutriderForgedIdentity", "page")
    ticket = an_alert("OutriderBundleStale", "ticket")
    page = an_alert("OutriderBundleStale", "page", agent="late")
    spoken_for = an_alert("OutriderBundleStale", "ticket", agent="late")
    with alertmanager(tmp_path) as address:
        raise_alerts(address, cause, burnt, elsewhere, unrelated, ticket, page, spoken_for)
        until = time.monotonic() + WAIT_S
        wanted: dict[tuple[str, ...], tuple[str, list[str]]] = {
            ("OutriderPolicyEngineDown", "page", "triage"): ("active", ["on-call"]),
            ("OutriderAvailabilityBurnFast", "page", "triage"): ("suppressed", ["on-call"]),
            ("OutriderAvailabilityBurnFast", "page", "billing"): ("active", ["on-call"]),
            ("OutriderForgedIdentity", "page", "triage"): ("active", ["on-call"]),
            ("OutriderBundleStale", "ticket", "triage"): ("active", ["queue"]),
            ("OutriderBundleStale", "page", "late"): ("active", ["on-call"]),
            ("OutriderBundleStale", "ticket", "late"): ("suppressed", ["queue"]),
        }
        found = states(address)
        while time.monotonic() < until and found != wanted:
            found = states(address)
    assert found == wanted
