"""The seams: what the pipeline needs of others, each at most four methods (STYLE rule 18).

Every port has a working fake in tests/support and one contract suite for all implementations.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias, cast

from outrider.core.action import Action, Ask
from outrider.core.answers import Refusal
from outrider.core.decision import Decision, Permit, ReasonEntry
from outrider.core.errors import MalformedError
from outrider.core.exchange import (
    BodySource,
    Duplex,
    Exchange,
    Headers,
    Outgoing,
    RequestHead,
    ResponseHead,
    TlsPeer,
    TraceContext,
)
from outrider.core.facts import Answered, Ended, Facts, Opening, Verdict
from outrider.core.grant import Grant
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.manifest import Manifest
from outrider.core.obligation import QuarantineObligation, RedactObligation
from outrider.core.registration import Registration
from outrider.core.secret import Secret
from outrider.core.spans import Rpc
from outrider.core.strict_json import JsonLimits, read
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.template import Templates
from outrider.core.vocabulary import Effect, EffectClass, Phase, ProtocolName, Reason


class Clock(Protocol):
    def monotonic_s(self) -> float: ...
    def unix_s(self) -> float: ...


# --- policy ---------------------------------------------------------------------------------


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


# --- who and for what -----------------------------------------------------------------------


class Identifier(Protocol):
    async def authenticate(self, exchange: Exchange) -> Subject:
        """The proven caller. Raises `UnauthenticatedError` with its closed `cause`."""


class Quarantine(Protocol):
    def check(
        self,
        *,
        agent: str,
        task: str | None = None,
        tool: str | None = None,
        upstream: str | None = None,
    ) -> None:
        """Raises `EnforcementError(quarantined)` if any of them is cut off."""


class TaskJudge(Protocol):
    """Policy's second entry point: whether a task may be registered, and under which grant."""

    async def judge(self, policy: ActivePolicy, registration: Registration) -> Judged:
        """Always answers, as `Decider.decide` does; the grant is its `narrow` obligation."""


class TokenSigner(Protocol):
    """Signs tokens of ours and reads them again. The key never leaves it."""

    @property
    def issuer(self) -> str | None:
        """Our SPIFFE ID; None where we have none."""

    def sign(self, typ: str, claims: JsonObject) -> str:
        """A compact JWS. Its `exp` is cut to what the key's own certificate has left. Raises
        `CredentialUnavailableError` where we hold no key to sign with."""

    def read(self, typ: str, token: str) -> JsonObject:
        """The claims of a token that one of our own keys signed as `typ`; nothing else of it is
        checked. Raises `UnauthenticatedError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNames:
    """The tasks an exchange names, unverified: by header and in the message itself."""

    header: str | None
    message: str | None


class TaskBinder(Protocol):
    async def bind(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy
    ) -> BoundTask | None:
        """The task, or None where none is bound and policy alone decides.

        Raises `EnforcementError` with `no_task`, `task_ended` or `malformed`.
        """


class OwnTasks(Protocol):
    """What an agent may ask of its own task (CONTRACTS §4). Each binds the task that `names` name,
    as `TaskBinder` does, and raises what that does; `MalformedError` for a body that cannot be
    read, and `EnforcementError` with its status for what is refused."""

    async def show(self, subject: Subject, names: TaskNames, policy: ActivePolicy) -> JsonObject:
        """The task: purpose, grant, budgets, deadline; and a token of it as it stands."""

    async def narrow(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject: ...

    async def child(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject: ...

    async def end(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject: ...


class Page(Protocol):
    """One exchange's page in its task's books; opened before it is judged, closed after it."""

    @property
    def facts(self) -> tuple[Facts, ...]:
        """What policy is told of each action, the action itself counted in."""

    async def reserve(self) -> int | None:
        """Take from the budgets what the actions use at most; how many records the answer may
        show by what is left, None where nothing bounds them.

        Raises `EnforcementError(budget)` where there is not enough, `store_unavailable`.
        """

    async def learn(self, answered: Answered) -> None:
        """Take in part of the answer; when it returns, whatever is judged later knows of it."""

    def close(self, ended: Ended | Verdict) -> None:
        """Settle: what was reserved and not used is given back. Idempotent, never waits."""


class Care(Protocol):
    """What policy may have done to a task or its agent (CONTRACTS §2: `narrow`, `quarantine`)."""

    async def narrow(self, subject: Subject, task: BoundTask | None, grant: JsonObject) -> None:
        """The task's grant is met with `grant` from now on. Raises `ObligationError` where there
        is no task or the grant cannot be read, `EnforcementError(store_unavailable)`."""

    async def quarantine(
        self,
        obligation: QuarantineObligation,
        *,
        subject: Subject,
        task: BoundTask | None,
        action: Action,
    ) -> None:
        """Cut off what the obligation's scope names of these. Raises `ObligationError` for a scope
        that none of them is, `EnforcementError(store_unavailable)`."""


class Books(Protocol):
    """Behaviour, provenance and budgets of tasks and their agents (GOVERNANCE §4, §5)."""

    async def open(self, opening: Opening) -> Page:
        """Raises `EnforcementError(store_unavailable)` where what others did cannot be known."""

    async def glance(self, opening: Opening) -> Facts:
        """What stands in the books now, for lists; nothing is counted."""

    async def hear(self, agent: str, answered: Answered) -> None:
        """What came in for our own agent: untrusted in every task it has under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialRequest:
    """What a lease is asked for: keyed by task, subject, instance, role, scope, upstream."""

    subject: Subject
    task: str | None
    upstream: str
    role: str | None
    scope: tuple[str, ...]
    ttl_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A credential for one task, as header fields that only the pool reveals."""

    id: str
    provider: str
    fingerprint: str
    expires_unix_s: float | None
    headers: tuple[tuple[str, Secret], ...]


class CredentialProvider(Protocol):
    async def acquire(self, request: CredentialRequest) -> Lease:
        """Raises `CredentialUnavailableError`."""

    async def renew(self, lease: Lease) -> Lease: ...

    async def revoke(self, lease: Lease) -> bool:
        """True where the issuer confirmed it. Idempotent; works after a failed acquire."""

    def healthy(self) -> bool: ...


# --- adapters (sans-I/O) --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where an exchange goes: an upstream, the adapter that reads it, and the path rules.

    `prefix` is stripped from the request path and `base_path` put before the rest. `options` are
    the adapter's own settings for the route, checked when the settings were loaded.
    """

    name: str
    upstream: str
    protocol: ProtocolName
    prefix: str
    host: str | None
    base_path: str
    options: object


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyNeed:
    """What an adapter needs of the body: `judged` is read whole up to `limit_bytes`. With `json`
    a large one is parsed piece by piece beforehand, so that the loop keeps its turn."""

    judged: bool
    limit_bytes: int
    json: JsonLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A body that was parsed already, by the strict reader; `fault` is why it took none."""

    value: Json
    fault: MalformedError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What obligations change: on the way out headers, on the way back redactions and bounds.

    `lifetime_s`: how long what an answer shows stays granted; None where no end is known.
    """

    headers: Headers = ()
    redactions: tuple[RedactObligation, ...] = ()
    response_bytes: int | None = None
    records: int | None = None
    lifetime_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit:
    """Bytes for the caller."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Actions found in the answer. `then` gets, for each, whether it may pass, and goes on.

    With phase `list` only visibility is asked and nothing is recorded; any other phase is a
    decision of its own, recorded like a request's. Without `asks` nothing is asked: the loop has
    its turn, and `then` goes on with a large work. What `then` returns may grow while it is
    carried out, so it is carried out in place, not copied.

    `refusal` is a fixed sentence of what was asked: with one, a refused ask also ends the answer,
    after `then`, in the refusal's own words. Else whoever asked would wait for ever.
    """

    asks: tuple[Ask, ...]
    phase: Phase
    then: Callable[[tuple[bool, ...]], "list[Step]"]
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persist:
    """State that must be stored before any later step is carried out. None deletes the key."""

    table: str
    key: str
    value: JsonObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to count and, with `recorded`, to put on the chain. `event` is a closed word."""

    event: str
    facts: JsonObject
    recorded: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Learn:
    """Part of what the answer says, to be known before anything later leaves.

    `value` is what the manifest's field labels are about (`$`), None where there is none; `texts`
    is what has no fields. `whole` is False where more came than could be read. `failed` and `spelt`
    are as in `core.facts.Answered`.
    """

    value: Json = None
    texts: tuple[str, ...] = ()
    whole: bool = True
    failed: bool = False
    spelt: bool = False


Step: TypeAlias = Emit | Judge | Persist | Note | Learn


class Watcher(Protocol):
    """An answer on its way back, as an incremental transformer.

    Raises `EnforcementError` when the answer must be cut; what was not emitted never leaves.
    """

    def head(self) -> ResponseHead:
        """The head the caller gets; framing is the listener's. Fixed once the first step is out."""

    @property
    def streaming(self) -> bool:
        """True if pieces may leave before the end is seen (SSE, opaque bodies)."""

    def feed(self, chunk: bytes) -> "list[Step]": ...

    def end(self) -> "list[Step]": ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A refusal in a protocol's own words, ready to send."""

    status: int
    headers: Headers
    body: bytes


def news_of(watcher: Watcher) -> Callable[[], list[Step]] | None:
    """What a watcher has to say of its own once policy, grants or pins changed, if anything. (MCP:
    a stream that tells of lists.)"""
    found: Callable[[], list[Step]] | None = getattr(watcher, "news", None)
    return found


def opening_of(watcher: Watcher) -> Callable[[], list[Step]] | None:
    """What a watcher has to say of an answer's head before that leaves, if anything."""
    found: Callable[[], list[Step]] | None = getattr(watcher, "opening", None)
    return found


class Conversation(Protocol):
    """One exchange as its adapter read it: what is asked, how it leaves, how it is answered."""

    @property
    def asks(self) -> tuple[Ask, ...]: ...

    @property
    def task_name(self) -> str | None:
        """The task the message itself names, unverified."""

    @property
    def runs_on(self) -> bool:
        """True where a caller that leaves does not cancel (legacy MCP)."""

    def outgoing(self, edits: Edits) -> Outgoing:
        """The request that leaves, rebuilt from the judged value."""

    def watch(self, head: ResponseHead, edits: Edits) -> Watcher: ...


class Adapter(Protocol):
    """Turns one protocol's exchange into asks, and a refusal into that protocol's own words."""

    @property
    def protocol(self) -> ProtocolName: ...

    def need(self, head: RequestHead, route: Route) -> BodyNeed:
        """What of the body must be read. Raises `EnforcementError` for a head that cannot be."""

    def parse(self, inbound: "Inbound") -> Conversation:
        """Raises `EnforcementError` alone. A faulted parse may still know a JSON-RPC id: it then
        raises `ConversationError`, which carries what `refuse` needs."""

    def refuse(
        self, refusal: Refusal, head: RequestHead, conversation: Conversation | None, begun: bool
    ) -> Refused:
        """The refusal's bytes. With `begun` an event stream has started: only `body` is sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """What an adapter parses: `body` is None where the route is opaque or none was read; then
    `source` may be handed on to the upstream unread."""

    head: RequestHead
    body: bytes | None
    route: Route
    subject: Subject
    manifest: Manifest
    document: Document | None = None
    source: BodySource
    trace: TraceContext

    def json(self, limits: JsonLimits) -> Json:
        """The body as JSON, strictly read. Raises `MalformedError`."""
        if self.document is not None:
            if self.document.fault is not None:
                raise self.document.fault
            return self.document.value
        return read(self.body or b"", limits)


class OptionalAsks(Protocol):
    """A conversation that offers abilities which policy may take out before it leaves.

    MCP: the capabilities by which a server could ask the agent for sampling, roots, elicitation.
    """

    def optional_asks(self) -> tuple[Ask, ...]: ...

    def allow_optional(self, verdicts: tuple[bool, ...]) -> None:
        """One verdict for each optional ask; what is not allowed does not leave."""


class Prelude(Protocol):
    """A conversation that needs another first (PROTOCOLS §4.5: the sidecar lists before a call)."""

    def prelude(self) -> Conversation | None:
        """The next conversation the sidecar must hold itself, or None once enough is known."""


class Tracer(Protocol):
    """Which exchanges are traced, and under whom."""

    def begin(self, exchange: Exchange) -> Exchange:
        """`exchange` with the trace that it has from now on."""

    def rejoin(self, exchange: Exchange, parent: str | None, state: str | None) -> Exchange:
        """`exchange` under the context that its message names, which wins over its header's; the
        very same where that is none."""


class Traced(Protocol):
    """A conversation whose message may carry a trace context of its own (SEP-414)."""

    def carried_trace(self) -> tuple[str | None, str | None] | None:
        """`traceparent` and `tracestate` as they stand in it, unread; None without."""

    def join(self, trace: TraceContext) -> None:
        """What leaves carries this one's."""

    def rpc(self) -> Rpc:
        """What its spans tell of it, as far as it has come."""


def traced_of(conversation: Conversation) -> Traced | None:
    """`conversation` as one that may carry a trace, if it is."""
    return cast("Traced", conversation) if hasattr(conversation, "carried_trace") else None


def duplex_of(source: BodySource) -> Duplex | None:
    """The caller's side of a tunnel, where an exchange is one."""
    return cast("Duplex", source) if hasattr(source, "join") else None


def optional_of(conversation: Conversation) -> OptionalAsks | None:
    """`conversation` as one that offers less, if it is. (A runtime-checked protocol costs 8 µs.)"""
    return cast("OptionalAsks", conversation) if hasattr(conversation, "optional_asks") else None


def prelude_of(conversation: Conversation) -> Callable[[], Conversation | None] | None:
    """How `conversation` asks for another first, if it does."""
    found: Callable[[], Conversation | None] | None = getattr(conversation, "prelude", None)
    return found


def waiting_of(conversation: Conversation) -> object | None:
    """The one conversation that waits for what is asked within the answer of another; None where
    there is none or more than one. (MCP: a call whose server asks on the session's own stream.)"""
    found: Callable[[], object | None] | None = getattr(conversation, "waiting", None)
    return found() if found is not None else None


# --- upstream -------------------------------------------------------------------------------


class Incoming(Protocol):
    """An upstream's answer: head at once, body pulled with backpressure."""

    @property
    def head(self) -> ResponseHead: ...

    def __aiter__(self) -> "Incoming": ...

    async def __anext__(self) -> bytes: ...

    def wake(self) -> None:
        """Give a reader that waits for a piece an empty one. Nothing where none waits."""

    def abort(self) -> None:
        """Drop the connection. Idempotent; a no-op once the body was read to its end."""


def proven_of(incoming: Incoming) -> TlsPeer | None:
    """Who the upstream behind an answer proved to be, where it did by a SPIFFE ID."""
    found: TlsPeer | None = getattr(incoming, "peer", None)
    return found


def carried_of(incoming: Incoming) -> int | None:
    """Bytes of the caller's that a tunnel carried to its upstream; None of what is no tunnel."""
    found: int | None = getattr(incoming, "carried_bytes", None)
    return found


class Upstream(Protocol):
    """The way out. Nothing but a permit opens it."""

    async def send(self, permit: Permit, outgoing: Outgoing) -> Incoming:
        """Raises `UpstreamUnavailableError` (nothing written), `UpstreamFailedError`,
        `OverloadError`."""


# --- evidence and state ---------------------------------------------------------------------


class AuditLog(Protocol):
    """The chain. A record is a JSON object without `seq`, `prev`, `hash`, `chain`."""

    async def append(
        self, record: JsonObject, *, durable: bool, query: bytes | None = None
    ) -> None:
        """Written when it returns; with `durable` synced to disk too.

        Raises `AuditUnavailableError`. `query` is kept where inputs are stored,
        under the decision id of the record.
        """

    def append_nowait(self, record: JsonObject) -> None:
        """Queue a record; where there is no room it is dropped and the log is unavailable."""

    def append_refusal(self, record: JsonObject) -> None:
        """Queue the record of a refusal made before policy was asked. Identical ones (subject,
        reason, cause) beyond ten a second are folded into one `repeat` record a second."""

    def healthy(self) -> bool: ...


MANY_KEYS: Final = "*"
"""Stands for the keys of a `Persist` or `Store.put` that is about several; no key is spelt so."""


class Store(Protocol):
    """State that outlives a request: small JSON objects by table and key (closed table names)."""

    async def get(self, table: str, key: str) -> JsonObject | None: ...

    async def put(self, table: str, key: str, value: JsonObject | None) -> None:
        """Durable when it returns; None deletes. Raises `StoreUnavailableError`.

        Under `MANY_KEYS`, `value` holds a value (or None) for each of its keys, and all of them
        are written together or none is.
        """

    async def items(self, table: str) -> dict[str, JsonObject]: ...

    async def next_epoch(self, name: str) -> int:
        """A number greater than every one given for `name` before, restarts included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A versioned value as it stands in a store. Versions only grow; the first is 1."""

    version: int
    value: bytes


class States(Protocol):
    """Versioned values by table and key (closed table names): what several sidecars may share.

    Each method raises `StoreUnavailableError`; with cause `unknown` a swap may have happened.
    """

    @property
    def shared(self) -> bool:
        """Whether another process may write what we wrote."""

    async def read(self, table: str, key: str, known: int = 0) -> Held | None:
        """What stands there, None where nothing does. Where its version is `known`, the value may
        be left empty."""

    async def swap(
        self,
        table: str,
        key: str,
        expected: int,
        value: bytes | None,
        *,
        life_s: int | None = None,
        durable: bool = False,
    ) -> Held | None:
        """Put `value` in the place of version `expected` (0: nothing there), None deletes.

        None where that was done, to version `expected + 1`; else nothing was, and what stands
        there is the answer (`version` 0 where nothing does). It goes by itself `life_s` after its
        last swap. With `durable` it outlives a power cut, else the process.
        """

    async def items(self, table: str) -> dict[str, Held]:
        """Everything in `table`, at most as many as a table may hold."""


class Metrics(Protocol):
    """Events the pipeline counts. Others use `telemetry.metrics.Registry` directly."""

    def decided(
        self,
        *,
        effect: Effect,
        effect_class: EffectClass,
        reason: Reason | None,
        resource: str,
        reasons: tuple[ReasonEntry, ...],
    ) -> None: ...

    def exchange_ended(
        self,
        *,
        direction: str,
        protocol: ProtocolName,
        reason: Reason | None,
        aborted: bool,
        whole_s: float,
        upstream_s: float,
    ) -> None: ...

    def noted(self, event: str, protocol: ProtocolName) -> None: ...

    def in_flight(self, delta: int, direction: str) -> None: ...


class Slots(Protocol):
    """Fair shares of what is in flight (HARDENING §6)."""

    async def enter(self, agent: str, upstream: str) -> Callable[[], None]:
        """A place; calling the result gives it back, once. Raises `OverloadError` where none
        comes free within the wait."""


class Jobs(Protocol):
    """Work that outlives the exchange that began it, but never the process's drain."""

    def start(self, name: str, job: Coroutine[None, None, None]) -> None:
        """Run `job`. It must not fail: what raises ends the process."""
