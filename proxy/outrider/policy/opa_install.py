"""Which OPA is run, and how one is had (POLICY §11).

Laws: an OPA older than 1.18.1 is never used; a pinned hash is checked against the bytes that run;
what is installed appears whole or not at all.
"""

import hashlib
import platform
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.core.errors import ConfigError

MINIMUM: Final = (1, 18, 1)
"""1.4.0 fixes CVE-2025-46569; 1.17.0 to 1.18.0 leak memory."""
RECOMMENDED: Final = "1.20.2"

_VERSION_LINE: Final = re.compile(r"^Version: ?v?(\d{1,4})\.(\d{1,4})\.(\d{1,4})", re.MULTILINE)
_VERSION: Final = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MODULE: Final = "github.com/open-policy-agent/opa"
_RELEASES: Final = "https://github.com/open-policy-agent/opa/releases/download"
_ASK_S: Final = 20.0
_BUILD_S: Final = 1200.0
_FETCH_S: Final = 120.0
_MAX_BYTES: Final = 256 << 20
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaBinary:
    """An OPA that may be run."""

    path: Path
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaPlaces:
    """Where an OPA may be: the one the settings name, the command path, our cache directory.

    `sha256` pins whichever is taken.
    """

    cache: Path
    search_path: str = ""
    binary: Path | None = None
    sha256: str | None = None


Fetch = Callable[[str], bytes]


def find(places: OpaPlaces) -> OpaBinary:
    """The OPA to run: the named one, else an accepted one on the path, else the newest cached.

    Blocking: runs `opa version`. Raises `ConfigError` that says what was tried.
    """
    if places.binary is not None:
        return _accepted(places.binary, places.sha256)
    tried: list[str] = []
    found = shutil.which("opa", path=places.search_path) if places.search_path else None
    for candidate in ([Path(found)] if found else []) + _cached(places.cache):
        try:
            return _accepted(candidate, places.sha256)
        except ConfigError as fault:
            tried.append(str(fault))
    if not found:
        tried.insert(0, "there is no `opa` on the path")
    tried.append(f"{places.cache / 'opa'} holds no usable one")
    raise ConfigError(
        "no OPA to run: " + "; ".join(tried) + "; run `outrider opa install`, or set "
        "policy.opa.binary, or policy.engine: embedded"
    )


def version_of(path: Path) -> str:
    """The version that the binary at `path` says it has. Blocking. Raises `ConfigError`."""
    try:
        said = subprocess.run(  # noqa: S603 - the operator's own choice of binary
            [str(path), "version"], capture_output=True, timeout=_ASK_S, check=True, env={}
        ).stdout
    except (OSError, subprocess.SubprocessError) as fault:
        raise ConfigError(f"{path} does not run as OPA: {_why(fault)}") from fault
    match = _VERSION_LINE.search(said.decode("utf-8", "replace"))
    if match is None:
        raise ConfigError(f"{path} does not say its version as OPA does")
    return ".".join(match.groups())


def check_version(version: str, where: str) -> None:
    """Raises `ConfigError` where `version` is too old to be trusted, or no version at all."""
    if not _VERSION.fullmatch(version):
        raise ConfigError(f"{where} says no OPA version")
    if tuple(map(int, version.split("."))) < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise ConfigError(f"{where} is OPA {version}; at least {least} is wanted ({RECOMMENDED})")


def install(
    places: OpaPlaces,
    environ: Mapping[str, str],
    version: str = RECOMMENDED,
    fetch: Fetch | None = None,
) -> OpaBinary:
    """Put OPA `version` into the cache: built by `go install`, else the official static release.

    Blocking, up to some minutes. Raises `ConfigError` that says what was tried; nothing half
    done stays.
    """
    check_version(version, "what is asked for")
    target = places.cache / "opa" / version / "opa"
    try:
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as staging:
            made = _make(Path(staging), environ, version, fetch or _fetch)
            made.chmod(0o755)
            _accepted(made, places.sha256)
            made.replace(target)
    except OSError as fault:
        raise ConfigError(f"{target} cannot be written: {_why(fault)}") from fault
    return _accepted(target, places.sha256)


def _make(staging: Path, environ: Mapping[str, str], version: str, fetch: Fetch) -> Path:
    try:
        return _build(staging, environ, version)
    except ConfigError as fault:
        built = str(fault)
    try:
        return _download(staging, version, fetch)
    except ConfigError as fault:
        raise ConfigError(f"OPA {version} cannot be had: {built}; {fault}") from fault


def _build(staging: Path, environ: Mapping[str, str], version: str) -> Path:
    """`go install`: the module's sums are checked by Go against its public log."""
    go = shutil.which("go", path=environ.get("PATH") or None)
    if go is None:
        raise ConfigError("there is no `go` on the path")
    try:
        subprocess.run(  # noqa: S603 - constant arguments, a version of digits and dots
            [go, "install", f"{_MODULE}@v{version}"],
            env={**environ, "CGO_ENABLED": "0", "GOBIN": str(staging)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_BUILD_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as fault:
        raise ConfigError(f"`go install` failed: {_why(fault)}") from fault
    return staging / "opa"


def _download(staging: Path, version: str, fetch: Fetch) -> Path:
    """The release's static binary, held against the checksum published beside it."""
    machine = _MACHINES.get(platform.machine().lower())
    system = platform.system().lower()
    if machine is None or system not in ("linux", "darwin"):
        raise ConfigError(f"there is no static release for {system}/{platform.machine()}")
    url = f"{_RELEASES}/v{version}/opa_{system}_{machine}_static"
    try:
        published = fetch(f"{url}.sha256")[:256].decode("ascii", "replace").split()
        content = fetch(url)
    except (OSError, ValueError) as fault:
        raise ConfigError(f"{url}: {_why(fault)}") from fault
    if not published or not _SHA256.fullmatch(published[0].lower()):
        raise ConfigError(f"{url}.sha256 holds no checksum")
    if hashlib.sha256(content).hexdigest() != published[0].lower():
        raise ConfigError(f"{url} is not what its checksum says")
    made = staging / "opa"
    made.write_bytes(content)
    return made


def _fetch(url: str) -> bytes:
    """Up to 256 MiB over HTTPS. Raises `OSError`, `ValueError`."""
    with urllib.request.urlopen(url, timeout=_FETCH_S) as answer:  # noqa: S310 - https, constant
        content: bytes = answer.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError("larger than any OPA")
    return content


def _accepted(path: Path, sha256: str | None) -> OpaBinary:
    if sha256 is not None:
        _check_hash(path, sha256)
    version = version_of(path)
    check_version(version, str(path))
    return OpaBinary(path=path, version=version)


def _check_hash(path: Path, sha256: str) -> None:
    try:
        with path.open("rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as fault:
        raise ConfigError(f"{path} cannot be read: {_why(fault)}") from fault
    if found != sha256.lower():
        raise ConfigError(f"{path} is not what policy.opa.sha256 pins; its SHA-256 is {found}")


def _cached(cache: Path) -> list[Path]:
    """Installed ones, the recommended version first, then the newest."""
    found = [path for path in (cache / "opa").glob("*/opa") if _VERSION.fullmatch(path.parent.name)]
    return sorted(found, key=_preference, reverse=True)


def _preference(path: Path) -> tuple[bool, tuple[int, ...]]:
    version = path.parent.name
    return version == RECOMMENDED, tuple(map(int, version.split(".")))


def _why(fault: Exception) -> str:
    """A fault in a few words, without a command's whole output."""
    if isinstance(fault, subprocess.CalledProcessError):
        lines = fault.stderr.decode("utf-8", "replace").strip().splitlines() if fault.stderr else []
        return f"exit {fault.returncode}" + (f", {lines[-1][:200]}" if lines else "")
    if isinstance(fault, urllib.error.URLError):
        return str(fault.reason)[:200]
    return (getattr(fault, "strerror", None) or str(fault))[:200]
