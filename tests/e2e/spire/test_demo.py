"""`outrider demo --spire`, as its readers start it: real SPIRE, real processes."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.support.spire import spire_programs

DEMO = [str(Path(sys.executable).with_name("outrider")), "demo", "--spire"]
WITHIN_S = 90

pytestmark = [pytest.mark.spire, pytest.mark.timeout(WITHIN_S + 30)]


@pytest.fixture
def home() -> Iterator[dict[str, str]]:
    """An environment whose temporary files are ours to look at."""
    spire_programs()
    with tempfile.TemporaryDirectory(prefix="sp-") as room:  # short: it holds Unix sockets
        Path(room).chmod(0o755)
        yield {**os.environ, "TMPDIR": room, "COLUMNS": "80"}
        assert list(Path(room).iterdir()) == []  # nothing is left


def test_the_story_holds(home: dict[str, str]) -> None:
    done = subprocess.run(
        [*DEMO, "--json"], env=home, capture_output=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    told = orjson.loads(done.stdout)
    assert told["differences"] == []
    steps = {step["step"]: step["seen"] for step in told["steps"] if step["ok"]}
    assert len(steps) == len(told["steps"]) == 14
    forged = "spiffe://a.test/planner, signed by b.test's authority, is refused in the handshake"
    assert steps[forged].endswith('{reason="wrong_authority"} rose by 1')


def test_ended_by_a_signal_it_leaves_nobody_behind(home: dict[str, str]) -> None:
    with subprocess.Popen(
        [*DEMO, "--plain"], env=home, stdout=subprocess.PIPE, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        while b"Two agents call each other" not in demo.stdout.readline():
            assert demo.poll() is None
        children = _children(demo.pid)
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
        demo.wait(30)
    assert len(children) == 6  # server, agent, two sidecars, an agent behind each
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert demo.returncode == 128 + signal.SIGTERM


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for file in listed for child in file.read_text().split()]
    return found or pytest.skip(f"{os.uname().sysname} does not list children")


@pytest.mark.parametrize("options", [["--keep"], ["--engine", "opa"]])
def test_what_it_does_not_go_with_is_said(options: list[str]) -> None:
    done = subprocess.run([*DEMO, *options], capture_output=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 2
    assert b"goes with neither --keep nor --engine" in done.stderr


def test_without_spire_it_says_how_to_get_it(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "OUTRIDER_CACHE": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(DEMO, env=environ, capture_output=True, timeout=WITHIN_S, check=False)
    assert done.returncode == 3
    assert b"there is no SPIRE 1.15.x on the path" in done.stderr
    assert b"deploy/spire/install.sh" in done.stderr
