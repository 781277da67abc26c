"""Namespaces of a node's own, and the processes in them: nothing outlives the `with`.

The machine's network, mounts and processes stay as they are. Needs root.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from outrider.core.clock import SystemClock
from tests.support.debian import UnavailableError

SCRIPT: Final = Path(__file__).parents[1] / "cluster" / "ground.sh"
ADDRESS: Final = "10.99.0.1"
"""The node's own, in its namespace alone."""
_START_S: Final = 30.0
_LOOK_S: Final = 0.1
_CLOCK: Final = SystemClock()


class NotInTimeError(AssertionError):
    """What was waited for did not come; the text says what was seen last."""


def wait_for(look: Callable[[], object], what: str, *, within_s: float) -> object:
    """What `look` gives first that counts as true. Raises `NotInTimeError`."""
    ends_s = _CLOCK.monotonic_s() + within_s
    pause = threading.Event()
    while True:
        found = look()
        if found:
            return found
        if _CLOCK.monotonic_s() > ends_s:
            raise NotInTimeError(f"not within {within_s} s: {what}")
        pause.wait(_LOOK_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def checked(self) -> str:
        """Its output. Raises `AssertionError` where it failed."""
        assert self.code == 0, f"exit {self.code}: {self.err[-3000:]} {self.out[-1000:]}"
        return self.out


class Process:
    """One process in the namespaces, with a log of its own."""

    def __init__(self, child: subprocess.Popen[bytes], log: Path) -> None:
        self._child = child
        self.log: Final = log

    @property
    def pid(self) -> int:
        """Outside, of the program itself: `nsenter` waits as its parent."""
        line = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text()
        return int(line.split()[0]) if line.split() else self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self, *, within_s: float = 20.0) -> int:
        """SIGTERM, then its exit code; SIGKILL where it takes longer."""
        if self.is_running:
            self.signal(signal.SIGTERM)
            try:
                self._child.wait(within_s)
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
        return self._child.wait(within_s)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


@dataclass(slots=True, kw_only=True)
class Ground:
    """The namespaces, held by one process."""

    folder: Path
    holder: int
    path: str
    environ: dict[str, str] = field(default_factory=dict)
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def inside(self, *command: str) -> list[str]:
        return ["nsenter", "-t", str(self.holder), "-n", "-m", "-p", "--", *command]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": self.path, "HOME": str(self.folder), **self.environ, **more}

    def start(self, name: str, *command: str, **more: str) -> Process:
        """A process that runs on; its words are in `<name>.log`."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            child = subprocess.Popen(
                self.inside(*command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self._environment(more),
                cwd=self.folder,
            )
        self.children.append(child)
        return Process(child, log)

    def run(self, *command: str, stdin: str = "", within_s: float = 60.0, **more: str) -> Told:
        """A command's end. One that takes longer is an `AssertionError`."""
        try:
            done = subprocess.run(
                self.inside(*command),
                input=stdin.encode(),
                capture_output=True,
                env=self._environment(more),
                cwd=self.folder,
                timeout=within_s,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            raise NotInTimeError(f"{command[:6]} did not end within {within_s} s") from fault
        return Told(
            code=done.returncode,
            out=done.stdout.decode("utf-8", "replace"),
            err=done.stderr.decode("utf-8", "replace"),
        )


def why_not() -> str | None:
    """Why there can be no namespaces here; None where there can."""
    if os.getuid() != 0:
        return "namespaces of a node's own need root"
    missing = [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]
    return f"there is no {', '.join(missing)} on PATH" if missing else None


@contextmanager
def a_ground(*, node: bool, programs: str = "", script: Path = SCRIPT) -> Iterator[Ground]:
    """Namespaces as `script` lays them out, for as long as the block runs. Raises
    `UnavailableError`."""
    fault = why_not()
    if fault is not None:
        raise UnavailableError(fault)
    path = ":".join(filter(None, [programs, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))
    with tempfile.TemporaryDirectory(prefix="outrider-node-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        command = [
            "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
            str(script), str(folder), *(["node"] if node else []),
        ]  # fmt: skip
        with (folder / "ground.log").open("wb") as log:
            outer = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": path}
            )
        made: Ground | None = None
        try:
            made = _stood(folder, outer, path)
            yield made
        finally:
            outer.kill()  # it does not hear SIGTERM while it waits; --kill-child takes the rest
            outer.wait(_START_S)
            for child in made.children if made is not None else ():
                child.wait(_START_S)
            if node:
                _sweep_cgroups()


def _stood(folder: Path, outer: subprocess.Popen[bytes], path: str) -> Ground:
    def is_ready() -> bool:
        if outer.poll() is not None:
            said = (folder / "ground.log").read_text(errors="replace")
            raise UnavailableError(f"no namespaces here: {said.strip()[-300:]}")
        return (folder / "ready").exists()

    wait_for(is_ready, "namespaces", within_s=_START_S)
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()
    return Ground(folder=folder, holder=int(children[0]), path=path)


def _sweep_cgroups() -> None:
    """What a kubelet and containerd made, empty by now; deepest first."""
    ours = ("kubepods", "k8s.io")
    root = Path("/sys/fs/cgroup")
    for _ in range(5):
        found = [
            path for one in ours for top in root.glob(f"**/{one}*") if top.is_dir()
            for path in [*top.rglob("*"), top] if path.is_dir()
        ]  # fmt: skip
        if not found:
            return
        for path in sorted(found, key=lambda one: -len(one.parts)):
            try:
                path.rmdir()
            except OSError:
                continue
