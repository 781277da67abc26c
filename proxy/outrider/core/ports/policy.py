"""What decides: engines and their snapshots, the policy in force, questions and judgements."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from outrider.core.action import Action
from outrider.core.decision import Decision
from outrider.core.exchange import Exchange
from outrider.core.facts import Facts
from outrider.core.grant import Grant
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.manifest import Manifest
from outrider.core.registration import Registration
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.template import Templates
from outrider.core.vocabulary import Effect, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What an engine says of its answer. `rules` are ids of rules that succeeded, for explain."""

    decision_id: str | None = None
    revision: str | None = None
    rules: tuple[str, ...] = ()
    eval_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    value: Json
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class Undefined:
    meta: Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """No usable answer; `code` is a fault reason, `detail` for our log only."""

    code: Reason
    detail: str


Raw: TypeAlias = Defined | Undefined | Failed


class Snapshot(Protocol):
    """One engine at one revision; decisions under way finish on theirs (POLICY §1)."""

    @property
    def revision(self) -> str: ...

    @property
    def expected(self) -> frozenset[str]:
        """Revisions an answer may name: this one, and during an activation the next (POLICY §3)."""

    @property
    def waits(self) -> bool:
        """Whether `evaluate` ever yields to the loop; one that never does is asked in turn."""

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        """The raw answer to `query` (JSON of `outrider.input/v1`). Raises only CancelledError.

        `deadline_s` is a monotonic instant; an answer after it is `Failed(POLICY_TIMEOUT)`.
        """


class Engine(Protocol):
    @property
    def name(self) -> str: ...

    def snapshot(self) -> Snapshot: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEntry:
    """`data.outrider.agents[<SPIFFE ID>]`: who owns an agent, what it is, whether it may act.

    `grant` is its standing grant, parsed when the policy was loaded; None where it has none.
    """

    id: str
    owner: str | None
    sponsor: str | None
    tier: str
    environment: str
    status: str
    purpose: str
    document: JsonObject
    grant: Grant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivePolicy:
    """Policy, manifest and agents of one revision, with the engine snapshot that answers for it.

    `reads` are the input paths its modules name, each standing for all below it; None: all.
    """

    revision: str
    manifest: Manifest
    agents: dict[str, AgentEntry]
    snapshot: Snapshot
    engine: str
    reads: frozenset[tuple[str, ...]] | None = None
    templates: Templates = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything known about one action at the moment it is asked."""

    exchange: Exchange
    subject: Subject
    action: Action
    task: BoundTask | None
    arguments_digest: str | None
    approval: "ApprovalFacts | None" = None
    facts: Facts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFacts:
    """A valid approval for exactly this action, when an exchange is decided again."""

    id: str
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A decision with the exact query it answers."""

    decision: Decision
    query: bytes
    input_digest: str


class Decider(Protocol):
    """The decision point. Always answers: what goes wrong inside is a deny with its reason."""

    def active(self) -> ActivePolicy:
        """The policy in force now; taken once for each exchange.

        Raises `EnforcementError(policy_unavailable)` where nothing is activated, `policy_stale`
        where the bundle has gone unconfirmed for too long.
        """

    async def decide(
        self, policy: ActivePolicy, questions: Sequence[Question]
    ) -> tuple[Judged, ...]:
        """One answer for each question, in order, all within `policy.timeout_ms`.

        After the first deny the rest may be left unasked: they then carry the same deny.
        """

    async def judge_list(
        self, policy: ActivePolicy, questions: Sequence[Question]
    ) -> tuple[Effect, ...]:
        """Visibility of each item (allow and hold show, deny hides), memoised, own deadline."""


class TaskJudge(Protocol):
    """Policy's second entry point: whether a task may be registered, and under which grant."""

    async def judge(self, policy: ActivePolicy, registration: Registration) -> Judged:
        """Always answers, as `Decider.decide` does; the grant is its `narrow` obligation."""
