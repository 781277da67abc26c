"""What the process gives an exchange: the time, a place, and work that outlives it."""

from collections.abc import Callable, Coroutine
from typing import Protocol


class Clock(Protocol):
    def monotonic_s(self) -> float: ...
    def unix_s(self) -> float: ...


class Slots(Protocol):
    """Fair shares of what is in flight (HARDENING §6)."""

    async def enter(self, agent: str, upstream: str) -> Callable[[], None]:
        """A place; calling the result gives it back, once. Raises `OverloadError` where none
        comes free within the wait."""


class Jobs(Protocol):
    """Work that outlives the exchange that began it, but never the process's drain."""

    def start(self, name: str, job: Coroutine[None, None, None]) -> None:
        """Run `job`. It must not fail: what raises ends the process."""
