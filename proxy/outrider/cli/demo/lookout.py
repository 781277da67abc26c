"""Where a person looks while the demonstration is up, and how a Prometheus is pointed at it."""

import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from outrider.cli.demo.stage import AGENT_ID, Stage

PROMETHEUS: Final = 9090
"""Where a Prometheus listens by default."""
_WAIT_S: Final = 0.3
_RULES: Final = Path(__file__).resolve().parents[4] / "deploy" / "prometheus" / "rules"

_SCRAPE: Final = """\
scrape_configs:
  - job_name: outrider
    scrape_interval: 2s
    honor_timestamps: false
    static_configs:
      - targets: ["127.0.0.1:{port}"]
        labels: {{namespace: demo, pod: demo-1, agent: {agent}}}
"""


def places(stage: Stage, *, is_up: Callable[[int], bool] | None = None) -> list[tuple[str, str]]:
    """What there is to look at, each with the command for it; writes `prometheus.yaml` to the
    stage's folder. `is_up` says whether something listens on a loopback port."""
    telemetry = f"http://127.0.0.1:{stage.ports.telemetry}"
    control = f"http://127.0.0.1:{stage.ports.control}"
    token = stage.home / "data" / "control.token"
    return [
        ("metrics", f"curl -s {telemetry}/metrics"),
        ("whether it is ready, and what is missing", f"curl -s '{telemetry}/readyz?format=json'"),
        (
            "the control listener, as the commands above ask it",
            f'curl -s -H "Authorization: Bearer $(cat {token})" {control}/v1/status',
        ),
        _prometheus(stage, is_up or listens),
    ]


def _prometheus(stage: Stage, is_up: Callable[[int], bool]) -> tuple[str, str]:
    file = stage.home / "prometheus.yaml"
    agent = AGENT_ID.rpartition("/")[2]
    scrape = _SCRAPE.format(port=stage.ports.telemetry, agent=agent)
    rules = f"rule_files: [{orjson.dumps(str(_RULES / '*.yaml')).decode()}]\n"
    file.write_text((rules if _RULES.is_dir() else "") + scrape, "utf-8")
    if is_up(PROMETHEUS):
        what = f"on 127.0.0.1:{PROMETHEUS} something listens; if it is your Prometheus, give it"
        return what, f"cat {file}"
    store = stage.home / "prometheus"
    missing = "" if shutil.which("prometheus") else " (none is on PATH)"
    command = (
        f"prometheus --config.file={file} --storage.tsdb.path={store} "
        f"--web.listen-address=127.0.0.1:{PROMETHEUS} --enable-feature=exemplar-storage"
    )
    return f"a Prometheus on this sidecar, at http://127.0.0.1:{PROMETHEUS}{missing}", command


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_WAIT_S):
            return True
    except OSError:
        return False
