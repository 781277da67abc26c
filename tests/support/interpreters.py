"""Other Pythons of this machine, each with what the TLS suite needs, made once and kept.

Only what the project's own lock names by hash is installed, and no test installs anything:
`python -m tests.support.prepare` does, before the suite.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.support.mcp_env import (
    Say,
    UnavailableError,
    _build,
    _is_ready,
    _run,
    cache_root,
    say_nothing,
)

__all__ = ["OTHERS", "UnavailableError", "found", "make", "ready", "run_suite"]

ROOT: Final = Path(__file__).parents[2]
SUPPORTED: Final = ("3.11", "3.12", "3.13")
OTHERS: Final = tuple(
    version for version in SUPPORTED if version != f"{sys.version_info[0]}.{sys.version_info[1]}"
)
SUITE: Final = (
    "tests/unit/identity/test__compat.py",
    "tests/unit/identity/test_anchors.py",
    "tests/unit/identity/test_rehearsal.py",
    "tests/unit/identity/test_tls.py",
    "tests/unit/identity/test_x509.py",
    "tests/wire/identity/test_aiohttp.py",
    "tests/wire/identity/test_breaking_off.py",
    "tests/wire/identity/test_handshake.py",
    "tests/wire/identity/test_refusals.py",
    "tests/wire/identity/test_rotations.py",
    "tests/wire/identity/test_trust.py",
)
SUITE_S: Final = 240.0
_NOT_NEEDED: Final = frozenset({
    "ast-serialize", "codespell", "coverage", "grimp", "hatchling", "import-linter", "librt",
    "mypy", "mypy-extensions", "pathspec", "ruff", "tomlkit", "trove-classifiers", "types-pyyaml",
})  # fmt: skip


def found(version: str) -> Path | None:
    """Python `version` where this machine has it, in PATH or among pyenv's."""
    named = shutil.which(f"python{version}")
    pyenv = Path.home() / ".pyenv" / "versions"
    candidates = [
        *([Path(named)] if named else []),
        *sorted(pyenv.glob(f"{version}.*/bin/python{version}"), reverse=True),
    ]
    return next((one for one in candidates if _is_python(one, version)), None)


def _is_python(binary: Path, version: str) -> bool:
    """A name in PATH may be a stand-in for a Python that is not chosen."""
    try:
        done = subprocess.run(
            [binary, "-c", "import sys, ssl; print('%d.%d' % sys.version_info[:2])"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def ready(version: str) -> Path | None:
    """The environment's interpreter, where it has been made."""
    home = _home(version)
    python = home / "bin" / "python"
    return python if _is_ready(home, python) else None


def make(version: str, *, say: Say = say_nothing) -> Path:
    """The environment for `version`; some 20 s where there is none yet.

    Raises `UnavailableError` where there is no such Python, or it could not be filled.
    """
    made = ready(version)
    if made is not None:
        return made
    base = found(version)
    if base is None:
        raise UnavailableError(f"no Python {version} on this machine")
    say(f"setting up the TLS suite for Python {version} (once, about 20 s)")
    _build(_home(version), lambda room: _install(room, base))
    return _home(version) / "bin" / "python"


def _home(version: str) -> Path:
    lock = hashlib.sha256(_requirements().encode()).hexdigest()[:12]
    return cache_root() / f"tls-py{version}-{lock}"


def _requirements() -> str:
    """The project's lock less the tools that no test imports."""
    kept: list[str] = []
    wanted = False
    for line in (ROOT / "requirements-dev.lock").read_text("utf-8").splitlines():
        if line[:1].isalnum():
            wanted = line.partition("==")[0] not in _NOT_NEEDED
        if wanted:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _install(room: Path, base: Path) -> None:
    _run([str(base), "-m", "venv", "--symlinks", "--without-pip", str(room)])
    pip = [sys.executable, "-m", "pip", "--python", str(room / "bin" / "python")]
    quietly = ["--quiet", "--no-input", "--no-compile", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory(prefix="outrider-") as scratch:
        lock = Path(scratch) / "lock.txt"
        lock.write_text(_requirements(), "utf-8")
        hashed = ["--require-hashes", "--no-deps", "--requirement", str(lock)]
        built = ["--only-binary", ":all:", "--no-binary", "forbiddenfruit"]  # as the Makefile
        _run([*pip, "install", *quietly, *hashed, *built])


def run_suite(python: Path) -> subprocess.CompletedProcess[str]:
    """The TLS suite under `python`, in a process of its own."""
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": os.environ.get("HOME", ""),
        "PYTHONPATH": str(ROOT / "proxy"),
        "PYTHONPYCACHEPREFIX": str(python.parents[1] / "compiled"),
    }
    quietly = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--durations=0", "-rs"]
    return subprocess.run(
        [python, "-m", "pytest", *quietly, *SUITE],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SUITE_S,
        check=False,
    )
