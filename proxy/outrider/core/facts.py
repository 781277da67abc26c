"""What a task's books know of an action: told to policy before it, learnt from its answer after."""

from dataclasses import dataclass, field
from typing import Final

from outrider.core.action import Action
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import (
    Direction,
    Effect,
    FieldLabel,
    OutcomeStatus,
    Reason,
    Sensitivity,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One action's part of the query, as CONTRACTS §1 spells it; nobody writes to its objects.

    `behaviour` is `context.behaviour`, `budget` is `context.task.budget` (None without a task),
    `provenance` and `incomplete` are the action's; `first_seen` holds the places, in the action's
    destinations, of those this class of agent and principal never reached before.
    """

    behaviour: JsonObject
    budget: JsonObject | None = None
    provenance: JsonObject = field(default_factory=dict)
    incomplete: bool = False
    first_seen: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An exchange that is about to be judged. `agent_class` is `data.outrider.agents[…].class`."""

    exchange: str
    direction: Direction
    subject: Subject
    task: BoundTask | None
    actions: tuple[Action, ...]
    agent_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of the judgement of an exchange that was refused or held."""

    effect: Effect
    reason: Reason
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Part of an answer, before it is relayed.

    `value` is what its fields' labels are about (`$`), None where there is none; `texts` is what
    has no fields. `whole` is False where more came than could be read. `sensitivity` and `labels`
    are what policy obliged the answer to carry beside what the manifest says. `failed` is an error,
    or what came unasked: no field of the manifest makes it trusted. `spelt`: the first of `texts`
    is the only one of the result proper, and may spell what the labels are about.
    """

    action: int
    value: Json = None
    texts: tuple[str, ...] = ()
    whole: bool = True
    sensitivity: Sensitivity | None = None
    labels: tuple[FieldLabel, ...] = ()
    failed: bool = False
    spelt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How an exchange ended. `bytes_in` came from the upstream."""

    status: OutcomeStatus
    reason: Reason | None
    bytes_in: int = 0


NOTHING_KNOWN: Final = Facts(behaviour={})
