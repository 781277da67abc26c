"""Whatever a store does and in whatever order things are asked, a ledger counts each event once."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import event, given, strategies as st

from outrider.core.errors import StoreUnavailableError
from tests.support.budget_worker import BudgetCodec, NoRoomError, giving_back, taking
from tests.support.builders import FixedClock
from tests.support.counters import a_ledger, running
from tests.support.states import Fault, FaultyStates
from tests.support.virtual import in_virtual_time

LIMIT = 6
TROUBLE = [Fault.REFUSED, Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE]

TAKE = st.tuples(st.just("take"), st.integers(0, 1), st.integers(1, 4), st.booleans())
STEPS = st.lists(
    st.one_of(
        TAKE,
        TAKE,
        st.tuples(st.just("later"), st.integers(0, 1)),
        st.tuples(st.just("look"), st.integers(0, 1)),
        st.tuples(st.just("faults"), st.lists(st.sampled_from(TROUBLE), min_size=1, max_size=6)),
        st.tuples(st.just("down"), st.sampled_from([None, *TROUBLE])),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 1.0])),
    ),
    min_size=3,
    max_size=20,
)


class Told:
    """What was asked for, and what became of it as far as anybody was told."""

    def __init__(self):
        self.taken, self.not_taken, self.unknown = set(), set(), set()
        self.later = []
        self.number = 0

    def name(self):
        self.number += 1
        return f"e{self.number}"

    async def take(self, ledger, name, *, durable):
        try:
            await ledger.change("t", taking(name, LIMIT), durable=durable)
        except NoRoomError:
            self.not_taken.add(name)
        except StoreUnavailableError as refusal:
            (self.unknown if refusal.cause == "unknown" else self.not_taken).add(name)
        else:
            self.taken.add(name)


async def _carried_out(steps, shared):
    states, told = FaultyStates(clock=FixedClock(), shared=shared), Told()
    ledgers = [a_ledger(states, codec=BudgetCodec()) for _ in range(2 if shared else 1)]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(*ledgers))
        for step, *rest in steps:
            ledger = ledgers[rest[0] % len(ledgers)] if step in {"take", "later", "look"} else None
            match step:
                case "take":
                    async with asyncio.TaskGroup() as group:
                        for _ in range(rest[1]):
                            taking_one = told.take(ledger, told.name(), durable=rest[2])
                            group.create_task(taking_one)
                case "later":
                    await _back(ledger, told)
                case "look":
                    await _looked(ledger)
                case "faults":
                    states.faults.extend(rest[0])
                case "down":
                    states.down = rest[0]
                case _:
                    await asyncio.sleep(rest[0])
        states.down = None
        states.faults.clear()
        await asyncio.sleep(2)
    last = a_ledger(states, codec=BudgetCodec())
    async with running(last):
        return told, await last.look("t")


async def _back(ledger, told):
    """Give back what the first of those taken took; twice, as one who does not know would."""
    for name in sorted(told.taken | told.unknown)[:1]:
        told.later.append(name)
        ledger.change_later("t", giving_back(name))
        ledger.change_later("t", giving_back(name))


async def _looked(ledger):
    try:
        budget = await ledger.look("t")
    except StoreUnavailableError:
        return
    assert 0 <= budget.used <= LIMIT


@pytest.mark.parametrize("shared", [False, True], ids=["sole", "shared"])
def test_each_event_counts_once_and_what_was_told_is_so(shared):
    @given(steps=STEPS)
    def holds(steps):
        told, budget = in_virtual_time(_carried_out(steps, shared))
        assert not budget.lost
        counted = budget.counted.keys()
        assert set(budget.counted.values()) <= {1}
        assert set(budget.returned.values()) <= {1}
        assert told.taken <= counted
        assert not told.not_taken & counted
        assert counted <= told.taken | told.unknown
        assert set(told.later) & counted == budget.returned.keys()
        assert budget.used == len(counted) - len(budget.returned)
        assert 0 <= budget.lowest <= budget.highest <= LIMIT
        event(f"unknown: {bool(told.unknown)}, unknown and counted: {bool(told.unknown & counted)}")

    holds()
