"""Outrider's three legs: the whole guard on a fixed allow, on embedded Rego, and on a real OPA."""

import shutil
import sys
from pathlib import Path

import yaml

from tests.bench.calls import AGENT
from tests.bench.figures import Leg
from tests.bench.machine import Program, answers, free_port
from tests.bench.policy_data import LIBRARY, overlay
from tests.bench.target import Target

_CHECKED = (
    "attested identity, standing task and grant, arguments, provenance, behaviour, audit chain"
    " (writes synced)"
)


def settings_document(
    *, leg: Leg, ports: tuple[int, int, int], upstream: int, opa: Path | None
) -> dict[str, object]:
    """The settings of a governed leg: what production does, on loopback."""
    network = ["127.0.0.0/8"]
    egress, control, telemetry = ports
    engine = "opa" if leg is Leg.OPA else "embedded"
    policy: dict[str, object] = {"engine": engine, "overlay": ["overlay"], "watch": False}
    if leg is Leg.FIXED_ALLOW:
        policy["path"] = "library"
    if leg is Leg.OPA and opa is not None:
        policy["opa"] = {"binary": str(opa)}
    return {
        "profile": "development",
        "environment": "dev",
        "data_dir": "state",
        "listeners": {
            "egress": {"addresses": [f"127.0.0.1:{egress}"]},
            "control": {"addresses": [f"127.0.0.1:{control}"]},
            "telemetry": {"addresses": [f"127.0.0.1:{telemetry}"]},
        },
        "identity": {"spiffe_id": AGENT},
        "policy": policy,
        "upstreams": {
            "crm": {
                "url": f"http://127.0.0.1:{upstream}/crm/mcp",
                "protocol": "mcp",
                "prefix": "/crm/mcp",
                "networks": network,
            },
            "desk": {
                "url": f"http://127.0.0.1:{upstream}/desk",
                "protocol": "http",
                "prefix": "/desk",
                "networks": network,
            },
        },
        # `digest` is production's default: the query itself is not kept.
        "audit": {"inputs": "digest"},
        "telemetry": {"log_level": "WARNING"},
    }


def start_outrider(leg: Leg, *, folder: Path, upstream: int, opa: Path | None = None) -> Target:
    """One sidecar of its own; raises `BenchError` with its last words when it does not come up."""
    for name, document in overlay().items():
        path = folder / "overlay" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(document), sort_keys=False))
    (folder / "state").mkdir(parents=True, exist_ok=True)
    if leg is Leg.FIXED_ALLOW:
        # The same library without its fixtures: with them a release that allows all is refused.
        shutil.copytree(LIBRARY / "outrider", folder / "library" / "outrider", dirs_exist_ok=True)
    ports = (free_port(), free_port(), free_port())
    settings = settings_document(leg=leg, ports=ports, upstream=upstream, opa=opa)
    config = folder / "outrider.yaml"
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    program = Program(f"outrider-{leg}", _command(leg, config), folder=folder, environment=_PATH)
    try:
        ready = f"http://127.0.0.1:{ports[2]}/readyz"
        program.wait_ready(lambda: answers(ready), limit_s=45)
    except BaseException:
        program.stop()
        raise
    return Target(
        leg=leg,
        port=ports[0],
        proxy=program,
        governed=leg is not Leg.FIXED_ALLOW,
        checked=_CHECKED + ("; the engine always allows" if leg is Leg.FIXED_ALLOW else ""),
    )


_ROOT = Path(__file__).resolve().parents[2]
_PATH = {"PYTHONPATH": str(_ROOT)}


def _command(leg: Leg, config: Path) -> list[str | Path]:
    if leg is Leg.FIXED_ALLOW:
        return [sys.executable, "-m", "tests.bench.fixed_allow", "--config", config]
    return [Path(sys.executable).parent / "outrider", "run", "--config", config]
