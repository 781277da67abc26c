"""Programs of Debian's own packages, unpacked into our cache; nothing of the system is changed.

apt holds every file against its signed index. No test fetches anything:
`python -m tests.support.prepare` does, before the suite.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir

_MARK: Final = ".packages"
_WAIT_S: Final = 300.0


class UnavailableError(Exception):
    """Something is not to be had here; the text says why, and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """Packages that stand unpacked in one folder of the cache, under the word that fetches them."""

    folder: str
    word: str
    names: tuple[str, ...]

    @property
    def root(self) -> Path:
        return cache_dir(os.environ) / self.folder

    def found(self) -> Path:
        """The folder they are unpacked in. Raises `UnavailableError`."""
        mark = self.root / _MARK
        if mark.is_file() and mark.read_text().split() == list(self.names):
            return self.root
        raise UnavailableError(
            f"{self.root} does not hold Debian's packages: "
            f"python -m tests.support.prepare {self.word}"
        )

    def fetch(self) -> Path:
        """Fetched and unpacked, whole or not at all. Raises `UnavailableError`."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root.parent, prefix=".debian-") as part:
            try:
                root = self._unpacked(Path(part))
            except (OSError, subprocess.SubprocessError) as fault:
                raise UnavailableError(f"Debian's packages cannot be had: {_why(fault)}") from fault
            (root / _MARK).write_text("\n".join(self.names))
            shutil.rmtree(self.root, ignore_errors=True)
            root.rename(self.root)
        return self.root

    def _unpacked(self, part: Path) -> Path:
        root = part / "root"
        root.mkdir(mode=0o755)
        _run(["apt-get", "-q", "download", *self.names], part)
        for package in sorted(part.glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(root)], part)
        _keep_names(part, root)
        return root

    def libraries(self) -> str:
        """What `LD_LIBRARY_PATH` says so that their libraries are found."""
        folders = [*self.root.glob("usr/lib/*-linux-gnu*"), *self.root.glob("lib/*-linux-gnu*")]
        return ":".join(map(str, folders))


def _keep_names(part: Path, root: Path) -> None:
    """dpkg's own books of what was unpacked: an image's bill of materials is read off them."""
    books = root / "var" / "lib" / "dpkg"
    (books / "info").mkdir(parents=True, exist_ok=True)
    status = []
    for package in sorted(part.glob("*.deb")):
        told = _told(["dpkg-deb", "-f", str(package)])
        status.append(told.rstrip("\n") + "\nStatus: install ok installed\n")
        listing = _told(["dpkg-deb", "-c", str(package)]).splitlines()
        names = [line.split(maxsplit=5)[5].partition(" -> ")[0] for line in listing]
        (books / "info" / f"{package.name.partition('_')[0]}.list").write_text(
            "".join(f"{name.removeprefix('.').rstrip('/') or '/.'}\n" for name in names)
        )
    (books / "status").write_text("\n".join(status))


def _told(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, timeout=_WAIT_S, check=True)
    return done.stdout.decode("utf-8", "replace")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, timeout=_WAIT_S, check=True)


def _why(fault: Exception) -> str:
    if isinstance(fault, subprocess.CalledProcessError):
        lines = fault.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"{fault.cmd[0]}: {lines[-1][:300] if lines else f'exit {fault.returncode}'}"
    return str(fault)[:300]
