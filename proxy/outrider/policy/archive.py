"""Policy trees as files: a directory or a tar.gz, read under limits, written the same every time.

Laws: at most 4,096 files and 32 MiB; no absolute names, no `..`, no name twice; no links in an
archive, and in a directory none that leads out of it (a mounted ConfigMap is made of links).
Nothing is ever unpacked onto a disk. The one absolute form that is taken is the one `opa build`
writes, which has every name, its `/data.json` among them, begin with one slash.
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from outrider.core.errors import ConfigError
from outrider.policy import tar_headers

MAX_FILES: Final = 4096
MAX_BYTES: Final = 32 << 20
SIGNATURES: Final = ".signatures.json"
_ROOT_FILES: Final = frozenset({".manifest", SIGNATURES})
_MAX_DEPTH: Final = 32
_HEADERS_A_FILE: Final = 4
_GZIP: Final = 16 + zlib.MAX_WBITS
"""What zlib calls a gzip header and trailer."""
"""Its own, those that go before it, and its folder's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A tar.gz in memory. `name` is what people know it by."""

    name: str
    content: bytes


def read_tree(place: Path | Packed) -> dict[str, bytes]:
    """Every file of a directory or `.tar.gz`, by its name from the root.

    Names that begin with a dot are left out, but for `.manifest`. Raises `ConfigError`.
    """
    return visible(read_whole(place))


def visible(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """`files` without those that begin with a dot somewhere, but for `.manifest`."""
    return {
        name: content
        for name, content in files.items()
        if name == ".manifest" or not any(part.startswith(".") for part in name.split("/"))
    }


def read_whole(place: Path | Packed) -> dict[str, bytes]:
    """As `read_tree`, with what a signature speaks of besides: `.signatures.json`, and in an
    archive whatever else begins with a dot."""
    if isinstance(place, Packed):
        return _read_archive(place.content, place.name)
    try:
        if place.is_dir():
            return _read_directory(place)
        if place.is_file():
            return _read_archive(_read_bounded(place), str(place))
    except OSError as fault:
        raise ConfigError(f"policy {place} cannot be read: {fault.strerror}") from fault
    raise ConfigError(f"policy {place} is neither a directory nor a .tar.gz: no such file")


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as handle:
        content = handle.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ConfigError(f"policy {path} holds more than {MAX_BYTES} bytes")
    return content


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
            if name.startswith(".") and (name not in _ROOT_FILES or here != root):
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
    total = 0
    try:
        plain = _unpack(packed, source)
        tar_headers.check(plain, source, _HEADERS_A_FILE * MAX_FILES)
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            members = list(_members(archive, source))
            rooted = _is_rooted(members)
            for member in members:
                name = _member_name(member, source, rooted=rooted)
                if name in files:
                    raise ConfigError(f"policy {source} holds {name} twice")
                total += member.size
                if total > MAX_BYTES:
                    raise ConfigError(f"policy {source} unpacks to more than {MAX_BYTES} bytes")
                handle = archive.extractfile(member)
                files[name] = handle.read() if handle is not None else b""
    except (tarfile.TarError, EOFError, OSError, ValueError, zlib.error) as fault:
        raise ConfigError(f"policy {source} is not a readable .tar.gz") from fault
    return files


def _unpack(packed: bytes, source: str) -> bytes:
    """The one gzip member (RFC 1952) that there is: empty ones by the million cost nothing to send,
    and this is before the signature."""
    stream = zlib.decompressobj(wbits=_GZIP)
    plain = stream.decompress(packed, MAX_BYTES + 1)
    if len(plain) > MAX_BYTES:
        raise ConfigError(f"policy {source} unpacks to more than {MAX_BYTES} bytes")
    if not stream.eof:
        raise EOFError("it ends early")
    if stream.unused_data.strip(b"\0"):
        raise ConfigError(f"policy {source} goes on after its end")
    return plain


def _members(archive: tarfile.TarFile, source: str) -> Iterator[tarfile.TarInfo]:
    """The files of an archive; folders count for nothing."""
    found = 0
    for member in archive:
        if member.isdir():
            _refuse_leading_out(member.name, source)
            continue
        if not member.isreg() or member.sparse is not None:  # a hole costs nothing to send
            shown = member.name.removeprefix("./")
            raise ConfigError(f"policy {source} holds {shown}, which is a link or no regular file")
        found += 1
        if found > MAX_FILES:
            raise ConfigError(f"policy {source} holds more than {MAX_FILES} files")
        yield member


def _is_rooted(members: list[tarfile.TarInfo]) -> bool:
    names = [member.name for member in members]
    return "/data.json" in names and all(name.startswith("/") for name in names)


def _member_name(member: tarfile.TarInfo, source: str, *, rooted: bool) -> str:
    name = member.name[1:] if rooted else member.name.removeprefix("./")
    _refuse_leading_out(name, source)
    if not name or name != str(PurePosixPath(name)):
        raise ConfigError(f"policy {source} holds a name that can be read in two ways: {name!r}")
    return name


def _refuse_leading_out(name: str, source: str) -> None:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or "\\" in name or ".." in parts or "\0" in name:
        raise ConfigError(f"policy {source} holds a name that leads out of it: {name!r}")
