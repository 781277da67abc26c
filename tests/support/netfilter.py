"""nft for tests: found on PATH, else Debian's own packages in the cache."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.support.debian import Packages, UnavailableError

__all__ = ["Nft", "UnavailableError", "find", "install", "version"]

PACKAGES: Final = Packages(
    folder="nft-debian",
    word="nft",
    names=(
        "nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libedit2", "libbsd0",
        "libmd0", "libxtables12",
    ),
)  # fmt: skip
_WAIT_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Nft:
    """The program and what its environment says of its libraries."""

    path: str
    environ: dict[str, str] = field(default_factory=dict)


def find() -> Nft:
    """Raises `UnavailableError`."""
    named = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if named is not None:
        return Nft(path=named)
    return _unpacked(PACKAGES.found())


def install() -> Nft:
    """Fetched into the cache. Raises `UnavailableError`."""
    return _unpacked(PACKAGES.fetch())


def version(nft: Nft) -> str:
    """What it says of itself. Raises `UnavailableError` for one that does not run."""
    try:
        done = subprocess.run(
            [nft.path, "--version"],
            env={"PATH": os.environ.get("PATH", ""), **nft.environ},
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as fault:
        raise UnavailableError(f"{nft.path} does not run: {fault}") from fault
    return done.stdout.strip()


def _unpacked(root: Path) -> Nft:
    return Nft(
        path=str(root / "usr" / "sbin" / "nft"), environ={"LD_LIBRARY_PATH": PACKAGES.libraries()}
    )
