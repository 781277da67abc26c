"""Documents over a store that only we write: memory is in force, the store follows behind it.

Laws: a change is in force when it returns; of one document one write is under way at a time, and it
writes what is in force when it begins; a write that may have happened is told by its number from
one by somebody else; what was not written stays in memory.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.tasks.ledger_document import (
    LATER,
    LOST,
    Place,
    Writers,
    carry_out,
    opened_of,
    sealed,
)

logger = logging.getLogger("outrider.tasks")

T = TypeVar("T")
R = TypeVar("R")

GAP_S: Final = 0.02
"""From one round of writes to the next, unless somebody waits for it."""
RETRY_S: Final = 0.5
CLOSE_S: Final = 2.0
_AT_ONCE: Final = 16
_TRIES: Final = 3
_OF_ONE_DOCUMENT: Final = frozenset({"key", "value", "full", "conflict"})


class _Entry(Generic[T]):
    """One document in memory. `settled` is the number of our last write known to have happened."""

    __slots__ = (
        "dirty", "document", "fault", "key", "settled", "version", "waiting", "writers", "writing",
    )  # fmt: skip

    def __init__(self, key: str, document: T, version: int, writers: Writers, settled: int) -> None:
        self.key = key
        self.document = document
        self.version = version
        self.writers = writers
        self.settled = settled
        self.dirty = False
        self.writing = False
        self.fault: StoreUnavailableError | None = None
        self.waiting: list[asyncio.Future[None]] = []


class SoleKeeper(Generic[T]):
    """`Keeper` over a store of our own."""

    def __init__(self, place: Place[T]) -> None:
        self._place = place
        self._held: OrderedDict[str, _Entry[T]] = OrderedDict()
        self._dirty: dict[str, _Entry[T]] = {}
        self._loading: dict[str, asyncio.Event] = {}
        self._later: dict[str, list[Callable[[T], object]]] = {}
        self._laters = 0
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._fault: StoreUnavailableError | None = None
        self._number = 0
        self._ended = False
        self._closed = False

    async def look(self, key: str) -> T:
        entry = self._held.get(key)
        return (await self._load(key)).document if entry is None else entry.document

    async def change(self, key: str, change: Callable[[T], R], *, durable: bool) -> R:
        entry = self._held.get(key)
        if entry is None:
            entry = await self._load(key)
        if self._fault is not None or entry.fault is not None or self._ended:
            raise _refusal(self._fault or entry.fault)
        result = change(entry.document)
        if not entry.dirty:
            self._mark(key, entry)
        if durable:
            await self._written(entry)
        return result

    def change_later(self, key: str, change: Callable[[T], object]) -> None:
        entry = self._held.get(key)
        if self._closed or (entry is None and self._laters >= LATER):
            self._tell("a later change of a document was dropped", "ledger_dropped")
        elif entry is None:
            self._later.setdefault(key, []).append(change)
            self._laters += 1
            self._wake.set()
        else:
            carry_out(change, entry.document, self._place.table)
            self._mark(key, entry)

    def known(self, key: str) -> T | None:
        entry = self._held.get(key)
        return None if entry is None else entry.document

    async def run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                await self._round()
                await self._pause()
        finally:
            self._ended = True
            for entry in self._held.values():
                _answer(entry.waiting, StoreUnavailableError("the ledger closes", cause="unknown"))

    async def close(self) -> None:
        self._ended = self._closed = True
        try:
            async with asyncio.timeout(CLOSE_S):
                while self._dirty or self._later:
                    await self._round()
                    if self._later or self._faulty():
                        break
        except TimeoutError:
            self._wake.set()
        left = len(self._dirty) + len(self._later)
        if left:
            self._tell("documents were not written at the end", "ledger_lost", documents=left)

    # --- reading ----------------------------------------------------------------------------

    async def _load(self, key: str) -> _Entry[T]:
        """The document of `key` in memory; read by one at a time, so never an old one."""
        while (entry := self._held.get(key)) is None:
            other = self._loading.get(key)
            if other is not None:
                await other.wait()
                continue
            done = self._loading[key] = asyncio.Event()
            try:
                self._admit(key, await self._place.states.read(self._place.table, key))
            finally:
                del self._loading[key]
                done.set()
        return entry

    def _admit(self, key: str, held: Held | None) -> None:
        self._make_room()
        version, data, writers = opened_of(held)
        document = self._place.codec.decode(data, self._place.clock.unix_s())
        entry = _Entry(key, document, version, writers, writers.get(self._place.writer, 0))
        self._held[key] = entry
        for change in self._later.pop(key, ()):
            self._laters -= 1
            carry_out(change, document, self._place.table)
            self._mark(key, entry)

    def _make_room(self) -> None:
        while len(self._held) >= self._place.entries:
            clean = (k for k, e in self._held.items() if not e.dirty and not e.writing)
            oldest = next(clean, None)
            if oldest is None:
                raise StoreUnavailableError("too many documents wait to be written", cause="room")
            del self._held[oldest]

    # --- writing ----------------------------------------------------------------------------

    def _mark(self, key: str, entry: _Entry[T]) -> None:
        entry.dirty = True
        self._dirty[key] = entry
        self._held.move_to_end(key)
        self._wake.set()

    async def _written(self, entry: _Entry[T]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry.waiting.append(done)
        self._urgent.set()
        await done

    async def _pause(self) -> None:
        """Until the next round: let changes gather, unless somebody waits for them."""
        try:
            async with asyncio.timeout(RETRY_S if self._later or self._faulty() else GAP_S):
                await self._urgent.wait()
        except TimeoutError:
            return

    def _faulty(self) -> bool:
        return self._fault is not None or any(entry.fault for entry in self._dirty.values())

    async def _round(self) -> None:
        """Write every document that was changed, and read those that later changes are about."""
        self._wake.clear()
        self._urgent.clear()
        for key in list(self._later):
            try:
                await self._load(key)
            except StoreUnavailableError:
                self._wake.set()
                break
        todo = list(self._dirty.items())
        for start in range(0, len(todo), _AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for key, entry in todo[start : start + _AT_ONCE]:
                    group.create_task(self._write(key, entry))

    async def _write(self, key: str, entry: _Entry[T]) -> None:
        """Write one document; one that could not be is still to be written."""
        self._dirty.pop(key, None)
        waiting, entry.waiting = entry.waiting, []
        entry.dirty, entry.writing = False, True
        fault: StoreUnavailableError | None = StoreUnavailableError("cancelled", cause="unknown")
        try:
            await self._swap(entry, durable=bool(waiting))
            fault = None
            self._went_well(entry)
        except StoreUnavailableError as refusal:
            fault = refusal
            self._failed(entry, refusal)
        finally:
            entry.writing = False
            if fault is not None:
                self._mark(key, entry)
            _answer(waiting, fault)

    async def _swap(self, entry: _Entry[T], *, durable: bool) -> None:
        place = self._place
        for _ in range(_TRIES):
            self._number += 1
            number = self._number
            document = place.codec.encode(entry.document)
            data, writers = sealed(document, entry.writers, place.writer, number)
            life_s = place.life_of(entry.document)
            held = await place.states.swap(
                place.table, entry.key, entry.version, data, life_s=life_s, durable=durable
            )
            if held is None:
                entry.version, entry.writers, entry.settled = entry.version + 1, writers, number
                return
            self._took_over(entry, held)
        raise StoreUnavailableError("the document cannot be settled", cause="conflict")

    def _took_over(self, entry: _Entry[T], held: Held) -> None:
        """Go on from what stands there: nothing, since its life was over; a write of ours that was
        not known to have happened; or somebody else's, and then ours counts for lost."""
        version, _, writers = opened_of(held)
        if version and writers.get(self._place.writer, 0) <= entry.settled:
            self._tell("somebody else writes a store that is ours alone", "ledger_conflict")
            entry.document = self._place.codec.decode(LOST, self._place.clock.unix_s())
        entry.version, entry.writers = version, writers

    def _went_well(self, entry: _Entry[T]) -> None:
        entry.fault = None
        if self._fault is not None:
            self._fault = None
            logger.warning("a ledger is written again", extra=self._facts("ledger_up"))

    def _failed(self, entry: _Entry[T], fault: StoreUnavailableError) -> None:
        if fault.cause in _OF_ONE_DOCUMENT:
            if entry.fault is None:
                self._tell("a document cannot be written", "ledger_document", cause=fault.cause)
            entry.fault = fault
        else:
            if self._fault is None:
                self._tell("a ledger cannot be written", "ledger_down", cause=fault.cause)
            self._fault = fault

    def _tell(self, sentence: str, event: str, **facts: object) -> None:
        logger.error(sentence, extra=self._facts(event) | facts)

    def _facts(self, event: str) -> dict[str, object]:
        return {"event": event, "table": self._place.table}


def _refusal(fault: StoreUnavailableError | None) -> StoreUnavailableError:
    if fault is None:
        return StoreUnavailableError("the ledger is closed")
    return StoreUnavailableError(fault.detail, cause=fault.cause)


def _answer(waiting: list[asyncio.Future[None]], fault: StoreUnavailableError | None) -> None:
    for done in waiting:
        if done.done():
            continue
        if fault is None:
            done.set_result(None)
        else:
            done.set_exception(StoreUnavailableError(fault.detail, cause="unknown"))
    waiting.clear()
