"""The demonstration itself, as its readers start it: real parts, real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from outrider.config.load import cache_dir, environment
from outrider.core.errors import ConfigError
from outrider.policy.opa_install import OpaPlaces, find
from tests.support import mcp_env

DEMO = [str(Path(sys.executable).with_name("outrider")), "demo"]
WITHIN_S = 150

pytestmark = pytest.mark.timeout(WITHIN_S + 30)


@pytest.fixture(scope="module", autouse=True)
def sdks() -> None:
    """Both SDKs, or a skip that says why not."""
    try:
        for version in (mcp_env.SDK_MODERN, mcp_env.SDK_LEGACY):
            mcp_env.sdk_python(version)
    except mcp_env.UnavailableError as why:
        pytest.skip(f"the official MCP SDKs cannot be had: {why}")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment whose temporary files are ours to look at."""
    yield {**environment(), "TMPDIR": str(tmp_path), "COLUMNS": "80"}
    assert list(tmp_path.iterdir()) == []  # nothing is left


def told(environ: dict[str, str], *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [*DEMO, "--json", *options], env=environ, capture_output=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def check(found: dict[str, Any]) -> None:
    assert found["differences"] == []
    assert all(step["ok"] for step in found["steps"])
    denied = {step["reason"] for step in found["steps"] if step["enforced"] == "deny"}
    assert denied == {"grant", "policy", "obligation", "definition_changed", "unauthenticated"}
    assert found["evidence"]["decisions"] == {"allow": 14, "deny": 11}
    assert found["evidence"]["metrics"]["deny"] == 11


def test_the_story_holds_on_the_embedded_engine(home: dict[str, str]) -> None:
    check(told(home))


@pytest.mark.opa
def test_the_story_holds_on_opa(home: dict[str, str]) -> None:
    places = OpaPlaces(cache=cache_dir(home), search_path=home.get("PATH", ""))
    try:
        find(places)
    except ConfigError as why:
        pytest.skip(str(why))
    check(told(home, "--engine", "opa"))


def test_what_is_kept_says_what_to_try_and_ends_with_all_its_processes(
    home: dict[str, str],
) -> None:
    with subprocess.Popen(
        [*DEMO, "--plain", "--keep"], env=home, stdout=subprocess.PIPE, start_new_session=True
    ) as demo:
        assert demo.stdout is not None
        lines = [line.decode() for line in iter(demo.stdout.readline, b"Ctrl-C ends it all.\n")]
        children = descendants(demo.pid)
        demo.send_signal(signal.SIGTERM)
        demo.wait(30)
    said = "".join(lines)
    assert "explain" in said
    assert "/readyz" in said
    assert "--config.file=" in said or "your Prometheus" in said
    assert "\x1b" not in said
    assert len(children) >= 6
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    assert demo.returncode == 128 + signal.SIGTERM


def descendants(pid: int) -> list[int]:
    """Direct children, as the kernel lists them."""
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(child) for file in listed for child in file.read_text().split()]
    return found or pytest.skip(f"{os.uname().sysname} does not list children")
