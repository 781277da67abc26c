"""Interpreters that import exactly one version of the official MCP SDK, made once and kept.

Laws: only what the lock file beside this module names by hash is installed; an environment
appears whole or not at all; two set-ups at once do no harm.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from outrider.core.errors import OutriderError

MODERN: Final = "2.3.0"
LEGACY: Final = "1.30.0"
SETUP_S: Final = 300.0

_LOCKS: Final = Path(__file__).with_name("locks")
_DONE: Final = ".whole"


class UnavailableError(OutriderError):
    """A part could not be had on this machine; the text says which and why."""


def python_of(version: str, cache: Path) -> Path:
    """Where the interpreter with `mcp==<version>` is, or will be."""
    return _home(version, cache) / "bin" / "python"


def is_ready(version: str, cache: Path) -> bool:
    return (_home(version, cache) / _DONE).is_file() and python_of(version, cache).exists()


def make(version: str, cache: Path, environ: Mapping[str, str]) -> Path:
    """The interpreter with `mcp==<version>`; made by venv and pip where there is none yet.

    Blocking, half a minute where it must be made. Raises `UnavailableError` with pip's last line.
    """
    home = _home(version, cache)
    if is_ready(version, cache):
        return python_of(version, cache)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}-") as scratch:
            room = Path(scratch) / "room"
            _install(room, version, environ)
            (room / _DONE).touch()
            _put_in_place(room, home)
    except UnavailableError as fault:
        raise UnavailableError(f"the MCP SDK {version} cannot be had: {fault}") from fault
    except OSError as fault:
        raise UnavailableError(f"{home}: {fault.strerror or fault}") from fault
    return python_of(version, cache)


def _home(version: str, cache: Path) -> Path:
    """One folder for each lock and each Python: a changed lock is a new environment."""
    lock = hashlib.sha256(_lock(version).read_bytes()).hexdigest()[:12]
    python = f"py{sys.version_info.major}.{sys.version_info.minor}"
    return cache / f"mcp-{version}-{python}-{lock}"


def _lock(version: str) -> Path:
    return _LOCKS / f"mcp-{version}.txt"


def _install(room: Path, version: str, environ: Mapping[str, str]) -> None:
    """A bare environment filled by our own pip; where we have none, by one that Python brings.

    Measured: 13 s against 38 s with a pip in each and everything compiled ahead.
    """
    bare = importlib.util.find_spec("pip") is not None
    make = [sys.executable, "-m", "venv", "--symlinks"]
    _run([*make, *(["--without-pip"] if bare else []), str(room)], environ)
    python = str(room / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python] if bare else [python, "-m", "pip"]
    hashed = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(_lock(version))]
    quietly = ["--quiet", "--no-input", "--no-compile", "--disable-pip-version-check"]
    _run([*pip, "install", *quietly, *hashed], environ)


def _put_in_place(room: Path, home: Path) -> None:
    if home.exists() and not (home / _DONE).is_file():
        shutil.rmtree(home, ignore_errors=True)
    try:
        room.rename(home)
    except OSError:
        if not (home / _DONE).is_file():  # else another run was faster; its result is as good
            raise


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    name = " ".join(["python", *command[1:3]])
    try:
        done = subprocess.run(  # noqa: S603 - constant arguments
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SETUP_S,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise UnavailableError(f"`{name}` took over {SETUP_S:.0f} s") from slow
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise UnavailableError(f"`{name}` failed: {lines[-1] if lines else 'no output'}")
