"""Starting, watching and ending the processes of one run, each by the handle we hold."""

import os
import select
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

GRACE_S: Final = 10.0
POLL_S: Final = 0.05
TAIL_LINES: Final = 12


class BrokenRunError(Exception):
    """A process did not do its part; the text says which, how, and its last lines."""


def free_ports(count: int) -> list[int]:
    """Distinct loopback ports nobody listens on now."""
    held = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, piped: bool = True
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its standard error in `log`; it is gone when the block is left.

    Its standard output is a pipe for the caller to read, or goes to `log` too.
    """
    with log.open("wb") as kept:
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if piped else kept,
            stderr=kept,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to stop, then make its whole session stop. Idempotent."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    with suppress(ProcessLookupError, PermissionError):  # children that outlived it
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(GRACE_S)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def first_line(name: str, process: subprocess.Popen[bytes], *, within_s: float, log: Path) -> str:
    """The first line the process prints.

    Raises:
        BrokenRunError: it ended, or said nothing in time.
    """
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], within_s)
    line = process.stdout.readline().decode().strip() if ready else ""
    if not line:
        raise BrokenRunError(f"{name} did not start within {within_s:.0f} s\n{tail(log)}")
    return line


def wait_ready(
    name: str, url: str, process: subprocess.Popen[bytes], *, within_s: float, log: Path
) -> None:
    """Return when `url` answers 200.

    Raises:
        BrokenRunError: the process ended or was not ready in time, with the last answer.
    """
    until, said = time.monotonic() + within_s, "no answer"
    while time.monotonic() < until:
        if (code := process.poll()) is not None:
            raise BrokenRunError(f"{name} ended with exit code {code}\n{tail(log)}")
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 - loopback http
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as refusal:
            with refusal:
                said = f"{refusal.code} {refusal.read(2000).decode(errors='replace').strip()}"
        except OSError as broken:
            said = str(broken)
        time.sleep(POLL_S)
    raise BrokenRunError(f"{name} was not ready within {within_s:.0f} s: {said}\n{tail(log)}")


def run_to_end(command: Sequence[str | Path], *, within_s: float, log: Path) -> tuple[int, str]:
    """Exit code and everything printed.

    Raises:
        BrokenRunError: it took too long and was killed, with the last it printed.
    """
    with running(command, log=log) as process:
        try:
            printed, _ = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired as slow:
            lines = (slow.output or b"").decode(errors="replace").strip().splitlines()
            at = lines[-1] if lines else "nothing printed"
            raise BrokenRunError(f"the suite took over {within_s:.0f} s, at: {at}") from slow
        return process.returncode, printed.decode(errors="replace")


def tail(log: Path) -> str:
    """The last lines of a log, indented."""
    lines = log.read_text("utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join(f"    {line}" for line in lines) or "    (it wrote nothing)"
