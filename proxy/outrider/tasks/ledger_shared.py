"""Documents over a store that others write too: each change is in force once the store has it.

Laws: of one document one exchange with the store is under way at a time; what was asked for
meanwhile goes together, in order, in the next; while the store is lost whoever waits is told at
once, and what nobody waits for is kept.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

from outrider.core.errors import StoreUnavailableError
from outrider.tasks.ledger_document import LATER, Place
from outrider.tasks.ledger_swap import Entry, Item, Swapper

logger = logging.getLogger("outrider.tasks")

T = TypeVar("T")
R = TypeVar("R")

RETRY_S: Final = 0.5
CLOSE_S: Final = 2.0
_BATCH: Final = 256
_WAITING: Final = 4_096


class SharedKeeper(Generic[T]):
    """`Keeper` over a shared store."""

    def __init__(self, place: Place[T]) -> None:
        self._place = place
        self._swapper = Swapper(place)
        self._held: OrderedDict[str, Entry[T]] = OrderedDict()
        self._group: asyncio.TaskGroup | None = None
        self._ended = False
        self._closed = False

    async def look(self, key: str) -> T:
        return cast("T", await self._ask(key, _same, durable=False, reads=True))

    async def change(self, key: str, change: Callable[[T], R], *, durable: bool) -> R:
        return cast("R", await self._ask(key, change, durable=durable, reads=False))

    def change_later(self, key: str, change: Callable[[T], object]) -> None:
        if self._closed or self._swapper.laters >= LATER:
            self._tell("a later change of a document was dropped", "ledger_dropped")
            return
        self._swapper.laters += 1
        self._put(self._entry(key, crowded=True), Item(change, None))

    def known(self, key: str) -> T | None:
        entry = self._held.get(key)
        return None if entry is None else entry.document

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for entry in list(self._held.values()):
                    if not entry.idle:
                        self._start(entry)
                await asyncio.Event().wait()
            finally:
                self._ended, self._group = True, None

    async def close(self) -> None:
        self._ended = self._closed = True
        try:
            async with asyncio.timeout(CLOSE_S):
                for entry in list(self._held.values()):
                    await self._drain(entry)
        except TimeoutError:
            self._group = None
        left = self._swapper.laters
        if left:
            self._tell("changes were not written at the end", "ledger_lost", changes=left)

    # --- the queues -------------------------------------------------------------------------

    async def _ask(
        self, key: str, change: Callable[[T], object], *, durable: bool, reads: bool
    ) -> object:
        if self._ended:
            raise StoreUnavailableError("the ledger is closed")
        entry = self._entry(key)
        if len(entry.queue) >= _WAITING:
            raise StoreUnavailableError("too much waits for the store")
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._put(entry, Item(change, done, durable=durable, reads=reads))
        return await done

    def _put(self, entry: Entry[T], item: Item[T]) -> None:
        entry.queue.append(item)
        entry.woken.set()
        self._start(entry)

    def _start(self, entry: Entry[T]) -> None:
        if not entry.busy and self._group is not None:
            entry.busy = True
            self._group.create_task(self._work(entry), name="ledger")

    def _entry(self, key: str, *, crowded: bool = False) -> Entry[T]:
        entry = self._held.get(key)
        if entry is not None:
            self._held.move_to_end(key)
            return entry
        while len(self._held) >= self._place.entries:
            oldest = next((k for k, e in self._held.items() if e.idle), None)
            if oldest is None:
                if crowded:
                    break
                raise StoreUnavailableError("too many documents wait for the store", cause="room")
            del self._held[oldest]
        entry = self._held[key] = Entry(key)
        return entry

    async def _work(self, entry: Entry[T]) -> None:
        """Empty the queue of one document; where the store is lost, try again later on."""
        try:
            while not await self._drain(entry):
                entry.woken.clear()
                try:
                    async with asyncio.timeout(RETRY_S):
                        await entry.woken.wait()
                except TimeoutError:
                    continue
        finally:
            entry.busy = False
            _refuse(entry, StoreUnavailableError("the ledger closes"))

    async def _drain(self, entry: Entry[T]) -> bool:
        """Write what waits; False where that was not possible and something still waits."""
        try:
            while entry.attempt is not None or entry.queue:
                if entry.attempt is not None:
                    await self._swapper.settle(entry, entry.attempt)
                elif items := _taken(entry):
                    await self._swapper.turn(entry, items)
        except StoreUnavailableError as fault:
            _refuse(entry, fault)
        return not entry.queue and entry.attempt is None

    def _tell(self, sentence: str, event: str, **facts: object) -> None:
        logger.error(sentence, extra={"event": event, "table": self._place.table} | facts)


def _taken(entry: Entry[T]) -> list[Item[T]]:
    """What goes next. Whoever asked may have gone: then nothing is changed for him."""
    taken: list[Item[T]] = []
    while entry.queue and len(taken) < _BATCH:
        item = entry.queue.popleft()
        if item.done is None or not item.done.done():
            taken.append(item)
    return taken


def _refuse(entry: Entry[T], fault: StoreUnavailableError) -> None:
    """Tell those who wait; what nobody waits for stays."""
    kept = [item for item in entry.queue if item.done is None]
    for item in entry.queue:
        item.refuse(fault)
    entry.queue.clear()
    entry.queue.extend(kept)


def _same(document: T) -> T:
    return document
