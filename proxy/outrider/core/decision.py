"""The decision and the permit.

Laws: a decision has three effects and no truth value; only `grant_permit` makes a `Permit`, only
from an allow, and only a `Permit` opens the upstream.
"""

from dataclasses import dataclass
from typing import Final, NoReturn

from outrider.core.action import Action
from outrider.core.jsonvalue import Json
from outrider.core.obligation import Obligation
from outrider.core.vocabulary import Effect, Reason

_MINTER: Final = object()
_ALLOW: Final = Effect.ALLOW
_ORDER: Final = {Effect.ALLOW: 0, Effect.HOLD: 1, Effect.DENY: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonEntry:
    """One of policy's own reasons. `mode`: enforce, shadow, approved; only enforce has effect.

    `would` is what one in shadow would have come to; `softened` where its control is enforced and
    a scope in shadow alone took the effect away; `excepted` where an exception did.
    """

    code: str
    message: str = ""
    severity: str = "medium"
    refs: tuple[str, ...] = ()
    pointer: str | None = None
    mode: str = "enforce"
    would: Effect | None = None
    softened: bool = False
    excepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer to one query. `reason` is the proxy's code: None on an allow, always set else.

    `detail` says in a fixed sentence what went wrong inside, for our log and record, never for an
    answer. `eval_us` is the engine's own time in microseconds.
    """

    id: str
    effect: Effect
    reason: Reason | None
    reasons: tuple[ReasonEntry, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    raw_obligations: tuple[Json, ...] = ()
    revision: str = ""
    engine: str = ""
    eval_us: int = 0
    ttl_s: int = 0
    detail: str = ""

    def __post_init__(self) -> None:
        if (self.effect is Effect.ALLOW) is not (self.reason is None):
            raise ValueError("an allow has no reason, anything else has one")

    def __bool__(self) -> NoReturn:
        raise TypeError("a Decision has three effects: compare .effect")


@dataclass(frozen=True, slots=True)
class Permit:
    """Proof of an allow for exactly these actions; the only key to the upstream."""

    decisions: tuple[Decision, ...]
    actions: tuple[Action, ...]
    upstream: str
    minter: object

    def __post_init__(self) -> None:
        if self.minter is not _MINTER:
            raise TypeError("only grant_permit mints a Permit")


def grant_permit(decisions: tuple[Decision, ...], actions: tuple[Action, ...]) -> Permit | None:
    """The only way to a Permit: one allow for each action, all on one upstream, at least one."""
    if not actions or len(decisions) != len(actions):
        return None
    upstream = actions[0].ask.carrier
    for decision in decisions:
        if decision.effect is not _ALLOW:
            return None
    for action in actions:
        if action.ask.carrier != upstream:
            return None
    return Permit(decisions, actions, upstream, _MINTER)


def strictest(decisions: tuple[Decision, ...]) -> Decision:
    """The decision that rules an exchange: deny over hold over allow, the first of equals."""
    if len(decisions) == 1:
        return decisions[0]
    return max(decisions, key=lambda decision: _ORDER[decision.effect])
