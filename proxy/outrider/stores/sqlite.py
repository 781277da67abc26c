"""The store in one SQLite file, worked by one thread (WAL, one sync for every put).

Laws: SQL text is fixed, table names are from the closed set; a put is on the disk when it returns;
a fault is `StoreUnavailableError` and the file is opened anew at the next call, so a store that
comes back is used without a restart; a file from a later version is never written.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from outrider.core.errors import StoreUnavailableError
from outrider.core.jsonvalue import JsonObject
from outrider.stores.tables import (
    TABLES,
    check_room,
    checked_key,
    checked_table,
    decoded,
    written,
)

T = TypeVar("T")

# Add, never repurpose: step n brings a file of version n to n + 1.
_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        *(
            f"CREATE TABLE {table} (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
            for table in TABLES
        ),
        "CREATE TABLE counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    ),
)
VERSION: Final = len(_MIGRATIONS)
_WAITING_LIMIT: Final = 1024

_GET: Final = {t: f"SELECT value FROM {t} WHERE key = ?" for t in TABLES}  # noqa: S608 - closed set
_ITEMS: Final = {t: f"SELECT key, value FROM {t}" for t in TABLES}  # noqa: S608 - closed set
_DELETE: Final = {t: f"DELETE FROM {t} WHERE key = ?" for t in TABLES}  # noqa: S608 - closed set
_COUNT: Final = {t: f"SELECT count(*) FROM {t}" for t in TABLES}  # noqa: S608 - closed set
_PUT: Final = {
    t: f"INSERT INTO {t} VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"  # noqa: S608 - closed set
    for t in TABLES
}
_NEXT: Final = (
    "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET last = last + 1 "
    "RETURNING last"
)


class SqliteStore:
    """`core.ports.Store` over `path` (made 0600). Answers within `timeout_s` or not at all: a put
    that ran out of time may have happened."""

    def __init__(
        self,
        *,
        path: Path,
        rows: int = 10_000,
        timeout_s: float = 2.0,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self._path = path
        self._rows = rows
        self._timeout_s = timeout_s
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._healthy = True
        self._waiting = 0

    async def start(self) -> None:
        """Open and migrate the file. Raises `StoreUnavailableError`."""
        await self._run(lambda connection: None)

    async def close(self) -> None:
        """Finish what runs and close the file. Idempotent; a stuck disk is given `timeout_s`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await asyncio.to_thread(self._finish)
        except TimeoutError:
            self._healthy = False

    def healthy(self) -> bool:
        """True while the last operation went well."""
        return self._healthy

    async def get(self, table: str, key: str) -> JsonObject | None:
        checked_key(key)
        sql = _GET[checked_table(table)]
        row = await self._run(lambda connection: connection.execute(sql, (key,)).fetchone())
        return None if row is None else decoded(row[0])

    async def put(self, table: str, key: str, value: JsonObject | None) -> None:
        count, put, delete = _COUNT[checked_table(table)], _PUT[table], _DELETE[table]
        rows = written(key, value)
        gone = [(one,) for one, data in rows if data is None]
        kept = [(one, data) for one, data in rows if data is not None]

        def write(connection: sqlite3.Connection) -> None:
            with connection:  # one transaction, so one sync
                connection.executemany(delete, gone)
                connection.executemany(put, kept)
                if kept:
                    check_room(connection.execute(count).fetchone()[0], self._rows)

        await self._run(write)

    async def items(self, table: str) -> dict[str, JsonObject]:
        sql = _ITEMS[checked_table(table)]
        rows = await self._run(lambda connection: connection.execute(sql).fetchall())
        return {key: decoded(data) for key, data in rows}

    async def next_epoch(self, name: str) -> int:
        checked_key(name)

        def count(connection: sqlite3.Connection) -> int:
            with connection:
                return int(connection.execute(_NEXT, (name,)).fetchone()[0])

        return await self._run(count)

    async def _run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        if self._waiting >= _WAITING_LIMIT:
            raise StoreUnavailableError("too much waits for the store")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await asyncio.get_running_loop().run_in_executor(
                    self._worker, self._serve, job
                )
        except TimeoutError:
            self._healthy = False
            raise StoreUnavailableError("the store did not answer in time") from None
        except RuntimeError:
            raise StoreUnavailableError("the store is closed") from None
        finally:
            self._waiting -= 1
        self._healthy = True
        return result

    def _serve(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """On the worker thread alone."""
        try:
            if self._connection is None:
                self._connection = self._opened()
            return job(self._connection)
        except (sqlite3.Error, OSError) as fault:
            self._healthy = False
            self._drop()
            raise StoreUnavailableError("the store cannot be used") from fault

    def _finish(self) -> None:
        self._worker.shutdown()
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                return  # it is not used again either way

    def _opened(self) -> sqlite3.Connection:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch(mode=0o600)
        connection = self._connect(self._path, timeout=self._timeout_s / 2, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            _migrate(connection)
        except (sqlite3.Error, StoreUnavailableError):
            connection.close()
            raise
        return connection


def _migrate(connection: sqlite3.Connection) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreUnavailableError("the store was written by a later version", cause="version")
    for number, steps in enumerate(_MIGRATIONS[version:], start=version + 1):
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for step in steps:
                connection.execute(step)
            connection.execute(f"PRAGMA user_version = {number}")
