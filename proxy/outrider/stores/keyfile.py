"""Secrets of this sidecar's own that outlive a restart: one file each, 0600, made on first use."""

import os
import secrets
import stat
from pathlib import Path

from outrider.core.errors import ConfigError
from outrider.core.secret import Secret


def own_secret(path: Path, *, text: bool = False) -> Secret:
    """The secret in `path`: 32 random bytes, or their URL-safe text; made where there is none.

    Raises `ConfigError` for a file that others may read, that is too short, or that cannot be
    read or made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path, secrets.token_urlsafe(32).encode() if text else secrets.token_bytes(32))
        return read_secret(path)
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be used: {fault.strerror}") from fault


def read_secret(path: Path) -> Secret:
    """The secret in `path`. Raises `ConfigError` and `OSError` as `own_secret` says."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{path}: others may read it; chmod 600 it")
    value = path.read_bytes()
    if len(value) < 32:
        raise ConfigError(f"{path}: holds {len(value)} bytes; give at least 32")
    return Secret(value)


def read_password(path: Path) -> Secret:
    """The password in `path`, without the line's end. Raises `ConfigError` for a file that others
    may read, that is empty, or that cannot be read."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path}: others may read it; chmod 600 it")
        value = path.read_bytes().strip(b"\r\n")
    except OSError as fault:
        raise ConfigError(f"{path}: cannot be read: {fault.strerror}") from fault
    if not value:
        raise ConfigError(f"{path}: is empty; give the password")
    return Secret(value)


def _make(path: Path, value: bytes) -> None:
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(value)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
