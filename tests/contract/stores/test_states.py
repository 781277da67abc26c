"""What all versioned states promise."""

import asyncio

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.stores.tables import STATES

NOTHING = Held(version=0, value=b"")


async def test_what_was_swapped_in_stands_there_with_its_version(a_states):
    states = await a_states()
    assert await states.read("books", "a") is None
    assert await states.swap("books", "a", 0, b"x") is None
    assert await states.read("books", "a") == Held(version=1, value=b"x")
    assert await states.swap("books", "a", 1, b"\x00\xff") is None
    assert await states.read("books", "a") == Held(version=2, value=b"\x00\xff")


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_a_swap_of_another_version_does_nothing_and_tells_what_stands(a_states, expected):
    states = await a_states()
    await states.swap("books", "a", 0, b"x")
    await states.swap("books", "a", 1, b"y")
    assert await states.swap("books", "a", expected, b"z") == Held(version=2, value=b"y")
    assert await states.swap("books", "a", expected, None) == Held(version=2, value=b"y")
    assert await states.read("books", "a") == Held(version=2, value=b"y")


async def test_a_swap_of_what_is_not_there_does_nothing(a_states):
    states = await a_states()
    assert await states.swap("books", "a", 1, b"x") == NOTHING
    assert await states.swap("books", "a", 1, None) == NOTHING
    assert await states.read("books", "a") is None


async def test_nothing_deletes_and_the_next_is_the_first_again(a_states):
    states = await a_states()
    await states.swap("books", "a", 0, b"x")
    assert await states.swap("books", "a", 1, None) is None
    assert await states.read("books", "a") is None
    assert await states.items("books") == {}
    assert await states.swap("books", "a", 0, None) is None
    assert await states.swap("books", "a", 0, b"y") is None
    assert (await states.read("books", "a")).version == 1


async def test_a_known_version_comes_without_its_value_or_with_it(a_states):
    states = await a_states()
    await states.swap("books", "a", 0, b"x")
    assert (await states.read("books", "a", 1)).version == 1
    assert await states.read("books", "a", 2) == Held(version=1, value=b"x")
    assert await states.read("books", "b", 1) is None


async def test_of_a_hundred_swaps_of_one_version_exactly_one_wins(a_states):
    one, two = await a_states(), await a_states(again=True)
    await one.swap("books", "a", 0, b"first")
    done = await asyncio.gather(
        *((one, two)[n % 2].swap("books", "a", 1, b"%d" % n, durable=n == 3) for n in range(100))
    )
    assert done.count(None) == 1
    stands = await one.read("books", "a")
    assert stands == Held(version=2, value=b"%d" % done.index(None))
    assert {held for held in done if held is not None} == {stands}


async def test_it_goes_by_itself_after_its_life_counted_from_the_last_swap(a_states, pass_s):
    states = await a_states()
    await states.swap("books", "a", 0, b"x", life_s=2)
    await states.swap("books", "kept", 0, b"x")
    pass_s(1.2)
    await states.swap("books", "a", 1, b"y", life_s=2)
    pass_s(1.2)
    assert await states.read("books", "a") == Held(version=2, value=b"y")
    pass_s(1.2)
    assert await states.read("books", "a") is None
    assert set(await states.items("books")) == {"kept"}
    assert await states.swap("books", "a", 2, b"z") == NOTHING
    assert await states.swap("books", "a", 0, b"z", life_s=2) is None


async def test_a_swap_without_a_life_keeps_what_had_one(a_states, pass_s):
    states = await a_states()
    await states.swap("books", "a", 0, b"x", life_s=1)
    await states.swap("books", "a", 1, b"y")
    pass_s(1.5)
    assert await states.read("books", "a") == Held(version=2, value=b"y")


async def test_items_are_those_of_the_table(a_states):
    states = await a_states()
    keys = ["A", "a", "é", "'; DROP TABLE states; --", "a/b?c=%*[x]", "{books}:x"]
    for key in keys:
        await states.swap("books", key, 0, key.encode())
    await states.swap("tasks", "other", 0, b"x")
    assert await states.items("books") == {k: Held(version=1, value=k.encode()) for k in keys}


@pytest.mark.parametrize("table", ["", "Books", "counters", "states", "books:x", "pins"])
async def test_a_table_beyond_the_closed_set_is_a_fault_of_ours(a_states, table):
    states = await a_states()
    with pytest.raises(ValueError, match="not a table"):
        await states.read(table, "a")
    with pytest.raises(ValueError, match="not a table"):
        await states.swap(table, "a", 0, b"x")
    with pytest.raises(ValueError, match="not a table"):
        await states.items(table)


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        pytest.param("x" * 1025, "key", id="long-key"),
        pytest.param("a\x00b", "key", id="control-character"),
        pytest.param("\ud800", "key", id="lone-surrogate"),
    ],
)
async def test_a_key_that_does_not_fit_is_refused(a_states, key, cause):
    states = await a_states()
    with pytest.raises(StoreUnavailableError) as refusal:
        await states.swap("books", key, 0, b"x")
    assert refusal.value.cause == cause
    with pytest.raises(StoreUnavailableError):
        await states.read("books", key)


async def test_the_longest_key_and_the_largest_value_fit_and_no_more(a_states):
    states = await a_states()
    assert await states.swap("books", "k" * 1024, 0, b"x" * (1 << 18)) is None
    assert len((await states.read("books", "k" * 1024)).value) == 1 << 18
    with pytest.raises(StoreUnavailableError) as refusal:
        await states.swap("books", "b", 0, b"x" * ((1 << 18) + 1))
    assert refusal.value.cause == "value"
    assert await states.read("books", "b") is None


async def test_a_full_table_takes_changes_but_no_new_row(a_states):
    states = await a_states(rows=4)
    for number in range(4):
        await states.swap("books", str(number), 0, b"x")
    with pytest.raises(StoreUnavailableError) as refusal:
        await states.swap("books", "4", 0, b"x")
    assert refusal.value.cause == "full"
    assert await states.swap("books", "3", 1, b"y") is None
    assert await states.swap("tasks", "4", 0, b"x") is None
    assert await states.swap("books", "0", 1, None) is None
    assert await states.swap("books", "4", 0, b"x") is None
    assert len(await states.items("books")) == 4


async def test_a_full_table_has_room_again_once_a_life_is_over(a_states, pass_s):
    states = await a_states(rows=2)
    await states.swap("books", "a", 0, b"x", life_s=1)
    await states.swap("books", "b", 0, b"x")
    pass_s(1.5)
    assert await states.swap("books", "c", 0, b"x") is None


@pytest.mark.parametrize("table", STATES)
async def test_tables_are_apart(a_states, table):
    states = await a_states()
    await states.swap(table, "a", 0, b"x", durable=True)
    for other in STATES:
        assert (await states.read(other, "a") is None) == (other != table)


async def test_whether_others_write_is_what_it_says(a_states, kind):
    assert (await a_states()).shared == (kind == "redis")
