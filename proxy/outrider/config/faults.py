"""One setting that cannot be used, as whoever wrote it is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Its key, its value, and what may stand there."""

    key: str
    value: object
    allowed: str
