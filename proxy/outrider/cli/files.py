"""Files that commands read and write for people: bounded, and never overwritten."""

import os
from pathlib import Path
from typing import Final

from outrider.core import strict_json
from outrider.core.errors import ConfigError, MalformedError
from outrider.core.jsonvalue import Json
from outrider.policy.bundle import read_document

FILE_BYTES: Final = 16 << 20
_LIMITS: Final = strict_json.JsonLimits(depth=64, nodes=500_000)


def read_file(path: Path) -> Json:
    """A YAML or JSON document that somebody wrote down. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault.strerror}") from fault
    if len(content) > FILE_BYTES:
        raise ConfigError(f"{path}: larger than {FILE_BYTES} bytes")
    if path.suffix == ".json":
        try:
            return strict_json.read(content, _LIMITS)
        except MalformedError:
            pass  # numbers beyond what we take are words to a reader of documents
    return read_document(content.decode("utf-8", "replace"), str(path))


def write_new(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file that is not there yet, and the folders above it. Raises `ConfigError`."""
    if path.exists():
        raise ConfigError(f"{path} is there already; nothing is overwritten")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be written: {fault.strerror}") from fault
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
