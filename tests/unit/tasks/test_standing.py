"""The implicit task of a standing grant."""

from dataclasses import replace

import pytest

from outrider.core.errors import ConfigError, EnforcementError, StoreUnavailableError
from outrider.core.grant import narrower
from outrider.core.jsonvalue import json_digest
from outrider.core.ports import ActivePolicy, AgentEntry
from outrider.core.vocabulary import ActionEffect, Reason
from outrider.stores.memory import MemoryStates
from outrider.tasks.standing import StandingTasks
from tests.support.builders import AGENT, FixedClock, a_manifest, a_subject

GRANT = {"tools": ["crm/*"], "effects": ["read"]}


def _entry(**changes):
    fields = {
        "id": AGENT,
        "owner": "team-support",
        "sponsor": None,
        "tier": "standard",
        "environment": "prod",
        "status": "active",
        "purpose": "triage tickets",
        "document": {"grant": GRANT},
    }
    return AgentEntry(**fields | changes)


class _NoSnapshot:
    revision = "r1"

    async def evaluate(self, entrypoint, query, deadline_s, trace):
        raise AssertionError


def _policy(*entries, revision="r1"):
    return ActivePolicy(
        revision=revision,
        manifest=a_manifest(),
        agents={entry.id: entry for entry in entries},
        snapshot=_NoSnapshot(),
        engine="fixed",
    )


def _tasks(states=None, clock=None):
    clock = clock or FixedClock()
    return StandingTasks(states=states or MemoryStates(clock=clock), clock=clock)


def _bind(policy, subject=None):
    return _tasks().of(subject or a_subject(), policy)


def test_a_standing_grant_binds_an_implicit_task():
    task = _bind(_policy(_entry()))
    assert task is not None
    assert task.id.startswith("tsk_standing_")
    assert (task.standing, task.purpose, task.deadline_unix_s) == (True, "triage tickets", None)
    assert task.purpose_digest == json_digest({"purpose": "triage tickets", "anchors": []})
    assert task.grant.tools == ("crm/*",)


def test_the_same_agent_and_grant_have_the_same_task_in_every_revision():
    first = _bind(_policy(_entry()))
    second = _bind(_policy(_entry(), revision="r2"))
    assert first is not None
    assert second is not None
    assert first.id == second.id


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"document": {"grant": GRANT | {"effects": ["write"]}}}, id="grant"),
        pytest.param({"id": "spiffe://acme.test/other"}, id="agent"),
    ],
)
def test_another_agent_or_grant_is_another_task(other):
    entry = _entry(**other)
    first = _bind(_policy(_entry()))
    second = _bind(_policy(entry), subject=a_subject(id=entry.id))
    assert first is not None
    assert second is not None
    assert first.id != second.id


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="unknown-agent"),
        pytest.param([_entry(document={})], id="no-grant"),
        pytest.param([_entry(id=AGENT + "x")], id="another-agent"),
        pytest.param([_entry(status="quarantined")], id="quarantined"),
        pytest.param([_entry(status="offboarded")], id="offboarded"),
        pytest.param([_entry(status="")], id="status-unknown"),
    ],
)
def test_without_a_standing_grant_no_task_is_bound(entries):
    assert _bind(_policy(*entries)) is None


@pytest.mark.parametrize("grant", [{"effects": ["fly"]}, [], "all", {"calls": "3"}, False])
def test_a_grant_nobody_can_read_refuses(grant):
    with pytest.raises(EnforcementError) as refusal:
        _bind(_policy(_entry(document={"grant": grant})))
    assert refusal.value.reason is Reason.POLICY_MALFORMED


def test_a_revision_is_parsed_once_and_dropped_with_the_next():
    tasks = _tasks()
    policy = _policy(_entry())
    first = tasks.of(a_subject(), policy)
    assert tasks.of(a_subject(), policy) is first
    withdrawn = replace(policy, agents={})
    assert tasks.of(a_subject(), withdrawn) is None
    changed = _policy(_entry(document={}))
    assert tasks.of(a_subject(), changed) is None


@pytest.mark.parametrize(
    ("bounds", "period_s"),
    [
        pytest.param({"calls": 3}, 86_400, id="by-the-day"),
        pytest.param({"calls": 3, "period_s": 60}, 60, id="by-the-minute"),
    ],
)
def test_its_budgets_run_by_the_period(bounds, period_s):
    task = _bind(_policy(_entry(document={"grant": GRANT | bounds})))
    assert task is not None
    assert task.period_s == period_s
    assert [(one.task, one.limits.calls) for one in task.lineage] == [(task.id, 3)]


async def test_what_policy_narrowed_stays_narrowed_for_a_period_over_a_restart_too():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    policy = _policy(_entry(document={"grant": GRANT | {"effects": ["read", "send"]}}))
    tasks = _tasks(states, clock)
    before = tasks.of(a_subject(), policy)
    assert before is not None
    await tasks.confine(before, {"effects": ["read", "pay"]})
    again = _tasks(states, clock)
    await again.load()
    for one in (tasks, again):
        narrowed = one.of(a_subject(), policy)
        assert narrowed is not None
        assert narrowed.grant.effects == {ActionEffect.READ}
        assert narrowed.grant_revision > before.grant_revision
    clock.pass_s(86_400)
    assert tasks.of(a_subject(), policy) is before


READ = {"effects": ["read"]}


async def test_what_policy_narrowed_is_narrower_from_the_next_call_on():
    tasks, policy = _tasks(), _policy(_entry())
    before = tasks.of(a_subject(), policy)
    await tasks.confine(before, READ)
    after = tasks.of(a_subject(), policy)
    assert after.id == before.id
    assert narrower(after.grant, before.grant)
    assert after.grant.effects == {ActionEffect.READ} & before.grant.effects
    assert after.grant_revision > before.grant_revision


async def test_narrowing_never_widens():
    tasks, policy = _tasks(), _policy(_entry())
    before = tasks.of(a_subject(), policy)
    await tasks.confine(before, {"effects": ["read", "admin"], "tools": ["*"]})
    assert narrower(tasks.of(a_subject(), policy).grant, before.grant)
    await tasks.confine(tasks.of(a_subject(), policy), {"effects": []})
    await tasks.confine(before, READ)
    assert tasks.of(a_subject(), policy).grant.effects == frozenset()


async def test_two_sidecars_that_narrow_at_once_both_count():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    policy = _policy(_entry(document={"grant": GRANT | {"effects": ["read", "write"]}}))
    one, two = _tasks(states, clock), _tasks(states, clock)
    whole = one.of(a_subject(), policy)
    await one.confine(whole, READ)
    await two.confine(whole, {"effects": ["write"]})
    assert two.of(a_subject(), policy).grant.effects == frozenset()


async def test_what_another_sidecar_narrowed_counts_here_once_it_is_looked_for():
    clock = FixedClock()
    states = MemoryStates(clock=clock, shared=True)
    policy = _policy(_entry(document={"grant": GRANT | {"effects": ["read", "write", "send"]}}))
    one, two = _tasks(states, clock), _tasks(states, clock)
    whole = one.of(a_subject(), policy)
    await one.confine(whole, {"effects": ["read", "write"]})
    await two.load()
    assert two.of(a_subject(), policy).grant.effects == {ActionEffect.READ, ActionEffect.WRITE}
    await one.confine(whole, READ)
    await two.load()
    assert two.of(a_subject(), policy).grant.effects == {ActionEffect.READ}
    clock.pass_s(86_400)
    await two.load()
    assert two.of(a_subject(), policy) == whole


class _Late(MemoryStates):
    """States whose list of what is kept comes late."""

    async def items(self, table):
        found = await super().items(table)
        await self.meanwhile()
        return found


async def test_what_is_read_late_undoes_no_narrowing_made_meanwhile():
    clock = FixedClock()
    states = _Late(clock=clock, shared=True)
    policy = _policy(_entry(document={"grant": GRANT | {"effects": ["read", "write", "send"]}}))
    tasks = _tasks(states, clock)
    whole = tasks.of(a_subject(), policy)
    await tasks.confine(whole, {"effects": ["read", "write"]})
    states.meanwhile = lambda: tasks.confine(whole, READ)
    await tasks.load()
    assert tasks.of(a_subject(), policy).grant.effects == {ActionEffect.READ}


async def test_one_that_cannot_be_read_hides_no_other():
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    policy = _policy(_entry(document={"grant": GRANT | {"effects": ["read", "send"]}}))
    await states.swap("standing", "tsk_standing_0", 0, b"{")
    one, two = _tasks(states, clock), _tasks(states, clock)
    await one.confine(one.of(a_subject(), policy), READ)
    await states.swap("standing", "tsk_standing_z", 0, b"{")
    with pytest.raises(StoreUnavailableError):
        await two.load()
    assert two.of(a_subject(), policy).grant.effects == {ActionEffect.READ}


async def test_a_grant_to_narrow_to_that_nobody_can_read_is_refused():
    tasks, policy = _tasks(), _policy(_entry())
    with pytest.raises(ConfigError):
        await tasks.confine(tasks.of(a_subject(), policy), {"effects": ["fly"]})


async def test_what_was_narrowed_and_cannot_be_read_is_a_fault():
    states = MemoryStates(clock=FixedClock())
    await states.swap("standing", "tsk_standing_x", 0, b"{")
    with pytest.raises(StoreUnavailableError):
        await _tasks(states).load()
