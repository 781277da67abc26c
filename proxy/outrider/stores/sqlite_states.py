"""`States` in the SQLite file: swaps that wait go together, in one transaction.

Laws: a swap is all done or not at all; what may have been done says so; of one batch, a swap that
is refused leaves the others alone; with one durable swap the whole batch is synced.
"""

import asyncio
import sqlite3
from dataclasses import dataclass
from typing import Final

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Clock, Held
from outrider.stores.sqlite_file import SqliteFile, transaction
from outrider.stores.tables import STATE_BYTES, checked_key, checked_state, checked_value

_BATCH: Final = 256
_SWEPT: Final = 64
_WAITING_LIMIT: Final = 4_096

_READ: Final = (
    "SELECT version, CASE WHEN version = ? THEN x'' ELSE value END FROM states "
    "WHERE place = ? AND key = ? AND (ends_unix_s IS NULL OR ends_unix_s > ?)"
)
_ITEMS: Final = (
    "SELECT key, version, value FROM states "
    "WHERE place = ? AND (ends_unix_s IS NULL OR ends_unix_s > ?)"
)
_DELETE: Final = "DELETE FROM states WHERE place = ? AND key = ?"
_PUT: Final = (
    "INSERT INTO states (place, key, version, ends_unix_s, value) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (place, key) DO UPDATE SET version = excluded.version, "
    "ends_unix_s = excluded.ends_unix_s, value = excluded.value"
)
_COUNT: Final = "SELECT count(*) FROM states WHERE place = ?"
_SWEEP: Final = (
    "DELETE FROM states WHERE rowid IN "
    "(SELECT rowid FROM states WHERE place = ? AND ends_unix_s <= ? LIMIT ?)"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Swap:
    """A swap that waits for the thread."""

    table: str
    key: str
    expected: int
    value: bytes | None
    now_unix_s: float
    ends_unix_s: float | None
    durable: bool
    done: "asyncio.Future[Held | None]"


_Outcome = Held | StoreUnavailableError | None


class SqliteStates:
    """`core.ports.States` over `file`, which nobody else may write."""

    def __init__(
        self,
        file: SqliteFile,
        *,
        clock: Clock,
        rows: int = 10_000,
        value_bytes: int = STATE_BYTES,
    ) -> None:
        self._file = file
        self._clock = clock
        self._rows = rows
        self._value_bytes = value_bytes
        self._waiting: list[_Swap] = []
        self._busy = False

    @property
    def shared(self) -> bool:
        return False

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        asked = (known, checked_state(table), checked_key(key), self._clock.unix_s())
        row = await self._file.run(lambda connection: connection.execute(_READ, asked).fetchone())
        return None if row is None else Held(version=row[0], value=row[1])

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
        if len(self._waiting) >= _WAITING_LIMIT:
            raise StoreUnavailableError("too much waits for the store")
        now = self._clock.unix_s()
        done: asyncio.Future[Held | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(
            _Swap(
                table=checked_state(table),
                key=checked_key(key),
                expected=expected,
                value=checked_value(value, self._value_bytes),
                now_unix_s=now,
                ends_unix_s=None if life_s is None else now + life_s,
                durable=durable,
                done=done,
            )
        )
        self._next()
        try:
            async with asyncio.timeout(self._file.timeout_s):
                return await done
        except TimeoutError:
            raise self._file.late() from None

    async def items(self, table: str) -> dict[str, Held]:
        asked = (checked_state(table), self._clock.unix_s())
        rows = await self._file.run(lambda connection: connection.execute(_ITEMS, asked).fetchall())
        return {key: Held(version=version, value=value) for key, version, value in rows}

    def _next(self) -> None:
        """Hand what waits to the thread, unless it is at work for us."""
        if self._busy or not self._waiting:
            return
        batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
        try:
            work = self._file.submit(lambda connection: self._carried_out(connection, batch))
        except StoreUnavailableError as refusal:
            _answer(batch, [refusal] * len(batch))
            return
        self._busy = True
        work.add_done_callback(lambda work: self._done(work, batch))

    def _done(self, work: "asyncio.Future[list[_Outcome]]", batch: list[_Swap]) -> None:
        self._busy = False
        fault = None if work.cancelled() else work.exception()
        if work.cancelled() or fault is not None:
            lost = StoreUnavailableError("the store cannot be used", cause="unknown")
            _answer(batch, [lost] * len(batch))
        else:
            _answer(batch, work.result())
        self._next()

    def _carried_out(self, connection: sqlite3.Connection, batch: list[_Swap]) -> list[_Outcome]:
        """On the worker thread."""
        with transaction(connection, durable=any(swap.durable for swap in batch)):
            return [self._swapped(connection, swap) for swap in batch]

    def _swapped(self, connection: sqlite3.Connection, swap: _Swap) -> _Outcome:
        place = (swap.table, swap.key)
        row = connection.execute(_READ, (swap.expected, *place, swap.now_unix_s)).fetchone()
        if (0 if row is None else row[0]) != swap.expected:
            return Held(version=0, value=b"") if row is None else Held(version=row[0], value=row[1])
        if swap.value is None:
            connection.execute(_DELETE, place)
            return None
        if row is None and not self._has_room(connection, swap):
            return StoreUnavailableError("the table is full", cause="full")
        stored = (*place, swap.expected + 1, swap.ends_unix_s, swap.value)
        connection.execute(_PUT, stored)
        return None

    def _has_room(self, connection: sqlite3.Connection, swap: _Swap) -> bool:
        connection.execute(_SWEEP, (swap.table, swap.now_unix_s, _SWEPT))
        count: int = connection.execute(_COUNT, (swap.table,)).fetchone()[0]
        return count < self._rows


def _answer(batch: list[_Swap], outcomes: list[_Outcome]) -> None:
    for swap, outcome in zip(batch, outcomes, strict=True):
        if swap.done.done():
            continue
        if isinstance(outcome, StoreUnavailableError):
            swap.done.set_exception(StoreUnavailableError(outcome.detail, cause=outcome.cause))
        else:
            swap.done.set_result(outcome)
