"""The implicit task of a standing grant, and the refusal of any named one."""

from dataclasses import replace

import pytest

from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import json_digest
from outrider.core.ports import ActivePolicy, AgentEntry, TaskNames
from outrider.core.vocabulary import Reason
from outrider.tasks.standing import StandingTasks
from tests.support.builders import AGENT, a_manifest, a_subject

GRANT = {"tools": ["crm/*"], "effects": ["read"]}
UNNAMED = TaskNames(header=None, message=None)


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


async def _bind(policy, names=UNNAMED, required=False, subject=None):
    return await StandingTasks(required=required).bind(subject or a_subject(), names, policy)


async def _reason(policy, names=UNNAMED, required=False):
    with pytest.raises(EnforcementError) as refusal:
        await _bind(policy, names, required)
    return refusal.value.reason, refusal.value.cause, refusal.value.detail


async def test_a_standing_grant_binds_an_implicit_task():
    task = await _bind(_policy(_entry()))
    assert task is not None
    assert task.id.startswith("tsk_standing_")
    assert (task.standing, task.purpose, task.deadline_unix_s) == (True, "triage tickets", None)
    assert task.purpose_digest == json_digest({"purpose": "triage tickets", "anchors": []})
    assert task.grant.tools == ("crm/*",)


async def test_the_same_agent_and_grant_have_the_same_task_in_every_revision():
    first = await _bind(_policy(_entry()))
    second = await _bind(_policy(_entry(), revision="r2"))
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
async def test_another_agent_or_grant_is_another_task(other):
    entry = _entry(**other)
    first = await _bind(_policy(_entry()))
    second = await _bind(_policy(entry), subject=a_subject(id=entry.id))
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
async def test_without_a_standing_grant_no_task_is_bound(entries):
    assert await _bind(_policy(*entries)) is None


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(TaskNames(header="tsk_1", message=None), id="header"),
        pytest.param(TaskNames(header=None, message="tsk_1"), id="message"),
        pytest.param(TaskNames(header="tsk_1", message="tsk_1"), id="both"),
        pytest.param(TaskNames(header="", message=None), id="empty"),
    ],
)
async def test_a_named_task_is_refused_in_one_text(names):
    refusal = await _reason(_policy(_entry()), names)
    assert refusal == (Reason.NO_TASK, "unknown_task", "no such active task of this agent")


async def test_even_the_standing_tasks_own_name_is_refused():
    task = await _bind(_policy(_entry()))
    assert task is not None
    reason, _, _ = await _reason(_policy(_entry()), TaskNames(header=task.id, message=None))
    assert reason is Reason.NO_TASK


async def test_two_different_names_are_malformed():
    reason, _, _ = await _reason(_policy(_entry()), TaskNames(header="a", message="b"))
    assert reason is Reason.MALFORMED


async def test_required_tasks_refuse_before_the_grant_is_looked_at():
    reason, cause, _ = await _reason(_policy(_entry()), required=True)
    assert (reason, cause) == (Reason.NO_TASK, "required")


@pytest.mark.parametrize("grant", [{"effects": ["fly"]}, [], "all", {"calls": 3}, False])
async def test_a_grant_nobody_can_read_refuses(grant):
    reason, _, _ = await _reason(_policy(_entry(document={"grant": grant})))
    assert reason is Reason.POLICY_MALFORMED


async def test_a_revision_is_parsed_once_and_dropped_with_the_next():
    tasks = StandingTasks(required=False)
    policy = _policy(_entry())
    first = await tasks.bind(a_subject(), UNNAMED, policy)
    assert await tasks.bind(a_subject(), UNNAMED, policy) is first
    withdrawn = replace(policy, agents={})
    assert await tasks.bind(a_subject(), UNNAMED, withdrawn) is None
    changed = _policy(_entry(document={}))
    assert await tasks.bind(a_subject(), UNNAMED, changed) is None
