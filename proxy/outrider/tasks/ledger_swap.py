"""Changes of one document taken to a shared store: read, swapped, settled.

Laws: a swap that lost is made again on what stands there; one whose outcome is unknown is sent
again unaltered until it is known, and only then anything after it: the store takes it at most once,
and the writers in the envelope tell whether it did. A store that has forgotten what we wrote gives
a document that is lost, never a new one.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.tasks.ledger_document import LOST, WRITERS, Place, Writers, opened_of, sealed

logger = logging.getLogger("outrider.tasks")

T = TypeVar("T")

UNKNOWN: Final = "unknown"
"""The cause of a `StoreUnavailableError` after which a swap may have happened, or still may."""
WIPED: Final = "wiped"
"""The cause of one that says: all that the table held is gone."""
_CONFLICTS: Final = 64
_SETTLING: Final = 3
_HOPELESS: Final = frozenset({"key", "value"})


class Item(Generic[T]):
    """A change that was asked for; nobody waits for one without `done`. One that only `reads`
    alters nothing."""

    __slots__ = ("change", "done", "durable", "reads")

    def __init__(
        self,
        change: Callable[[T], object],
        done: asyncio.Future[Any] | None,
        *,
        durable: bool = False,
        reads: bool = False,
    ) -> None:
        self.change = change
        self.done = done
        self.durable = durable
        self.reads = reads

    def tried(self, document: T) -> "Result[T]":
        try:
            return Result(self, self.change(document), None)
        except BaseException as fault:  # it is raised where the change was asked for
            if not isinstance(fault, Exception):
                raise
            return Result(self, None, fault)

    def refuse(self, fault: StoreUnavailableError) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_exception(StoreUnavailableError(fault.detail, cause=fault.cause))


class Result(Generic[T]):
    """What a change came to on the document it was tried on."""

    __slots__ = ("fault", "item", "value")

    def __init__(self, item: Item[T], value: object, fault: BaseException | None) -> None:
        self.item = item
        self.value = value
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Generic[T]):
    """A swap that was sent: what it wrote, and what each of its changes came to."""

    expected: int
    number: int
    data: bytes
    mark: tuple[int, int]
    writers: Writers
    results: tuple[Result[T], ...]
    life_s: int | None
    durable: bool


class Entry(Generic[T]):
    """One document as last seen. Unless `fresh` it is only the last known, to be read anew."""

    __slots__ = (
        "age", "attempt", "busy", "document", "fresh", "key", "mark", "queue", "settled",
        "until_unix_s", "version", "woken", "writers",
    )  # fmt: skip

    def __init__(self, key: str) -> None:
        self.key = key
        self.document: T | None = None
        self.fresh = False
        self.version = 0
        self.writers: Writers = {}
        self.settled = 0  # the number of our last write known to have happened
        self.mark = (0, 0)
        self.until_unix_s: float | None = None  # when it may be gone by itself; None: never
        self.age = 0  # how often the store had lost everything when this was read
        self.queue: deque[Item[T]] = deque()
        self.attempt: Attempt[T] | None = None
        self.busy = False
        self.woken = asyncio.Event()

    @property
    def idle(self) -> bool:
        return not self.busy and not self.queue and self.attempt is None


class Swapper(Generic[T]):
    """What is done with one entry at a time; `laters` counts the changes nobody waits for."""

    def __init__(self, place: Place[T]) -> None:
        self._place = place
        self._number = 0
        self.laters = 0

    async def turn(self, entry: Entry[T], items: list[Item[T]]) -> None:
        """Make `items`, in order, on the document in force.

        Raises `StoreUnavailableError` where that could not be done: those who wait were told, the
        rest stands at the head of the queue again or in `entry.attempt`.
        """
        try:
            for _ in range(_CONFLICTS):
                if await self._once(entry, items):
                    return
        except BaseException as fault:
            entry.fresh = False
            self._failed(entry, items, fault)
            raise
        contended = StoreUnavailableError("the document is contended", cause="conflict")
        self._failed(entry, items, contended)
        raise contended

    async def settle(self, entry: Entry[T], attempt: Attempt[T]) -> None:
        """Find out whether `attempt` happened, and make what is left of it otherwise.

        Raises `StoreUnavailableError` where that is still not known.
        """
        landed: bool | None = False
        try:
            landed = await self._sent(entry, attempt, first=False)
        finally:
            if entry.attempt is None and landed is False:
                entry.queue.extendleft(result.item for result in reversed(attempt.results))
        if landed is not False:
            self._answer(attempt.results, landed)

    # --- one exchange with the store --------------------------------------------------------

    async def _once(self, entry: Entry[T], items: list[Item[T]]) -> bool:
        """False where somebody else came first: `entry` then holds what stands there."""
        known = entry.fresh and entry.age == self._losses()
        reads = all(item.reads for item in items)
        if not known or reads:
            await self._read(entry, known=known)
            known = False
        document = cast("T", entry.document)
        results = tuple(item.tried(document) for item in items)
        data = None if reads else self._place.codec.encode(document)
        landed: bool | None
        if data is not None and _mark(data) != entry.mark:
            attempt = self._attempt(entry, document, data, results)
            entry.fresh = False  # ahead of the store, until it is known
            landed = await self._sent(entry, attempt, first=True)
        else:
            landed = not known or await self._read(entry, known=True)
        if landed is not False:
            self._answer(results, landed)
        return landed is not False

    async def _read(self, entry: Entry[T], *, known: bool) -> bool:
        """Bring `entry` up to date; whether it was."""
        version = entry.version if known else 0
        held = await self._place.states.read(self._place.table, entry.key, version)
        if known and (held.version if held is not None else 0) == version:
            return True
        self._adopt(entry, held)
        return False

    def _attempt(
        self, entry: Entry[T], document: T, encoded: bytes, results: tuple[Result[T], ...]
    ) -> Attempt[T]:
        self._number += 1
        data, writers = sealed(encoded, entry.writers, self._place.writer, self._number)
        return Attempt(
            expected=entry.version,
            number=self._number,
            data=data,
            mark=_mark(encoded),
            writers=writers,
            results=results,
            life_s=self._place.life_of(document),
            durable=any(result.item.durable for result in results),
        )

    async def _sent(self, entry: Entry[T], attempt: Attempt[T], *, first: bool) -> bool | None:
        """Whether the store took `attempt`; None where nobody can know any more."""
        place, refusal = self._place, None
        entry.attempt = attempt  # until its outcome is known
        for _ in range(_SETTLING):
            try:
                held = await place.states.swap(
                    place.table,
                    entry.key,
                    attempt.expected,
                    attempt.data,
                    life_s=attempt.life_s,
                    durable=attempt.durable,
                )
            except StoreUnavailableError as fault:
                if fault.cause == UNKNOWN:
                    first, refusal = False, fault
                    continue
                if first or fault.cause == WIPED:
                    entry.attempt = None
                raise
            entry.attempt = None
            return self._landed(entry, attempt, held, first=first)
        raise refusal or StoreUnavailableError("the store does not settle", cause=UNKNOWN)

    def _landed(
        self, entry: Entry[T], attempt: Attempt[T], held: Held | None, *, first: bool
    ) -> bool | None:
        if held is None:
            entry.version = attempt.expected + 1
            entry.writers, entry.mark = attempt.writers, attempt.mark
            entry.settled = attempt.number
            entry.until_unix_s = self._until(attempt.life_s)
            entry.fresh = entry.age == self._losses()
            return True
        _, _, writers = opened_of(held)
        last = writers.get(self._place.writer, 0)
        ours = last >= attempt.number
        if ours:
            entry.settled = attempt.number
        self._adopt(entry, held)
        if first or ours or last or len(writers) < WRITERS:
            return ours
        self._tell("whether changes were written cannot be known any more", "ledger_unsure")
        return None

    def _adopt(self, entry: Entry[T], held: Held | None) -> None:
        """Take over what stands in the store."""
        version, data, writers = opened_of(held)
        if self._forgot(entry, version, writers):
            self._tell("the store has lost a document that it had", "ledger_forgotten")
            data = LOST
        now = self._place.clock.unix_s()
        entry.document = self._place.codec.decode(data, now)
        entry.mark = _mark(data or LOST)
        entry.version, entry.writers = version, writers
        entry.settled = writers.get(self._place.writer, 0)
        entry.until_unix_s = self._until(self._place.life_of(entry.document))
        entry.fresh, entry.age = True, self._losses()

    def _forgot(self, entry: Entry[T], version: int, writers: Writers) -> bool:
        if entry.document is None:
            return False
        if entry.age != self._losses():
            return entry.version > 0
        if version == 0:
            until = entry.until_unix_s
            return entry.version > 0 and (until is None or self._place.clock.unix_s() < until)
        return writers.get(self._place.writer, 0) < entry.settled and len(writers) < WRITERS

    def _until(self, life_s: int | None) -> float | None:
        return None if life_s is None else self._place.clock.unix_s() + life_s

    def _losses(self) -> int:
        """How often the store was found to have lost the table, where it can tell. What was read
        before the last time is no more."""
        told: Callable[[str], int] | None = getattr(self._place.states, "losses", None)
        return 0 if told is None else told(self._place.table)

    # --- those who asked --------------------------------------------------------------------

    def _answer(self, results: tuple[Result[T], ...], landed: bool | None) -> None:
        """Tell everyone what became of his change; None: nobody knows."""
        for result in results:
            if landed is None:
                result.item.refuse(StoreUnavailableError("nobody knows", cause=UNKNOWN))
            done = result.item.done
            if done is None:
                self.laters -= 1
                if result.fault is not None:
                    self._tell("a later change of a document failed", "ledger_change")
            elif not done.done():
                if result.fault is None:
                    done.set_result(result.value)
                else:
                    done.set_exception(result.fault)

    def _failed(self, entry: Entry[T], items: list[Item[T]], fault: BaseException) -> None:
        """Tell who waits; what nobody waits for is kept, unless it can never be written."""
        cause = fault.cause if isinstance(fault, StoreUnavailableError) else None
        refusal = StoreUnavailableError(
            "the change was not made, or is not known to be",
            cause=UNKNOWN if entry.attempt is not None else cause,
        )
        for item in items:
            item.refuse(refusal)
        if entry.attempt is not None:
            return
        left = [item for item in items if item.done is None]
        if left and cause in _HOPELESS:
            self.laters -= len(left)
            self._tell("changes of a document cannot be written", "ledger_dropped", cause=cause)
        else:
            entry.queue.extendleft(reversed(left))

    def _tell(self, sentence: str, event: str, **facts: object) -> None:
        logger.error(sentence, extra={"event": event, "table": self._place.table} | facts)


def _mark(data: bytes) -> tuple[int, int]:
    """Tells one document from another without keeping it."""
    return len(data), hash(data)
