"""What an agent may ask of its own task."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import TaskNames
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.template import parse_templates
from outrider.core.vocabulary import Reason, TaskState
from outrider.stores.memory import MemoryStates
from outrider.tasks.asking import Bounds
from outrider.tasks.binder import TaskBinder
from outrider.tasks.own import OwnDesk
from outrider.tasks.standing import StandingTasks
from outrider.tasks.tokens import TaskTokens
from tests.support.builders import AGENT, a_subject
from tests.support.tasks import (
    OTHER,
    TRIAGE,
    PlainSigner,
    Registry,
    a_registry,
    a_task_policy,
    an_agent_entry,
    register,
)

UNNAMED = TaskNames(header=None, message=None)
DELEGATION = {"depth": 1, "to": ["spiffe://acme.test/ns/support/*"]}
TEMPLATES = {"triage": {**TRIAGE, "grant": {**TRIAGE["grant"], "delegation": DELEGATION}}}
STANDING = {"grant": {"tools": ["crm/*"], "effects": ["read"], "calls": 9}}


class Asking:
    """An agent before its own desk."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        signer = PlainSigner()
        tokens = TaskTokens(signer=signer, trust_domain=lambda: "acme.test", clock=registry.clock)
        states = MemoryStates(clock=registry.clock)
        standing = StandingTasks(states=states, clock=registry.clock)
        binder = TaskBinder(
            registry=registry.tasks, tokens=tokens, standing=standing, required=False
        )
        self.desk = OwnDesk(
            binder=binder,
            registry=registry.tasks,
            register=lambda body, caller: registry.registering.register(
                body, caller=caller, bounds=Bounds(), active=9
            ),
            end=registry.tasks.end,
            token=tokens.make,
            budget=self._budget,
        )

    async def _budget(self, subject: Subject, bound: BoundTask) -> JsonObject | None:
        return {"calls": {"used": 1, "limit": 10}}

    async def asks(self, what: str, body: Any = None, *, names: TaskNames = UNNAMED) -> Any:
        ask = getattr(self.desk, what)
        if what == "show":
            return await ask(a_subject(), names, self.registry.policy)
        return await ask(a_subject(), names, self.registry.policy, body)

    async def refused(self, what: str, body: Any = None) -> EnforcementError:
        with pytest.raises(EnforcementError) as refusal:
            await self.asks(what, body)
        return refusal.value


@asynccontextmanager
async def a_desk(standing: Any = None) -> Any:
    policy = a_task_policy(
        an_agent_entry(document=standing or {}, purpose="triage tickets"),
        an_agent_entry(id=OTHER),
        templates=parse_templates(TEMPLATES),
    )
    async with a_registry(policy=policy) as registry:
        yield Asking(registry)


async def test_it_sees_its_task_its_budgets_and_a_token_but_no_anchors() -> None:
    async with a_desk() as desk:
        task = await register(desk.registry, anchors=["swordfish"])
        said = await desk.asks("show")
        assert (said["id"], said["purpose"], said["anchors"]) == (task.id, task.purpose, 1)
        assert said["budget"] == {"calls": {"used": 1, "limit": 10}}
        assert said["token"].startswith("outrider-task")
        assert "swordfish" not in str(said)


async def test_it_sees_its_standing_grant_and_can_do_nothing_to_it() -> None:
    async with a_desk(STANDING) as desk:
        said = await desk.asks("show")
        assert (said["standing"], said["purpose"], said["period_s"]) == (
            True,
            "triage tickets",
            86_400,
        )
        assert said["grant"] == STANDING["grant"]
        assert "token" not in said
        for what, body in (
            ("narrow", {"grant": {"effects": []}}),
            ("child", {"purpose": "x"}),
            ("end", None),
        ):
            fault = await desk.refused(what, body)
            assert (fault.reason, fault.cause, fault.status) == (Reason.NO_TASK, "standing", 409)


async def test_without_a_task_there_is_nothing_to_see() -> None:
    async with a_desk() as desk:
        assert (await desk.refused("show")).reason is Reason.NO_TASK


async def test_it_narrows_its_task_and_gets_a_token_of_it_as_it_is_now() -> None:
    async with a_desk() as desk:
        task = await register(desk.registry)
        said = await desk.asks("narrow", {"grant": {"effects": ["read"]}})
        assert (said["grant_revision"], said["grant"]["effects"]) == (2, ["read"])
        names = TaskNames(header=said["token"], message=None)
        assert (await desk.asks("show", names=names))["id"] == task.id
        assert desk.registry.records[-1][2]["by"] == AGENT


@pytest.mark.parametrize(
    ("body", "reason", "cause"),
    [
        pytest.param({"grant": {"tools": ["*"]}}, Reason.OBLIGATION, "widening", id="wider"),
        pytest.param({"grant": {"tools": 1}}, Reason.MALFORMED, "grant", id="unreadable"),
        pytest.param({"grant": {}}, Reason.MALFORMED, None, id="nothing"),
        pytest.param(None, Reason.MALFORMED, None, id="no-body"),
        pytest.param([], Reason.MALFORMED, None, id="a-list"),
        pytest.param({"grant": {"effects": []}, "x": 1}, Reason.MALFORMED, None, id="more"),
    ],
)
async def test_what_it_may_not_narrow_to_is_refused(
    body: Any, reason: Reason, cause: str | None
) -> None:
    async with a_desk() as desk:
        task = await register(desk.registry)
        fault = await desk.refused("narrow", body)
        assert (fault.reason, fault.cause) == (reason, cause)
        assert (await desk.registry.tasks.shelf.get(task.id)).grant_revision == 1


async def test_it_takes_a_child_for_itself() -> None:
    async with a_desk() as desk:
        parent = await register(desk.registry)
        said = await desk.asks("child", {"purpose": "look it up", "grant": {"tools": ["crm/*"]}})
        assert (said["parent"], said["agent"]) == (parent.id, AGENT)
        assert "token" in said
        assert desk.registry.judge.asked[-1].caller.id == AGENT


async def test_it_hands_a_child_to_agents_its_grant_names_and_gets_no_token_of_it() -> None:
    async with a_desk() as desk:
        await register(desk.registry)
        said = await desk.asks("child", {"purpose": "look it up", "agent": OTHER})
        assert (said["agent"], "token" in said) == (OTHER, False)


@pytest.mark.parametrize(
    "agent", ["spiffe://acme.test/ns/sales/sa/x", "spiffe://other.test/ns/support/x", 7, None]
)
async def test_it_hands_nothing_to_anybody_else(agent: Any) -> None:
    async with a_desk() as desk:
        await register(desk.registry)
        fault = await desk.refused("child", {"purpose": "look it up", "agent": agent})
        assert fault.reason is Reason.DELEGATION


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"purpose": "x", "anchors": ["me"]}, id="anchors"),
        pytest.param({"purpose": "x", "principal": "oidc:root@corp"}, id="principal"),
        pytest.param({"purpose": "x", "parent": "tsk_9"}, id="another-parent"),
        pytest.param({"purpose": 1}, id="purpose"),
        pytest.param([], id="a-list"),
        pytest.param(None, id="nothing"),
    ],
)
async def test_it_never_says_anything_of_its_principal(body: Any) -> None:
    async with a_desk() as desk:
        await register(desk.registry)
        assert (await desk.refused("child", body)).reason is Reason.MALFORMED


async def test_it_ends_its_task_for_good() -> None:
    async with a_desk() as desk:
        task = await register(desk.registry)
        for body in ({"end": "budget"}, {"end": 1}, {"why": "x"}):
            assert (await desk.refused("end", body)).reason is Reason.MALFORMED
        said = await desk.asks("end")
        assert (said["state"], said["end"]) == ("ended", "completed")
        assert (await desk.registry.tasks.shelf.get(task.id)).state is TaskState.ENDED
