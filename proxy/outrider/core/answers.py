"""The one table of answers (PROTOCOLS §8): reason code to every protocol's refusal.

Laws: total over `Reason`; adapters hold no other text; a body never carries Rego, hidden names
or upstream text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from outrider.core.decision import ReasonEntry
from outrider.core.jsonvalue import JsonObject
from outrider.core.vocabulary import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How one reason looks: `rpc` is the JSON-RPC code, `advice` one line on what to do next."""

    http: int
    rpc: int
    title: str
    advice: str
    retry_after_s: int | None = None


def _answer(
    http: int, rpc: int, title: str, advice: str, retry_after_s: int | None = None
) -> Answer:
    return Answer(http=http, rpc=rpc, title=title, advice=advice, retry_after_s=retry_after_s)


_OPERATOR: Final = "Do not retry; ask the platform team and name the decision id."
_FAULT: Final = (
    "The decision could not be made, so nothing was sent. Retrying at once will not help."
)

ANSWERS: Final[Mapping[Reason, Answer]] = {
    Reason.UNAUTHENTICATED: _answer(
        401, -31401, "the caller could not be identified", "Present a valid workload identity."
    ),
    Reason.QUARANTINED: _answer(403, -31403, "the agent is quarantined", _OPERATOR),
    Reason.NO_TASK: _answer(403, -31403, "no active task", "Name an active task of this agent."),
    Reason.TASK_ENDED: _answer(403, -31403, "the task has ended", "Start a new task."),
    Reason.GRANT: _answer(
        403, -31403, "outside the task's grant", "Do not retry; choose an action the task covers."
    ),
    Reason.DELEGATION: _answer(403, -31403, "outside the delegated authority", _OPERATOR),
    Reason.UNRECOGNISED: _answer(
        404, -32601, "not known here", "Check the name against the list of what is offered."
    ),
    Reason.MALFORMED: _answer(
        400,
        -32600,
        "the request could not be read",
        "Mend the request; do not send it again as it is.",
    ),
    Reason.TOO_LARGE: _answer(413, -32600, "the request is too large", "Send less at a time."),
    Reason.POLICY: _answer(403, -31403, "denied by policy", _OPERATOR),
    Reason.POLICY_UNDEFINED: _answer(503, -31503, "policy gave no answer", _FAULT),
    Reason.POLICY_MALFORMED: _answer(503, -31503, "policy's answer could not be read", _FAULT),
    Reason.POLICY_ERROR: _answer(503, -31503, "policy failed", _FAULT),
    Reason.POLICY_TIMEOUT: _answer(503, -31503, "policy did not answer in time", _FAULT),
    Reason.POLICY_UNAVAILABLE: _answer(503, -31503, "policy is unavailable", _FAULT),
    Reason.POLICY_STALE: _answer(503, -31503, "policy is out of date", _FAULT),
    Reason.OBLIGATION: _answer(403, -31403, "a condition of the decision cannot be met", _OPERATOR),
    Reason.HELD: _answer(
        403,
        -31409,
        "held for approval",
        "Wait for the approval, then repeat the call unchanged.",
        30,
    ),
    Reason.APPROVAL_REJECTED: _answer(403, -31403, "a person rejected this action", _OPERATOR),
    Reason.APPROVAL_EXPIRED: _answer(403, -31403, "nobody approved in time", _OPERATOR),
    Reason.BUDGET: _answer(429, -31429, "the task's budget is spent", _OPERATOR),
    Reason.OVERLOAD: _answer(503, -31429, "too busy", "Retry later, with growing pauses.", 1),
    Reason.AUDIT_UNAVAILABLE: _answer(503, -31503, "the record could not be written", _FAULT),
    Reason.CREDENTIAL_UNAVAILABLE: _answer(503, -31503, "no credential for the upstream", _FAULT),
    Reason.UPSTREAM_IDENTITY: _answer(
        403, -31403, "the upstream is not who it should be", _OPERATOR
    ),
    Reason.UPSTREAM_UNAVAILABLE: _answer(
        503, -32603, "the upstream cannot be reached", "Nothing was sent; retry later."
    ),
    Reason.UPSTREAM_ERROR: _answer(
        502,
        -32603,
        "the upstream failed",
        "Whether the action happened is unknown; check before repeating it.",
    ),
    Reason.STORE_UNAVAILABLE: _answer(503, -31503, "the state store is unavailable", _FAULT),
    Reason.DEFINITION_CHANGED: _answer(
        403, -31403, "the tool's definition changed since it was reviewed", _OPERATOR
    ),
    Reason.SLOW_CLIENT: _answer(408, -32600, "the request came too slowly", "Send it faster."),
    Reason.INTERNAL: _answer(503, -31503, "internal fault", _FAULT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Everything an adapter may say of a refusal.

    `code` and `status` are a protocol's finer error, where the fault has one; `detail` is a fixed
    sentence of ours. `seen` says of the arguments that the reasons point at where their values were
    seen, `{pointer: {label, sources}}`.
    """

    reason: Reason
    decision_id: str
    reasons: tuple[ReasonEntry, ...] = ()
    detail: str = ""
    code: int | None = None
    status: int | None = None
    pointer: str | None = None
    close: bool = False
    allow_methods: tuple[str, ...] = ()
    seen: JsonObject = field(default_factory=dict)

    @property
    def answer(self) -> Answer:
        return ANSWERS[self.reason]
