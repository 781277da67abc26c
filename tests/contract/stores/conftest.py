"""Every kind of versioned states, made the same way."""

from contextlib import AsyncExitStack

import pytest

from outrider.stores.memory import MemoryStates
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from tests.support import redis
from tests.support.builders import FixedClock
from tests.support.shared_store import prefix, server, straight

__all__ = ["prefix", "server"]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kind(request):
    return request.param


@pytest.fixture
def clock():
    return FixedClock()


@pytest.fixture
async def a_states(kind, clock, tmp_path, prefix, request):
    """Makes states of their own; `again` gives a second way to the last ones."""
    server = request.getfixturevalue("server") if kind == "redis" else None
    last = None
    async with AsyncExitStack() as stack:

        async def make(*, rows=10_000, again=False):
            nonlocal last
            if server is not None:
                return await stack.enter_async_context(straight(server.path, prefix, rows=rows))
            if last is None or not again:
                last = _local(kind, clock, tmp_path / "store.db", rows, stack)
            return last

        yield make


def _local(kind, clock, path, rows, stack):
    if kind == "memory":
        return MemoryStates(clock=clock, rows=rows)
    file = SqliteFile(path=path)
    stack.push_async_callback(file.close)
    return SqliteStates(file, clock=clock, rows=rows)


@pytest.fixture
def pass_s(kind, clock, prefix, request):
    """Lets time pass: by the clock; at a server, which has its own, by ageing all it holds."""
    server = request.getfixturevalue("server") if kind == "redis" else None

    def passed(seconds):
        clock.pass_s(seconds)
        if server is not None:
            redis.age(server, round(seconds * 1000), prefix)

    return passed
