"""Policy trees as files: a directory or a tar.gz, read under limits, written the same every time.

Laws: at most 4,096 files and 32 MiB; no absolute names, no `..`, no name twice; no links in an
archive, and in a directory none that leads out of it (a mounted ConfigMap is made of links).
"""

import gzip
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from outrider.core.errors import ConfigError

MAX_FILES: Final = 4096
MAX_BYTES: Final = 32 << 20
_MAX_DEPTH: Final = 32


def read_tree(path: Path) -> dict[str, bytes]:
    """Every file below `path` (a directory or a `.tar.gz`), by its name from the root.

    Names that begin with a dot are left out, but for `.manifest`. Raises `ConfigError`.
    """
    try:
        if path.is_dir():
            return _read_directory(path)
        if path.is_file():
            return _read_archive(path.read_bytes(), str(path))
    except OSError as fault:
        raise ConfigError(f"policy {path} cannot be read: {fault.strerror}") from fault
    raise ConfigError(f"policy {path} is neither a directory nor a .tar.gz: no such file")


def fingerprint(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Name, size, change time and inode of every file `read_tree` would read; cheap to compare.

    Raises `ConfigError` as `read_tree` does.
    """
    try:
        if path.is_dir():
            return tuple(_facts(name, file) for name, file in _walk(path))
        return (_facts("", path),)
    except OSError as fault:
        raise ConfigError(f"policy {path} cannot be read: {fault.strerror}") from fault


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """A tar.gz of `files` that is the same bytes for the same content: sorted, owned by nobody."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return gzip.compress(plain.getvalue(), mtime=0)


def _facts(name: str, file: Path) -> tuple[str, int, int, int]:
    state = file.stat()
    return name, state.st_size, state.st_mtime_ns, state.st_ino


def _read_directory(root: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    for name, file in _walk(root):
        with file.open("rb") as handle:
            content = handle.read(MAX_BYTES - total + 1)
        total += len(content)
        if total > MAX_BYTES:
            raise ConfigError(f"policy {root} holds more than {MAX_BYTES} bytes")
        files[name] = content
    return files


def _walk(root: Path) -> Iterator[tuple[str, Path]]:
    real = root.resolve()
    found = 0
    for folder, folders, names in os.walk(root, followlinks=True):
        here = Path(folder)
        _stays_inside(here, real)
        if len(here.relative_to(root).parts) > _MAX_DEPTH:
            raise ConfigError(f"policy {root} is nested more than {_MAX_DEPTH} folders deep")
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.startswith(".") and (name != ".manifest" or here != root):
                continue
            file = here / name
            if not file.is_file():
                raise ConfigError(f"policy file {file} is not a regular file")
            if file.is_symlink():
                _stays_inside(file, real)
            found += 1
            if found > MAX_FILES:
                raise ConfigError(f"policy {root} holds more than {MAX_FILES} files")
            yield file.relative_to(root).as_posix(), file


def _stays_inside(place: Path, real_root: Path) -> None:
    if not place.resolve().is_relative_to(real_root):
        raise ConfigError(f"policy file {place} is a link that leads out of the policy's folder")


def _read_archive(packed: bytes, source: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    try:
        plain = _unpack(packed, source)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            for member in archive:
                name = _member_name(member, source)
                if name is None:
                    continue
                if name in files:
                    raise ConfigError(f"policy {source} holds {name} twice")
                if len(files) >= MAX_FILES:
                    raise ConfigError(f"policy {source} holds more than {MAX_FILES} files")
                handle = archive.extractfile(member)
                files[name] = handle.read() if handle is not None else b""
    except (tarfile.TarError, EOFError, OSError) as fault:
        raise ConfigError(f"policy {source} is not a readable .tar.gz") from fault
    return files


def _unpack(packed: bytes, source: str) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
        plain = stream.read(MAX_BYTES + 1)
    if len(plain) > MAX_BYTES:
        raise ConfigError(f"policy {source} unpacks to more than {MAX_BYTES} bytes")
    return plain


def _member_name(member: tarfile.TarInfo, source: str) -> str | None:
    """The member's clean name; None for a folder or a hidden file."""
    name = member.name.removeprefix("./")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ".." in parts or "\0" in name:
        raise ConfigError(f"policy {source} holds a name that leads out of it: {member.name!r}")
    if member.isdir():
        return None
    if not member.isreg():
        raise ConfigError(f"policy {source} holds {name}, which is a link or no regular file")
    clean = "/".join(parts)
    if clean == ".manifest":
        return clean
    return None if any(part.startswith(".") for part in parts) else clean
