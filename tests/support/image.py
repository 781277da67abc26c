"""Our image, built from deploy/image/Containerfile on local stand-ins for its two base images.

No registry is asked: the base is Debian's own packages, OPA the pinned one of our cache, wheels a
folder of the locked ones. Built once for each state of what goes into it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from outrider.config.load import cache_dir
from outrider.policy.opa_install import OpaPlaces, find as find_opa
from tests.support.containers import Podman
from tests.support.debian import Packages, UnavailableError
from tests.support.mcp_env import Say, say_nothing

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "image"
LOCKS: Final = (ROOT / "requirements.lock", FOLDER / "otel.lock", FOLDER / "build.lock")

BASE: Final = Packages(
    folder="base-debian",
    word="containers",
    names=(
        "base-files", "base-passwd", "dash", "coreutils", "sed", "grep", "libc6", "libc-bin",
        "libgcc-s1", "libstdc++6", "libacl1", "libattr1", "libgmp10", "libselinux1",
        "libpcre2-8-0", "zlib1g", "libssl3", "libffi8", "libexpat1", "libsqlite3-0", "liblzma5",
        "libbz2-1.0", "libuuid1", "libncursesw6", "libtinfo6", "libreadline8", "libcrypt1",
        "libdb5.3", "libnsl2", "libtirpc3", "libtirpc-common", "libgssapi-krb5-2", "libkrb5-3",
        "libk5crypto3", "libkrb5support0", "libcom-err2", "libkeyutils1",
        "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "python3.11",
        "python3-minimal", "python3", "python3-pip", "python3-setuptools", "python3-pkg-resources",
        "python3-wheel", "python3-distutils", "python3-lib2to3", "media-types",
        "nftables", "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libedit2", "libbsd0",
        "libmd0", "libxtables12",
    ),
)  # fmt: skip
"""The stand-in for the base image: Debian's Python with pip, a shell to build with, and nft."""

BASE_IMAGE: Final = "localhost/outrider-base"
OPA_IMAGE: Final = "localhost/outrider-opa"
IMAGE: Final = "localhost/outrider"
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_MERGED: Final = ("bin", "sbin", "lib", "lib64")
_WAIT_S: Final = 900.0


def wheels() -> Path:
    """The folder of locked wheels. Raises `UnavailableError` where it is not the locks'."""
    folder = _wheels_place()
    if not folder.is_dir():
        raise UnavailableError(f"no {folder}: python -m tests.support.prepare containers")
    return folder


def _wheels_place() -> Path:
    named = hashlib.sha256(b"".join(lock.read_bytes() for lock in LOCKS)).hexdigest()[:12]
    return cache_dir(os.environ) / f"image-wheels-{named}"


def built(engine: Podman, *, say: Say = say_nothing) -> str:
    """The name of our image as this working copy makes it; built where it is not there yet.

    Raises `UnavailableError` where what it is built from is missing.
    """
    image = f"{IMAGE}:{_state()}"
    if engine.has(image):
        return image
    base, opa, folder = _base_image(engine), _opa_image(engine), wheels()
    say(f"building {image} (some two minutes)")
    engine.run(
        "build", "--isolation=chroot", "--network=host", "--pull=never", "--layers",
        "--build-arg", f"BASE={base}", "--build-arg", f"OPA={opa}",
        "--build-arg", f"REVISION={image.rpartition(':')[2]}",
        "--volume", f"{folder}:/wheels:ro",
        "--file", str(FOLDER / "Containerfile"), "--tag", image, str(ROOT),
    ).checked()  # fmt: skip
    _forget_others(engine, image)
    return image


def _forget_others(engine: Podman, image: str) -> None:
    """Images of earlier states of this working copy, which nobody asks for any more."""
    told = engine.run("images", "--format", "{{.Repository}}:{{.Tag}}", IMAGE).out.split()
    for one in told:
        if one.startswith(f"{IMAGE}:") and one != image:
            engine.run("rmi", "--force", one)


def archive(name: str, tag: str) -> Path:
    """Where an archive of the image `name` is put for a node that takes it in."""
    return cache_dir(os.environ) / f"image-{name.rpartition(':')[2]}-{tag}.tar"


def _state() -> str:
    """A digest of every file that goes into the image."""
    whole = hashlib.sha256()
    for path in sorted(_context()):
        whole.update(f"{path.relative_to(ROOT)} {path.stat().st_mode & 0o111:o}\0".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:16]


def _context() -> Iterator[Path]:
    """What .dockerignore lets in."""
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            place = ROOT / line.removeprefix("!")
            found = [place] if place.is_file() else place.rglob("*")
            for path in found:
                if path.is_file() and "__pycache__" not in path.parts:
                    yield path


def _base_image(engine: Podman) -> str:
    named = hashlib.sha256("\n".join(BASE.names).encode()).hexdigest()[:12]
    image = f"{BASE_IMAGE}:{named}"
    if not engine.has(image):
        _import_base(engine, image)
    return image


def _opa_image(engine: Podman) -> str:
    found = find_opa(OpaPlaces(cache=cache_dir(os.environ)))
    image = f"{OPA_IMAGE}:{found.version}"
    if not engine.has(image):
        with tempfile.TemporaryDirectory(prefix="outrider-opa-") as folder:
            archive = Path(folder) / "opa.tar"
            with tarfile.open(archive, "w") as tar:
                _file(tar, "opa", found.path.read_bytes(), 0o755)
            engine.run("import", str(archive), image).checked()
    return image


def _import_base(engine: Podman, image: str) -> None:
    """What stands for the base; pip in it finds the wheels mounted at /wheels, nothing else."""
    base = BASE.found()
    with tempfile.TemporaryDirectory(prefix="outrider-base-") as folder:
        archive = Path(folder) / "base.tar"
        with tarfile.open(archive, "w") as tar:
            _packed(tar, base)
            text = "[global]\nno-index = true\nfind-links = /wheels\n"
            _file(tar, "etc/pip.conf", text.encode())
            _file(tar, "etc/passwd", (base / "usr/share/base-passwd/passwd.master").read_bytes())
            _file(tar, "etc/group", (base / "usr/share/base-passwd/group.master").read_bytes())
            _file(tar, "etc/ssl/certs/ca-certificates.crt", CERTIFICATES.read_bytes())
        path = "ENV PATH=/usr/sbin:/usr/bin"
        engine.run("import", "--change", path, str(archive), image).checked()


def _packed(tar: tarfile.TarFile, base: Path) -> None:
    """The packages' files on a merged /usr, as every current Debian has it."""
    for name in _MERGED:
        _link(tar, name, f"usr/{name}")
    seen: set[Path] = set()
    for path in sorted(base.rglob("*")):
        inside = path.relative_to(base)
        merged = Path("usr") / inside if inside.parts[0] in _MERGED else inside
        if merged not in seen and (path.is_symlink() or not path.is_dir()):
            tar.add(path, str(merged), recursive=False, filter=_as_root)
        seen.add(merged)
    for name, mode in (("tmp", 0o1777), ("proc", 0o755), ("sys", 0o755), ("dev", 0o755)):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        tar.addfile(entry)


def _as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
    tar.addfile(entry)


def _file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, BytesIO(content))


def fetch_wheels() -> Path:
    """What the locks name, for the base's Python 3.11, each held against its hash.

    Raises `UnavailableError`.
    """
    target = _wheels_place()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wheels-") as part:
        for lock in LOCKS:
            try:
                subprocess.run(
                    [
                        sys.executable, "-m", "pip", "download", "--quiet",
                        "--disable-pip-version-check", "--require-hashes", "--no-deps",
                        "--only-binary", ":all:", "--python-version", "3.11",
                        "--dest", part, "-r", str(lock),
                    ],
                    capture_output=True, timeout=_WAIT_S, check=True,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as fault:
                said = getattr(fault, "stderr", b"") or b""
                raise UnavailableError(f"wheels cannot be fetched: {said[-300:]!r}") from fault
        shutil.copytree(part, target)
    return target
