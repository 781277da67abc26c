"""What every place that bundles are fetched from has in common."""

from dataclasses import dataclass
from typing import Protocol

from outrider.core.errors import ConfigError


class FetchError(ConfigError):
    """A bundle that could not be had; the message is a sentence of ours, without what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A bundle's bytes, and the tag to ask with whether it is still the newest; empty for none."""

    content: bytes
    etag: str


class BundleOrigin(Protocol):
    @property
    def name(self) -> str:
        """What people know it by, without secrets."""

    async def fetch(self, etag: str) -> Fetched | None:
        """The bundle that is there now; None where it is still the one of `etag`.

        Raises `FetchError`. The caller bounds the time it takes.
        """
