"""Where policy comes from: files, or a bundle that was fetched, with what is laid over it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from outrider.core.errors import ConfigError
from outrider.policy.archive import Packed, fingerprint
from outrider.policy.release import Release, load
from outrider.policy.trust import Trust


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """Where policy comes from. `path` is a bundle in memory once one was fetched, None until then.
    `hosts` are the upstreams' `host:port`, `complete` production's demand on agents (GOVERNANCE
    §10), `trust` what must be signed."""

    path: Path | Packed | None
    overlays: tuple[Path, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    trust: Trust | None = field(default=None, compare=False)

    @property
    def is_fetched(self) -> bool:
        """Whether a source is asked for it, which alone can confirm it."""
        return not isinstance(self.path, Path)

    def load(self) -> Release:
        """Blocking. Raises `ConfigError`."""
        if self.path is None:
            raise ConfigError("no bundle was fetched yet")
        return load(
            self.path, self.overlays, hosts=self.hosts, complete=self.complete, trust=self.trust
        )

    def fingerprint(self) -> object:
        """What changes when a file does; an unreadable tree has one too. Blocking."""
        fetched = self.path.content if isinstance(self.path, Packed) else None
        files = (self.path, *self.overlays) if isinstance(self.path, Path) else self.overlays
        try:
            return fetched, tuple(fingerprint(path) for path in files)
        except ConfigError as fault:
            return fetched, str(fault)
