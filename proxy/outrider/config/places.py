"""What settings name outside themselves, looked at for `outrider config check`.

Warnings, never faults: what is not there now may be there when the sidecar starts, or elsewhere.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from outrider.config.load import Loaded


def warnings(loaded: Loaded) -> Iterator[str]:
    """A sentence for each thing that is not as the settings want it, as seen from here. Blocking:
    it looks at files."""
    yield from _workload_api(loaded)
    yield from _unused(loaded)


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
