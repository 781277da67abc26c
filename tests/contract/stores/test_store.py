"""What every store promises."""

from contextlib import AsyncExitStack

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import MANY_KEYS
from outrider.stores.memory import MemoryStore
from outrider.stores.sqlite import SqliteStore
from outrider.stores.sqlite_file import SqliteFile
from outrider.stores.tables import TABLES


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore(rows=8)
        return
    file = SqliteFile(path=tmp_path / "store.db")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(file.close)
        await file.start()
        yield SqliteStore(file, rows=8)


@pytest.mark.parametrize("table", TABLES)
async def test_what_was_put_is_there(store, table):
    assert await store.get(table, "a") is None
    await store.put(table, "a", {"n": 1, "deep": {"list": [1.5, None, "é"]}})
    assert await store.get(table, "a") == {"n": 1, "deep": {"list": [1.5, None, "é"]}}
    await store.put(table, "a", {"n": 2})
    assert await store.items(table) == {"a": {"n": 2}}


async def test_none_deletes_and_is_idempotent(store):
    await store.put("pins", "a", {})
    await store.put("pins", "a", None)
    await store.put("pins", "a", None)
    assert await store.get("pins", "a") is None
    assert await store.items("pins") == {}


async def test_tables_are_apart(store):
    await store.put("pins", "a", {"n": 1})
    assert await store.get("keys", "a") is None


async def test_keys_are_told_apart_by_case_and_hold_any_printable_text(store):
    for number, key in enumerate(["A", "a", "é", "'; DROP TABLE pins; --", "a/b?c=%"]):
        await store.put("pins", key, {"n": number})
    assert sorted(row["n"] for row in (await store.items("pins")).values()) == [0, 1, 2, 3, 4]
    assert await store.get("pins", "'; DROP TABLE pins; --") == {"n": 3}


async def test_what_was_given_or_got_can_be_changed_without_effect(store):
    given = {"list": [1]}
    await store.put("pins", "a", given)
    given["list"].append(2)
    got = await store.get("pins", "a")
    got["list"].append(3)
    assert await store.get("pins", "a") == {"list": [1]}


@pytest.mark.parametrize("table", ["", "Pins", "counters", "sqlite_master", "pins; DROP TABLE x"])
async def test_a_table_beyond_the_closed_set_is_a_fault_of_ours(store, table):
    with pytest.raises(ValueError, match="not a table"):
        await store.get(table, "a")
    with pytest.raises(ValueError, match="not a table"):
        await store.put(table, "a", {})
    with pytest.raises(ValueError, match="not a table"):
        await store.put(table, "a", None)
    with pytest.raises(ValueError, match="not a table"):
        await store.items(table)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("x" * 1025, {}, id="long-key"),
        pytest.param("a\x00b", {}, id="control-character"),
        pytest.param("\ud800", {}, id="lone-surrogate"),
        pytest.param("a", {"pad": "x" * (1 << 20)}, id="large-value"),
        pytest.param("a", {"n": 2**70}, id="wide-integer"),
    ],
)
async def test_what_does_not_fit_is_not_stored(store, key, value):
    with pytest.raises(StoreUnavailableError):
        await store.put("pins", key, value)
    assert await store.items("pins") == {}


async def test_a_full_table_takes_changes_but_no_new_row(store):
    for number in range(8):
        await store.put("pins", str(number), {})
    with pytest.raises(StoreUnavailableError) as refusal:
        await store.put("pins", "8", {})
    assert refusal.value.cause == "full"
    await store.put("pins", "7", {"n": 1})
    await store.put("keys", "0", {})
    await store.put("pins", "0", None)
    await store.put("pins", "8", {})


async def test_many_are_put_together(store):
    await store.put("pins", "gone", {})
    await store.put("pins", MANY_KEYS, {"a": {"n": 1}, "gone": None, "b": {"n": 2}})
    assert await store.items("pins") == {"a": {"n": 1}, "b": {"n": 2}}
    await store.put("pins", MANY_KEYS, {})
    assert len(await store.items("pins")) == 2


@pytest.mark.parametrize(
    "many",
    [
        pytest.param({"x": {}, "k" * 1025: {}}, id="long-key"),
        pytest.param({"x": {}, "y": "text"}, id="no-object"),
        pytest.param({"x": {}, "y": {"pad": "x" * (1 << 20)}}, id="large-value"),
        pytest.param({"x": {}, "*": {}} | {str(n): {} for n in range(7)}, id="no-room"),
    ],
)
async def test_of_many_that_do_not_all_fit_none_is_stored(store, many):
    await store.put("pins", "0", {"n": 0})
    with pytest.raises(StoreUnavailableError):
        await store.put("pins", MANY_KEYS, many)
    assert await store.items("pins") == {"0": {"n": 0}}


async def test_many_may_take_the_room_of_what_goes(store):
    await store.put("pins", MANY_KEYS, {str(n): {} for n in range(8)})
    await store.put("pins", MANY_KEYS, {"7": None, "8": {}})
    assert "8" in await store.items("pins")


async def test_epochs_only_rise(store):
    assert [await store.next_epoch("a") for _ in range(3)] == [1, 2, 3]
    assert await store.next_epoch("b") == 1
