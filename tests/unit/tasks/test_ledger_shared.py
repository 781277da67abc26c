"""A ledger over a shared store: queues, batches, and what becomes of those who wait."""

import asyncio

import pytest

from outrider.core.errors import StoreUnavailableError
from tests.support.builders import FixedClock
from tests.support.counters import a_ledger, adding, running
from tests.support.states import Fault, FaultyStates


@pytest.fixture
def states():
    return FaultyStates(clock=FixedClock())


async def test_what_is_asked_for_meanwhile_goes_in_one_swap(states):
    ledger = a_ledger(states)
    async with running(ledger):
        done = await asyncio.gather(*(ledger.change("t", adding("calls")) for _ in range(50)))
        assert sorted(done) == list(range(1, 51))
        assert states.swaps <= 2


async def test_two_ledgers_over_one_store_count_together(states):
    one, two = a_ledger(states), a_ledger(states)
    async with running(one, two):
        done = await asyncio.gather(
            *(ledger.change("t", adding("calls")) for _ in range(40) for ledger in (one, two))
        )
        assert sorted(done) == list(range(1, 81))
        assert (await one.look("t")).counts == (await two.look("t")).counts == {"calls": 80}


async def test_a_store_that_is_gone_refuses_at_once_and_keeps_what_nobody_waits_for(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"))
        states.down = Fault.REFUSED
        ledger.change_later("t", adding("closes"))
        with pytest.raises(StoreUnavailableError) as refusal:
            await ledger.change("t", adding("calls"))
        assert refusal.value.cause is None
        with pytest.raises(StoreUnavailableError):
            await ledger.look("t")
        states.down = None
        assert (await ledger.look("t")).counts == {"calls": 1, "closes": 1}


async def test_a_look_sees_what_was_asked_for_before_it(states):
    ledger = a_ledger(states)
    async with running(ledger):
        ledger.change_later("t", adding("calls"))
        assert (await ledger.look("t")).counts == {"calls": 1}


async def test_one_who_left_before_his_turn_changes_nothing(states):
    ledger = a_ledger(states)
    async with running(ledger):
        states.gate = asyncio.Event()
        first = asyncio.gather(ledger.change("t", adding("calls")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        second = asyncio.gather(ledger.change("t", adding("calls")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        states.gate.set()
        assert await first == [1]
        with pytest.raises(asyncio.CancelledError):
            await second
        assert (await ledger.look("t")).counts == {"calls": 1}


async def test_documents_in_memory_are_bounded(states):
    ledger = a_ledger(states, entries=3)
    async with running(ledger):
        for number in range(9):
            await ledger.change(str(number), adding("calls"))
        assert sum(ledger.known(str(n)) is not None for n in range(9)) == 3
        assert await ledger.change("0", adding("calls")) == 2


async def test_with_every_document_waiting_a_further_one_is_refused(states):
    ledger = a_ledger(states, entries=1)
    ledger.change_later("a", adding("calls"))
    with pytest.raises(StoreUnavailableError) as refusal:
        await ledger.look("b")
    assert refusal.value.cause == "room"
    ledger.change_later("c", adding("calls"))
    async with running(ledger):
        assert (await ledger.look("c")).counts == {"calls": 1}


async def test_what_cannot_be_written_at_the_end_is_told(states, caplog):
    ledger = a_ledger(states)
    async with running(ledger):
        states.down = Fault.REFUSED
        ledger.change_later("t", adding("calls"))
    assert "not written at the end" in caplog.text
