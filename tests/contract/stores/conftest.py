"""Every kind of versioned states, made the same way."""

from contextlib import AsyncExitStack

import pytest

from outrider.stores.memory import MemoryStates
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from tests.support.builders import FixedClock


@pytest.fixture(params=["memory", "sqlite"])
def kind(request):
    return request.param


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
async def a_states(kind, clock, tmp_path):
    """Makes states; `again` gives a second way to the last ones."""
    last = None
    async with AsyncExitStack() as stack:

        async def make(*, rows=10_000, again=False):
            nonlocal last
            if not again:
                last = await _made(kind, clock, tmp_path, rows, stack)
            return last

        yield make


async def _made(kind, clock, tmp_path, rows, stack):
    if kind == "memory":
        return MemoryStates(clock=clock, rows=rows)
    file = SqliteFile(path=tmp_path / "store.db")
    stack.push_async_callback(file.close)
    return SqliteStates(file, clock=clock, rows=rows)


@pytest.fixture
def pass_s(clock):
    """Lets time pass: the clock's own, or really where a server has its own."""

    async def passed(seconds):
        clock.pass_s(seconds)

    return passed
