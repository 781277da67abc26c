"""Tasks from begin to end: in the stated order, for good, and over failing stores."""

import asyncio

import pytest

from outrider.core.errors import AuditUnavailableError, StoreUnavailableError
from outrider.core.vocabulary import TaskEnd, TaskState
from outrider.stores.memory import MemoryStates
from outrider.tasks.lifecycle import LifecycleError, WideningError, ended
from outrider.tasks.registry import UnderWay
from outrider.tasks.shelf import UnknownTaskError
from tests.support.builders import AGENT, FixedClock
from tests.support.states import Fault, FaultyStates
from tests.support.tasks import OTHER, a_registry, register


async def test_an_end_writes_cuts_ends_children_and_tells_in_that_order():
    async with a_registry() as registry:
        parent = await register(registry)
        child = await register(registry, parent=parent.id, agent=OTHER)
        grandchild = await register(registry, parent=child.id)
        registry.records.clear()
        over = await registry.tasks.end(parent.id, TaskEnd.CANCELLED, by="control:operator")
        assert (over.state, over.end) == (TaskState.ENDED, TaskEnd.CANCELLED)
        assert [one for one, _ in registry.cut] == [
            {parent.id},
            {child.id},
            {grandchild.id},
        ]
        assert [(event, name) for event, name, _ in registry.records] == [
            ("ended", grandchild.id),
            ("ended", child.id),
            ("ended", parent.id),
        ]
        assert registry.ends.count(TaskEnd.PARENT_ENDED) == 2
        assert (await registry.tasks.shelf.get(grandchild.id)).end is TaskEnd.PARENT_ENDED
        assert await registry.tasks.listed() == ()
        assert registry.active == 0


async def test_a_task_ends_once():
    async with a_registry() as registry:
        task = await register(registry)
        first = await registry.tasks.end(task.id, TaskEnd.BUDGET, by="outrider")
        second = await registry.tasks.end(task.id, TaskEnd.COMPLETED, by="control:operator")
        assert second == first
        assert registry.ends == [TaskEnd.BUDGET]
        assert registry.events.count("ended") == 1


async def test_the_summary_says_what_the_books_know():
    async with a_registry() as registry:
        task = await register(registry)
        registry.clock.pass_s(60)
        await registry.tasks.end(task.id, TaskEnd.COMPLETED, by="x")
        _, _, facts = registry.records[-1]
        assert facts == {"duration_s": 60, "children": 0, "calls": {"read": 1}}


async def test_a_task_whose_time_is_up_is_ended_by_the_timer_and_by_whoever_looks_first():
    async with a_registry() as registry:
        first, second = await register(registry), await register(registry, agent=OTHER)
        registry.clock.pass_s(3600)
        chain = await registry.tasks.chain(await registry.tasks.shelf.get(first.id))
        assert await registry.tasks.state_of(chain) is TaskState.ENDED
        assert registry.ends == [TaskEnd.EXPIRED]
        await registry.tasks.sweep()
        assert registry.ends == [TaskEnd.EXPIRED] * 2
        assert (await registry.tasks.shelf.get(second.id)).end is TaskEnd.EXPIRED


async def test_a_tick_before_its_deadline_a_task_serves():
    async with a_registry() as registry:
        task = await register(registry)
        registry.clock.pass_s(3599.999)
        await registry.tasks.sweep()
        chain = await registry.tasks.chain(await registry.tasks.shelf.get(task.id))
        assert await registry.tasks.state_of(chain) is TaskState.ACTIVE


async def test_after_a_restart_deadlines_are_looked_after():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    async with a_registry(states=states, clock=clock) as registry:
        task = await register(registry)
    async with a_registry(states=states, clock=clock) as again:
        await again.tasks.load(None)
        assert again.active == 1
        clock.pass_s(3600)
        await again.tasks.sweep()
        assert again.ends == [TaskEnd.EXPIRED]
        assert (await again.tasks.shelf.get(task.id)).state is TaskState.ENDED


async def test_a_child_whose_parents_end_was_cut_short_ends_when_it_is_looked_at():
    async with a_registry() as registry:
        parent = await register(registry)
        child = await register(registry, parent=parent.id)
        await registry.tasks.shelf.change(
            parent.id, lambda task: _over(task, registry.clock.unix_s())
        )
        chain = await registry.tasks.chain(await registry.tasks.shelf.get(child.id))
        assert await registry.tasks.state_of(chain) is TaskState.ENDED
        assert (await registry.tasks.shelf.get(child.id)).end is TaskEnd.PARENT_ENDED


def _over(task, now_unix_s):
    return ended(task, TaskEnd.COMPLETED, by="elsewhere", now_unix_s=now_unix_s)


async def test_a_suspended_task_serves_nobody_until_it_is_resumed():
    async with a_registry() as registry:
        task = await register(registry)
        await registry.tasks.suspend(task.id, by="x")
        assert registry.cut[-1] == ({task.id}, None)
        chain = await registry.tasks.chain(await registry.tasks.shelf.get(task.id))
        assert await registry.tasks.state_of(chain) is TaskState.SUSPENDED
        assert (await registry.tasks.under_way_of(AGENT)).active == ()
        with pytest.raises(LifecycleError):
            await registry.tasks.suspend(task.id, by="x")
        await registry.tasks.resume(task.id, by="x")
        assert len((await registry.tasks.under_way_of(AGENT)).active) == 1
        assert registry.events == ["registered", "suspended", "resumed"]


async def test_a_child_of_a_suspended_task_serves_nobody():
    async with a_registry() as registry:
        parent = await register(registry)
        child = await register(registry, parent=parent.id)
        await registry.tasks.suspend(parent.id, by="x")
        chain = await registry.tasks.chain(await registry.tasks.shelf.get(child.id))
        assert await registry.tasks.state_of(chain) is TaskState.SUSPENDED


async def test_narrowing_is_recorded_where_it_changed_anything():
    async with a_registry() as registry:
        task = await register(registry)
        await registry.tasks.narrow(task.id, {"effects": ["read"]}, by="x")
        await registry.tasks.narrow(task.id, {"effects": ["read"]}, by="x")
        await registry.tasks.confine(task.id, {"effects": ["read", "pay"]}, by="policy")
        with pytest.raises(WideningError):
            await registry.tasks.narrow(task.id, {"effects": ["read", "pay"]}, by="x")
        assert registry.events == ["registered", "narrowed"]
        assert (await registry.tasks.shelf.get(task.id)).grant_revision == 2


async def test_a_bound_task_is_the_same_object_until_something_changes():
    async with a_registry() as registry:
        task = await register(registry)

        async def bound():
            chain = await registry.tasks.chain(await registry.tasks.shelf.get(task.id))
            return registry.tasks.bound(chain)

        first = await bound()
        assert await bound() is first
        await registry.tasks.narrow(task.id, {"effects": ["read"]}, by="x")
        assert (await bound()).grant_revision == 2


async def test_where_an_end_cannot_be_written_the_task_serves_nobody_and_it_is_tried_again():
    states = FaultyStates(clock=FixedClock(), shared=True)
    async with a_registry(states=states) as registry:
        task = await register(registry)
        chain = await registry.tasks.chain(task)
        states.down = Fault.REFUSED
        with pytest.raises(StoreUnavailableError):
            await registry.tasks.end(task.id, TaskEnd.CANCELLED, by="x")
        assert await registry.tasks.state_of(chain) is TaskState.ENDED
        await registry.tasks.sweep()
        assert registry.ends == []
        states.down = None
        await registry.tasks.sweep()
        assert registry.ends == [TaskEnd.CANCELLED]
        assert (await registry.tasks.shelf.get(task.id)).state is TaskState.ENDED


async def test_a_summary_that_could_not_be_recorded_is_recorded_later_and_once():
    async with a_registry() as registry:
        task = await register(registry)
        registry.fault = AuditUnavailableError("full")
        with pytest.raises(AuditUnavailableError):
            await registry.tasks.end(task.id, TaskEnd.COMPLETED, by="x")
        await registry.tasks.sweep()
        registry.fault = None
        for _ in range(2):
            await registry.tasks.sweep()
        assert registry.events == ["registered", "ended"]
        assert registry.ends == [TaskEnd.COMPLETED]


async def test_an_end_on_one_sidecar_is_seen_on_another_that_shares_the_store():
    clock = FixedClock()
    states = MemoryStates(clock=clock, shared=True)
    async with (
        a_registry(states=states, clock=clock) as one,
        a_registry(states=states, clock=clock) as other,
    ):
        task = await register(one)
        chain = await other.tasks.chain(await other.tasks.shelf.get(task.id))
        other.tasks.bound(chain)
        await one.tasks.narrow(task.id, {"effects": ["read"]}, by="x")
        assert (await other.tasks.shelf.get(task.id)).grant_revision == 2
        await one.tasks.end(task.id, TaskEnd.CANCELLED, by="x")
        assert await other.tasks.under_way_of(AGENT) == UnderWay(active=(), waiting=0)
        await other.tasks.sweep()
        assert other.cut[-1] == ({task.id}, TaskEnd.CANCELLED)
        assert (other.ends, other.active) == ([], 0)


async def test_of_many_who_end_a_task_at_once_one_does():
    clock = FixedClock()
    states = MemoryStates(clock=clock, shared=True)
    async with (
        a_registry(states=states, clock=clock) as one,
        a_registry(states=states, clock=clock) as other,
    ):
        task = await register(one)
        async with asyncio.TaskGroup() as group:
            for registry in (one, other) * 5:
                group.create_task(registry.tasks.end(task.id, TaskEnd.CANCELLED, by="x"))
        assert len(one.ends) + len(other.ends) == 1
        assert (one.events + other.events).count("ended") == 1


async def test_ending_what_is_not_there_is_unknown_and_not_tried_again():
    async with a_registry() as registry:
        with pytest.raises(UnknownTaskError):
            await registry.tasks.end("tsk_9", TaskEnd.COMPLETED, by="x")
        await registry.tasks.sweep()
        assert registry.records == []


async def test_tasks_of_agents_that_are_gone_end_as_quarantined():
    async with a_registry() as registry:
        gone, stays = await register(registry), await register(registry, agent=OTHER)
        await registry.tasks.end_unless(lambda agent: agent == OTHER, by="outrider")
        assert (await registry.tasks.shelf.get(gone.id)).end is TaskEnd.QUARANTINED
        assert registry.cut[-1] == ({gone.id}, TaskEnd.QUARANTINED)
        assert [one.id for one in await registry.tasks.listed()] == [stays.id]


async def test_of_a_shared_store_a_start_looks_after_its_own_agents_tasks_and_late_ones():
    clock = FixedClock()
    states = MemoryStates(clock=clock, shared=True)
    async with a_registry(states=states, clock=clock) as registry:
        own = await register(registry)
        await register(registry, agent=OTHER)
        late = await register(registry, agent=OTHER, deadline="2026-11-23T09:31:00Z")
        clock.pass_s(60)
        async with a_registry(states=states, clock=clock) as again:
            await again.tasks.load(AGENT)
            assert again.active == 2
            await again.tasks.sweep()
            assert (await again.tasks.shelf.get(late.id)).end is TaskEnd.EXPIRED
            assert again.active == 1
            assert (await again.tasks.shelf.get(own.id)).end is None
