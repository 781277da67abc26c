"""The wheel holds all that is read when it runs: code, the policy library, SPIRE's sample."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return frozenset(archive.namelist())


@pytest.mark.parametrize(
    "name",
    [
        "outrider/cli/main.py",
        "outrider/_rego/outrider/main.rego",
        "outrider/_rego/outrider/manifest/notes/data.yaml",
        "outrider/_rego/schemas/input.json",
        "outrider/_rego/capabilities.json",
        "outrider/_rego/system/authz.rego",
        "outrider/_spire/install.sh",
        "outrider/_spire/server.conf",
        "outrider/_spire/agent.conf",
        "outrider/_spire/build/go.sum",
        "outrider/_spire/sidecars/planner/outrider.yaml",
        "outrider/_spire/sidecars/policy/outrider/manifest/tracker/data.yaml",
    ],
)
def test_the_wheel_holds(names: frozenset[str], name: str) -> None:
    assert name in names


def test_the_wheel_holds_no_tests_and_no_caches(names: frozenset[str]) -> None:
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]
