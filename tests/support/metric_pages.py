"""The generated pages of metrics and logs, and where they stand. Run as a module it writes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from outrider.telemetry import log_events, reference
from outrider.telemetry.families.base import Declared
from outrider.telemetry.families.injector import InjectorMetrics
from outrider.telemetry.metrics import Metrics

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy"


def processes() -> Mapping[str, list[Declared]]:
    """What each process of ours declares. A new process's families join here."""
    return {
        "sidecar": Metrics(upstreams=["crm"]).declared,
        "injector": InjectorMetrics().declared,
    }


def pages() -> dict[Path, bytes]:
    """Every generated file and what it must hold."""
    made = processes()
    return {
        DEPLOY / "metrics.txt": reference.names(made).encode(),
        DEPLOY / "prometheus" / "METRICS.md": reference.page(made).encode(),
        DEPLOY / "prometheus" / "metrics.json": reference.dump(made),
        DEPLOY / "prometheus" / "LOGS.md": log_events.page().encode(),
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
