"""What all pages of the books write with, and whom they tell."""

from dataclasses import dataclass
from typing import Protocol

from outrider.core.ports import Clock
from outrider.core.vocabulary import Budget, Effect, Role
from outrider.tasks.behaviour.document import FLAGS, TaskDocument
from outrider.tasks.ledger import Ledger
from outrider.tasks.memory import MemoryDocument


class BookEvents(Protocol):
    """What the books have counted; told by `telemetry.metrics`."""

    def flag_set(self, flag: str) -> None:
        """A flag of a task was set for the first time: a key of `context.behaviour.flags`."""

    def untrusted_argument(self, role: Role, effect: Effect) -> None:
        """An authority argument labelled `untrusted`, and what became of its action."""


class BudgetWatch(Protocol):
    """Who is told how far the budgets of tasks are used. Called in turn, never waits."""

    def nearing(self, task: str, budget: Budget) -> None:
        """Four fifths of `budget` of the task are used; told once."""

    def spent(self, task: str, budget: Budget) -> None:
        """All of `budget` is used, more was asked for and nothing is under way: the task ends.
        Never told of a standing grant. May be told more than once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all pages write with."""

    tasks: Ledger[TaskDocument]
    memories: Ledger[MemoryDocument]
    clock: Clock
    events: BookEvents
    watch: BudgetWatch
    shared: bool

    def flags(self, fresh: int) -> None:
        """Tell of flags that were set for the first time."""
        for bit, name in FLAGS.items():
            if fresh & bit:
                self.events.flag_set(name)
