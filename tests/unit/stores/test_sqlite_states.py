"""Versioned states in the SQLite file: what waits goes together; what may have happened says so."""

import asyncio
import sqlite3
import threading

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from tests.support.builders import FixedClock


class Watched:
    """Connections that write down what is said to SQLite, and fail where they are told to."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.fail_at = ""

    def __call__(self, path, **options):
        watched = self

        class Connection(sqlite3.Connection):
            def execute(self, sql, *values):
                watched.said.append(sql)
                if watched.fail_at and sql.startswith(watched.fail_at):
                    watched.fail_at = ""
                    raise sqlite3.OperationalError("disk I/O error")
                return super().execute(sql, *values)

        return sqlite3.connect(path, factory=Connection, **options)

    def count(self, start: str) -> int:
        return sum(sql.startswith(start) for sql in self.said)


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
async def file(tmp_path, watched):
    file = SqliteFile(path=tmp_path / "store.db", connect=watched)
    await file.start()
    watched.said.clear()
    yield file
    await file.close()


async def test_states_outlive_a_restart(tmp_path):
    first = SqliteFile(path=tmp_path / "store.db")
    await SqliteStates(first, clock=FixedClock()).swap("books", "a", 0, b"x")
    await first.close()
    second = SqliteFile(path=tmp_path / "store.db")
    states = SqliteStates(second, clock=FixedClock())
    assert await states.read("books", "a") == Held(version=1, value=b"x")
    await second.close()


async def test_swaps_that_wait_share_a_transaction_and_its_sync(file, watched):
    states = SqliteStates(file, clock=FixedClock())
    await asyncio.gather(
        *(states.swap("books", str(n), 0, b"x", durable=n == 7) for n in range(100))
    )
    assert watched.count("COMMIT") <= 2
    assert watched.count("PRAGMA synchronous = FULL") == 1


async def test_of_a_batch_one_that_is_refused_leaves_the_others_alone(file):
    states = SqliteStates(file, clock=FixedClock(), rows=2)
    done = await asyncio.gather(
        states.swap("books", "a", 0, b"x"),
        states.swap("books", "a", 3, b"y"),
        states.swap("books", "b", 0, b"x"),
        states.swap("books", "c", 0, b"x"),
        return_exceptions=True,
    )
    assert done[:3] == [None, Held(version=1, value=b"x"), None]
    assert done[3].cause == "full"
    assert set(await states.items("books")) == {"a", "b"}


@pytest.mark.parametrize("fail_at", ["BEGIN", "INSERT", "COMMIT"])
async def test_a_fault_says_that_it_may_have_happened_and_passes(file, watched, fail_at):
    states = SqliteStates(file, clock=FixedClock())
    watched.fail_at = fail_at
    with pytest.raises(StoreUnavailableError) as refusal:
        await states.swap("books", "a", 0, b"x")
    assert refusal.value.cause == "unknown"
    assert await states.swap("books", "a", 0, b"x") is None
    assert file.healthy()


async def test_a_swap_that_ran_out_of_time_says_that_it_may_have_happened(tmp_path):
    gate = threading.Event()
    file = SqliteFile(path=tmp_path / "store.db", timeout_s=0.3)
    states = SqliteStates(file, clock=FixedClock())
    stuck = file.submit(lambda _: gate.wait(10))
    with pytest.raises(StoreUnavailableError) as refusal:
        await states.swap("books", "a", 0, b"x")
    assert refusal.value.cause == "unknown"
    assert not file.healthy()
    gate.set()
    await stuck
    assert await states.read("books", "a") == Held(version=1, value=b"x")
    await file.close()


async def test_a_closed_file_refuses(file):
    await file.close()
    with pytest.raises(StoreUnavailableError):
        await SqliteStates(file, clock=FixedClock()).swap("books", "a", 0, b"x")


async def test_rows_whose_life_is_over_are_swept(file):
    clock = FixedClock()
    states = SqliteStates(file, clock=clock)
    for number in range(5):
        await states.swap("books", str(number), 0, b"x", life_s=10)
    clock.pass_s(11)
    await states.swap("books", "new", 0, b"x", life_s=10)
    left = await file.run(lambda db: db.execute("SELECT key FROM states").fetchall())
    assert left == [("new",)]
