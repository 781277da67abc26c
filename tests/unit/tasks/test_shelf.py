"""Where tasks are kept: compare-and-set, and who has which under way."""

import pytest

from outrider.core.errors import EnforcementError, StoreUnavailableError
from outrider.core.vocabulary import TaskEnd, TaskState
from outrider.server.jobs import Jobs
from outrider.stores.memory import MemoryStates
from outrider.tasks.lifecycle import ended
from outrider.tasks.shelf import ENDED_S, TABLE, UNENDED_S, TaskShelf, UnknownTaskError
from tests.support.builders import NOW_UNIX_S, FixedClock
from tests.support.states import Fault, FaultyStates
from tests.support.tasks import ID, OTHER, a_registered_task, a_registry


def _end(task):
    return ended(task, TaskEnd.COMPLETED, by="x", now_unix_s=NOW_UNIX_S)


async def test_a_task_is_kept_over_a_restart():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    async with a_registry(states=states, clock=clock) as registry:
        await registry.tasks.shelf.put(a_registered_task())
        before, after = await registry.tasks.shelf.change(ID, _end)
        assert (before.state, after.state) == (TaskState.ACTIVE, TaskState.ENDED)
    async with a_registry(states=states, clock=clock) as again:
        found = await again.tasks.shelf.get(ID)
        assert found.state is TaskState.ENDED


async def test_a_task_that_is_not_there_is_unknown_to_whoever_asks():
    async with a_registry() as registry:
        assert await registry.tasks.shelf.find(ID) is None
        with pytest.raises(UnknownTaskError):
            await registry.tasks.shelf.get(ID)
        with pytest.raises(UnknownTaskError) as refusal:
            await registry.tasks.shelf.change(ID, _end)
        assert refusal.value.status == 404


async def test_an_id_is_given_once():
    async with a_registry() as registry:
        await registry.tasks.shelf.put(a_registered_task())
        with pytest.raises(RuntimeError):
            await registry.tasks.shelf.put(a_registered_task())


async def test_each_agent_has_so_many_under_way():
    async with a_registry() as registry:
        shelf = registry.tasks.shelf
        first, second = a_registered_task(), a_registered_task(id="tsk_2")
        for _ in range(2):
            await shelf.enlist(first, 1)
        with pytest.raises(EnforcementError) as refusal:
            await shelf.enlist(second, 1)
        assert (refusal.value.cause, refusal.value.status) == ("active", 409)
        await shelf.enlist(a_registered_task(id="tsk_3", agent=OTHER), 1)
        await shelf.strike(first)
        await shelf.enlist(second, 1)
        assert await shelf.under_way(first.agent) == ("tsk_2",)
        assert await shelf.under_way(OTHER) == ("tsk_3",)


async def test_after_a_start_everything_under_way_is_found():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    async with a_registry(states=states, clock=clock) as registry:
        await registry.tasks.shelf.enlist(a_registered_task(), 9)
        await registry.tasks.shelf.enlist(a_registered_task(id="tsk_2", agent=OTHER), 9)
    async with a_registry(states=states, clock=clock) as again:
        assert set(await again.tasks.shelf.all_under_way()) == {ID, "tsk_2"}


async def test_a_list_that_cannot_be_read_names_nothing():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    async with a_registry(states=states, clock=clock) as registry:
        await registry.tasks.shelf.enlist(a_registered_task(), 9)
    (key,) = await states.items(TABLE)
    await states.swap(TABLE, key, 1, b"\x01\x00{")
    async with a_registry(states=states, clock=clock) as again:
        assert await again.tasks.shelf.all_under_way() == ()
        assert await again.tasks.shelf.under_way(a_registered_task().agent) == ()


async def test_a_task_that_has_ended_makes_room_within_the_hour_and_one_that_lives_does_not():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    async with a_registry(states=states, clock=clock) as registry:
        shelf = registry.tasks.shelf
        await shelf.put(a_registered_task())
        await shelf.put(a_registered_task(id="tsk_2"))
        await shelf.change(ID, _end)
    clock.pass_s(ENDED_S + 1)
    assert set(await states.items(TABLE)) == {"tsk_2"}
    clock.pass_s(UNENDED_S)
    assert set(await states.items(TABLE)) == set()


@pytest.mark.parametrize("reads", [True, False])
async def test_while_the_store_is_gone_only_the_setting_lets_the_last_known_be_told(reads):
    states = FaultyStates(clock=FixedClock())
    shelf = TaskShelf(states=states, clock=FixedClock(), on_loss_read=reads)
    async with Jobs() as jobs:
        for name, job in shelf.jobs():
            jobs.start(name, job())
        await shelf.put(a_registered_task())
        states.down = Fault.REFUSED
        if reads:
            assert (await shelf.find(ID)).id == ID
        else:
            with pytest.raises(StoreUnavailableError):
                await shelf.find(ID)
        with pytest.raises(StoreUnavailableError):  # nothing is known of it
            await shelf.under_way("spiffe://acme.test/another")
        with pytest.raises(StoreUnavailableError):
            await shelf.change(ID, _end)
        states.down = None
