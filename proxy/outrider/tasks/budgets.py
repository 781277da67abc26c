"""Budgets of the tasks of one root, kept in the root's document (GOVERNANCE §2).

Laws: numbers are whole; what is asked for is taken from every task of the lineage or from none; a
budget is never used beyond its limit; what was taken and not used is given back, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from outrider.core.budget import MICRO, Usage
from outrider.core.jsonvalue import JsonObject
from outrider.core.task import Allowance
from outrider.core.vocabulary import Budget
from outrider.tasks.behaviour.document import LINEAGE, TaskDocument

ORDER: Final = tuple(Budget)
"""What the numbers kept of a task stand for; then those below."""
_FLYING: Final = len(ORDER)
"""Place of: how many reservations are under way."""
_TOLD: Final = _FLYING + 1
"""Place of: which budgets were told to be nearly used, by bit."""
_ENDED: Final = 1 << len(ORDER)
"""Bit of that place: the task has ended."""
_WANTED: Final = _TOLD + 1
"""Place of: whether more was asked for than there is, while something was under way."""
_NEAR: Final = 0.8
_NOTHING: Final[JsonObject] = {"used": 0, "limit": None}
_UNBOUNDED: Final[JsonObject] = {
    budget.value: _NOTHING if budget is not Budget.SPEND else {**_NOTHING, "unit": None}
    for budget in Budget
}

Kept = list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a reservation came to. `short` is the task and budget that had too little; nothing was
    taken then, and `over` says that all of it is used and nothing under way. `lost`: nobody knows
    what was used.

    `near` are those that passed four fifths by it; `records` how many records are left to the
    lineage, None where nothing bounds them.
    """

    short: tuple[str, Budget] | None = None
    over: bool = False
    lost: bool = False
    near: tuple[tuple[str, Budget], ...] = ()
    records: int | None = None


def _kept(document: TaskDocument, task: str) -> Kept | None:
    """What is kept of a task; None where there is no room for one more."""
    kept = document.used.get(task)
    if kept is None and len(document.used) >= LINEAGE:
        _make_room(document)
    if kept is None and len(document.used) < LINEAGE:
        kept = document.used[task] = [0] * (_WANTED + 1)
    return kept


def _make_room(document: TaskDocument) -> None:
    """Forget one task that has ended and of which nothing is under way any more."""
    for task, kept in document.used.items():
        if kept[_TOLD] & _ENDED and not kept[_FLYING]:
            del document.used[task]
            return


def leave(document: TaskDocument, task: str) -> None:
    """The task has ended and was accounted for: nobody reserves for it again."""
    kept = document.used.get(task)
    if kept is not None:
        kept[_TOLD] |= _ENDED


def reserve(document: TaskDocument, lineage: Sequence[Allowance], ask: Usage) -> Taken:
    """Take `ask` from every task of `lineage`, or say which has too little."""
    bounded = [one for one in lineage if one.limits.bounded]
    for allowance in bounded:
        kept = _kept(document, allowance.task)
        if kept is None or document.lost:
            return Taken(short=(allowance.task, Budget.CALLS), lost=document.lost)
        for place, budget in enumerate(ORDER):
            limit = allowance.limits.of(budget)
            if limit is None:
                continue
            left = limit - kept[place]
            if ask.of(budget) > left or (left <= 0 < limit):
                spent = left <= 0 < limit
                kept[_WANTED] |= int(spent)
                over = spent and kept[_FLYING] == 0
                return Taken(short=(allowance.task, budget), over=over)
    for allowance in bounded:
        kept = document.used[allowance.task]
        for place, budget in enumerate(ORDER):
            kept[place] += ask.of(budget)
        kept[_FLYING] += 1
    return Taken(near=_near(document, bounded), records=_records_left(document, bounded))


def take(document: TaskDocument, lineage: Sequence[Allowance], records: int) -> Taken:
    """Take the records of an answer, which only the answer shows."""
    bounded = [one for one in lineage if one.limits.records is not None]
    place = ORDER.index(Budget.RECORDS)
    for allowance in bounded:
        kept = _kept(document, allowance.task)
        if kept is None or kept[place] + records > (allowance.limits.records or 0):
            return Taken(short=(allowance.task, Budget.RECORDS))
    for allowance in lineage:
        kept = document.used.get(allowance.task)
        if kept is not None:
            kept[place] += records
    return Taken(near=_near(document, bounded))


def settle(
    document: TaskDocument, lineage: Sequence[Allowance], unused: Usage
) -> tuple[tuple[str, Budget], ...]:
    """A reservation ended: give back what it did not use. The budgets that are all used by now
    and of which more was asked for meanwhile, where nothing is under way any more."""
    over: list[tuple[str, Budget]] = []
    for allowance in lineage:
        kept = document.used.get(allowance.task)
        if kept is None or not allowance.limits.bounded:
            continue
        for place, budget in enumerate(ORDER):
            kept[place] = max(0, kept[place] - unused.of(budget))
        kept[_FLYING] = max(0, kept[_FLYING] - 1)
        if kept[_WANTED] and not kept[_FLYING]:
            spent = _spent(kept, allowance)
            over += [(allowance.task, budget) for budget in spent]
            kept[_WANTED] = int(bool(spent))
    return tuple(over)


def _spent(kept: Kept, allowance: Allowance) -> list[Budget]:
    found = []
    for place, budget in enumerate(ORDER):
        limit = allowance.limits.of(budget)
        if limit is not None and 0 < limit <= kept[place]:
            found.append(budget)
    return found


def _near(document: TaskDocument, bounded: Sequence[Allowance]) -> tuple[tuple[str, Budget], ...]:
    """The budgets that passed four fifths and were not told yet."""
    found: list[tuple[str, Budget]] = []
    for allowance in bounded:
        kept = document.used[allowance.task]
        for place, budget in enumerate(ORDER):
            limit = allowance.limits.of(budget)
            if limit and kept[place] >= _NEAR * limit and not kept[_TOLD] & 1 << place:
                kept[_TOLD] |= 1 << place
                found.append((allowance.task, budget))
    return tuple(found)


def _records_left(document: TaskDocument, bounded: Sequence[Allowance]) -> int | None:
    place = ORDER.index(Budget.RECORDS)
    left = [
        max(0, one.limits.records - document.used[one.task][place])
        for one in bounded
        if one.limits.records is not None
    ]
    return min(left) if left else None


def told(document: TaskDocument, lineage: Sequence[Allowance]) -> JsonObject:
    """`context.task.budget`, what is asked about not counted in: of each budget, what the task of
    the lineage used that has the least of it left."""
    bounded = [one for one in lineage if one.limits.bounded]
    if not bounded:
        return _UNBOUNDED
    found: JsonObject = {}
    for place, budget in enumerate(ORDER):
        found[budget.value] = _told(document, bounded, place, budget)
    return found


def _told(
    document: TaskDocument, bounded: Sequence[Allowance], place: int, budget: Budget
) -> JsonObject:
    first = bounded[0]
    used, limit, unit = _used(document, first, place), first.limits.of(budget), first.limits.unit
    for one in bounded[1:]:
        most, known = one.limits.of(budget), _used(document, one, place)
        if most is not None and (limit is None or most - known < limit - used):
            used, limit, unit = known, most, one.limits.unit
    if budget is not Budget.SPEND:
        return {"used": used, "limit": limit}
    whole = None if limit is None else limit / MICRO
    return {"used": used / MICRO, "limit": whole, "unit": unit}


def _used(document: TaskDocument, one: Allowance, place: int) -> int:
    kept = document.used.get(one.task)
    return 0 if kept is None else kept[place]
