"""How a task is registered: nobody gets more than was asked for, nor than template or parent."""

from typing import Any

import pytest

from outrider.core.decision import Decision
from outrider.core.errors import AuditUnavailableError, ConfigError, EnforcementError
from outrider.core.obligation import HeaderObligation, NarrowObligation, NotifyObligation
from outrider.core.registration import Caller
from outrider.core.template import parse_templates
from outrider.core.vocabulary import ActionEffect, Effect, Reason, TaskEnd, TaskState
from outrider.tasks.asking import Bounds
from outrider.tasks.chain import DEPTH
from outrider.tasks.registering import NotRegisteredError, reasons_of
from outrider.tasks.shelf import UnknownTaskError
from tests.support.builders import AGENT, NOW_UNIX_S, a_decision
from tests.support.tasks import (
    OTHER,
    TRIAGE,
    FixedJudge,
    Registry,
    a_registry,
    a_task_policy,
    an_agent_entry,
    held,
    register,
)

GRANT: dict[str, Any] = {
    "tools": ["crm/get_*"],
    "effects": ["read"],
    "destinations": ["crm.internal"],
    "sensitivity": "internal",
    "calls": 3,
}


def allowing(*obligations: Any) -> FixedJudge:
    return FixedJudge(decision=a_decision(Effect.ALLOW, obligations=obligations))


async def refused(registry: Registry, **ask: Any) -> EnforcementError:
    with pytest.raises(EnforcementError) as refusal:
        await register(registry, **ask)
    return refusal.value


async def test_a_task_gets_what_was_asked_for_of_its_template() -> None:
    async with a_registry() as registry:
        task = await register(registry, grant=GRANT, principal="oidc:alice@corp", anchors=["4711"])
        assert (task.state, task.agent, task.template) == (TaskState.ACTIVE, AGENT, "triage")
        assert task.grant.tools == ("crm/get_*",)
        assert task.grant.limits.calls == 3
        assert (task.principal.id, task.anchors) == ("oidc:alice@corp", ("4711",))
        assert task.usual is not None
        assert await registry.tasks.shelf.under_way(AGENT) == (task.id,)
        assert await registry.tasks.shelf.get(task.id) == task


async def test_without_a_grant_all_of_the_template_is_asked() -> None:
    async with a_registry() as registry:
        task = await register(registry)
        assert task.grant.effects == {ActionEffect.READ, ActionEffect.SEND}
        assert task.grant.limits.calls == 10


async def test_what_policy_is_asked_holds_no_anchors() -> None:
    async with a_registry() as registry:
        await register(registry, grant=GRANT, anchors=["swordfish"])
        (asked,) = registry.judge.asked
        assert (asked.caller.id, asked.agent, asked.parent) == ("control:operator", AGENT, None)
        assert "swordfish" not in str(asked.arguments)
        assert asked.arguments["exceeds"] == []
        assert asked.arguments["asked"] == GRANT
        assert asked.arguments["life_s"] == 3600


@pytest.mark.parametrize(
    ("ask", "exceeds"),
    [
        pytest.param({"grant": GRANT | {"tools": ["mail/*"]}}, ["tools"], id="tool"),
        pytest.param(
            {"grant": GRANT | {"effects": ["pay"], "calls": 99}}, ["effects", "limits"], id="two"
        ),
        pytest.param({"grant": GRANT | {"calls": None}}, ["limits"], id="unbounded"),
        pytest.param({"template": "nothing"}, ["template"], id="unknown-template"),
        pytest.param({"template": None}, ["template"], id="no-template"),
    ],
)
async def test_policy_is_told_where_the_ask_leaves_the_template(
    ask: dict[str, Any], exceeds: list[str]
) -> None:
    async with a_registry() as registry:
        task = await register(registry, **ask)  # this policy allows it: still no more is given
        assert registry.judge.asked[0].arguments["exceeds"] == exceeds
        template = registry.policy.templates["triage"].grant
        for name in ("mail/send", "hr/x"):
            assert not any(glob.matches(name) for glob in task.grant.globs)
        assert task.grant.effects <= template.effects
        if "template" not in exceeds:
            assert task.grant.limits.calls is not None
            assert task.grant.limits.calls <= 10


async def test_a_template_nobody_wrote_gives_nothing() -> None:
    async with a_registry() as registry:
        task = await register(registry, template="nothing")
        assert (task.grant.tools, task.grant.effects, task.usual) == ((), frozenset(), None)


async def test_policy_may_give_less_and_never_more() -> None:
    less = NarrowObligation(grant=GRANT | {"calls": 2})
    notify = NotifyObligation(channel="security", severity="low")
    async with a_registry(judge=allowing(less, notify)) as registry:
        assert (await register(registry)).grant.limits.calls == 2
    more = NarrowObligation(grant={"tools": ["*"], "effects": ["read", "pay"], "calls": 500})
    async with a_registry(judge=allowing(more)) as registry:
        task = await register(registry, grant=GRANT)
        assert task.grant.tools == ("crm/get_*",)
        assert (task.grant.effects, task.grant.limits.calls) == ({ActionEffect.READ}, 3)


@pytest.mark.parametrize(
    ("decision", "reason", "status"),
    [
        pytest.param(held(), Reason.OBLIGATION, 409, id="held"),
        pytest.param(a_decision(Effect.DENY), Reason.POLICY, 403, id="denied"),
        pytest.param(
            a_decision(Effect.DENY, reason=Reason.POLICY_TIMEOUT),
            Reason.POLICY_TIMEOUT,
            403,
            id="no-answer",
        ),
        pytest.param(a_decision(Effect.ALLOW), Reason.OBLIGATION, 403, id="no-grant"),
        pytest.param(
            a_decision(Effect.ALLOW, obligations=(NarrowObligation(grant={"tools": 1}),)),
            Reason.OBLIGATION,
            403,
            id="unreadable-grant",
        ),
        pytest.param(
            a_decision(
                Effect.ALLOW,
                obligations=(NarrowObligation(grant=GRANT), HeaderObligation(set=(("x-a", "b"),))),
            ),
            Reason.OBLIGATION,
            403,
            id="another-obligation",
        ),
    ],
)
async def test_what_policy_does_not_plainly_allow_is_no_task(
    decision: Decision, reason: Reason, status: int
) -> None:
    async with a_registry(judge=FixedJudge(decision=decision)) as registry:
        fault = await refused(registry)
        assert (fault.reason, fault.status) == (reason, status)
        assert registry.records == []
        assert await registry.tasks.listed() == ()


async def test_a_hold_says_that_nobody_can_be_asked_yet() -> None:
    async with a_registry(judge=FixedJudge(decision=held())) as registry:
        fault = await refused(registry)
        assert isinstance(fault, NotRegisteredError)
        assert "approvals cannot be asked for yet" in fault.detail
        assert reasons_of(fault.decision) == []


@pytest.mark.parametrize("status", ["quarantined", "offboarded", ""])
async def test_an_agent_that_is_not_active_gets_no_task(status: str) -> None:
    policy = a_task_policy(an_agent_entry(status=status))
    async with a_registry(policy=policy) as registry:
        assert (await refused(registry)).cause == "agent_status"
        assert (await refused(registry, agent=OTHER)).cause == "agent_status"
        assert registry.judge.asked == []


async def test_a_record_that_cannot_be_written_leaves_no_task() -> None:
    async with a_registry() as registry:
        registry.fault = AuditUnavailableError("full")
        assert (await refused(registry)).reason is Reason.AUDIT_UNAVAILABLE
        registry.fault = None
        await registry.tasks.sweep()
        assert await registry.tasks.listed() == ()
        assert registry.events == ["ended"]


async def test_an_agent_has_so_many_tasks() -> None:
    async with a_registry(limit=1) as registry:
        first = await register(registry)
        fault = await refused(registry)
        assert (fault.cause, fault.status) == ("active", 409)
        await registry.tasks.sweep()
        assert [one.id for one in await registry.tasks.listed()] == [first.id]


# --- children ---


async def test_a_child_has_what_both_have_and_its_parents_principal() -> None:
    async with a_registry() as registry:
        parent = await register(registry, principal="oidc:alice@corp", grant=GRANT)
        ask = {"tools": ["*"], "effects": ["read", "send"], "destinations": ["*"]}
        child = await register(
            registry,
            template=None,
            parent=parent.id,
            grant=ask,
            agent=OTHER,
            principal="oidc:eve@corp",
        )
        assert (child.agent, child.parent, child.root_id) == (OTHER, parent.id, parent.id)
        assert (child.grant.tools, child.grant.effects) == (("crm/get_*",), {ActionEffect.READ})
        assert child.grant.limits.calls == 3
        assert child.principal.id == "oidc:alice@corp"
        assert child.usual == parent.usual
        assert registry.judge.asked[1].arguments["exceeds"] == []
        assert registry.judge.asked[1].arguments["parent_agent"] == AGENT
        bound = registry.judge.asked[1].parent
        assert bound is not None
        assert bound.id == parent.id
        assert (await registry.tasks.shelf.get(parent.id)).children == (child.id,)


async def test_a_child_ends_no_later_than_its_parent() -> None:
    async with a_registry() as registry:
        parent = await register(registry, deadline="2026-11-23T09:40:00Z")
        child = await register(registry, parent=parent.id)
        assert child.deadline_unix_s == parent.deadline_unix_s == NOW_UNIX_S + 600


async def test_handed_to_another_agent_a_task_is_handed_on_one_hop_less() -> None:
    delegation = {"depth": 2, "to": ["spiffe://acme.test/*"]}
    templates = {"triage": {**TRIAGE, "grant": {**TRIAGE["grant"], "delegation": delegation}}}
    policy = a_task_policy(templates=parse_templates(templates))
    async with a_registry(policy=policy) as registry:
        parent = await register(registry)
        own = await register(registry, parent=parent.id)
        other = await register(registry, parent=parent.id, agent=OTHER)
        depths = [
            one.grant.delegation.depth if one.grant.delegation else None
            for one in (parent, own, other)
        ]
        assert depths == [2, 2, 1]


async def test_a_parent_that_is_not_there_or_has_ended_has_no_child() -> None:
    async with a_registry() as registry:
        with pytest.raises(UnknownTaskError):
            await register(registry, parent="tsk_9")
        parent = await register(registry)
        await registry.tasks.end(parent.id, TaskEnd.COMPLETED, by="x")
        assert (await refused(registry, parent=parent.id)).reason is Reason.TASK_ENDED


async def test_generations_are_bounded() -> None:
    async with a_registry() as registry:
        task = await register(registry)
        for _ in range(DEPTH):
            task = await register(registry, parent=task.id)
        fault = await refused(registry, parent=task.id)
        assert (fault.reason, fault.cause) == (Reason.DELEGATION, "depth")


async def test_an_agent_is_named_where_there_is_none_of_our_own() -> None:
    async with a_registry() as registry:
        registry.registering._own_agent = lambda: None
        with pytest.raises(ConfigError, match="agent is missing"):
            await registry.registering.register(
                {"purpose": "x"}, caller=Caller(id="x", type="service"), bounds=Bounds(), active=9
            )
