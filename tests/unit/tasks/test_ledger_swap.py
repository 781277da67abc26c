"""Swaps whose outcome is unknown, that lost, and stores that forgot."""

import pytest

from outrider.core.errors import StoreUnavailableError
from tests.support.builders import FixedClock
from tests.support.counters import LIFE_S, NoRoomError, a_ledger, adding, running
from tests.support.states import Fault, FaultyStates

UNKNOWN = [Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE]


@pytest.fixture
def states():
    return FaultyStates(clock=FixedClock())


@pytest.mark.parametrize("fault", UNKNOWN)
@pytest.mark.parametrize("times", [1, 2])
async def test_an_unknown_outcome_is_settled_without_telling_anybody(states, fault, times):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"))
        states.faults.extend([fault] * times)
        assert await ledger.change("t", adding("calls")) == 2
        assert (await ledger.look("t")).counts == {"calls": 2}


@pytest.mark.parametrize("fault", UNKNOWN)
async def test_what_stays_unknown_is_told_so_and_counts_at_most_once(states, fault):
    ledger, other = a_ledger(states), a_ledger(states)
    async with running(ledger, other):
        await ledger.change("t", adding("calls"))
        states.down = fault
        with pytest.raises(StoreUnavailableError) as refusal:
            await ledger.change("t", adding("calls"))
        assert refusal.value.cause == "unknown"
        states.down = None
        assert await ledger.change("t", adding("calls")) == 3
        assert (await other.look("t")).counts == {"calls": 3}


@pytest.mark.parametrize("fault", UNKNOWN)
async def test_a_later_change_of_an_unknown_swap_is_made_exactly_once(states, fault):
    ledger, other = a_ledger(states), a_ledger(states)
    async with running(ledger, other):
        states.down = fault
        ledger.change_later("t", adding("closes"))
        with pytest.raises(StoreUnavailableError):
            await ledger.look("t")
        states.down = None
        assert (await ledger.look("t")).counts == {"closes": 1}
        assert (await other.look("t")).counts == {"closes": 1}


@pytest.mark.parametrize("fault", UNKNOWN)
@pytest.mark.parametrize("between", [1, 20])
async def test_whether_it_happened_is_known_after_others_wrote(states, fault, between):
    ledger, other = a_ledger(states), a_ledger(states)
    async with running(ledger, other):
        await ledger.change("t", adding("calls"))
        states.down = fault
        with pytest.raises(StoreUnavailableError):
            await ledger.change("t", adding("mine"))
        states.down = None
        for _ in range(between):
            await other.change("t", adding("calls"))
        done = 1 if fault is Fault.UNKNOWN_DONE else 0
        counts = (await ledger.look("t")).counts
        assert counts == {"calls": 1 + between} | ({"mine": 1} if done else {})


async def test_a_refusal_by_an_old_document_is_asked_again_on_the_new_one(states):
    one, two = a_ledger(states), a_ledger(states)

    def given_back(document):
        document.counts["calls"] -= 1

    async with running(one, two):
        await one.change("t", adding("calls", 1))
        await two.change("t", given_back)
        assert await one.change("t", adding("calls", 1)) == 1
        with pytest.raises(NoRoomError):
            await two.change("t", adding("calls", 1))


async def test_a_change_that_alters_nothing_writes_nothing(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"))
        before = states.swaps
        assert await ledger.change("t", lambda document: document.counts["calls"]) == 1
        await ledger.look("t")
        assert states.swaps == before


async def test_a_document_that_is_gone_before_its_time_is_lost(states, caplog):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("t", adding("calls"))
        states.wipe()
        assert (await ledger.look("t")).lost
    assert "lost a document" in caplog.text


async def test_a_document_whose_life_is_over_is_new(states):
    clock = FixedClock()
    states = FaultyStates(clock=clock)
    ledger = a_ledger(states, clock=clock)
    async with running(ledger):
        await ledger.change("t", adding("calls"))
        clock.pass_s(LIFE_S + 1)
        document = await ledger.look("t")
        assert (document.counts, document.lost) == ({}, False)


async def test_a_store_that_says_it_lost_everything_makes_every_document_lost(states):
    ledger = a_ledger(states)
    async with running(ledger):
        await ledger.change("a", adding("calls"))
        await ledger.change("b", adding("calls"))
        states.faults.append(Fault.WIPED)
        with pytest.raises(StoreUnavailableError):
            await ledger.change("a", adding("calls"))
        assert (await ledger.look("a")).lost
        assert (await ledger.look("b")).lost
        assert not (await ledger.look("c")).lost


async def test_a_store_that_went_back_makes_the_document_lost(states):
    ledger, other = a_ledger(states), a_ledger(states)
    async with running(ledger, other):
        await other.change("t", adding("calls"))
        before = await states.read("books", "t")
        await ledger.change("t", adding("calls"))
        states.wipe()
        await states.swap("books", "t", 0, before.value)
        assert (await ledger.look("t")).lost


async def test_what_nobody_can_read_is_lost(states):
    await states.swap("books", "t", 0, b"not an envelope")
    ledger = a_ledger(states)
    async with running(ledger):
        assert (await ledger.look("t")).lost
        await ledger.change("t", adding("calls"))
        assert (await ledger.look("t")).counts == {"calls": 1}


async def test_a_document_too_large_for_the_store_is_refused_and_dropped(states, caplog):
    ledger = a_ledger(states)

    def swollen(document):
        document.counts["x" * (1 << 18)] = 1

    async with running(ledger):
        with pytest.raises(StoreUnavailableError) as refusal:
            await ledger.change("t", swollen)
        assert refusal.value.cause == "value"
        ledger.change_later("t", swollen)
        with pytest.raises(StoreUnavailableError):
            await ledger.look("t")
        assert (await ledger.look("t")).counts == {}
    assert "cannot be written" in caplog.text
