"""Outrider itself, as its users start it, in front of the server under test."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from tests.conformance import processes

POLICIES: Final = Path(__file__).parent / "policy"
SPIFFE_ID: Final = "spiffe://conformance.test/agent"
UPSTREAM: Final = "conformance"
"""The upstream's name; `policy/filter` names resources by it."""
START_S: Final = 40.0


def settings(
    target: str, *, policy: Path, engine: str, ports: tuple[int, int, int]
) -> dict[str, Any]:
    """The settings document; `ports` are egress, control and telemetry."""
    parts = urlsplit(target)
    egress, control, telemetry = (f"127.0.0.1:{port}" for port in ports)
    return {
        "profile": "development",
        "data_dir": "data",
        "listeners": {
            "egress": {"addresses": [egress]},
            "control": {"addresses": [control]},
            "telemetry": {"addresses": [telemetry]},
        },
        "identity": {"spiffe_id": SPIFFE_ID},
        "policy": {"engine": engine, "path": str(policy), "watch": False},
        "upstreams": {
            UPSTREAM: {
                "url": target,
                "protocol": "mcp",
                "prefix": f"/{UPSTREAM}{parts.path}",
                "networks": ["127.0.0.0/8"],
            }
        },
        "stores": {"kind": "memory"},
        "telemetry": {"log_level": "WARNING"},
    }


@contextmanager
def outrider(target: str, *, policy: str, engine: str, room: Path) -> Iterator[str]:
    """A ready sidecar before `target`; gives the URL to dial instead of it.

    Raises:
        BrokenRunError: it did not become ready, with its last log lines.
    """
    home = room / f"outrider-{policy}"
    (home / "data").mkdir(parents=True)
    egress, control, telemetry = processes.free_ports(3)
    document = settings(
        target, policy=POLICIES / policy, engine=engine, ports=(egress, control, telemetry)
    )
    file, log = home / "outrider.yaml", home / "outrider.log"
    file.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    command: list[str | Path] = [
        Path(sys.executable).with_name("outrider"),
        "run",
        "--config",
        file,
    ]
    with processes.running(command, log=log, piped=False) as process:
        ready = f"http://127.0.0.1:{telemetry}/readyz"
        processes.wait_ready("outrider", ready, process, within_s=START_S, log=log)
        yield f"http://127.0.0.1:{egress}/{UPSTREAM}{urlsplit(target).path}"
