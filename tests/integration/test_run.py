"""`outrider run` as a process: what stands in its way is said, with the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

BASE = {
    "identity": {"spiffe_id": "spiffe://acme.test/agent"},
    "listeners": {
        name: {"addresses": ["127.0.0.1:0"]} for name in ("egress", "control", "telemetry")
    },
}


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        pytest.param(
            {"policy": {"engine": "opa", "opa": {"binary": "nowhere/opa"}}},
            2,
            "nowhere/opa",
            id="opa",
        ),
        pytest.param({"limits": {"body_bytes": 5}}, 2, "limits.body_bytes is 5", id="range"),
        pytest.param({"profile": "production"}, 2, "this version still lacks", id="production"),
        pytest.param(
            {
                "identity": {
                    "spiffe_id": "spiffe://acme.test/agent",
                    "trust_bundles": {"a.test": "x"},
                }
            },
            2,
            "a.test",
            id="trust-bundle",
        ),
        pytest.param({"data_dir": "file"}, 2, "cannot be used", id="data-dir"),
        pytest.param(
            {"policy": {"path": "nowhere"}, "startup_timeout_s": 1},
            1,
            "startup_timeout_s (1) has passed waiting for policy: no policy is in force",
            id="never-ready",
        ),
    ],
)
def test_what_stands_in_the_way_is_said_in_a_line(
    tmp_path: Path, changes: dict[str, object], code: int, said: str
) -> None:
    (tmp_path / "file").write_text("")
    config = tmp_path / "outrider.yaml"
    config.write_text(yaml.safe_dump({**BASE, **changes}))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from outrider.cli.main import main; main()",
            "run",
            "-c",
            str(config),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
