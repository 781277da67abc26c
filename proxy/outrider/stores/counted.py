"""Versioned values whose operations are counted by what came of them (OPERATIONS §3)."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held, States

OK: Final = "ok"
ERROR: Final = "error"
UNKNOWN: Final = "unknown"
"""It may have been carried out, or may still be."""
Answer = TypeVar("Answer")


class CountedStates:
    """`core.ports.States` over `inner`; `counted` is told of every operation's result."""

    def __init__(self, inner: States, *, counted: Callable[[str], None]) -> None:
        self._inner = inner
        self._counted = counted
        # What a store says beyond the port goes through as it is.
        self.losses: Callable[[str], int] | None = getattr(inner, "losses", None)

    @property
    def shared(self) -> bool:
        return self._inner.shared

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        return await self._count(self._inner.read(table, key, known))

    async def swap(
        self,
        table: str,
        key: str,
        expected: int,
        value: bytes | None,
        *,
        life_s: int | None = None,
        durable: bool = False,
    ) -> Held | None:
        return await self._count(
            self._inner.swap(table, key, expected, value, life_s=life_s, durable=durable)
        )

    async def items(self, table: str) -> dict[str, Held]:
        return await self._count(self._inner.items(table))

    async def _count(self, operation: Awaitable[Answer]) -> Answer:
        try:
            answer = await operation
        except StoreUnavailableError as fault:
            self._counted(UNKNOWN if fault.cause == UNKNOWN else ERROR)
            raise
        self._counted(OK)
        return answer
