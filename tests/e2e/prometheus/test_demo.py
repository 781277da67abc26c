"""The kept demonstration points a Prometheus at itself; a real one goes by what it wrote."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from outrider.config.load import environment
from tests.support import mcp_env, prometheus
from tests.support.prometheus import Api
from tests.support.sidecar_process import free_ports

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(240)]
DEMO = [str(Path(sys.executable).with_name("outrider")), "demo", "--plain", "--keep"]


def test_a_prometheus_sees_what_the_demonstration_did(tmp_path: Path) -> None:
    try:
        program = prometheus.find().prometheus
        for version in (mcp_env.SDK_MODERN, mcp_env.SDK_LEGACY):
            mcp_env.sdk_python(version)
    except (prometheus.UnavailableError, mcp_env.UnavailableError) as why:
        pytest.skip(str(why))
    home = {**environment(), "TMPDIR": str(tmp_path), "COLUMNS": "80"}
    with subprocess.Popen(
        DEMO, env=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as demo:
        try:
            assert demo.stdout is not None
            told = ""
            for line in demo.stdout:
                told += line.decode()
                if line == b"Ctrl-C ends it all.\n":
                    break
            assert "went as they must" in told, told
            (file,) = tmp_path.glob("outrider-demo-*/prometheus.yaml")
            effects = _asked(program, file, tmp_path / "tsdb")
        finally:
            os.kill(demo.pid, signal.SIGTERM)
            demo.wait(60)
    assert effects["allow"] >= 14
    assert effects["deny"] >= 11


def _asked(program: str, file: Path, store: Path) -> dict[str, float]:
    """Decisions by effect, once a scrape has them."""
    port = free_ports(1)[0]
    command = [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={store}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with prometheus.serving(command, "Server is ready"):
        rows = Api(port).wait("sum by (effect) (outrider_decisions_total)", within_s=40)
    return {str(row["metric"]["effect"]): float(row["value"][1]) for row in rows}
