"""What the books tell of an exchange's actions: the facts that policy is asked with."""

from dataclasses import dataclass, field
from typing import Final

from outrider.core.catalogue import ToolEntry
from outrider.core.facts import Facts, Opening
from outrider.core.grant import covers
from outrider.core.jsonvalue import JsonObject
from outrider.core.task import BoundTask
from outrider.tasks import budgets
from outrider.tasks.behaviour import counting
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.counting import Counted
from outrider.tasks.behaviour.document import TaskDocument
from outrider.tasks.behaviour.summary import Before, summary
from outrider.tasks.indexes import Shelf
from outrider.tasks.past import NOTHING_TOLD, Told
from outrider.tasks.provenance.answers import Looked

DAY_S: Final = 86_400
"""How long the budgets of a standing grant run unless it says so (CONTRACTS §4)."""


def period_of(task: BoundTask | None, now_unix_s: float) -> int:
    """Which period it is: a standing grant's budgets run for a time, and so do the counts of who
    works without a task; another task has one period. The first is 1."""
    if task is not None and not task.standing and task.period_s is None:
        return 1
    period_s = DAY_S if task is None or not task.period_s else task.period_s
    return int(now_unix_s // period_s) + 2


@dataclass(slots=True, kw_only=True)
class Read:
    """An exchange's actions as the books see them."""

    key: str
    shelf: Shelf
    entries: list[ToolEntry] = field(default_factory=list)
    looks: list[Looked] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class State:
    """What a root's document said of some actions; `counted` is None where they were not."""

    behaviours: list[JsonObject]
    budget: JsonObject | None
    missed: bool
    counted: Counted | None = None


def state_of(
    document: TaskDocument,
    read: Read,
    opening: Opening,
    signals: list[JsonObject],
    now: float,
) -> State:
    """What is told of actions that are not counted in."""
    ms = int(now * 1000)
    before = Before(document, ms)
    behaviours = [
        summary(document, before, act, ms, known)
        for act, known in zip(read.acts, signals, strict=True)
    ]
    return State(
        behaviours=behaviours,
        budget=budget_of(document, opening),
        missed=read.shelf.misses(document),
    )


def counted_in(
    document: TaskDocument,
    *,
    read: Read,
    opening: Opening,
    signals: list[JsonObject],
    now: float,
    token: str,
) -> State:
    counting.settle_period(document, period_of(opening.task, now))
    counted = counting.count_in(document, read.acts, signals, int(now * 1000), token)
    return State(
        behaviours=counted.behaviours,
        budget=budget_of(document, opening),
        missed=read.shelf.misses(document),
        counted=counted,
    )


def budget_of(document: TaskDocument, opening: Opening) -> JsonObject | None:
    return None if opening.task is None else budgets.told(document, opening.task.lineage)


def facts_of(read: Read, told: list[Told], state: State) -> tuple[Facts, ...]:
    return tuple(
        [
            Facts(
                behaviour=behaviour,
                budget=state.budget,
                provenance=looked.entries,
                incomplete=looked.incomplete or state.missed,
                first_seen=known.first_seen,
            )
            for behaviour, looked, known in zip(state.behaviours, read.looks, told, strict=True)
        ]
    )


def signals_of(opening: Opening, read: Read, told: list[Told], now: float) -> list[JsonObject]:
    """For each action the signals that the root's document does not tell."""
    usual = opening.task.usual if opening.task is not None else None
    found: list[JsonObject] = []
    for act, known in zip(read.acts, told, strict=True):
        outside = (
            usual is not None
            and not act.action.ask.plumbing
            and covers(usual, act.action, now_unix_s=now) is not None
        )
        found.append({**known.signals, "outside_template": outside})
    return found


def task_facts(document: TaskDocument, opening: Opening, now: float) -> Facts:
    """What is told of the task alone, without an action."""
    ms, signals = int(now * 1000), {**NOTHING_TOLD, "outside_template": False}
    behaviour = summary(document, Before(document, ms), None, ms, signals)
    return Facts(behaviour=behaviour, budget=budget_of(document, opening))
