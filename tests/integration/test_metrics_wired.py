"""Every event that metrics have a method for is told by somebody: none is never moved."""

import re
from pathlib import Path

import pytest

from outrider.telemetry.families.base import Families
from outrider.telemetry.families.injector import InjectorMetrics
from outrider.telemetry.metrics import Metrics

SOURCE = Path(__file__).resolve().parents[2] / "proxy" / "outrider"
HOOKS = {"link_traces"}
"""Not events: what others set once."""
TOLD = "\n".join(
    path.read_text("utf-8")
    for path in SOURCE.rglob("*.py")
    if (SOURCE / "telemetry" / "families") not in path.parents
)


def _events(kind: type[Families]) -> list[str]:
    return sorted(
        name for name in dir(kind) if not name.startswith("_") and callable(getattr(kind, name))
    )


@pytest.mark.parametrize("event", sorted({*_events(Metrics), *_events(InjectorMetrics)} - HOOKS))
def test_somebody_tells_it(event: str) -> None:
    assert re.search(rf"\.{event}\b", TOLD), f"nothing calls {event}"
