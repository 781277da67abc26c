"""The SQLite file outlives restarts, fails closed, and comes back."""

import asyncio
import sqlite3
import threading

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.stores.sqlite import SqliteStore
from outrider.stores.sqlite_file import VERSION, SqliteFile, transaction

VERSION_1 = """
CREATE TABLE pins (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE mcp_sessions (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE epochs (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE keys (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counters (name TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO pins VALUES ('a', '{"n":1}');
INSERT INTO counters VALUES ('e', 7);
PRAGMA user_version = 1;
"""


@pytest.fixture
async def file(tmp_path):
    file = SqliteFile(path=tmp_path / "store.db", timeout_s=1.0)
    yield file
    await file.close()


async def _pragma(file, name):
    return await file.run(lambda db: db.execute(f"PRAGMA {name}").fetchone()[0])


async def test_the_file_is_ours_alone_and_has_a_log_of_its_own(file, tmp_path):
    await SqliteStore(file).put("pins", "a", {})
    assert {p.stat().st_mode & 0o077 for p in tmp_path.iterdir()} == {0}
    assert await _pragma(file, "journal_mode") == "wal"
    assert await _pragma(file, "user_version") == VERSION


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
async def test_what_is_durable_is_synced_in_full(file, durable, level):
    def work(db):
        with transaction(db, durable=durable):
            return db.execute("PRAGMA synchronous").fetchone()[0]

    assert await file.run(work) == level


async def test_a_transaction_that_fails_leaves_nothing(file):
    def work(db):
        with transaction(db, durable=False):
            db.execute("INSERT INTO counters VALUES ('a', 1)")
            raise StoreUnavailableError("no room")

    with pytest.raises(StoreUnavailableError, match="no room"):
        await file.run(work)
    assert await file.run(lambda db: db.execute("SELECT * FROM counters").fetchall()) == []


async def test_a_file_of_the_first_version_is_brought_up_to_date_and_keeps_what_it_held(tmp_path):
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as first:
        first.executescript(VERSION_1)
    first.close()
    file = SqliteFile(path=path)
    store = SqliteStore(file)
    assert await store.get("pins", "a") == {"n": 1}
    assert await store.next_epoch("e") == 8
    assert await _pragma(file, "user_version") == VERSION
    assert await file.run(lambda db: db.execute("SELECT * FROM states").fetchall()) == []
    await file.close()


async def test_a_step_that_fails_leaves_the_file_at_its_version(tmp_path):
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as first:
        first.executescript(VERSION_1 + "CREATE TABLE states_by_end (n INTEGER);")
    first.close()
    file = SqliteFile(path=path)
    with pytest.raises(StoreUnavailableError):
        await file.start()
    await file.close()
    with sqlite3.connect(path) as after:
        assert after.execute("PRAGMA user_version").fetchone() == (1,)
        assert (
            after.execute("SELECT name FROM sqlite_master WHERE name = 'states'").fetchall() == []
        )
    after.close()


async def test_a_file_of_a_later_version_is_not_touched(tmp_path):
    path = tmp_path / "store.db"
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 99")
    later.close()
    file = SqliteFile(path=path)
    with pytest.raises(StoreUnavailableError, match="later version"):
        await file.start()
    await file.close()


async def test_a_file_that_is_no_database_is_unavailable_until_it_is_mended(tmp_path):
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database at all" * 100)
    file = SqliteFile(path=path)
    with pytest.raises(StoreUnavailableError):
        await file.start()
    assert not file.healthy()
    path.unlink()
    await SqliteStore(file).put("pins", "a", {"n": 1})
    assert file.healthy()
    await file.close()


async def test_a_store_that_does_not_answer_in_time_is_unavailable(tmp_path):
    gate = threading.Event()
    file = SqliteFile(path=tmp_path / "store.db", timeout_s=0.05)
    with pytest.raises(StoreUnavailableError, match="in time"):
        await file.run(lambda _: gate.wait(10))
    gate.set()
    async with asyncio.timeout(10):
        while not file.healthy():
            try:
                await file.start()
            except StoreUnavailableError:
                continue
    await file.close()


async def test_opening_may_take_longer_than_an_answer(tmp_path):
    gate = threading.Event()

    def connect(*args, **kwargs):
        assert gate.wait(10)
        return sqlite3.connect(*args, **kwargs)

    file = SqliteFile(path=tmp_path / "store.db", timeout_s=0.05, connect=connect)
    starting = asyncio.create_task(file.start())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailableError, match="in time"):
        await file.run(lambda _: None)
    gate.set()
    await starting
    assert file.healthy()
    await file.close()


async def test_what_waits_is_bounded(file):
    file._waiting = 1024
    with pytest.raises(StoreUnavailableError, match="too much"):
        await file.start()


async def test_a_closed_file_refuses(file):
    await file.start()
    await file.close()
    with pytest.raises(StoreUnavailableError):
        await file.start()
