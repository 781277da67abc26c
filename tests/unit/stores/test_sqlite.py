"""The SQLite store outlives restarts, fails closed, and comes back."""

import asyncio
import sqlite3
import threading

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import MANY_KEYS
from outrider.stores.sqlite import VERSION, SqliteStore


async def test_rows_and_epochs_outlive_a_restart(tmp_path):
    path = tmp_path / "deep" / "store.db"
    first = SqliteStore(path=path)
    await first.put("pins", "a", {"n": 1})
    assert await first.next_epoch("e") == 1
    await first.close()
    second = SqliteStore(path=path)
    assert await second.get("pins", "a") == {"n": 1}
    assert await second.next_epoch("e") == 2
    await second.close()


async def test_the_file_is_ours_alone_and_synced_in_full(tmp_path):
    store = SqliteStore(path=tmp_path / "store.db")
    await store.put("pins", "a", {})
    assert {p.stat().st_mode & 0o077 for p in tmp_path.iterdir()} == {0}
    pragmas = await store._run(
        lambda db: [
            db.execute("PRAGMA journal_mode").fetchone()[0],
            db.execute("PRAGMA synchronous").fetchone()[0],
            db.execute("PRAGMA user_version").fetchone()[0],
        ]
    )
    assert pragmas == ["wal", 2, VERSION]
    await store.close()


async def test_a_file_of_a_later_version_is_not_touched(tmp_path):
    path = tmp_path / "store.db"
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 99")
    later.close()
    store = SqliteStore(path=path)
    with pytest.raises(StoreUnavailableError, match="later version"):
        await store.start()
    await store.close()


async def test_a_file_that_is_no_database_is_unavailable_until_it_is_mended(tmp_path):
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database at all" * 100)
    store = SqliteStore(path=path)
    with pytest.raises(StoreUnavailableError):
        await store.start()
    assert not store.healthy()
    path.unlink()
    await store.put("pins", "a", {"n": 1})
    assert store.healthy()
    await store.close()


async def test_a_fault_in_the_middle_is_refused_and_passes(tmp_path):
    faults: list[sqlite3.Error] = []
    store = SqliteStore(path=tmp_path / "store.db", connect=_faulty(faults))
    await store.put("pins", "a", {"n": 1})
    faults.append(sqlite3.OperationalError("disk I/O error"))
    with pytest.raises(StoreUnavailableError):
        await store.put("pins", "a", {"n": 2})
    assert not store.healthy()
    assert await store.get("pins", "a") == {"n": 1}
    assert store.healthy()
    await store.close()


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

    store = SqliteStore(path=tmp_path / "store.db", connect=connect)
    await store.start()
    said.clear()
    await store.put("pins", MANY_KEYS, {str(n): {"n": n} for n in range(500)})
    assert len(await store.items("pins")) == 500
    assert said.count("COMMIT") == 1
    await store.close()


async def test_a_store_that_does_not_answer_in_time_is_unavailable(tmp_path):
    gate = threading.Event()
    store = SqliteStore(path=tmp_path / "store.db", timeout_s=0.05)
    with pytest.raises(StoreUnavailableError, match="in time"):
        await store._run(lambda _: gate.wait(10))
    gate.set()
    async with asyncio.timeout(10):
        while not store.healthy():
            try:
                await store.get("pins", "a")
            except StoreUnavailableError:
                continue
    await store.close()


async def test_what_waits_is_bounded(tmp_path):
    store = SqliteStore(path=tmp_path / "store.db")
    store._waiting = 1024
    with pytest.raises(StoreUnavailableError, match="too much"):
        await store.get("pins", "a")
    await store.close()


async def test_a_closed_store_refuses(tmp_path):
    store = SqliteStore(path=tmp_path / "store.db")
    await store.start()
    await store.close()
    with pytest.raises(StoreUnavailableError):
        await store.get("pins", "a")


async def test_many_writers_meet_in_one_thread(tmp_path):
    store = SqliteStore(path=tmp_path / "store.db")
    epochs = await asyncio.gather(*(store.next_epoch("a") for _ in range(20)))
    assert sorted(epochs) == list(range(1, 21))
    await store.close()
