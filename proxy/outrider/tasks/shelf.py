"""Where registered tasks are kept, and which of them each agent has under way.

Laws: a task is changed by a plain function in compare-and-set, so a state that was left is never
come back to; an agent's list may name tasks that have ended, never miss one that serves.
"""

import hashlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Final, TypeVar

import orjson

from outrider.core.errors import EnforcementError, StoreUnavailableError
from outrider.core.jsonvalue import as_list, as_object
from outrider.core.ports import Clock, States
from outrider.core.vocabulary import Reason, TaskState
from outrider.tasks.ledger import Ledger
from outrider.tasks.ledger_document import opened
from outrider.tasks.task import Slot, SlotCodec, Task

logger = logging.getLogger("outrider.tasks")

T = TypeVar("T")

TABLE: Final = "tasks"
ENDED_S: Final = 3600
"""How long a task that has ended is told from one that never was."""
UNENDED_S: Final = 86_400
"""How long past its deadline a task is kept that nobody has ended: a sidecar may be down."""
LISTS_S: Final = 32 * 86_400
"""How long the list of an agent is kept: longer than any task may live."""
_LIST: Final = "agent:"
_UNKNOWN: Final = "no such task"


class UnknownTaskError(EnforcementError):
    """No task of that id, or one of somebody else's: the two are not told apart."""

    reason = Reason.NO_TASK

    def __init__(self) -> None:
        super().__init__(_UNKNOWN, status=404, cause="unknown_task")


@dataclass(slots=True, kw_only=True)
class Under:
    """The tasks an agent has under way, by id."""

    agent: str = ""
    tasks: list[str] = field(default_factory=list)


class UnderCodec:
    """`tasks.ledger_document.Codec` of the tasks of an agent; a list nobody can read is empty."""

    def decode(self, data: bytes | None, now_unix_s: float) -> Under:
        return _read_under(data)

    def encode(self, document: Under) -> bytes:
        return orjson.dumps({"agent": document.agent, "tasks": document.tasks})


def _read_under(data: bytes | None) -> Under:
    try:
        found = as_object(orjson.loads(data)) if data else {}
    except orjson.JSONDecodeError:
        logger.warning("a stored list of tasks cannot be read", extra={"event": "task_unreadable"})
        found = {}
    agent = found.get("agent")
    tasks = [one for one in as_list(found.get("tasks")) if isinstance(one, str)]
    return Under(agent=agent if isinstance(agent, str) else "", tasks=tasks)


class TaskShelf:
    """Tasks over versioned states. `run` writes them; what is changed here is durable.

    With `on_loss_read` what is last known is told while the store is gone (`stores.on_loss: read`):
    the books then let nothing but class `read` go on.
    """

    def __init__(self, *, states: States, clock: Clock, on_loss_read: bool = False) -> None:
        self._states = states
        self._on_loss_read = on_loss_read
        self._clock = clock
        self._tasks: Ledger[Slot] = Ledger(
            states=states, table=TABLE, codec=SlotCodec(), clock=clock, life_s=self._kept_s
        )
        self._under: Ledger[Under] = Ledger(
            states=states, table=TABLE, codec=UnderCodec(), clock=clock, life_s=LISTS_S
        )

    def _kept_s(self, slot: Slot) -> int:
        """Room is for those that live: a task that has ended is kept for those who still ask."""
        task = slot.task
        if task is None or task.state is TaskState.ENDED:
            return ENDED_S
        return max(0, int(task.deadline_unix_s - self._clock.unix_s())) + UNENDED_S

    @property
    def shared(self) -> bool:
        return self._states.shared

    async def find(self, name: str) -> Task | None:
        """The task as it stands now. Raises `StoreUnavailableError`."""
        return (await self._last(self._tasks, name)).task

    async def get(self, name: str) -> Task:
        """`find` for one that must be there. Raises `UnknownTaskError` besides."""
        task = await self.find(name)
        if task is None:
            raise UnknownTaskError
        return task

    async def put(self, task: Task) -> None:
        """Keep a new task."""

        def add(slot: Slot) -> None:
            if slot.task is not None:
                raise RuntimeError("an id was given twice")
            slot.task = task

        await self._tasks.change(task.id, add, durable=True)

    async def change(self, name: str, change: Callable[[Task], Task]) -> tuple[Task, Task]:
        """The task before and after `change`. Raises what `change` does, `UnknownTaskError`,
        `StoreUnavailableError`."""

        def apply(slot: Slot) -> tuple[Task, Task]:
            before = slot.task
            if before is None:
                raise UnknownTaskError
            slot.task = after = change(before)
            return before, after

        return await self._tasks.change(name, apply, durable=True)

    # --- which are under way ---

    async def under_way(self, agent: str) -> tuple[str, ...]:
        """The tasks that `agent` has under way; some may have ended."""
        return tuple((await self._last(self._under, _key(agent))).tasks)

    async def _last(self, ledger: Ledger[T], key: str) -> T:
        try:
            return await ledger.look(key)
        except StoreUnavailableError:
            known = ledger.known(key) if self._on_loss_read else None
            if known is None:
                raise
            return known

    async def enlist(self, task: Task, limit: int) -> None:
        """Count `task` among its agent's. Raises `EnforcementError` past `limit`."""

        def add(under: Under) -> None:
            if task.id in under.tasks:
                return
            if len(under.tasks) >= limit:
                raise EnforcementError(
                    f"the agent has {limit} tasks under way (tasks.active); end some first",
                    reason=Reason.OVERLOAD,
                    status=409,
                    cause="active",
                )
            under.agent = task.agent
            under.tasks.append(task.id)

        await self._under.change(_key(task.agent), add, durable=True)

    async def strike(self, task: Task) -> None:
        """Count `task` among its agent's no longer. Idempotent."""

        def remove(under: Under) -> None:
            under.tasks = [one for one in under.tasks if one != task.id]

        await self._under.change(_key(task.agent), remove)

    async def all_under_way(self) -> tuple[str, ...]:
        """The tasks that any agent has under way, as the store has them: for a start."""
        held = await self._states.items(TABLE)
        lists = [opened(one.value)[0] for key, one in held.items() if key.startswith(_LIST)]
        return tuple(name for data in lists for name in _read_under(data).tasks)

    # --- life ---

    def jobs(self) -> tuple[tuple[str, Callable[[], Coroutine[None, None, None]]], ...]:
        """What must run for anything to be kept, by name."""
        return (("tasks", self._tasks.run), ("task lists", self._under.run))

    async def close(self) -> None:
        await self._tasks.close()
        await self._under.close()


def _key(agent: str) -> str:
    return _LIST + hashlib.sha256(agent.encode("utf-8", "surrogatepass")).hexdigest()[:40]
