"""One SQLite file, worked by one thread (WAL): opened, migrated, and opened anew after a fault.

Laws: a fault is `StoreUnavailableError` and the file is opened anew at the next call, so a store
that comes back is used without a restart; a file from a later version is never written.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from outrider.core.errors import StoreUnavailableError

T = TypeVar("T")

# Add, never repurpose: step n brings a file of version n - 1 to n. Its text stands as it was
# released, whatever the tables are called now.
_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE pins (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE mcp_sessions (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE epochs (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE keys (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (
        (
            "CREATE TABLE states (place TEXT NOT NULL, key TEXT NOT NULL, "
            "version INTEGER NOT NULL, ends_unix_s REAL, value BLOB NOT NULL, "
            "PRIMARY KEY (place, key))"
        ),
        "CREATE INDEX states_by_end ON states (place, ends_unix_s)",
    ),
)
VERSION: Final = len(_MIGRATIONS)
_WAITING_LIMIT: Final = 1024


class SqliteFile:
    """The file at `path` (made 0600) and its thread. Once started it answers within `timeout_s` or
    not at all: a job that ran out of time may have been done."""

    def __init__(
        self,
        *,
        path: Path,
        timeout_s: float = 2.0,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self.timeout_s: Final = timeout_s
        self._path = path
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._healthy = True
        self._waiting = 0

    async def start(self) -> None:
        """Open and migrate the file, however long that takes. Raises `StoreUnavailableError`."""
        await self.submit(lambda connection: None)

    async def close(self) -> None:
        """Finish what runs and close the file. Idempotent; a stuck disk is given `timeout_s`."""
        try:
            async with asyncio.timeout(self.timeout_s):
                await asyncio.to_thread(self._finish)
        except TimeoutError:
            self._healthy = False

    def healthy(self) -> bool:
        """True while the last operation went well."""
        return self._healthy

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        """Have the thread do `job`, in turn. Raises `StoreUnavailableError` where it cannot be
        asked; so does the future where the job fails."""
        if self._waiting >= _WAITING_LIMIT:
            raise StoreUnavailableError("too much waits for the store")
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._worker, self._serve, job)
        except RuntimeError:
            raise StoreUnavailableError("the store is closed") from None
        self._waiting += 1
        future.add_done_callback(self._served)
        return future

    async def run(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """What `job` returns. Raises `StoreUnavailableError`."""
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self.submit(job)
        except TimeoutError:
            raise self.late() from None

    def late(self) -> StoreUnavailableError:
        """Note that an answer did not come in time, and say so."""
        self._healthy = False
        return StoreUnavailableError("the store did not answer in time", cause="unknown")

    def _served(self, future: "asyncio.Future[T]") -> None:
        self._waiting -= 1
        if not future.cancelled() and future.exception() is None:
            self._healthy = True

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
        connection = self._connect(
            self._path, timeout=self.timeout_s / 2, check_same_thread=False, isolation_level=None
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            _migrate(connection)
        except (sqlite3.Error, StoreUnavailableError):
            connection.close()
            raise
        return connection


@contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool) -> Iterator[None]:
    """All of it or nothing; on the disk at the end where `durable`, else with the system."""
    connection.execute("PRAGMA synchronous = FULL" if durable else "PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _migrate(connection: sqlite3.Connection) -> None:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreUnavailableError("the store was written by a later version", cause="version")
    for number, steps in enumerate(_MIGRATIONS[version:], start=version + 1):
        with transaction(connection, durable=True):
            for step in steps:
                connection.execute(step)
            connection.execute(f"PRAGMA user_version = {number}")
