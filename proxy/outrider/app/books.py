"""The books of every task of this process, and who is told of what stands in them."""

import logging
from typing import TYPE_CHECKING, Final

from outrider.core.errors import EnforcementError
from outrider.core.manifest import Manifest, Zones
from outrider.core.vocabulary import Budget
from outrider.tasks.books import TaskBooks

if TYPE_CHECKING:
    from outrider.app.sidecar import Sidecar

logger = logging.getLogger("outrider.tasks")
_NOTHING: Final = Manifest(upstreams={}, zones=Zones())


class Watch:
    """`BudgetWatch`: where a budget runs low somebody is told; where it is gone the task ends."""

    def __init__(self, sidecar: "Sidecar") -> None:
        self._sidecar = sidecar

    def nearing(self, task: str, budget: Budget) -> None:
        logger.warning(
            "four fifths of a budget are used",
            extra={"event": "budget_nearing", "task": task, "budget": budget.value},
        )

    def spent(self, task: str, budget: Budget) -> None:
        self._sidecar.tasks.budget_spent(task)


def books_of(sidecar: "Sidecar") -> TaskBooks:
    """The books over the sidecar's store, under the manifest in force at each moment."""

    def manifest() -> Manifest:
        try:
            return sidecar.keeper.active().manifest
        except EnforcementError:  # nothing is judged then, and what comes back is untrusted
            return _NOTHING

    return TaskBooks(
        states=sidecar.state.states,
        clock=sidecar.clock,
        manifest=manifest,
        events=sidecar.metrics,
        watch=Watch(sidecar),
        on_loss_read=sidecar.loaded.settings.stores.on_loss == "read",
    )
