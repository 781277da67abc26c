"""A ledger over a store that only we write: memory is in force, the store follows."""

import asyncio

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.tasks.ledger_sole import RETRY_S
from tests.support.builders import FixedClock
from tests.support.counters import a_ledger, adding, running
from tests.support.states import Fault, FaultyStates
from tests.support.virtual import in_virtual_time


@pytest.fixture
def states():
    return FaultyStates(clock=FixedClock(), shared=False)


async def _stored(states, key="t"):
    return (await a_ledger(states).look(key)).counts


async def test_changes_gather_into_few_writes_and_all_are_written(states):
    ledger = a_ledger(states)
    async with running(ledger):
        for _ in range(500):
            await ledger.change("t", adding("calls"))
    assert await _stored(states) == {"calls": 500}
    assert states.swaps <= 2


async def test_a_durable_change_is_written_when_it_returns(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"))
        await ledger.change("t", adding("calls"), durable=True)
        assert await _stored(states) == {"calls": 2}
        assert states.durable == 1


def test_a_write_that_fails_refuses_changes_until_one_succeeds(states):
    in_virtual_time(_fails_and_recovers(states))


async def _fails_and_recovers(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"), durable=True)
        states.down = Fault.REFUSED
        with pytest.raises(StoreUnavailableError) as refusal:
            await ledger.change("t", adding("calls"), durable=True)
        assert refusal.value.cause == "unknown"
        with pytest.raises(StoreUnavailableError):
            await ledger.change("t", adding("calls"))
        ledger.change_later("t", adding("closes"))
        assert (await ledger.look("t")).counts == {"calls": 2, "closes": 1}
        states.down = None
        await asyncio.sleep(2 * RETRY_S)
        await ledger.change("t", adding("calls"))
    assert await _stored(states) == {"calls": 3, "closes": 1}


@pytest.mark.parametrize("fault", [Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE])
async def test_a_write_that_may_have_happened_counts_nothing_twice(states, fault):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"), durable=True)
        states.faults.append(fault)
        with pytest.raises(StoreUnavailableError):
            await ledger.change("t", adding("calls"), durable=True)
    assert await _stored(states) == {"calls": 2}


async def test_what_somebody_else_wrote_makes_the_document_lost(states, caplog):
    ledger, other = a_ledger(states), a_ledger(states)
    async with running(ledger, other):
        await ledger.change("t", adding("calls"), durable=True)
        await other.change("t", adding("calls"), durable=True)
        await ledger.change("t", adding("calls"), durable=True)
        assert (await ledger.look("t")).lost
    assert "somebody else writes" in caplog.text


async def test_a_document_that_outlived_its_life_is_written_anew(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"), durable=True)
        states.wipe()
        await ledger.change("t", adding("calls"), durable=True)
    assert await _stored(states) == {"calls": 2}


async def test_memory_is_bounded_and_what_left_it_is_read_again(states):
    ledger = a_ledger(states, entries=4)
    async with running(ledger):
        for number in range(20):
            await ledger.change(str(number), adding("calls"), durable=True)
        assert sum(ledger.known(str(n)) is not None for n in range(20)) == 4
        assert await ledger.change("0", adding("calls")) == 2


async def test_where_nothing_can_be_written_further_documents_are_refused(states):
    ledger = a_ledger(states, entries=2)
    for number in range(2):
        await ledger.change(str(number), adding("calls"))
    with pytest.raises(StoreUnavailableError) as refusal:
        await ledger.change("2", adding("calls"))
    assert refusal.value.cause == "room"
    assert await ledger.change("1", adding("calls")) == 2


async def test_a_document_that_does_not_fit_refuses_alone(states):
    states = FaultyStates(clock=FixedClock(), shared=False, rows=1)
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("a", adding("calls"), durable=True)
        with pytest.raises(StoreUnavailableError):
            await ledger.change("b", adding("calls"), durable=True)
        with pytest.raises(StoreUnavailableError):
            await ledger.change("b", adding("calls"))
        assert await ledger.change("a", adding("calls"), durable=True) == 2


async def test_later_changes_of_an_unread_document_wait_for_the_store(states):
    ledger = a_ledger(states)
    states.down = Fault.REFUSED
    async with running(ledger):
        ledger.change_later("t", adding("calls"))
        with pytest.raises(StoreUnavailableError):
            await ledger.look("t")
        states.down = None
        assert await ledger.change("t", adding("calls")) == 2


async def test_what_cannot_be_written_at_the_end_is_told(states, caplog):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"), durable=True)
        states.down = Fault.REFUSED
        await ledger.change("t", adding("calls"))
    assert "not written at the end" in caplog.text


async def test_many_who_ask_for_one_document_read_it_once(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await asyncio.gather(*(ledger.change("t", adding("calls")) for _ in range(10)))
        assert states.reads == 1
    assert await _stored(states) == {"calls": 10}
