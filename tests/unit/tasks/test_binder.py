"""Which task a call works for: by name, the single active one, or a standing grant."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from outrider.core.errors import EnforcementError
from outrider.core.ports import TaskNames
from outrider.core.vocabulary import Reason, TaskEnd, TaskState
from outrider.stores.memory import MemoryStates
from outrider.tasks.binder import TaskBinder
from outrider.tasks.standing import StandingTasks
from outrider.tasks.tokens import TaskTokens
from tests.support.builders import AGENT, a_subject
from tests.support.tasks import (
    OTHER,
    PlainSigner,
    Registry,
    a_registered_task,
    a_registry,
    a_task_policy,
    an_agent_entry,
    register,
)

STANDING = {"grant": {"tools": ["crm/*"], "effects": ["read"]}}
UNNAMED = TaskNames(header=None, message=None)
UNKNOWN = "no such active task of this agent"


@dataclass
class Bench:
    """A binder over a registry, and what it says."""

    registry: Registry
    tokens: TaskTokens
    binder: TaskBinder

    async def bound(self, header=None, message=None, agent=AGENT):
        names = TaskNames(header=header, message=message)
        return await self.binder.bind(a_subject(id=agent), names, self.registry.policy)

    async def refused(self, header=None, message=None, agent=AGENT):
        with pytest.raises(EnforcementError) as refusal:
            await self.bound(header, message, agent)
        return refusal.value.reason, refusal.value.cause, refusal.value.detail


@asynccontextmanager
async def a_bench(*, required=False, standing=None, **changes):
    entries = (an_agent_entry(document=standing or {}), an_agent_entry(id=OTHER))
    async with a_registry(policy=a_task_policy(*entries), **changes) as registry:
        tokens = TaskTokens(
            signer=PlainSigner(), trust_domain=lambda: "acme.test", clock=registry.clock
        )
        binder = TaskBinder(
            registry=registry.tasks,
            tokens=tokens,
            standing=StandingTasks(states=MemoryStates(clock=registry.clock), clock=registry.clock),
            required=required,
        )
        yield Bench(registry, tokens, binder)


async def test_a_task_is_bound_by_id_or_token_in_header_or_message():
    async with a_bench() as bench:
        task = await register(bench.registry)
        token = bench.tokens.make(task)
        for names in (
            (task.id, None),
            (None, task.id),
            (token, None),
            (None, token),
            (task.id, task.id),
            (token, task.id),
        ):
            found = await bench.bound(*names)
            assert (found.id, found.standing, found.purpose) == (task.id, False, task.purpose)


async def test_different_tasks_in_one_exchange_are_malformed():
    async with a_bench() as bench:
        one, other = await register(bench.registry), await register(bench.registry)
        assert (await bench.refused(one.id, other.id))[:2] == (Reason.MALFORMED, "task_names")
        token = bench.tokens.make(one)
        assert (await bench.refused(token, other.id))[0] is Reason.MALFORMED
        assert (await bench.refused(one.id, "tsk_x"))[0] is Reason.MALFORMED


@pytest.mark.control("TS-04")
async def test_whatever_is_wrong_with_a_name_one_thing_is_said():
    async with a_bench(standing=STANDING) as bench:
        own, foreign = await register(bench.registry), await register(bench.registry, agent=OTHER)
        stale = bench.tokens.make(own)
        await bench.registry.tasks.narrow(own.id, {"effects": ["read"]}, by="x")
        names = {
            "unknown_task": f"tsk_{'0' * 32}",
            "foreign_task": foreign.id,
            "token_signature": "a.b.c",
            "token_grant_digest": stale,
        }
        for cause, name in names.items():
            assert await bench.refused(name) == (Reason.NO_TASK, cause, UNKNOWN)
        assert (await bench.refused(bench.tokens.make(foreign)))[1:] == ("foreign_task", UNKNOWN)
        standing = StandingTasks(
            states=MemoryStates(clock=bench.registry.clock), clock=bench.registry.clock
        ).of(a_subject(), bench.registry.policy)
        assert standing is not None
        for name in ("", "tsk_1", own.id.upper(), f" {own.id}", f"{own.id}\n", standing.id):
            assert (await bench.refused(name))[1:] == ("unknown_task", UNKNOWN)


async def test_a_token_with_another_tasks_id_beside_it_is_no_way_in():
    async with a_bench() as bench:
        own, foreign = await register(bench.registry), await register(bench.registry, agent=OTHER)
        assert (await bench.refused(bench.tokens.make(own), foreign.id))[0] is Reason.MALFORMED


async def test_only_an_active_task_serves():
    async with a_bench() as bench:
        task = await register(bench.registry)
        await bench.registry.tasks.suspend(task.id, by="x")
        assert (await bench.refused(task.id)) == (Reason.NO_TASK, "suspended", UNKNOWN)
        await bench.registry.tasks.resume(task.id, by="x")
        assert (await bench.bound(task.id)).id == task.id
        await bench.registry.tasks.end(task.id, TaskEnd.COMPLETED, by="x")
        assert (await bench.refused(task.id))[0] is Reason.TASK_ENDED


async def test_that_a_task_has_ended_is_told_to_its_own_agent_alone():
    async with a_bench() as bench:
        task = await register(bench.registry)
        await bench.registry.tasks.end(task.id, TaskEnd.COMPLETED, by="x")
        assert (await bench.refused(task.id, agent=OTHER)) == (
            Reason.NO_TASK,
            "foreign_task",
            UNKNOWN,
        )


async def test_at_its_deadline_a_task_has_ended():
    async with a_bench() as bench:
        task = await register(bench.registry)
        bench.registry.clock.pass_s(3599.9)
        assert (await bench.bound(task.id)).id == task.id
        bench.registry.clock.pass_s(0.1)
        assert (await bench.refused(task.id))[0] is Reason.TASK_ENDED
        assert bench.registry.ends == [TaskEnd.EXPIRED]


async def test_an_unnamed_call_works_for_the_single_active_task():
    async with a_bench(standing=STANDING) as bench:
        task = await register(bench.registry)
        await register(bench.registry, agent=OTHER)
        assert (await bench.bound()).id == task.id


async def test_with_several_tasks_an_unnamed_call_has_none_and_never_the_broader_grant():
    async with a_bench(standing=STANDING) as bench:
        one = await register(bench.registry)
        two = await register(bench.registry)
        assert (await bench.refused())[:2] == (Reason.NO_TASK, "ambiguous")
        await bench.registry.tasks.end(two.id, TaskEnd.COMPLETED, by="x")
        assert (await bench.bound()).id == one.id
        await bench.registry.tasks.end(one.id, TaskEnd.COMPLETED, by="x")
        assert (await bench.bound()).standing


async def test_a_task_that_is_suspended_opens_no_standing_grant():
    async with a_bench(standing=STANDING) as bench:
        task = await register(bench.registry)
        await bench.registry.tasks.suspend(task.id, by="x")
        assert (await bench.refused())[:2] == (Reason.NO_TASK, "not_active")
        other = await register(bench.registry)
        assert (await bench.bound()).id == other.id
        await bench.registry.tasks.end(other.id, TaskEnd.COMPLETED, by="x")
        assert (await bench.refused())[:2] == (Reason.NO_TASK, "not_active")
        await bench.registry.tasks.end(task.id, TaskEnd.CANCELLED, by="x")
        assert (await bench.bound()).standing


async def test_neither_does_a_child_whose_parent_is_suspended_nor_one_not_begun_yet():
    async with a_bench(standing=STANDING) as bench:
        parent = await register(bench.registry, agent=OTHER)
        await register(bench.registry, parent=parent.id, template=None, agent=AGENT)
        await bench.registry.tasks.suspend(parent.id, by="x")
        assert (await bench.refused())[:2] == (Reason.NO_TASK, "not_active")
        await bench.registry.tasks.end(parent.id, TaskEnd.CANCELLED, by="x")
        assert (await bench.bound()).standing
        proposed = a_registered_task(state=TaskState.PROPOSED)
        await bench.registry.tasks.shelf.put(proposed)
        await bench.registry.tasks.shelf.enlist(proposed, 9)
        assert (await bench.refused())[:2] == (Reason.NO_TASK, "not_active")


async def test_a_task_whose_parent_is_lost_blocks_until_its_deadline():
    async with a_bench(standing=STANDING) as bench:
        orphan = a_registered_task(parent=f"tsk_{'f' * 32}", root=f"tsk_{'f' * 32}")
        await bench.registry.tasks.shelf.put(orphan)
        await bench.registry.tasks.shelf.enlist(orphan, 9)
        assert (await bench.refused())[:2] == (Reason.NO_TASK, "not_active")
        bench.registry.clock.pass_s(3600)
        assert (await bench.bound()).standing


async def test_a_standing_grant_serves_where_nothing_is_named_required_or_under_way():
    async with a_bench(standing=STANDING) as bench:
        assert (await bench.bound()).standing
        assert await bench.bound(agent=OTHER) is None
    async with a_bench(standing=STANDING, required=True) as bench:
        assert (await bench.refused())[:2] == (Reason.NO_TASK, "required")
        task = await register(bench.registry)
        assert (await bench.bound()).id == task.id


@pytest.mark.parametrize("status", ["quarantined", "offboarded"])
async def test_an_agent_that_is_not_active_any_more_has_no_task(status):
    async with a_bench() as bench:
        task = await register(bench.registry)
        bench.registry.policy = a_task_policy(an_agent_entry(status=status))
        for name in (task.id, None):
            assert (await bench.refused(name))[:2] == (Reason.NO_TASK, "agent_status")
        bench.registry.policy = a_task_policy(an_agent_entry(id=OTHER))
        assert (await bench.refused(task.id))[:2] == (Reason.NO_TASK, "agent_status")


async def test_narrowing_is_seen_by_the_next_call_on_every_sidecar_that_shares_the_store():
    async with a_bench() as first:
        states = MemoryStates(clock=first.registry.clock, shared=True)
        async with (
            a_bench(states=states, clock=first.registry.clock) as one,
            a_bench(states=states, clock=first.registry.clock) as other,
        ):
            task = await register(one.registry)
            assert (await other.bound(task.id)).grant_revision == 1
            await one.registry.tasks.narrow(task.id, {"effects": ["read"]}, by="x")
            bound = await other.bound(task.id)
            assert (bound.grant_revision, len(bound.grant.effects)) == (2, 1)
            await one.registry.tasks.end(task.id, TaskEnd.COMPLETED, by="x")
            assert (await other.refused(task.id))[0] is Reason.TASK_ENDED
