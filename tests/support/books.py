"""A task's books over states in memory, and an upstream with a tool for each thing they count."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from outrider.core.action import Action
from outrider.core.budget import Limits
from outrider.core.facts import Answered, Ended, Facts, Opening, Verdict
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.manifest import Manifest, complete
from outrider.core.ports import States
from outrider.core.task import Allowance, BoundTask
from outrider.core.vocabulary import Budget, Direction, Effect, OutcomeStatus, Reason, Role
from outrider.stores.memory import MemoryStates
from outrider.tasks.books import TaskBooks
from outrider.tasks.page import BookPage
from tests.support.builders import FixedClock, a_manifest, a_subject, a_task, an_ask

DESK: JsonObject = {
    "owner": "team-desk",
    "destination": {"zone": "internal"},
    "default": {"effect": "execute", "sensitivity": "confidential"},
    "tools": {
        "search": {
            "effect": "read",
            "sensitivity": "internal",
            "arguments": {"query": {"role": "selector"}},
            "result": [{"path": "$.items[*].id", "label": "platform", "match": "exact"}],
            "records": "$.items",
        },
        "open": {
            "effect": "read",
            "sensitivity": "internal",
            "arguments": {"id": {"role": "target", "type": "id"}},
        },
        "remember": {
            "effect": "write",
            "reversible": True,
            "impact": "low",
            "sensitivity": "internal",
            "tags": ["memory"],
            "arguments": {"key": {"role": "target"}, "text": {"role": "content"}},
        },
        "recall": {
            "effect": "read",
            "sensitivity": "internal",
            "tags": ["memory"],
            "arguments": {"key": {"role": "target"}},
            "result": [{"path": "$.text", "label": "record"}],
        },
        "payroll": {"effect": "read", "sensitivity": "confidential"},
        "people": {
            "effect": "read",
            "sensitivity": "internal",
            "result": [{"path": "$.items[*].email", "label": "pii"}],
            "records": "$.items",
        },
        "roles": {"effect": "read", "sensitivity": "internal", "tags": ["read_role"]},
        "keys": {
            "effect": "read",
            "sensitivity": "internal",
            "result": [{"path": "$.key", "label": "secret"}],
        },
        "mail": {
            "effect": "send",
            "reversible": False,
            "impact": "low",
            "sensitivity": "internal",
            "arguments": {
                "to": {"role": "destination", "type": "email"},
                "body": {"role": "content"},
            },
        },
        "post": {
            "effect": "send",
            "reversible": False,
            "impact": "low",
            "sensitivity": "internal",
            "arguments": {
                "to": {"role": "destination", "type": "email"},
                "body": {"role": "content"},
            },
        },
        "pay": {
            "effect": "pay",
            "reversible": False,
            "impact": "high",
            "sensitivity": "internal",
            "arguments": {
                "iban": {"role": "target", "type": "iban"},
                "amount": {"role": "amount", "type": "number"},
            },
        },
        "add_contact": {
            "effect": "write",
            "reversible": True,
            "impact": "low",
            "sensitivity": "internal",
            "arguments": {"address": {"role": "target", "type": "email"}},
        },
        "delete": {
            "effect": "delete",
            "reversible": False,
            "impact": "low",
            "sensitivity": "internal",
            "arguments": {"id": {"role": "target", "type": "id"}},
        },
        "login": {"effect": "read", "sensitivity": "internal", "tags": ["consent"]},
        "guard": {
            "effect": "write",
            "reversible": True,
            "impact": "high",
            "sensitivity": "internal",
            "tags": ["guard"],
        },
    },
}


@dataclass
class RecordingEvents:
    """`tasks.desk.BookEvents` and `BudgetWatch`, kept in order."""

    flags: list[str] = field(default_factory=list)
    arguments: list[tuple[Role, Effect]] = field(default_factory=list)
    near: list[tuple[str, Budget]] = field(default_factory=list)
    over: list[tuple[str, Budget]] = field(default_factory=list)

    def flag_set(self, flag: str) -> None:
        self.flags.append(flag)

    def untrusted_argument(self, role: Role, effect: Effect) -> None:
        self.arguments.append((role, effect))

    def nearing(self, task: str, budget: Budget) -> None:
        self.near.append((task, budget))

    def spent(self, task: str, budget: Budget) -> None:
        self.over.append((task, budget))


DENIED = Verdict(effect=Effect.DENY, reason=Reason.POLICY)
HELD = Verdict(effect=Effect.HOLD, reason=Reason.HELD)
DONE = Ended(status=OutcomeStatus.EXECUTED, reason=None)
NOT_SENT = Ended(status=OutcomeStatus.REFUSED, reason=Reason.UPSTREAM_UNAVAILABLE)


def a_desk() -> Manifest:
    return a_manifest(desk=DESK)


def a_root(name: str = "tsk_1", **changes: Any) -> BoundTask:
    """A registered task; with `limits` they are its own."""
    limits = changes.pop("limits", None)
    parents: tuple[Allowance, ...] = changes.pop("parents", ())
    own = (Allowance(task=name, limits=limits),) if limits is not None else ()
    fields: dict[str, Any] = {"id": name, "standing": False, "lineage": (*own, *parents)}
    return a_task(**fields | changes)


@dataclass
class Office:
    """One sidecar's books, and calls through them."""

    books: TaskBooks
    clock: FixedClock
    events: RecordingEvents
    manifest: Manifest
    task: BoundTask | None = field(default_factory=a_root)
    agent: JsonObject = field(default_factory=dict)

    def action(self, tool: str, arguments: JsonObject | None = None, **ask: Any) -> Action:
        made = an_ask(upstream="desk", resource=tool, arguments=arguments or {}, **ask)
        return complete(made, self.manifest)

    def opening(self, *actions: Action, **changes: Any) -> Opening:
        fields: dict[str, Any] = {
            "exchange": "exc_1",
            "direction": Direction.EGRESS,
            "subject": a_subject(**self.agent),
            "task": self.task,
            "actions": actions,
            "agent_class": "triage",
        }
        return Opening(**fields | changes)

    async def open(
        self, tool: str, arguments: JsonObject | None = None, **changes: Any
    ) -> BookPage:
        return await self.books.open(self.opening(self.action(tool, arguments), **changes))

    async def facts(self, tool: str, arguments: JsonObject | None = None, **changes: Any) -> Facts:
        """What policy would be told; the call is given back as if it were held."""
        page = await self.open(tool, arguments, **changes)
        page.close(HELD)
        return page.facts[0]

    async def call(
        self,
        tool: str,
        arguments: JsonObject | None = None,
        *,
        answer: Json = None,
        end: Ended | Verdict = DONE,
        **changes: Any,
    ) -> Facts:
        """One call from beginning to end; what policy was told of it."""
        page = await self.open(tool, arguments, **changes)
        if isinstance(end, Ended):
            await page.reserve()
            if answer is not None:
                await page.learn(Answered(action=0, value=answer))
        page.close(end)
        return page.facts[0]


def an_office(
    states: States | None = None, clock: FixedClock | None = None, **changes: Any
) -> Office:
    clock = clock or FixedClock()
    events, manifest = RecordingEvents(), a_desk()
    on_loss_read = changes.pop("on_loss_read", False)
    books = TaskBooks(
        states=states or MemoryStates(clock=clock),
        clock=clock,
        manifest=lambda: manifest,
        events=events,
        watch=events,
        on_loss_read=on_loss_read,
    )
    return Office(books=books, clock=clock, events=events, manifest=manifest, **changes)


@asynccontextmanager
async def at_work(*offices: Office) -> AsyncIterator[None]:
    """The offices' background jobs run meanwhile."""
    async with asyncio.TaskGroup() as group:
        jobs = [group.create_task(office.books.run()) for office in offices]
        try:
            yield
        finally:
            for job in jobs:
                job.cancel()


def limits(**bounds: Any) -> Limits:
    return Limits(**bounds)
