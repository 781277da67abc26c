"""The tasks of one process: their store, their tokens, who registers them, who binds them."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Final

from outrider.app.care import BY_POLICY, PolicyCare, is_of
from outrider.config.load import Loaded
from outrider.config.settings import Profile
from outrider.control.tasks import OPERATOR, TaskOperations
from outrider.core.clock import rfc3339
from outrider.core.errors import OutriderError
from outrider.core.facts import Opening
from outrider.core.jsonvalue import Json, JsonObject, json_digest
from outrider.core.ports import ActivePolicy
from outrider.core.registration import Caller
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Direction, Reason, RecordKind, TaskEnd, TaskState
from outrider.identity.signing import OwnSigner
from outrider.identity.spiffe_id import parse_spiffe_id
from outrider.pipeline.records import base
from outrider.policy.registration import TaskDecisions
from outrider.tasks.asking import Bounds
from outrider.tasks.binder import TaskBinder
from outrider.tasks.books import TaskBooks
from outrider.tasks.cut_off import CutOffs
from outrider.tasks.own import OwnDesk
from outrider.tasks.quarantine import Scope
from outrider.tasks.registering import Registering
from outrider.tasks.registry import OWN, SWEEP_S, TIMER, Hooks, TaskRegistry
from outrider.tasks.shelf import TaskShelf
from outrider.tasks.standing import StandingTasks
from outrider.tasks.task import Task
from outrider.tasks.tokens import TaskTokens

if TYPE_CHECKING:
    from outrider.app.sidecar import Sidecar

logger = logging.getLogger("outrider.tasks")

_ACTIVE: Final = "active"
_ASTRAY: Final = frozenset({TaskEnd.BUDGET, TaskEnd.QUARANTINED})
"""Ends that say of a task that it did not stay within its bounds."""
_NO_DOMAIN: Final = "localhost"
_WRITERS: Final = frozenset({OPERATOR.id, BY_POLICY, OWN, TIMER})
"""Whose words stand on the chain as they are; an agent's may carry a secret."""


class TaskDesk:
    """Made once for a process; settings that a reload may change are asked for each time."""

    def __init__(self, sidecar: "Sidecar") -> None:
        loaded, clock = sidecar.loaded, sidecar.clock
        self._sidecar = sidecar
        self.books: TaskBooks | None = None
        self.signer = OwnSigner(
            keeper=sidecar.identity.keeper,
            own_id=loaded.settings.identity.spiffe_id,
            ephemeral=_may_be_ephemeral(loaded),
        )
        self.tokens = TaskTokens(signer=self.signer, trust_domain=self._trust_domain, clock=clock)
        shelf = TaskShelf(
            states=sidecar.state.states,
            clock=clock,
            on_loss_read=loaded.settings.stores.on_loss == "read",
        )
        hooks = Hooks(
            record=self._record,
            cut=self._cut,
            summary=self._summary,
            ended=sidecar.metrics.task_ended,
            active=sidecar.metrics.tasks_active,
        )
        self.registry = TaskRegistry(shelf=shelf, hooks=hooks, clock=clock)
        self.standing = StandingTasks(states=sidecar.state.states, clock=clock)
        self.cut_offs = CutOffs(
            states=sidecar.state.states,
            cut=sidecar.quarantine,
            clock=clock,
            propagated=sidecar.metrics.quarantine_propagated,
        )

    def binder(self, loaded: Loaded) -> TaskBinder:
        """The binder under one version of the settings."""
        return TaskBinder(
            registry=self.registry,
            tokens=self.tokens,
            standing=self.standing,
            required=bool(loaded.settings.tasks.required),
        )

    def operations(self) -> TaskOperations:
        return TaskOperations(
            tasks=self,
            register=self.register,
            token=self.tokens.make,
            listed=self.registry.listed,
            used=self.used,
        )

    def own(self, binder: TaskBinder) -> OwnDesk:
        """What agents may ask of their own tasks, bound by `binder`."""
        return OwnDesk(
            binder=binder,
            registry=self.registry,
            register=self.register,
            end=self.end,
            token=self.tokens.make,
            budget=self.budget,
        )

    def care(self) -> PolicyCare:
        """Who carries out what policy wants done to a task or its agent."""
        sidecar = self._sidecar
        return PolicyCare(
            registry=self.registry,
            standing=self.standing,
            cut_offs=self.cut_offs,
            live=sidecar.live,
            audit=sidecar.audit,
            clock=sidecar.clock,
        )

    async def budget(self, subject: Subject, bound: BoundTask) -> JsonObject | None:
        """What is used of the limits of a task; None where nobody counts."""
        if self.books is None:
            return None
        opening = Opening(
            exchange="", direction=Direction.EGRESS, subject=subject, task=bound, actions=()
        )
        return (await self.books.glance(opening)).budget

    # --- what is asked of it ---

    async def used(self, task: Task) -> JsonObject | None:
        """What is used of the limits of a task that is under way; None where nobody counts, or no
        longer: the record of its end says it then."""
        if self.books is None or task.state is TaskState.ENDED:
            return None
        return await self.books.used(self.registry.bound(await self.registry.chain(task)))

    async def register(self, body: Json, caller: Caller) -> Task:
        """Raises as `Registering.register`."""
        settings = self._sidecar.loaded.settings
        bounds = Bounds(
            anchors_bytes=settings.tasks.anchors_bytes,
            life_s=settings.tasks.life_s,
            max_life_s=settings.tasks.max_life_s,
        )
        return await self._registering().register(
            body, caller=caller, bounds=bounds, active=settings.tasks.active
        )

    async def find(self, name: str) -> Task:
        return await self.registry.shelf.get(name)

    async def narrow(self, name: str, ask: JsonObject, *, by: str) -> Task:
        return await self.registry.narrow(name, ask, by=by)

    async def suspend(self, name: str, *, on: bool, by: str) -> Task:
        change = self.registry.suspend if on else self.registry.resume
        return await change(name, by=by)

    async def end(self, name: str, end: TaskEnd, *, by: str) -> Task:
        """Carried through even where whoever asked has left."""
        done: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        self._sidecar.jobs.start("task end", _into(done, self.registry.end(name, end, by=by)))
        return await done

    def _registering(self) -> Registering:
        sidecar = self._sidecar
        settings = sidecar.loaded.settings
        return Registering(
            registry=self.registry,
            judge=TaskDecisions(
                clock=sidecar.clock,
                environment=settings.environment,
                entrypoint=settings.tasks.entrypoint,
                timeout_s=settings.policy.timeout_ms / 1000,
                query_bytes=settings.policy.query_bytes,
            ),
            policy=sidecar.keeper.active,
            own_agent=lambda: self.signer.issuer,
            clock=sidecar.clock,
        )

    # --- life ---

    def jobs(self) -> tuple[tuple[str, Coroutine[None, None, None]], ...]:
        """What must run for tasks to be kept and to end, by name."""
        kept = [(name, job()) for name, job in self.registry.shelf.jobs()]
        return (*kept, ("task deadlines", self._look_after()))

    async def close(self) -> None:
        await self.registry.shelf.close()

    async def start(self) -> None:
        """Take up what was under way. Raises `StoreUnavailableError`."""
        await self.registry.load(self.signer.issuer)
        await self.standing.load()
        self._cut_live(await self.cut_offs.load())

    async def _look_after(self) -> None:
        while True:
            await self.registry.sweep()
            await self._see_others()
            await asyncio.sleep(SWEEP_S)

    async def _see_others(self) -> None:
        """What another sidecar of the store had narrowed or cut off counts here too."""
        if not self._sidecar.state.states.shared:
            return
        try:
            await self.standing.load()
        except OutriderError as fault:
            logger.warning(
                "what is left of standing grants cannot be read",
                extra={"event": "standing_unread", "fault": str(fault)},
            )
        try:
            self._cut_live(await self.cut_offs.load())
        except OutriderError as fault:
            logger.warning(
                "who is cut off cannot be read",
                extra={"event": "quarantine_unread", "fault": str(fault)},
            )

    def _cut_live(self, fresh: tuple[tuple[Scope, str], ...]) -> None:
        for scope, name in fresh:
            self._sidecar.live.cut_others(is_of(scope, name), Reason.QUARANTINED)

    # --- what it does to others ---

    async def _record(self, event: str, task: Task, facts: JsonObject) -> None:
        record = base(RecordKind.TASK, self._sidecar.clock, None, None, None)
        record["task"], record["principal"] = task.id, task.principal.id
        record["note"] = {
            "event": f"task_{event}",
            "agent": task.agent,
            "template": task.template,
            "parent": task.parent,
            "root": task.root_id,
            "state": task.state.value,
            "end": task.end.value if task.end is not None else None,
            "deadline": rfc3339(task.deadline_unix_s),
            "purpose": task.purpose if task.registered_by in _WRITERS else None,
            "purpose_digest": task.purpose_digest,
            "grant_digest": json_digest(task.grant.document),
            "grant_revision": task.grant_revision,
            **{key: fact for key, fact in facts.items() if key != "grant" or _is_no_agents(task)},
        }
        await self._sidecar.audit.append(record, durable=True)
        if event == "ended" and task.parent is None:
            await self._retire(task)

    async def _retire(self, task: Task) -> None:
        """Its books make room; where that cannot be told they go by themselves, later."""
        try:
            if self.books is not None:
                await self.books.retire(task.id)
        except OutriderError as fault:
            logger.info("books are kept", extra={"event": "books_kept", "fault": str(fault)})

    async def _summary(self, task: Task) -> JsonObject:
        """What the books know of a task that ended. Of its root's books: children are in them."""
        if self.books is None:
            return {}
        said = await self.books.account(task.root_id, task.id)
        astray = said["denials"] or said["holds"] or said["lost"] or task.end in _ASTRAY
        return {**said, "in_bounds": not astray}

    def policy_changed(self, policy: ActivePolicy) -> None:
        """Tasks of agents that are not active any more end."""

        def serves(agent: str) -> bool:
            entry = policy.agents.get(agent)
            return entry is not None and entry.status == _ACTIVE

        self._sidecar.jobs.start("agents gone", self.registry.end_unless(serves, by=OWN))

    def budget_spent(self, task: str) -> None:
        """A budget of `task` is used up: it ends, and whoever asked last is answered first."""
        self._sidecar.jobs.start("task end", self._end_spent(task))

    async def _end_spent(self, task: str) -> None:
        try:
            await self.registry.end(task, TaskEnd.BUDGET, by=OWN)
        except OutriderError as fault:  # it serves nobody meanwhile, and is tried again
            logger.warning(
                "a task cannot be ended yet", extra={"event": "task_end_late", "fault": str(fault)}
            )

    def _cut(self, tasks: frozenset[str], end: TaskEnd | None) -> int:
        quarantined = end is TaskEnd.QUARANTINED
        reason = Reason.QUARANTINED if quarantined else Reason.TASK_ENDED
        return self._sidecar.live.cut_tasks(tasks, reason)

    def _trust_domain(self) -> str:
        own = self.signer.issuer
        return parse_spiffe_id(own).trust_domain if own is not None else _NO_DOMAIN


async def _into(done: "asyncio.Future[Task]", work: Coroutine[None, None, Task]) -> None:
    """Carry `work` out and tell `done`, where somebody still waits for it."""
    try:
        task = await work
    except OutriderError as fault:
        if not done.done():
            done.set_exception(fault)
    else:
        if not done.done():
            done.set_result(task)


def _is_no_agents(task: Task) -> bool:
    """Whether no agent had a word in the grant of `task`; what a parent has may be an agent's."""
    writers = {task.registered_by, *(event.by for event in task.events)}
    return task.parent is None and writers <= _WRITERS


def _may_be_ephemeral(loaded: Loaded) -> bool:
    settings = loaded.settings
    return settings.identity.source == "none" and settings.profile is not Profile.PRODUCTION
