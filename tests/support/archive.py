"""Container images made by hand, for what a test needs beside ours."""

import hashlib
import platform
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

import orjson

_USERS: Final = b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
_MACHINES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_MACHINE: Final = _MACHINES.get(platform.machine(), platform.machine())


def docker_archive(
    target: Path,
    name: str,
    entrypoint: tuple[str, ...],
    files: Mapping[str, Path],
    links: Mapping[str, str] | None = None,
) -> None:
    """One image of one layer: `files` by their path in it, executable; `links` by theirs."""
    layer = BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        _add(tar, "etc/passwd", _USERS, 0o644)
        for path, source in files.items():
            _add(tar, path, source.read_bytes(), 0o755)
        for path, leads_to in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, leads_to
            tar.addfile(entry)
    content = layer.getvalue()
    config = orjson.dumps(
        {
            "architecture": _MACHINE,
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"]},
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(content).hexdigest()}"],
            },
        }
    )
    named = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = orjson.dumps([{"Config": named, "RepoTags": [name], "Layers": ["layer.tar"]}])
    with tarfile.open(target, "w") as tar:
        for path, data in ((named, config), ("layer.tar", content), ("manifest.json", manifest)):
            _add(tar, path, data, 0o644)


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, BytesIO(content))
