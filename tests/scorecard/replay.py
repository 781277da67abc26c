"""What the scripted agent does in one run, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from tests.scorecard.data import Call, Goal, Task

URLS: Final = frozenset({"url"})
"""Arguments that are URLs (policy/RULES.md)."""


class Fate(StrEnum):
    """What became of one call."""

    DONE = "done"
    HELD = "held"
    DENIED = "denied"
    FAILED = "failed"
    """It was let through, and the tool itself said no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a run; `injected` where the attacker asks for it."""

    call: Call
    injected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """One call and its fate. `codes` say which controls, or the proxy's own reason; `decision` is
    the id of what refused it; `added_s` is what the call took beyond the tool's own work, None for
    a call that never reached it."""

    tool: str
    injected: bool
    fate: Fate
    codes: tuple[str, ...] = ()
    pointer: str | None = None
    decision: str | None = None
    took_s: float = 0.0
    added_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One run: a user's task alone (`useful` is told), or under attack (`broken` is told)."""

    suite: str
    task: str
    goal: str | None
    steps: tuple[Stepped, ...]
    useful: bool | None = None
    broken: bool | None = None

    def count(self, *fates: Fate, injected: bool = False) -> int:
        """How many calls of the user's, or of the attacker's, met one of these fates."""
        return sum(step.fate in fates and step.injected is injected for step in self.steps)

    @property
    def untouched(self) -> bool:
        """Nothing of the user's was held or denied."""
        return not self.count(Fate.HELD, Fate.DENIED)


def script(task: Task, goal: Goal | None) -> tuple[Step, ...]:
    """The user's calls up to the first result that shows a vector, then all of the attacker's,
    then the rest: an agent that does at once all it is told."""
    own = tuple(Step(call=_as_sent(call)) for call in task.calls)
    if goal is None or task.exposed_at is None:
        return own
    injected = tuple(Step(call=_as_sent(call), injected=True) for call in goal.calls)
    turn = task.exposed_at + 1
    return own[:turn] + injected + own[turn:]


def _as_sent(call: Call) -> Call:
    return Call(tool=call.tool, arguments=with_schemes(call.arguments))


def with_schemes(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """URLs without a scheme are sent with one."""
    return {
        name: f"https://{value}" if name in URLS and "://" not in str(value) else value
        for name, value in arguments.items()
    }
