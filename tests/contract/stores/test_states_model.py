"""Any sequence of reads, swaps and passing time gives what a plain model gives, on every kind."""

import asyncio
import secrets
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.stores.memory import MemoryStates
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.sqlite_states import SqliteStates
from tests.support import redis
from tests.support.builders import FixedClock
from tests.support.shared_store import straight

ROWS = 3
TABLES = ["books", "tasks"]
KEYS = ["a", "b", "c", "d"]


class Model:
    """What states are, said in the plainest way; time is in seconds."""

    def __init__(self):
        self.rows = {}
        self.now = 0

    def _alive(self, table):
        self.rows = {
            place: row for place, row in self.rows.items() if row[2] is None or row[2] > self.now
        }
        return {key: row for (of, key), row in self.rows.items() if of == table}

    def read(self, table, key):
        row = self._alive(table).get(key)
        return None if row is None else Held(version=row[0], value=row[1])

    def swap(self, table, key, expected, value, life_s):
        rows = self._alive(table)
        version, stands, _ = rows.get(key, (0, b"", None))
        if version != expected:
            return Held(version=version, value=stands)
        if value is None:
            self.rows.pop((table, key), None)
        elif version == 0 and len(rows) >= ROWS:
            return "full"
        else:
            ends = None if life_s is None else self.now + life_s
            self.rows[table, key] = (version + 1, value, ends)
        return None

    def items(self, table):
        return {k: Held(version=r[0], value=r[1]) for k, r in self._alive(table).items()}


PLACES = (st.sampled_from(TABLES), st.sampled_from(KEYS))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), *PLACES, st.integers(0, 3)),
        st.tuples(
            st.just("swap"),
            *PLACES,
            st.one_of(st.just("right"), st.integers(0, 3)),
            st.one_of(st.none(), st.binary(max_size=4), st.binary(max_size=4)),
            st.sampled_from([None, 10, 100]),
            st.booleans(),
        ),
        st.tuples(st.just("items"), st.sampled_from(TABLES)),
        st.tuples(st.just("pass"), st.sampled_from([3, 9, 50])),
    ),
    max_size=25,
)


async def _agrees(states, steps, pass_s):
    model = Model()
    for kind, *rest in steps:
        if kind == "pass":
            model.now += rest[0]
            pass_s(rest[0])
        elif kind == "items":
            assert await states.items(*rest) == model.items(*rest)
        elif kind == "read":
            table, key, known = rest
            found, held = await states.read(table, key, known), model.read(table, key)
            if held is not None and held.version == known:
                assert found.version == known
            else:
                assert found == held
        else:
            table, key, expected, value, life_s, durable = rest
            if expected == "right":
                held = model.read(table, key)
                expected = 0 if held is None else held.version
            swap = states.swap(table, key, expected, value, life_s=life_s, durable=durable)
            done = await _outcome(swap)
            assert done == model.swap(table, key, expected, value, life_s)


async def _outcome(swap):
    try:
        return await swap
    except StoreUnavailableError as refusal:
        return refusal.cause


async def _tried(kind, steps, server):
    clock = FixedClock()
    async with AsyncExitStack() as stack:
        if kind == "memory":
            states = MemoryStates(clock=clock, rows=ROWS)
        elif kind == "sqlite":
            room = stack.enter_context(tempfile.TemporaryDirectory())
            file = SqliteFile(path=Path(room) / "store.db")
            stack.push_async_callback(file.close)
            states = SqliteStates(file, clock=clock, rows=ROWS)
        else:
            prefix = f"test:{secrets.token_hex(8)}"
            states = await stack.enter_async_context(straight(server.path, prefix, rows=ROWS))

            def aged(seconds):
                redis.age(server, seconds * 1000, prefix)

        await _agrees(states, steps, clock.pass_s if kind != "redis" else aged)


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
def test_every_kind_is_the_model(kind, request):
    server = request.getfixturevalue("server") if kind == "redis" else None

    @settings(
        max_examples=300 if kind == "memory" else 60,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(steps=STEPS)
    def agrees(steps):
        asyncio.run(_tried(kind, steps, server))

    agrees()
