"""Versioned states that fail as told: before they did anything, or after."""

import asyncio
from collections import deque
from enum import Enum, auto

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Clock, Held
from outrider.stores.memory import MemoryStates


class Fault(Enum):
    """What becomes of one operation."""

    NONE = auto()
    REFUSED = auto()  # nothing was done
    UNKNOWN_DONE = auto()  # it was done, and nobody is told
    UNKNOWN_NOT_DONE = auto()
    WIPED = auto()  # everything is gone, and it says so


class FaultyStates(MemoryStates):
    """`MemoryStates` whose operations take `faults` in turn; `down` for as long as it is set."""

    def __init__(self, *, clock: Clock, shared: bool = True, rows: int = 10_000) -> None:
        super().__init__(clock=clock, shared=shared, rows=rows)
        self.faults: deque[Fault] = deque()
        self.down: Fault | None = None
        self.swaps = 0
        self.reads = 0
        self.durable = 0
        self.lost = 0
        self.gate: asyncio.Event | None = None

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        self.reads += 1
        fault = await self._fault()
        if fault in {Fault.REFUSED, Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE}:
            raise StoreUnavailableError("scripted")
        return await super().read(table, key, known)

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
        self.swaps += 1
        self.durable += durable
        fault = await self._fault()
        if fault is Fault.REFUSED:
            raise StoreUnavailableError("scripted")
        if fault is Fault.UNKNOWN_NOT_DONE:
            raise StoreUnavailableError("scripted", cause="unknown")
        done = await super().swap(table, key, expected, value, life_s=life_s, durable=durable)
        if fault is Fault.UNKNOWN_DONE:
            raise StoreUnavailableError("scripted", cause="unknown")
        return done

    def losses(self, table: str) -> int:
        del table
        return self.lost

    def wipe(self) -> None:
        self._tables.clear()

    async def _fault(self) -> Fault:
        if self.gate is not None:
            await self.gate.wait()
        fault = self.down or (self.faults.popleft() if self.faults else Fault.NONE)
        if fault is Fault.WIPED:
            self.wipe()
            self.lost += 1
            raise StoreUnavailableError("scripted", cause="wiped")
        return fault
