"""Working fakes of the pipeline's ports, and an enforcer built of them."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from outrider.core.action import Ask
from outrider.core.answers import Refusal
from outrider.core.decision import Decision, Permit, ReasonEntry
from outrider.core.errors import (
    AuditUnavailableError,
    EnforcementError,
    MalformedError,
    OverloadError,
    StoreUnavailableError,
    UnauthenticatedError,
)
from outrider.core.exchange import Exchange, Outgoing, RequestHead, ResponseHead, TlsPeer
from outrider.core.jsonvalue import JsonObject
from outrider.core.manifest import Manifest
from outrider.core.ports import (
    ActivePolicy,
    BodyNeed,
    Conversation,
    CredentialProvider,
    CredentialRequest,
    Defined,
    Edits,
    Emit,
    Inbound,
    Judged,
    Lease,
    Meta,
    Question,
    Raw,
    Refused,
    Route,
    Step,
    TaskNames,
    Tracer,
)
from outrider.core.secret import Secret
from outrider.core.strict_json import JsonLimits
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Effect, EffectClass, ProtocolName, Reason
from outrider.pipeline.enforcer import Enforcer
from outrider.pipeline.live import LiveExchanges
from outrider.pipeline.parts import Parts
from outrider.pipeline.routing import RouteTable
from tests.support.builders import (
    FixedClock,
    a_decision,
    a_manifest,
    a_response_head,
    a_subject,
    a_task,
    an_ask,
)
from tests.support.recording_books import RecordingBooks, RecordingCare


@dataclass(slots=True)
class FixedIdentifier:
    subject: Subject | None = field(default_factory=a_subject)

    async def authenticate(self, exchange: Exchange) -> Subject:
        if self.subject is None:
            raise UnauthenticatedError("no identity", cause="no_identity")
        return self.subject


@dataclass(slots=True)
class NoSnapshot:
    revision: str = "2026-11-23.1"
    expected: frozenset[str] = frozenset({"2026-11-23.1"})
    waits: bool = False

    async def evaluate(
        self, entrypoint: str, query: bytes, deadline_s: float, trace: str | None
    ) -> Raw:
        return Defined(value=True, meta=Meta())


@dataclass(slots=True)
class FixedDecider:
    """Answers every question the same, or by a function of it; keeps what it was asked."""

    decision: Decision | Callable[[Question], Decision] = field(default_factory=a_decision)
    listed: Callable[[Question], Effect] = field(default=lambda _question: Effect.ALLOW)
    manifest: Manifest = field(default_factory=a_manifest)
    asked: list[Question] = field(default_factory=list)
    fault: EnforcementError | Exception | None = None

    def active(self) -> ActivePolicy:
        if self.fault is not None:
            raise self.fault
        return ActivePolicy(
            revision="2026-11-23.1",
            manifest=self.manifest,
            agents={},
            snapshot=NoSnapshot(),
            engine="fixed",
        )

    async def decide(
        self, policy: ActivePolicy, questions: Sequence[Question]
    ) -> tuple[Judged, ...]:
        self.asked += questions
        return tuple(
            Judged(
                decision=self.decision(question) if callable(self.decision) else self.decision,
                query=b"{}",
                input_digest="sha256:00",
            )
            for question in questions
        )

    async def judge_list(
        self, policy: ActivePolicy, questions: Sequence[Question]
    ) -> tuple[Effect, ...]:
        return tuple(self.listed(question) for question in questions)


@dataclass(slots=True)
class FixedBinder:
    task: BoundTask | None = None
    fault: EnforcementError | None = None
    names: list[TaskNames] = field(default_factory=list)

    async def bind(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy
    ) -> BoundTask | None:
        self.names.append(names)
        if self.fault is not None:
            raise self.fault
        return self.task


@dataclass(slots=True)
class SetQuarantine:
    agents: set[str] = field(default_factory=set)
    tools: set[str] = field(default_factory=set)

    def check(
        self,
        *,
        agent: str,
        task: str | None = None,
        tool: str | None = None,
        upstream: str | None = None,
    ) -> None:
        if agent in self.agents or tool in self.tools:
            raise EnforcementError("cut off", reason=Reason.QUARANTINED)


@dataclass(slots=True)
class FixedIncoming:
    """An answer in pieces; `fault` is raised after the last of them."""

    head: ResponseHead = field(default_factory=a_response_head)
    chunks: list[bytes] = field(default_factory=lambda: [b'{"ok":true}'])
    fault: Exception | None = None
    aborted: int = 0
    gate: asyncio.Event | None = None
    woken: bool = False
    peer: TlsPeer | None = None

    def __aiter__(self) -> "FixedIncoming":
        return self

    async def __anext__(self) -> bytes:
        if self.chunks:
            return self.chunks.pop(0)
        if self.gate is not None:
            await self.gate.wait()
            if self.woken:
                self.woken = False
                self.gate.clear()
                return b""
        if self.fault is not None:
            raise self.fault
        raise StopAsyncIteration

    def wake(self) -> None:
        if self.gate is not None and not self.gate.is_set():
            self.woken = True
            self.gate.set()

    def abort(self) -> None:
        self.aborted += 1


@dataclass
class RecordingUpstream:
    """Keeps the permits and requests it was given; answers with `answers`, in turn."""

    answers: list[FixedIncoming | Exception] = field(default_factory=list)
    permits: list[Permit] = field(default_factory=list)
    requests: list[Outgoing] = field(default_factory=list)
    gate: asyncio.Event | None = None
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, permit: Permit, outgoing: Outgoing) -> FixedIncoming:
        self.permits.append(permit)
        self.requests.append(outgoing)
        self.reached.set()
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else FixedIncoming()
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass(slots=True)
class FixedProvider:
    """A credential provider that counts its leases."""

    acquired: list[CredentialRequest] = field(default_factory=list)
    fault: EnforcementError | None = None

    async def acquire(self, request: CredentialRequest) -> Lease:
        if self.fault is not None:
            raise self.fault
        self.acquired.append(request)
        number = len(self.acquired)
        return Lease(
            id=f"lease_{number}",
            provider="fixed",
            fingerprint=f"hmac:{number}",
            expires_unix_s=None,
            headers=(("authorization", Secret(f"Bearer token-{number}")),),
        )

    async def renew(self, lease: Lease) -> Lease:
        return Lease(
            id=lease.id + "'",
            provider=lease.provider,
            fingerprint=lease.fingerprint + "'",
            expires_unix_s=None,
            headers=(("authorization", Secret("Bearer fresh")),),
        )

    async def revoke(self, lease: Lease) -> bool:
        return True

    def healthy(self) -> bool:
        return True


@dataclass
class RecordingAudit:
    """Keeps the records and, for each, whether it was to be synced; can refuse to write."""

    records: list[JsonObject] = field(default_factory=list)
    durable: list[bool] = field(default_factory=list)
    broken: bool = False

    async def append(
        self, record: JsonObject, *, durable: bool, query: bytes | None = None
    ) -> None:
        if self.broken:
            raise AuditUnavailableError("the disk is full")
        self.records.append(record)
        self.durable.append(durable)

    def append_nowait(self, record: JsonObject) -> None:
        self.records.append(record)

    def append_refusal(self, record: JsonObject) -> None:
        self.records.append(record)

    def healthy(self) -> bool:
        return not self.broken

    def kinds(self) -> list[str]:
        return [str(record["kind"]) for record in self.records]

    def of(self, kind: str) -> list[Any]:
        return [record for record in self.records if record["kind"] == kind]


@dataclass(slots=True)
class DictStore:
    rows: dict[tuple[str, str], JsonObject] = field(default_factory=dict)
    broken: bool = False

    async def get(self, table: str, key: str) -> JsonObject | None:
        return self.rows.get((table, key))

    async def put(self, table: str, key: str, value: JsonObject | None) -> None:
        if self.broken:
            raise StoreUnavailableError("gone")
        if value is None:
            self.rows.pop((table, key), None)
        else:
            self.rows[(table, key)] = value

    async def items(self, table: str) -> dict[str, JsonObject]:
        return {key: row for (name, key), row in self.rows.items() if name == table}

    async def next_epoch(self, name: str) -> int:
        return 1


@dataclass(slots=True)
class CountedSlots:
    room: int = 1000
    taken: int = 0

    async def enter(self, agent: str, upstream: str) -> Callable[[], None]:
        if self.taken >= self.room:
            raise OverloadError("no place is free")
        self.taken += 1

        def leave() -> None:
            self.taken -= 1

        return leave


@dataclass(slots=True)
class RecordingMetrics:
    decisions: list[tuple[Effect, EffectClass, Reason | None]] = field(default_factory=list)
    ended: list[tuple[ProtocolName, Reason | None, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    flying: int = 0

    def decided(
        self,
        *,
        effect: Effect,
        effect_class: EffectClass,
        reason: Reason | None,
        resource: str,
        reasons: tuple[ReasonEntry, ...],
    ) -> None:
        self.decisions.append((effect, effect_class, reason))

    def exchange_ended(
        self,
        *,
        direction: str,
        protocol: ProtocolName,
        reason: Reason | None,
        aborted: bool,
        whole_s: float,
        upstream_s: float,
    ) -> None:
        self.ended.append((protocol, reason, aborted))

    def noted(self, event: str, protocol: ProtocolName) -> None:
        self.notes.append(event)

    def in_flight(self, delta: int, direction: str) -> None:
        self.flying += delta


class GroupJobs:
    """Jobs in a task group that the test enters."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._group.__aexit__(*details)  # type: ignore[arg-type]

    def start(self, name: str, job: Coroutine[None, None, None]) -> None:
        self._group.create_task(job, name=name)


def _pass_on(chunk: bytes) -> list[Step]:
    return [Emit(data=chunk)]


@dataclass(slots=True)
class PlainWatcher:
    incoming_head: ResponseHead
    is_stream: bool = False
    on_chunk: Callable[[bytes], list[Step]] = field(default=_pass_on)
    news: Callable[[], list[Step]] | None = None
    opening: Callable[[], list[Step]] | None = None

    @property
    def streaming(self) -> bool:
        return self.is_stream

    def head(self) -> ResponseHead:
        return self.incoming_head

    def feed(self, chunk: bytes) -> list[Step]:
        return self.on_chunk(chunk)

    def end(self) -> list[Step]:
        return []


@dataclass(slots=True)
class FixedConversation:
    """What the adapter read: `asks`, with nothing hidden in a body."""

    asks: tuple[Ask, ...] = field(default_factory=lambda: (an_ask(),))
    task_name: str | None = None
    runs_on: bool = False
    is_stream: bool = False
    on_chunk: Callable[[bytes], list[Step]] = field(default=_pass_on)
    news: Callable[[], list[Step]] | None = None
    head: RequestHead | None = None

    def outgoing(self, edits: Edits) -> Outgoing:
        headers = self.head.headers if self.head else ()
        return Outgoing(method="POST", target="/crm", headers=headers, body=b'{"judged":1}')

    def watch(self, head: ResponseHead, edits: Edits) -> PlainWatcher:
        return PlainWatcher(head, self.is_stream, self.on_chunk, self.news)


@dataclass
class FixedAdapter:
    """An adapter of one conversation; says each refusal as its bare reason."""

    conversation: FixedConversation = field(default_factory=FixedConversation)
    fault: Exception | None = None
    refusals: list[Refusal] = field(default_factory=list)
    json_limits: JsonLimits | None = None
    seen: Inbound | None = None

    @property
    def protocol(self) -> ProtocolName:
        return ProtocolName.MCP

    def need(self, head: RequestHead, route: Route) -> BodyNeed:
        return BodyNeed(judged=True, limit_bytes=1 << 20, json=self.json_limits)

    def parse(self, inbound: Inbound) -> FixedConversation:
        self.seen = inbound
        if self.fault is not None:
            raise self.fault
        if inbound.body == b"broken":
            raise MalformedError("not JSON", code=-32700)
        self.conversation.head = inbound.head
        return self.conversation

    def refuse(
        self,
        refusal: Refusal,
        head: RequestHead,
        conversation: Conversation | None,
        begun: bool,
    ) -> Refused:
        self.refusals.append(refusal)
        status = refusal.status or refusal.answer.http
        return Refused(status=status, headers=(), body=refusal.reason.value.encode())


def _route(name: str, prefix: str) -> Route:
    return Route(
        name=name,
        upstream=name,
        protocol=ProtocolName.MCP,
        prefix=prefix,
        host=None,
        base_path="",
        options=None,
    )


@dataclass(slots=True)
class Rig:
    """An enforcer with every part at hand: `crm` by egress, `agent` by ingress. Use it inside
    `async with rig.jobs`."""

    identifier: FixedIdentifier = field(default_factory=FixedIdentifier)
    decider: FixedDecider = field(default_factory=FixedDecider)
    binder: FixedBinder = field(default_factory=lambda: FixedBinder(a_task()))
    quarantine: SetQuarantine = field(default_factory=SetQuarantine)
    adapter: FixedAdapter = field(default_factory=FixedAdapter)
    upstream: RecordingUpstream = field(default_factory=RecordingUpstream)
    provider: FixedProvider = field(default_factory=FixedProvider)
    configured_credential: bool = False
    audit: RecordingAudit = field(default_factory=RecordingAudit)
    store: DictStore = field(default_factory=DictStore)
    books: RecordingBooks = field(default_factory=RecordingBooks)
    care: RecordingCare = field(default_factory=RecordingCare)
    slots: CountedSlots = field(default_factory=CountedSlots)
    metrics: RecordingMetrics = field(default_factory=RecordingMetrics)
    live: LiveExchanges = field(default_factory=LiveExchanges)
    jobs: GroupJobs = field(default_factory=GroupJobs)
    clock: FixedClock = field(default_factory=FixedClock)
    tracer: Tracer | None = None

    def enforcer(self) -> Enforcer:
        return Enforcer(self.parts(), answer_bytes=1 << 20)

    def parts(self) -> Parts:
        credentials: dict[str, CredentialProvider] = {"vault": self.provider}
        return Parts(
            identifier=self.identifier,
            decider=self.decider,
            binder=self.binder,
            books=self.books,
            care=self.care,
            own_agent=lambda: "spiffe://acme.test/ns/support/sa/triage",
            quarantine=self.quarantine,
            routes=RouteTable([_route("crm", "/mcp/crm")]),
            ingress=RouteTable([_route("agent", "/agent")]),
            adapters={ProtocolName.MCP: self.adapter},
            upstream=self.upstream,
            credentials=credentials,
            upstream_credentials={"crm": "vault"} if self.configured_credential else {},
            audit=self.audit,
            store=self.store,
            slots=self.slots,
            metrics=self.metrics,
            live=self.live,
            jobs=self.jobs,
            clock=self.clock,
            tracer=self.tracer,
        )
