"""The interpreter that imports AgentDojo: in the cache directory, from a lock, made once.

Laws: nothing but what `agentdojo.lock` names by hash is installed, without dependencies, so none
of the packages that talk to models is there; the environment appears whole or not at all.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir, environment

VERSION: Final = "0.1.35"
SETUP_S: Final = 300.0
INSIDE: Final = Path(__file__).with_name("inside")
"""Scripts that only that interpreter runs."""

_LOCK: Final = Path(__file__).with_name("agentdojo.lock")
_DONE: Final = ".whole"


class UnavailableError(Exception):
    """AgentDojo cannot be had on this machine; the text says why."""


def cache() -> Path:
    """Where everything of the scorecard's that is not a result is kept."""
    return cache_dir(environment()) / "scorecard"


def python_of() -> Path:
    """The interpreter; made by venv and pip where there is none yet (half a minute).

    Raises:
        UnavailableError: it cannot be made, with the last line of what failed.
    """
    home = _home()
    if not (home / _DONE).is_file():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=f".{home.name}-") as scratch:
            room = Path(scratch) / "room"
            _install(room)
            (room / _DONE).touch()
            _put_in_place(room, home)
    return home / "bin" / "python"


def _home() -> Path:
    """One folder for each lock and each Python: a changed lock is a new environment."""
    lock = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    return cache() / f"agentdojo-py{sys.version_info.major}.{sys.version_info.minor}-{lock}"


def _install(room: Path) -> None:
    _run([sys.executable, "-m", "venv", "--symlinks", str(room)])
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]
    hashed = ["--require-hashes", "--only-binary", ":all:", "--requirement", str(_LOCK)]
    _run([str(room / "bin" / "python"), "-m", "pip", "install", *options, *hashed])


def _put_in_place(room: Path, home: Path) -> None:
    if home.exists() and not (home / _DONE).is_file():
        shutil.rmtree(home, ignore_errors=True)
    try:
        room.rename(home)
    except OSError:
        if not (home / _DONE).is_file():  # else another run was faster; its result is as good
            raise


def _run(command: list[str]) -> None:
    name = " ".join(["python", *command[1:3]])
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SETUP_S,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as broken:
        raise UnavailableError(f"`{name}`: {broken}") from broken
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise UnavailableError(f"`{name}` failed: {lines[-1] if lines else 'no output'}")
