"""What may change while a sidecar runs, and what stays where it was."""

from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Final

from outrider.app.listening import lets_in
from outrider.config.load import Loaded, dump
from outrider.config.upstream_settings import Upstream
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, as_object

FIXED_AT_START: Final = (
    "profile", "data_dir", "listeners", "identity", "audit", "stores", "control", "policy.engine",
    "policy.bundle", "policy.signature", "policy.entrypoint", "policy.max_staleness_s",
    "policy.opa", "policy.watch", "limits.audit_queue", "capture", "telemetry.tracing",
)  # fmt: skip
"""What a reload cannot change; a file that changes it is refused whole."""
_NAMED: Final = 12


def unmoved(before: Loaded, after: Loaded) -> frozenset[str]:
    """The upstreams that are where they were: what was let go there may still go."""
    now = after.settings.upstreams
    return frozenset(
        name
        for name, upstream in before.settings.upstreams.items()
        if name in now and _place(upstream) == _place(now[name])
    )


def _place(upstream: Upstream) -> tuple[object, ...]:
    return upstream.url, upstream.protocol, upstream.networks, upstream.direction, upstream.tls


def check_reloadable(before: Loaded, after: Loaded) -> None:
    """Raises `ConfigError` naming every setting of `after` that takes a restart."""
    old, new = dump(before.settings), dump(after.settings)
    changed = [
        name
        for key in FIXED_AT_START
        if attrgetter(key)(before.settings) != attrgetter(key)(after.settings)
        for name in _differences(key, _at(old, key), _at(new, key))
    ]
    if len(changed) > _NAMED:
        changed[_NAMED:] = [f"{len(changed) - _NAMED} more"]
    if lets_in(before.settings) != lets_in(after.settings):
        changed.append("whether any upstream has direction ingress")
    if changed:
        raise ConfigError(f"{', '.join(changed)}: cannot change while running; restart outrider")


def _at(document: Json, key: str) -> Json:
    for part in key.split("."):
        document = as_object(document).get(part)
    return document


def _differences(key: str, one: Json, other: Json) -> Iterator[str]:
    """The keys under `key` that are set otherwise, as deep as both are mappings."""
    if one == other:
        return
    if not isinstance(one, dict) or not isinstance(other, dict):
        yield key
        return
    for name in sorted({*one, *other}):
        yield from _differences(f"{key}.{name}", one.get(name), other.get(name))


def stamp(path: Path | None) -> tuple[int, int, int] | None:
    """What changes when the file does; None where there is none. Blocking."""
    if path is None:
        return None
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size
