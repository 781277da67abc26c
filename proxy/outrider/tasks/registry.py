"""Tasks from their registration to their end (GOVERNANCE §2).

Laws: a task serves only once its grant was decided, its record written and its parent knows of it;
an end is written before anything else is done about it, and then everything is; what may have been
written is taken for ended.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from operator import is_
from typing import Final

from outrider.core.errors import OutriderError
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Clock
from outrider.core.task import BoundTask
from outrider.core.vocabulary import TaskEnd, TaskState
from outrider.tasks import lifecycle
from outrider.tasks.chain import DEPTH, bound_of
from outrider.tasks.lifecycle import Step
from outrider.tasks.shelf import TaskShelf, UnknownTaskError
from outrider.tasks.task import Task

logger = logging.getLogger("outrider.tasks")

SWEEP_S: Final = 0.5
"""How often deadlines, and ends that others wrote, are looked for."""
TIMER: Final = "outrider:deadline"
OWN: Final = "outrider"
_CACHED: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What the registry makes happen elsewhere. `record` puts an event of a task on the chain and
    raises where it cannot; `cut` ends the exchanges under way of these tasks; `summary` is what the
    books know of a task that ended; `ended` and `active` count."""

    record: Callable[[str, Task, JsonObject], Awaitable[None]]
    cut: Callable[[frozenset[str], TaskEnd | None], int]
    summary: Callable[[Task], Awaitable[JsonObject]]
    ended: Callable[[TaskEnd], None]
    active: Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """The tasks of an agent: the chains of those that serve now, and how many others have not
    ended: suspended, themselves or a parent, or not begun."""

    active: tuple[tuple[Task, ...], ...]
    waiting: int


class TaskRegistry:
    """All tasks that this sidecar knows of. `run` is its background job."""

    def __init__(self, *, shelf: TaskShelf, hooks: Hooks, clock: Clock) -> None:
        self.shelf: Final = shelf
        self._hooks = hooks
        self._clock = clock
        self._watched: dict[str, float] = {}
        self._dying: dict[str, tuple[TaskEnd, str]] = {}
        self._owed: set[str] = set()  # summaries that are not on the chain yet
        self._bound: dict[str, tuple[tuple[Task, ...], BoundTask]] = {}

    # --- looking ---

    async def chain(self, task: Task) -> tuple[Task, ...]:
        """`task` and its parents up to the root. Raises `UnknownTaskError` where one is missing,
        `StoreUnavailableError`."""
        found = [task]
        while found[-1].parent is not None and len(found) <= DEPTH:
            found.append(await self.shelf.get(found[-1].parent))
        return tuple(found)

    async def state_of(self, chain: tuple[Task, ...]) -> TaskState:
        """Whether the task of `chain` serves now. One whose time or whose parent's is up has ended:
        that is written in passing."""
        task = chain[0]
        for one in chain:
            if one.id in self._dying:
                return TaskState.ENDED
            if one.state is not TaskState.ENDED and self._clock.unix_s() >= one.deadline_unix_s:
                await self.end(one.id, TaskEnd.EXPIRED, by=TIMER)
                return TaskState.ENDED
            if one.state is TaskState.ENDED:
                if task.state is not TaskState.ENDED:
                    await self.end(task.id, TaskEnd.PARENT_ENDED, by=OWN)
                return TaskState.ENDED
            if one.state is not TaskState.ACTIVE:
                return one.state
        return TaskState.ACTIVE

    def bound(self, chain: tuple[Task, ...]) -> BoundTask:
        """The task of `chain` as a call is bound to it; the same object while nothing changed."""
        name = chain[0].id
        known = self._bound.get(name)
        if known is not None and _same(known[0], chain):
            return known[1]
        if len(self._bound) >= _CACHED:
            self._bound.clear()
        made = bound_of(chain)
        self._bound[name] = (chain, made)
        self.watch(chain[0])
        return made

    async def under_way_of(self, agent: str) -> UnderWay:
        """What `agent` has under way. Raises `StoreUnavailableError`."""
        found, waiting = [], 0
        for name in await self.shelf.under_way(agent):
            task = await self.shelf.find(name)
            if task is None or task.agent != agent or task.state is TaskState.ENDED:
                continue
            try:
                chain = await self.chain(task)
            except UnknownTaskError:  # it serves nobody, and waits for its deadline
                waiting += await self.state_of((task,)) is not TaskState.ENDED
                continue
            state = await self.state_of(chain)
            if state is TaskState.ACTIVE:
                found.append(chain)
            elif state is not TaskState.ENDED:
                waiting += 1
        return UnderWay(active=tuple(found), waiting=waiting)

    async def listed(self) -> tuple[Task, ...]:
        """Every task that is under way."""
        names = await self.shelf.all_under_way()
        found = [await self.shelf.find(name) for name in names]
        return tuple(one for one in found if one and one.state is not TaskState.ENDED)

    # --- changing ---

    async def begin(self, task: Task, facts: JsonObject, *, limit: int) -> Task:
        """Make `task`, proposed, serve: 1 keep it, 2 record it, 3 tell its parent, 4 count it among
        its agent's, 5 activate. Raises `EnforcementError`; it then never serves."""
        await self.shelf.put(task)  # 1
        try:
            await self._hooks.record("registered", task, facts)  # 2
            if task.parent is not None:
                await self.shelf.change(task.parent, lambda one: self._with_child(one, task))  # 3
            await self.shelf.enlist(task, limit)  # 4
            _, active = await self._step(task.id, Step.ACTIVATED, task.registered_by)  # 5
        except BaseException:
            self._dying[task.id] = (TaskEnd.CANCELLED, OWN)  # the sweep writes it
            raise
        self.watch(active)
        return active

    def _with_child(self, parent: Task, child: Task) -> Task:
        return lifecycle.with_child(
            parent, child.id, by=child.registered_by, now_unix_s=self._clock.unix_s()
        )

    async def narrow(self, name: str, ask: JsonObject, *, by: str) -> Task:
        """The task under what `ask` leaves of its grant, from the next call on.

        Raises `WideningError`, `LifecycleError`, `ConfigError`, `EnforcementError`.
        """
        return await self._regrant(name, lifecycle.narrowed, ask, by)

    async def confine(self, name: str, ask: JsonObject, *, by: str) -> Task:
        """`narrow` to what grant and `ask` have in common; never refused as wider."""
        return await self._regrant(name, lifecycle.confined, ask, by)

    async def _regrant(
        self, name: str, change: Callable[..., Task], ask: JsonObject, by: str
    ) -> Task:
        now_unix_s = self._clock.unix_s()
        before, after = await self.shelf.change(
            name, lambda task: change(task, ask, by=by, now_unix_s=now_unix_s)
        )
        if after.grant_revision != before.grant_revision:
            facts: JsonObject = {"by": by, "grant": after.grant.document}
            await self._hooks.record("narrowed", after, facts)
        return after

    async def suspend(self, name: str, *, by: str) -> Task:
        """Raises `LifecycleError`, `EnforcementError`."""
        _, after = await self._step(name, Step.SUSPENDED, by)
        self._hooks.cut(frozenset({name}), None)
        await self._hooks.record("suspended", after, {"by": by})
        return after

    async def resume(self, name: str, *, by: str) -> Task:
        """Raises `LifecycleError`, `EnforcementError`."""
        _, after = await self._step(name, Step.RESUMED, by)
        await self._hooks.record("resumed", after, {"by": by})
        return after

    async def _step(self, name: str, step: Step, by: str) -> tuple[Task, Task]:
        now_unix_s = self._clock.unix_s()
        return await self.shelf.change(
            name, lambda task: lifecycle.stepped(task, step, by=by, now_unix_s=now_unix_s)
        )

    # --- ending ---

    async def end(self, name: str, end: TaskEnd, *, by: str) -> Task:
        """End a task and all its children: 1 refuse new calls, 2 write the state, 3 cut what is
        under way, 4 end the children, 5 the summary. Idempotent: one that has ended stays as it is.

        Raises `EnforcementError` where it cannot be written yet; it is tried again until it is, and
        meanwhile the task serves nobody here. To be called where it is not cancelled half-way.
        """
        self._dying[name] = (end, by)  # 1
        now_unix_s = self._clock.unix_s()
        try:
            before, after = await self.shelf.change(
                name, lambda task: lifecycle.ended(task, end, by=by, now_unix_s=now_unix_s)
            )  # 2
        except UnknownTaskError:
            self._dying.pop(name, None)
            raise
        self._hooks.cut(frozenset({name}), end)  # 3
        for child in after.children:  # 4
            await self._end_child(child)
        if before.state is not TaskState.ENDED:
            self._owed.add(name)
            self._hooks.ended(after.end or end)
        if name in self._owed:
            await self._hooks.record("ended", after, await self._summary(after))  # 5
            self._owed.discard(name)
        await self.shelf.strike(after)
        self._dying.pop(name, None)
        self._watched.pop(name, None)
        self._bound.pop(name, None)
        self._hooks.active(len(self._watched))
        return after

    async def end_unless(self, serves: Callable[[str], bool], *, by: str) -> None:
        """End, as quarantined, every task under way here whose agent `serves` says no more to."""
        for name in tuple(self._watched):
            try:
                task = await self.shelf.find(name)
                if task is not None and not serves(task.agent):
                    await self.end(name, TaskEnd.QUARANTINED, by=by)
            except OutriderError as fault:
                _tell_late(fault)

    async def _end_child(self, name: str) -> None:
        try:
            task = await self.shelf.find(name)
            if task is not None and task.state is not TaskState.ENDED:
                await self.end(name, TaskEnd.PARENT_ENDED, by=OWN)
        except OutriderError as fault:  # the sweep tries again
            _tell_late(fault)

    async def _summary(self, task: Task) -> JsonObject:
        facts = await self._hooks.summary(task)
        duration_s = round((task.ended_unix_s or 0) - task.created_unix_s)
        return {"duration_s": duration_s, "children": len(task.children), **facts}

    # --- looking after them ---

    def watch(self, task: Task) -> None:
        """Look after the deadline of a task that serves, and after ends that others write."""
        if task.state is not TaskState.ENDED and task.id not in self._watched:
            self._watched[task.id] = task.deadline_unix_s
            self._hooks.active(len(self._watched))

    async def load(self, own_agent: str | None) -> None:
        """Look after what the store says is under way; of a store that others share, after our own
        agent's tasks and those that nobody ended in time. Raises `StoreUnavailableError`."""
        now_unix_s = self._clock.unix_s()
        for task in await self.listed():
            late = task.deadline_unix_s <= now_unix_s
            if not self.shelf.shared or task.agent == own_agent or late:
                self.watch(task)

    async def sweep(self) -> None:
        """One round: end what is due, end what could not be ended before, see others' ends."""
        now_unix_s = self._clock.unix_s()
        late = [name for name, at in self._watched.items() if at <= now_unix_s]
        due = dict.fromkeys(late, (TaskEnd.EXPIRED, TIMER))
        for name, (end, by) in {**due, **self._dying}.items():
            try:
                await self.end(name, end, by=by)
            except UnknownTaskError:
                self._watched.pop(name, None)
            except OutriderError as fault:
                _tell_late(fault)
        if self.shelf.shared:
            await self._see_ends()

    async def _see_ends(self) -> None:
        for name in tuple(self._watched):
            try:
                task = await self.shelf.find(name)
            except OutriderError:
                return  # the store is gone: every call is refused as long as it is
            if task is None or task.state is TaskState.ENDED:
                self._watched.pop(name, None)
                self._hooks.cut(frozenset({name}), task.end if task else None)
                self._hooks.active(len(self._watched))


def _same(known: tuple[Task, ...], chain: tuple[Task, ...]) -> bool:
    return len(known) == len(chain) and all(map(is_, known, chain))


def _tell_late(fault: OutriderError) -> None:
    logger.warning(
        "a task cannot be ended yet", extra={"event": "task_end_late", "fault": str(fault)}
    )
