"""What a ledger promises, over a store of our own and over one that others write too."""

import asyncio

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.stores.memory import MemoryStates
from tests.support.builders import FixedClock
from tests.support.counters import NoRoomError, a_ledger, adding, running


@pytest.fixture(params=[False, True], ids=["sole", "shared"])
def states(request):
    return MemoryStates(clock=FixedClock(), shared=request.param)


async def test_a_change_is_in_force_when_it_returns(states):
    ledger = a_ledger(states)
    async with running(ledger):
        assert await ledger.change("t", adding("calls")) == 1
        assert await ledger.change("t", adding("calls")) == 2
        assert (await ledger.look("t")).counts == {"calls": 2}
        assert (await ledger.look("other")).counts == {}


async def test_what_a_change_raises_is_raised_and_nothing_is_changed(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls", 1))
        with pytest.raises(NoRoomError):
            await ledger.change("t", adding("calls", 1))
        assert (await ledger.look("t")).counts == {"calls": 1}


async def test_of_many_at_once_exactly_as_many_pass_as_there_is_room_for(states):
    ledger = a_ledger(states)
    async with running(ledger):
        done = await asyncio.gather(
            *(ledger.change("t", adding("calls", 10)) for _ in range(100)), return_exceptions=True
        )
    assert sorted(one for one in done if isinstance(one, int)) == list(range(1, 11))
    assert sum(isinstance(one, NoRoomError) for one in done) == 90


async def test_what_was_written_is_there_for_the_next_process(states):
    first, second = a_ledger(states), a_ledger(states)
    async with running(first):
        await first.change("t", adding("calls"))
        await first.change("t", adding("calls"), durable=True)
        first.change_later("t", adding("denials"))
    async with running(second):
        assert (await second.look("t")).counts == {"calls": 2, "denials": 1}


async def test_a_later_change_comes_before_what_is_asked_after_it(states):
    ledger = a_ledger(states)
    async with running(ledger):
        ledger.change_later("t", adding("calls"))
        assert await ledger.change("t", adding("calls")) == 2


async def test_a_closed_ledger_refuses(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"))
    with pytest.raises(StoreUnavailableError):
        await ledger.change("t", adding("calls"))
    ledger.change_later("t", adding("calls"))


async def test_what_is_known_is_told_without_asking(states):
    ledger = a_ledger(states)
    async with running(ledger):
        assert ledger.known("t") is None
        await ledger.change("t", adding("calls"))
        assert ledger.known("t").counts == {"calls": 1}
