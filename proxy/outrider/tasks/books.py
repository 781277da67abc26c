"""A task's books: behaviour, provenance and budgets of a root task and its agents.

Laws (GOVERNANCE §4, §5): the action that is asked about is counted in before policy is asked, so
calls in parallel see one another; what an answer teaches is in the books before it is relayed; what
was refused is given back; what is lost is taken for the worst.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from outrider.core.action import Action
from outrider.core.catalogue import UNDECLARED
from outrider.core.errors import StoreUnavailableError
from outrider.core.facts import Answered, Facts, Opening
from outrider.core.ids import random_hex
from outrider.core.jsonvalue import JsonObject
from outrider.core.manifest import Manifest
from outrider.core.ports import Clock, States
from outrider.core.task import BoundTask
from outrider.core.unwrap import entry_of
from outrider.core.vocabulary import EffectClass
from outrider.tasks import budgets, history
from outrider.tasks.behaviour import counting, outcomes
from outrider.tasks.behaviour.account import told_of
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.document import OVER, TaskCodec, TaskDocument
from outrider.tasks.desk import BookEvents, BudgetWatch, Desk
from outrider.tasks.history import HistoryCodec
from outrider.tasks.indexes import Indexes, Shelf, in_turns
from outrider.tasks.ledger import Ledger
from outrider.tasks.ledger_document import LOST
from outrider.tasks.memory import MemoryCodec
from outrider.tasks.page import BookPage
from outrider.tasks.past import NOTHING_TOLD, Past, Told, stable_aim
from outrider.tasks.provenance.answers import Looked
from outrider.tasks.running import Running
from outrider.tasks.telling import (
    DAY_S,
    Read,
    State,
    counted_in,
    facts_of,
    period_of,
    signals_of,
    state_of,
    task_facts,
)

__all__ = ["BookEvents", "BudgetWatch", "TaskBooks"]

BOOKS: Final = "books"
HISTORY: Final = "history"
MEMORY: Final = "memory"
"""Tables of the store."""
BOOKS_LIFE_S: Final = 31 * DAY_S
"""A root's document goes when nothing happened for so long: never before its task ended, which
lives 30 days at most."""
OVER_S: Final = 3600
"""How long the books of a root task are kept once it has ended: what is under way may end too."""
ENTRIES: Final = 2048
"""Documents of each kind in memory. One is a few KB, 64 at most."""
HISTORY_LIFE_S: Final = 31 * DAY_S
"""What is remembered of destinations for 30 days needs a document that outlives them."""
MEMORY_LIFE_S: Final = 31 * DAY_S
"""The same, of the taint of what agents keep for later tasks."""
_NOTHING_LOOKED: Final = Looked(entries={}, incomplete=False)


def root_key(opening: Opening) -> str:
    """The document of an exchange: of its root task, else of the agent alone."""
    if opening.task is not None:
        return f"task:{opening.task.root_id}"
    return history.agent_key(opening.subject.id)


class TaskBooks:
    """`core.ports.Books` over versioned states. `run` is its background job; `close` follows it.

    `manifest` gives the one in force. With `on_loss_read` class `read` goes on with what was last
    known where the store is gone (`stores.on_loss: read`). A root's document goes when nothing
    happened for `life_s`: longer than any task, or period of a standing grant, may last.
    """

    def __init__(  # noqa: PLR0913 - its collaborators, and what the settings say
        self,
        *,
        states: States,
        clock: Clock,
        manifest: Callable[[], Manifest],
        events: BookEvents,
        watch: BudgetWatch,
        on_loss_read: bool = False,
        life_s: int = BOOKS_LIFE_S,
    ) -> None:
        self._clock = clock
        self._manifest = manifest
        self._on_loss_read = on_loss_read
        self._tasks: Ledger[TaskDocument] = Ledger(
            states=states,
            table=BOOKS,
            codec=TaskCodec(),
            clock=clock,
            life_s=lambda document: min(life_s, OVER_S) if document.over else life_s,
            entries=ENTRIES,
        )
        self._histories = Ledger(
            states=states,
            table=HISTORY,
            codec=HistoryCodec(),
            clock=clock,
            life_s=HISTORY_LIFE_S,
            entries=ENTRIES,
        )
        self._memories = Ledger(
            states=states, table=MEMORY, codec=MemoryCodec(), clock=clock, life_s=MEMORY_LIFE_S
        )
        self._desk = Desk(
            tasks=self._tasks,
            memories=self._memories,
            clock=clock,
            events=events,
            watch=watch,
            shared=states.shared,
        )
        self._indexes = Indexes()
        self._running = Running()

    async def run(self) -> None:
        """Write what is changed, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tasks.run(), name="books")
            group.create_task(self._histories.run(), name="history")
            group.create_task(self._memories.run(), name="memory")

    async def close(self) -> None:
        """Write what is left; after `run` ended."""
        await self._tasks.close()
        await self._histories.close()
        await self._memories.close()

    # --- core.ports.Books ---------------------------------------------------------------

    async def open(self, opening: Opening) -> BookPage:
        now = self._clock.unix_s()
        told: list[Told] = []
        try:
            document = await self._begun(opening, now)
            read = await self._read(opening, document, opening.actions)
            past = Past(self._histories, opening, now, sole=not self._desk.shared)
            try:
                for act in read.acts:
                    told += [await past.tell(act)]
                state = await self._count(opening, read, told, now)
            except BaseException:
                for one in told:
                    past.unpay(one)
                raise
        except StoreUnavailableError:
            if not self._may_go_on(opening):
                raise
            return await self._opened_blind(opening, now)
        return self._page(opening, read, past, told, state)

    async def glance(self, opening: Opening) -> Facts:
        now = self._clock.unix_s()
        try:
            document = await self._begun(opening, now, fresh=True)
        except StoreUnavailableError:
            if not self._may_go_on(opening):
                raise
            document = self._last_known(opening, now)
        told = [Told(signals=NOTHING_TOLD) for _ in opening.actions[:1]]
        read = await self._read(opening, document, opening.actions[:1])
        state = state_of(document, read, opening, signals_of(opening, read, told, now), now)
        facts = facts_of(read, told, state)
        if facts:
            return facts[0]
        return task_facts(document, opening, now)

    async def account(self, root: str, task: str) -> JsonObject:
        """What a root task and its children did until now, and what of its limits `task`, one of
        them, used: for the record of its end. Raises `StoreUnavailableError`."""
        key = f"task:{root}"
        told = told_of(await self._tasks.look(key), task)
        if task != root:
            self._tasks.change_later(key, partial(budgets.leave, task=task))
        return told

    async def used(self, task: BoundTask) -> JsonObject:
        """What is used of the limits of a task, as policy is told (`budgets.told`). Raises
        `StoreUnavailableError`."""
        return budgets.told(await self._tasks.look(f"task:{task.root_id}"), task.lineage)

    async def retire(self, root: str) -> None:
        """A root task has ended and was accounted for: its books make room. Raises
        `StoreUnavailableError`."""

        def over(document: TaskDocument) -> None:
            document.totals[OVER] = 1

        await self._tasks.change(f"task:{root}", over)

    async def hear(self, agent: str, answered: Answered) -> None:
        now = self._clock.unix_s()
        for key, task in self._running.heard(agent, now):
            document = await self._tasks.look(key)
            shelf = self._indexes.of(key, document, task)
            event = f"evt_{document.events + 1}"
            await in_turns(shelf.index.learning(event, answered, action=None, entry=UNDECLARED))
            hear = partial(_hear, shelf=shelf, ms=int(now * 1000))
            self._desk.flags(await self._tasks.change(key, hear, durable=True))

    # --- beside the port ----------------------------------------------------------------

    async def reject(self, opening: Opening) -> None:
        """People rejected the actions of `opening` (SQ-11)."""
        now = self._clock.unix_s()
        past = Past(self._histories, opening, now)
        for action in opening.actions:
            aim = stable_aim(action)
            if aim is not None:
                await past.rejected(aim)

    def forget(self, root: str) -> None:
        """The root task ended: what only this sidecar's memory holds of it goes."""
        key = f"task:{root}"
        self._indexes.forget(key)
        self._running.ended(key)

    # --- opening ------------------------------------------------------------------------

    async def _begun(self, opening: Opening, now: float, *, fresh: bool = False) -> TaskDocument:
        """The root's document, of the period that is now; its key is the store's. What others
        changed since is known only with `fresh`."""
        key, task = root_key(opening), opening.task
        document = None if fresh else self._tasks.known(key)
        period = period_of(task, now)
        if document is None:
            document = await self._tasks.look(key)
        if document.period < period:
            await self._tasks.change(key, partial(counting.settle_period, period=period))
            document = await self._tasks.look(key)
        if self._running.began(opening.subject.id, key, task, now):
            self._desk.flags(await self._tasks.change(key, outcomes.taint, durable=True))
            document = await self._tasks.look(key)
        return document

    async def _read(
        self, opening: Opening, document: TaskDocument, actions: tuple[Action, ...]
    ) -> Read:
        """Where the values of the actions' arguments were seen, and what the actions are."""
        key, manifest = root_key(opening), self._manifest()
        read = Read(key=key, shelf=self._indexes.of(key, document, opening.task))
        for action in actions:
            entry, looked = entry_of(action.ask, manifest), _NOTHING_LOOKED
            if action.ask.arguments:  # plumbing can carry a secret too
                looking = read.shelf.index.looking(action, entry=entry, zones=manifest.zones)
                looked = await in_turns(looking)
            read.entries.append(entry)
            read.looks.append(looked)
            read.acts.append(Act(action, looked))
        return read

    async def _count(self, opening: Opening, read: Read, told: list[Told], now: float) -> State:
        """Count the actions in."""
        token = random_hex(16)
        count = partial(
            counted_in,
            read=read,
            opening=opening,
            signals=signals_of(opening, read, told, now),
            now=now,
            token=token,
        )
        try:
            return await self._tasks.change(read.key, count)
        except BaseException:
            # It may have been made all the same, and nobody will close a page for it.
            undo = partial(counting.undo, acts=read.acts, token=token)
            self._tasks.change_later(read.key, undo)
            raise

    # --- where the store is gone --------------------------------------------------------

    def _may_go_on(self, opening: Opening) -> bool:
        reads = all(action.effect_class is EffectClass.READ for action in opening.actions)
        return self._on_loss_read and reads

    def _last_known(self, opening: Opening, now: float) -> TaskDocument:
        """What is known of a root while the store is gone; the worst where that is nothing."""
        document = self._tasks.known(root_key(opening))
        return TaskCodec().decode(LOST, now) if document is None else document

    async def _opened_blind(self, opening: Opening, now: float) -> BookPage:
        document = self._last_known(opening, now)
        read = await self._read(opening, document, opening.actions)
        past = Past(self._histories, opening, now, blind=True)
        told = [await past.tell(act) for act in read.acts]
        state = state_of(document, read, opening, signals_of(opening, read, told, now), now)
        return self._page(opening, read, past, told, state)

    def _page(
        self, opening: Opening, read: Read, past: Past, told: list[Told], state: State
    ) -> BookPage:
        return BookPage(
            desk=self._desk,
            key=read.key,
            task=opening.task,
            acts=read.acts,
            entries=read.entries,
            shelf=read.shelf,
            past=past,
            told=told,
            facts=facts_of(read, told, state),
            counted=state.counted,
        )


def _hear(document: TaskDocument, *, shelf: Shelf, ms: int) -> int:
    shelf.took_in(document)
    return outcomes.hear(document, ms)
