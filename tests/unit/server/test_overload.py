import asyncio

import pytest

from outrider.config.limit_settings import Limits
from outrider.core.errors import OverloadError
from outrider.server.events import NoEvents, ShedCause
from outrider.server.overload import BufferBudget, FairSlots, Turnstile
from outrider.server.pressure import Pressure
from tests.support.builders import FixedClock


def slots(pressure=None, **limits):
    values = {"in_flight": 4, "agent_in_flight": 2, "upstream_in_flight": 3, "wait_s": 0.05}
    limits = Limits(**values | limits)
    return FairSlots(limits=limits, events=NoEvents(), pressure=pressure)


async def test_an_agents_share_stands_before_the_sidecars():
    books = slots(wait_queue=0)
    for _ in range(2):
        await books.enter("a", "u")
    with pytest.raises(OverloadError):
        await books.enter("a", "v")
    leave = await books.enter("b", "u")
    with pytest.raises(OverloadError):
        await books.enter("c", "u")  # the upstream's share
    await books.enter("c", "v")
    with pytest.raises(OverloadError):
        await books.enter("d", "w")  # the sidecar's
    leave()
    assert books.in_flight == 3
    await books.enter("d", "w")


async def test_who_waits_is_let_in_when_a_place_comes_free():
    books = slots(in_flight=1)
    leave = await books.enter("a", "u")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(books.enter("b", "u"))
        await asyncio.sleep(0)
        assert not waiting.done()
        leave()
    waiting.result()()
    assert books.in_flight == 0


async def test_who_waits_for_another_agents_share_holds_nobody_up():
    books = slots()
    leaves = [await books.enter("a", "u") for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        stuck = group.create_task(books.enter("a", "u"))
        await asyncio.sleep(0)
        other = await books.enter("b", "v")
        assert not stuck.done()
        leaves[0]()
    assert stuck.done()
    other()


async def test_the_wait_is_bounded_in_time_and_in_length():
    books = slots(in_flight=1, wait_queue=1)
    await books.enter("a", "u")
    async with asyncio.TaskGroup() as group:
        late = group.create_task(_refused(books))
        await asyncio.sleep(0)
        assert await _refused(books) == "queue"
    assert late.result() == "wait"
    assert books.in_flight == 1


async def _refused(books):
    with pytest.raises(OverloadError) as caught:
        await books.enter("b", "u")
    return caught.value.cause


async def test_a_place_is_not_lost_with_who_waited_for_it():
    books = slots(in_flight=1, wait_s=10)
    leave = await books.enter("a", "u")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(books.enter("b", "u"))
        await asyncio.sleep(0)
        leave()  # the turn is given ...
        waiting.cancel()  # ... in the moment of giving up
    assert (books.in_flight, waiting.cancelled()) == (0, True)
    (await books.enter("c", "u"))()
    assert not books._agents
    assert not books._upstreams


async def test_soft_pressure_refuses_new_exchanges():
    pressure = Pressure(clock=FixedClock(), events=NoEvents(), readers={})
    books = slots(pressure)
    pressure.note({ShedCause.MEMORY: 0.94})
    leave = await books.enter("a", "u")
    pressure.note({ShedCause.MEMORY: 0.95})
    with pytest.raises(OverloadError) as caught:
        await books.enter("a", "u")
    assert caught.value.cause == "memory"
    leave()


async def test_a_turnstile_counts_and_passes_turns_on():
    turnstile = Turnstile(limit=1, queue=1, wait_s=0.05)
    await turnstile.enter()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(turnstile.enter())
        await asyncio.sleep(0)
        with pytest.raises(OverloadError):
            await turnstile.enter()
        turnstile.leave()
    assert (waiting.done(), turnstile.inside) == (True, 1)
    with pytest.raises(OverloadError):
        await turnstile.enter()
    turnstile.leave()
    assert turnstile.inside == 0


async def test_a_turn_given_to_a_cancelled_waiter_goes_to_the_next():
    turnstile = Turnstile(limit=1, queue=2, wait_s=10)
    await turnstile.enter()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(turnstile.enter())
        second = group.create_task(turnstile.enter())
        await asyncio.sleep(0)
        turnstile.leave()
        first.cancel()
    assert (second.done(), turnstile.inside) == (True, 1)


def test_a_budget_is_taken_before_and_given_back_after():
    budget = BufferBudget(limit_bytes=10, events=NoEvents())
    budget.take(6)
    with pytest.raises(OverloadError):
        budget.take(5)
    assert budget.held == 6
    budget.take(4)
    budget.give_back(10)
    assert budget.held == 0


async def test_other_bounds_hold_from_now_on_and_let_in_who_waits():
    books = slots(in_flight=1)
    leave = await books.enter("a", "u")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(books.enter("b", "u"))
        await asyncio.sleep(0)
        books.resize(Limits(in_flight=2, wait_queue=0))
    assert books.in_flight == 2
    books.resize(Limits(in_flight=1, wait_queue=0))
    leave()
    with pytest.raises(OverloadError):
        await books.enter("c", "u")  # one is inside by the old bound
    waiting.result()()
    (await books.enter("c", "u"))()
    assert books.in_flight == 0


def test_a_budget_of_another_size_keeps_what_is_held():
    budget = BufferBudget(limit_bytes=10, events=NoEvents())
    budget.take(10)
    budget.resize(4)
    budget.give_back(7)
    with pytest.raises(OverloadError):
        budget.take(2)
    budget.take(1)
    budget.resize(6)
    budget.take(2)
    assert budget.held == 6
