"""What may change while a sidecar runs, and what stays where it was."""

from operator import attrgetter
from pathlib import Path
from typing import Final

from outrider.app.listening import lets_in
from outrider.config.load import Loaded
from outrider.config.settings import Upstream
from outrider.core.errors import ConfigError

FIXED_AT_START: Final = (
    "profile", "data_dir", "listeners", "identity", "audit", "stores", "control", "policy.engine",
    "policy.entrypoint", "policy.max_staleness_s", "policy.opa", "policy.watch",
    "limits.audit_queue",
)  # fmt: skip
"""What a reload cannot change; a file that changes it is refused whole."""


def unmoved(before: Loaded, after: Loaded) -> frozenset[str]:
    """The upstreams that are where they were: what was let go there may still go."""
    now = after.settings.upstreams
    return frozenset(
        name
        for name, upstream in before.settings.upstreams.items()
        if name in now and _place(upstream) == _place(now[name])
    )


def _place(upstream: Upstream) -> tuple[object, ...]:
    return upstream.url, upstream.networks, upstream.direction, upstream.tls


def check_reloadable(before: Loaded, after: Loaded) -> None:
    """Raises `ConfigError` naming every setting of `after` that takes a restart."""
    changed = [
        key
        for key in FIXED_AT_START
        if attrgetter(key)(before.settings) != attrgetter(key)(after.settings)
    ]
    if lets_in(before.settings) != lets_in(after.settings):
        changed.append("whether any upstream has direction ingress")
    if changed:
        raise ConfigError(f"{', '.join(changed)}: cannot change while running; restart outrider")


def stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when the file does; None where there is none. Blocking."""
    if path is None:
        return None
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size
