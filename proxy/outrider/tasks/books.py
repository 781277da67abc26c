"""A task's books: behaviour, provenance and budgets of a root task and its agents (GOVERNANCE §4, §5).

Laws: the action that is asked about is counted in before policy is asked, so calls in parallel see
one another; what an answer teaches is in the books before it is relayed; what was refused is given
back; what is lost is taken for the worst.
"""

from collections.abc import Callable
from typing import Protocol

from outrider.core.manifest import Manifest
from outrider.core.ports import Clock, States
from outrider.core.vocabulary import Budget, Effect, Role


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


class TaskBooks:
    """`core.ports.Books` over versioned states. `run` is its background job; `close` follows it.

    `manifest` gives the one in force. With `on_loss_read` class `read` goes on with what was last
    known where the store is gone (`stores.on_loss: read`).
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        *,
        states: States,
        clock: Clock,
        manifest: Callable[[], Manifest],
        events: BookEvents,
        watch: BudgetWatch,
        on_loss_read: bool = False,
    ) -> None:
        self._states = states
        self._clock = clock
        self._manifest = manifest
        self._events = events
        self._watch = watch
        self._on_loss_read = on_loss_read
