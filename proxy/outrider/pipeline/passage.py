"""How far one exchange has come: the mutable state that the stages share, owned by one task."""

from asyncio import TimerHandle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from outrider.core.action import Action
from outrider.core.decision import Decision, Permit
from outrider.core.exchange import Exchange, RequestHead
from outrider.core.jsonvalue import JsonObject
from outrider.core.obligation import LabelObligation
from outrider.core.ports import (
    ActivePolicy,
    Adapter,
    Conversation,
    Document,
    Edits,
    Incoming,
    Judged,
    Lease,
    Page,
    Route,
)
from outrider.core.spans import Span
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import ProtocolName, Reason
from outrider.pipeline.echo import EchoFilter
from outrider.pipeline.live import LiveExchange

Bound: TypeAlias = tuple[Subject, ActivePolicy, Route, Adapter]
_NO_EDITS: Final = Edits()


@dataclass(slots=True, kw_only=True)
class Leg:
    """One conversation with the upstream: the agent's own, or one the sidecar needs first.

    `recorded` holds the decision ids whose records are on the chain with an allow: each is owed
    an outcome record. `sent` is True from the moment bytes may have left.
    """

    conversation: Conversation
    actions: tuple[Action, ...] = ()
    judged: tuple[Judged, ...] = ()
    edits: Edits = _NO_EDITS
    label: LabelObligation | None = None
    page: Page | None = None
    permit: Permit | None = None
    lease: Lease | None = None
    span: Span | None = None
    incoming: Incoming | None = None
    echo: EchoFilter | None = None
    recorded: tuple[str, ...] = ()
    sent: bool = False
    http_status: int | None = None
    bytes_in: int = 0
    complete: bool = False
    ended: bool = False

    @property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(judged.decision for judged in self.judged)

    def abort(self) -> None:
        """Give up on the answer, where one began to arrive."""
        if self.incoming is not None:
            self.incoming.abort()


@dataclass(slots=True, kw_only=True)
class Passage:
    """One exchange on its way through the stages.

    `whose` is what its records share, made with the first decision's.
    """

    exchange: Exchange
    head: RequestHead
    entry: LiveExchange
    route: Route | None = None
    adapter: Adapter | None = None
    subject: Subject | None = None
    policy: ActivePolicy | None = None
    task: BoundTask | None = None
    task_header: str | None = None
    whose: JsonObject | None = None
    leg: Leg | None = None
    conversation: Conversation | None = None
    owed: list[str] = field(default_factory=list)
    hidden: bool = False
    decision_id: str = ""
    body: bytes | None = None
    read_s: float = 0.0
    document: Document | None = None
    detached: bool = False
    running_out: bool = False
    body_read: bool = False
    refused: bool = False
    reason: Reason | None = None
    upstream_s: float = 0.0
    give_back: Callable[[], None] = field(default=lambda: None)
    timer: TimerHandle | None = None
    settled: bool = False
    _bound: Bound | None = None

    @property
    def protocol(self) -> ProtocolName:
        return self.route.protocol if self.route else ProtocolName.UNKNOWN

    @property
    def bound(self) -> Bound:
        """What stands once authentication and routing are done; from then on it stays."""
        bound = self._bound
        if bound is None:
            if not (self.subject and self.policy and self.route and self.adapter):
                raise RuntimeError("asked for before authentication and routing")
            bound = self._bound = (self.subject, self.policy, self.route, self.adapter)
        return bound

    def leave_place(self) -> None:
        """Give back the place that was taken, if one was. Idempotent."""
        give_back, self.give_back = self.give_back, lambda: None
        give_back()

    def judge_under(self, policy: ActivePolicy, task: BoundTask | None) -> None:
        """What a long answer asks from now on is judged by these."""
        self.policy, self.task = policy, task
        self.whose = self._bound = None

    @property
    def bound_leg(self) -> Leg:
        if self.leg is None:
            raise RuntimeError("asked for before the exchange was read")
        return self.leg
