"""Tasks for tests: valid ones, and a registry over states in memory that records what it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from outrider.core.decision import Decision
from outrider.core.errors import UnauthenticatedError
from outrider.core.jsonvalue import JsonObject
from outrider.core.obligation import NarrowObligation
from outrider.core.ports import ActivePolicy, AgentEntry, Judged, States
from outrider.core.registration import Caller, Registration
from outrider.core.template import parse_templates
from outrider.core.vocabulary import Effect, Reason, TaskEnd, TaskState
from outrider.identity.events import Uncounted
from outrider.identity.keeper import IdentityKeeper
from outrider.server.jobs import Jobs
from outrider.stores.memory import MemoryStates
from outrider.tasks.asking import Bounds
from outrider.tasks.registering import Registering
from outrider.tasks.registry import Hooks, TaskRegistry
from outrider.tasks.shelf import TaskShelf
from outrider.tasks.task import Principal, Task
from tests.support.builders import AGENT, NOW_UNIX_S, FixedClock, a_decision, a_grant, a_manifest

OPERATOR = Caller(id="control:operator", type="service")
ID = "tsk_" + "0" * 31 + "1"
OTHER = "spiffe://acme.test/ns/support/sa/other"
TRIAGE: dict[str, Any] = {
    "grant": {
        "tools": ["crm/*"],
        "effects": ["read", "send"],
        "destinations": ["crm.internal"],
        "sensitivity": "confidential",
        "calls": 10,
    },
    "usual": {"tools": ["crm/get_*"], "effects": ["read"], "destinations": ["crm.internal"]},
}


def a_registered_task(**changes: Any) -> Task:
    """An active task of `AGENT`, an hour long."""
    fields: dict[str, Any] = {
        "id": ID,
        "agent": AGENT,
        "state": TaskState.ACTIVE,
        "purpose": "triage ticket 4711",
        "purpose_digest": "sha256:" + "5" * 64,
        "anchors": ("4711",),
        "principal": Principal(id="oidc:alice@corp", tenant="acme"),
        "template": "triage",
        "usual": None,
        "grant": a_grant(),
        "grant_revision": 1,
        "created_unix_s": NOW_UNIX_S,
        "deadline_unix_s": NOW_UNIX_S + 3600,
        "registered_by": "control:operator",
    }
    return Task(**fields | changes)


def an_agent_entry(**changes: Any) -> AgentEntry:
    fields: dict[str, Any] = {
        "id": AGENT,
        "owner": "team-support",
        "sponsor": None,
        "tier": "standard",
        "environment": "prod",
        "status": "active",
        "purpose": "triage tickets",
        "document": {},
    }
    return AgentEntry(**fields | changes)


class _NoSnapshot:
    revision = "r1"
    expected = frozenset({"r1"})
    waits = False

    async def evaluate(self, *_: object) -> Any:
        raise AssertionError("nothing asks this policy")


def a_task_policy(*entries: AgentEntry, **changes: Any) -> ActivePolicy:
    """A policy that knows `AGENT`, another agent and the template `triage`."""
    known = entries or (an_agent_entry(), an_agent_entry(id=OTHER))
    fields: dict[str, Any] = {
        "revision": "r1",
        "manifest": a_manifest(),
        "agents": {entry.id: entry for entry in known},
        "snapshot": _NoSnapshot(),
        "engine": "fixed",
        "templates": parse_templates({"triage": TRIAGE}),
    }
    return ActivePolicy(**fields | changes)


@dataclass(slots=True, kw_only=True)
class FixedJudge:
    """`core.ports.TaskJudge` that gives what it is told; None allows what may be had."""

    decision: Decision | None = None
    asked: list[Registration] = field(default_factory=list)

    async def judge(self, policy: ActivePolicy, registration: Registration) -> Judged:
        self.asked.append(registration)
        granted = registration.arguments["granted"]
        assert isinstance(granted, dict)
        allow = a_decision(Effect.ALLOW, obligations=(NarrowObligation(grant=granted),))
        return Judged(
            decision=allow if self.decision is None else self.decision,
            query=b"{}",
            input_digest="sha256:0",
        )


@dataclass(slots=True)
class PlainSigner:
    """`core.ports.TokenSigner` that only writes down what was signed."""

    issuer: str | None = AGENT
    signed: dict[str, JsonObject] = field(default_factory=dict)
    reads: int = 0

    def sign(self, typ: str, claims: JsonObject) -> str:
        token = f"{typ.replace('+', '-')}.{len(self.signed)}.x"
        self.signed[token] = dict(claims)
        return token

    def read(self, typ: str, token: str) -> JsonObject:
        self.reads += 1
        if token not in self.signed:
            raise UnauthenticatedError("not ours", cause="bad_signature")
        return self.signed[token]


def a_keeper(clock: FixedClock) -> IdentityKeeper:
    """A keeper that holds nothing."""
    return IdentityKeeper(clock=clock, events=Uncounted())


@dataclass(slots=True, kw_only=True)
class Registry:
    """A registry with all that it does to others written down; made by `a_registry`."""

    clock: FixedClock = field(default_factory=FixedClock)
    states: States | None = None
    records: list[tuple[str, str, JsonObject]] = field(default_factory=list)
    cut: list[tuple[frozenset[str], TaskEnd | None]] = field(default_factory=list)
    ends: list[TaskEnd] = field(default_factory=list)
    active: int = 0
    fault: Exception | None = None
    limit: int = 100
    judge: FixedJudge = field(default_factory=FixedJudge)
    policy: ActivePolicy = field(default_factory=a_task_policy)
    tasks: TaskRegistry = field(init=False)
    registering: Registering = field(init=False)

    def __post_init__(self) -> None:
        self.states = self.states or MemoryStates(clock=self.clock)
        shelf = TaskShelf(states=self.states, clock=self.clock)
        hooks = Hooks(
            record=self._record,
            cut=self._cut,
            summary=self._summary,
            ended=self.ends.append,
            active=self._active,
        )
        self.tasks = TaskRegistry(shelf=shelf, hooks=hooks, clock=self.clock)
        self.registering = Registering(
            registry=self.tasks,
            judge=self.judge,
            policy=lambda: self.policy,
            own_agent=lambda: AGENT,
            clock=self.clock,
        )

    async def _record(self, event: str, task: Task, facts: JsonObject) -> None:
        if self.fault is not None:
            raise self.fault
        self.records.append((event, task.id, facts))

    def _cut(self, tasks: frozenset[str], end: TaskEnd | None) -> int:
        self.cut.append((tasks, end))
        return 0

    async def _summary(self, task: Task) -> JsonObject:
        return {"calls": {"read": 1}}

    def _active(self, count: int) -> None:
        self.active = count

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.records]


@asynccontextmanager
async def a_registry(**changes: Any) -> AsyncIterator[Registry]:
    """A registry whose jobs run."""
    made = Registry(**changes)
    async with Jobs() as jobs:
        for name, job in made.tasks.shelf.jobs():
            jobs.start(name, job())
        yield made
    await made.tasks.shelf.close()


async def register(registry: Registry, **ask: Any) -> Task:
    """A task registered by an operator, of the template `triage` unless told otherwise."""
    body = {"purpose": "triage ticket 4711", "template": "triage"} | ask
    kept = {key: value for key, value in body.items() if value is not None}
    return await registry.registering.register(
        kept, caller=OPERATOR, bounds=Bounds(), active=registry.limit
    )


def held() -> Decision:
    return a_decision(Effect.HOLD, reason=Reason.HELD)
