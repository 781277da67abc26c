"""Processes, ports and what the kernel says of them. Everything started here is ended by pid."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
_PROC = Path("/proc")


class BenchError(Exception):
    """Something the run needs is not to be had; the message says what, for the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU spent so far, and resident memory, of some processes."""

    cpu_us: float
    rss_mib: float


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(command: Sequence[str | Path], *, limit_s: float, cwd: Path | None = None) -> str:
    """Run to the end and give its output; raises `BenchError` with the last lines of a failure."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise BenchError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{words[0]} did not end within {limit_s:g} s") from error
    if done.returncode != 0:
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise BenchError(f"{words[0]} ended with {done.returncode}: {' | '.join(tail)[:400]}")
    return done.stdout


class Program:
    """A process of its own session with its output in a file, ended with all its children."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        """The process's own id."""
        return self._process.pid

    def last_words(self) -> str:
        """The end of what it printed, on one line."""
        lines = self.log.read_text(errors="replace").strip().splitlines()[-4:]
        return " | ".join(lines)[-600:]

    def wait_ready(self, is_ready: Callable[[], bool], *, limit_s: float) -> None:
        """Return once `is_ready`; raises `BenchError` when it ends first or the time is up."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BenchError(
                    f"{self.name} ended with {self._process.returncode}: {self.last_words()}"
                )
            if is_ready():
                return
            time.sleep(0.05)
        raise BenchError(f"{self.name} was not ready in {limit_s:g} s: {self.last_words()}")

    def stop(self) -> None:
        """End the process and what it started: asked first, killed after five seconds."""
        own = [self.pid, *descendants(self.pid)]
        for ask in (signal.SIGTERM, signal.SIGKILL):
            for pid in own:
                with suppress(ProcessLookupError):
                    os.kill(pid, ask)
            deadline = time.monotonic() + 5.0
            while own and time.monotonic() < deadline:
                self._process.poll()
                own = [pid for pid in own if is_running(pid)]
                time.sleep(0.02)
            if not own:
                return


def is_running(pid: int) -> bool:
    """True while the process lives; one that only waits to be reaped does not."""
    stat = _stat(pid)
    return stat is not None and stat[0] != "Z"


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on; the name before it may hold anything."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def descendants(pid: int) -> list[int]:
    """Every living process below this one, children before grandchildren."""
    parents: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))) is not None:
            parents.setdefault(int(stat[1]), []).append(int(entry.name))
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for parent in level for child in parents.get(parent, [])]
        found.extend(level)
    return found


def usage_of(pids: Sequence[int]) -> Usage:
    """What these processes have spent; a process that is gone makes the figure useless, so raises.

    utime and stime are the scheduler's own count, read in ticks of 10 ms. Time of children that
    were already reaped (cutime, cstime) is added, else a short-lived child would be free.
    """
    ticks = 0
    pages = 0
    for pid in pids:
        stat = _stat(pid)
        if stat is None:
            raise BenchError(f"process {pid} ended in the middle of a round")
        ticks += sum(int(field) for field in stat[11:15])
        pages += int(stat[21])
    return Usage(cpu_us=ticks * _TICK_US, rss_mib=pages * _PAGE_MIB)


def answers(url: str) -> bool:
    """True when an HTTP server gives any 2xx there within a second."""
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - loopback http
            return 200 <= int(answer.status) < 300
    except (OSError, urllib.error.URLError):
        return False


def accepts(port: int) -> bool:
    """True when something listens on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
