"""What settings name outside themselves, looked at for `outrider config check`.

A file that the start reads is a fault where it cannot be read; a socket may come to be later, and
is warned of.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from outrider.config.load import Loaded
from outrider.core.errors import ConfigError


def warnings(loaded: Loaded) -> Iterator[str]:
    """A sentence for each thing that is not as the settings want it, as seen from here. Blocking:
    it looks at files."""
    yield from _workload_api(loaded)
    yield from _unused(loaded)


def check_files(loaded: Loaded) -> None:
    """Raises `ConfigError`, one line for each file of identity, and of the store, that the start
    could not read. Blocking."""
    identity = loaded.settings.identity
    named = [
        (f"identity.trust_bundles.{domain}", loaded.path(path))
        for domain, path in identity.trust_bundles.items()
    ]
    files = identity.files
    if identity.source == "files" and files.directory is not None:
        folder = loaded.path(files.directory)
        if not folder.is_dir():
            raise ConfigError(f"identity.files.directory: there is no such folder: {folder}")
        named += [
            ("identity.files.certificate", folder / files.certificate),
            ("identity.files.key", folder / files.key),
            ("identity.files.bundle", folder / files.bundle),
        ]
    stores = loaded.settings.stores
    if stores.kind == "redis" and stores.redis.password_file is not None:
        password = loaded.path(stores.redis.password_file)
        named.append(("stores.redis.password_file", password))
    named += _of_delivery(loaded)
    lines = [
        f"{key}: {flaw}: {path}" for key, path in named if (flaw := _file_flaw(path)) is not None
    ]
    if lines:
        raise ConfigError("\n".join(lines))


def _of_delivery(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    policy = loaded.settings.policy
    for name, key in policy.signature.keys.items():
        yield f"policy.signature.keys.{name}.file", loaded.path(key.file)
    for name in ("ca_file", "token_file", "password_file"):
        file: str | None = getattr(policy.bundle, name)
        if file is not None:
            yield f"policy.bundle.{name}", loaded.path(file)


def _file_flaw(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except OSError as fault:
        return f"cannot be read ({fault.strerror})"
    if not stat.S_ISREG(mode):
        return "is no file"
    return None if os.access(path, os.R_OK) else "cannot be read by this user"


def _workload_api(loaded: Loaded) -> Iterator[str]:
    target = loaded.workload_api
    if target is None or not target.startswith("unix:"):
        return
    path = Path(target.removeprefix("unix:"))
    flaw = _socket_flaw(path)
    if flaw is not None:
        yield f"the Workload API's socket {path}: {flaw}; until then the sidecar waits, not ready"


def _socket_flaw(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return "its folder does not let this user in"
    except OSError as fault:
        return f"cannot be found ({fault.strerror})"
    if not stat.S_ISSOCK(mode):
        return "is no socket"
    if not os.access(path, os.W_OK):
        return "does not let this user connect"
    return None


def _unused(loaded: Loaded) -> Iterator[str]:
    """Settings that come to nothing beside the others."""
    settings = loaded.settings
    is_entered = any(one.direction == "ingress" for one in settings.upstreams.values())
    if settings.listeners.ingress != type(settings.listeners)().ingress and not is_entered:
        yield (
            "listeners.ingress is set and not opened: no upstream has direction ingress, so nobody "
            "can call in"
        )
