"""Outrider as its users start it, before the four suites, under one setting."""

import contextlib
import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from tests.conformance import processes
from tests.scorecard import environment
from tests.scorecard.agent import PausedError
from tests.scorecard.data import SUITES
from tests.scorecard.manifest import POLICY
from tests.scorecard.variants import AGENT, LIBRARY, Setting, write_overlay

START_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A running sidecar: where a suite is reached, its control API with its token, its chain."""

    egress: str
    control: str
    token: str
    audit: Path

    def url(self, suite: str) -> str:
        return f"{self.egress}/{suite}/mcp"

    async def begin(self, session: aiohttp.ClientSession, ask: Mapping[str, Any]) -> str:
        """Register a task for the agent; its id."""
        said = await self._post(session, "/v1/tasks", {"agent": AGENT, **ask})
        return str(said["id"])

    async def end(self, session: aiohttp.ClientSession, task: str) -> None:
        # policy may have ended it before; one that a busy machine leaves open ends by itself
        with contextlib.suppress(processes.BrokenRunError, PausedError):
            await self._post(session, f"/v1/tasks/{task}/end", {"end": "completed"})

    async def _post(
        self, session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        bearer = {"Authorization": f"Bearer {self.token}"}
        async with session.post(f"{self.control}{path}", json=body, headers=bearer) as answer:
            if answer.status == 503:
                raise PausedError(await answer.text())
            if answer.status >= 300:
                raise processes.BrokenRunError(f"{path}: {answer.status} {await answer.text()}")
            return dict(await answer.json())


@contextmanager
def servers(python: Path, room: Path) -> Iterator[dict[str, str]]:
    """The four suites' servers: suite -> its base URL."""
    with contextlib.ExitStack() as stack:
        begun: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        for suite in SUITES:
            log = room / f"{suite}.log"
            command: list[str | Path] = [python, environment.INSIDE / "server.py", suite]
            begun[suite] = stack.enter_context(processes.running(command, log=log)), log
        yield {suite: f"http://127.0.0.1:{_port(suite, *one)}" for suite, one in begun.items()}


def _port(suite: str, process: subprocess.Popen[bytes], log: Path) -> str:
    return processes.first_line(suite, process, within_s=START_S, log=log)


@contextmanager
def outrider(
    setting: Setting, upstreams: Mapping[str, str], *, engine: str, room: Path
) -> Iterator[Sidecar]:
    """A ready sidecar under `setting`.

    Raises:
        BrokenRunError: it did not become ready, with its last log lines.
    """
    home = room / "".join(letter if letter.isalnum() else "-" for letter in setting.name)
    (home / "data").mkdir(parents=True)
    overlay = write_overlay(setting, home / "overlay")
    egress, control, telemetry = processes.free_ports(3)
    file, log = home / "outrider.yaml", home / "outrider.log"
    document = settings(upstreams, overlay, engine=engine, ports=(egress, control, telemetry))
    file.write_text(yaml.safe_dump(document, sort_keys=False), "utf-8")
    command: list[str | Path] = [
        Path(sys.executable).with_name("outrider"), "run", "--config", file
    ]  # fmt: skip
    with processes.running(command, log=log, piped=False) as process:
        ready = f"http://127.0.0.1:{telemetry}/readyz"
        processes.wait_ready("outrider", ready, process, within_s=START_S, log=log)
        yield Sidecar(
            egress=f"http://127.0.0.1:{egress}",
            control=f"http://127.0.0.1:{control}",
            token=(home / "data" / "control.token").read_text("ascii").strip(),
            audit=home / "data" / "audit",
        )


def settings(
    upstreams: Mapping[str, str], overlay: Path, *, engine: str, ports: tuple[int, int, int]
) -> dict[str, Any]:
    """The settings document; `ports` are egress, control and telemetry."""
    egress, control, telemetry = (f"127.0.0.1:{port}" for port in ports)
    return {
        "profile": "development",
        "data_dir": "data",
        "listeners": {
            "egress": {"addresses": [egress]},
            "control": {"addresses": [control]},
            "telemetry": {"addresses": [telemetry]},
        },
        "identity": {"spiffe_id": AGENT},
        "policy": {
            "engine": engine,
            "path": str(LIBRARY),
            "overlay": [str(POLICY), str(overlay)],
            "watch": False,
            "timeout_ms": 5000,  # four suites at once on a small machine: nothing is about time
        },
        "upstreams": {
            suite: {
                "url": f"{url}/mcp",
                "protocol": "mcp",
                "prefix": f"/{suite}/mcp",
                "networks": ["127.0.0.0/8"],
            }
            for suite, url in upstreams.items()
        },
        "stores": {"kind": "memory"},
        "audit": {"inputs": "digest"},  # thousands of queries are nothing to keep
        "telemetry": {"log_level": "WARNING"},
    }


def policy_digest(setting: Setting, room: Path) -> str:
    """One SHA-256 over the whole policy of a setting: the library, the labels, its own data."""
    overlay = write_overlay(setting, room / "digest")
    whole = hashlib.sha256()
    for layer in (LIBRARY, POLICY, overlay):
        for path in sorted(layer.rglob("*")):
            if path.is_file() and path.suffix in {".rego", ".yaml", ".json"}:
                name = path.relative_to(layer).as_posix().encode()
                content = path.read_bytes()
                whole.update(b"%d %s %d " % (len(name), name, len(content)))
                whole.update(content)
    return whole.hexdigest()
