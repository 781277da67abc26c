"""The implicit task of a standing grant."""

from dataclasses import replace

import pytest

from outrider.core.errors import EnforcementError
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
