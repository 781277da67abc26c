"""The SQLite store outlives restarts, and writes many rows at one cost."""

import asyncio
import sqlite3

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import MANY_KEYS
from outrider.stores.sqlite import SqliteStore
from outrider.stores.sqlite_file import SqliteFile


async def test_rows_and_epochs_outlive_a_restart(tmp_path):
    path = tmp_path / "deep" / "store.db"
    first = SqliteFile(path=path)
    await SqliteStore(first).put("pins", "a", {"n": 1})
    assert await SqliteStore(first).next_epoch("e") == 1
    await first.close()
    second = SqliteFile(path=path)
    assert await SqliteStore(second).get("pins", "a") == {"n": 1}
    assert await SqliteStore(second).next_epoch("e") == 2
    await second.close()


async def test_a_fault_in_the_middle_is_refused_and_passes(tmp_path):
    faults: list[sqlite3.Error] = []
    file = SqliteFile(path=tmp_path / "store.db", connect=_faulty(faults))
    store = SqliteStore(file)
    await store.put("pins", "a", {"n": 1})
    faults.append(sqlite3.OperationalError("disk I/O error"))
    with pytest.raises(StoreUnavailableError):
        await store.put("pins", "a", {"n": 2})
    assert not store.healthy()
    assert await store.get("pins", "a") == {"n": 1}
    assert store.healthy()
    await file.close()


def _faulty(faults):
    class Connection(sqlite3.Connection):
        def executemany(self, sql, values):
            if faults and sql.startswith("INSERT"):
                raise faults.pop()
            return super().executemany(sql, values)

    def connect(path, **options):
        return sqlite3.connect(path, factory=Connection, **options)

    return connect


async def test_many_rows_are_one_commit(tmp_path):
    said: list[str] = []

    def connect(path, **options):
        connection = sqlite3.connect(path, **options)
        connection.set_trace_callback(said.append)
        return connection

    file = SqliteFile(path=tmp_path / "store.db", connect=connect)
    await file.start()
    said.clear()
    store = SqliteStore(file)
    await store.put("pins", MANY_KEYS, {str(n): {"n": n} for n in range(500)})
    assert len(await store.items("pins")) == 500
    assert said.count("COMMIT") == 1
    await file.close()


async def test_many_writers_meet_in_one_thread(tmp_path):
    file = SqliteFile(path=tmp_path / "store.db")
    store = SqliteStore(file)
    epochs = await asyncio.gather(*(store.next_epoch("a") for _ in range(20)))
    assert sorted(epochs) == list(range(1, 21))
    await file.close()
