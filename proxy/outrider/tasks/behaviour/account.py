"""What a root task did, in numbers, for the record of its end (GOVERNANCE §2)."""

from typing import Final

from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.vocabulary import ActionEffect, Budget, Sensitivity
from outrider.tasks.behaviour.document import FLAGS, TaskDocument

_RANKED: Final = tuple(Sensitivity)


def told_of(document: TaskDocument, task: str) -> JsonObject:
    """Calls by effect, denials and holds, where it sent what, what it read, and what of its limits
    `task`, the root or a child, used. `lost` where nobody knows all of it."""
    totals = document.totals
    calls: JsonObject = {
        effect.value: totals[effect.value] for effect in ActionEffect if totals.get(effect.value)
    }
    sent: JsonObject = {
        host: {"bytes": known[0], "calls": known[1]} for host, known in document.hosts.items()
    }
    flags: list[Json] = [name for flag, name in FLAGS.items() if document.flags & flag]
    highest = _RANKED[document.highest].value if document.highest >= 0 else None
    return {
        "calls": calls,
        "denials": totals.get("denied", 0),
        "holds": totals.get("held", 0),
        "destinations": sent,
        "labels": {"flags": flags, "highest_sensitivity_read": highest},
        "records_read": document.records,
        "budgets": {
            budget.value: used
            for budget, used in zip(Budget, document.used.get(task, ()), strict=False)
        },
        "lost": document.lost,
    }
