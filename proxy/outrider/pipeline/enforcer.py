"""The enforcer: one exchange through every stage, and the last door (ARCHITECTURE §3).

Laws: one last `except Exception`, here; it refuses. Every exchange that came in is answered,
recorded and counted exactly once. Nothing is forwarded but by `Relay`, under a permit.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from functools import partial
from typing import Final

from outrider.core.errors import EnforcementError, MalformedError, UnrecognisedError, is_panic
from outrider.core.exchange import Ending, Exchange, Reply
from outrider.core.manifest import Manifest, Zones
from outrider.core.ports import (
    Conversation,
    Document,
    Inbound,
    TaskNames,
    Traced,
    Watcher,
    prelude_of,
    traced_of,
)
from outrider.core.strict_json import STEPPED_BYTES, JsonLimits, read_steps
from outrider.core.trace_context import rejoined
from outrider.core.vocabulary import Credential, ProtocolName, Reason
from outrider.pipeline.admission import Admission
from outrider.pipeline.closing import Closing
from outrider.pipeline.hygiene import strip
from outrider.pipeline.live import LiveExchange
from outrider.pipeline.obligations import Plan
from outrider.pipeline.own_endpoints import OwnEndpoints
from outrider.pipeline.parts import Parts
from outrider.pipeline.passage import Leg, Passage
from outrider.pipeline.relay import Relay

logger = logging.getLogger("outrider.pipeline")

ENVELOPE_BYTES: Final = 65_536
"""What is read of a body only to refuse in the caller's own protocol (HARDENING §7)."""
ABSENT_STEP_S: Final = 0.02
"""What is not there, or must look so, is said at the next of these steps after it was read: from
when it was sent, a caller could choose where in a step the answer falls."""
ABANDONED: Final = 16
"""How many legacy calls may run on without their callers; more are cut at once, since each holds
a connection to its upstream that somebody else may want."""
ABANDONED_S: Final = 60.0
_PRELUDES: Final = 100
_BEFORE_BODY: Final = frozenset(
    {Reason.OVERLOAD, Reason.QUARANTINED, Reason.NO_TASK, Reason.POLICY_UNAVAILABLE}
    | {Reason.POLICY_STALE}
)
_ASTRAY: Final = frozenset({Reason.UNRECOGNISED, Reason.MALFORMED})
"""Why a captured connection is refused that was not going where any route leads."""
_CONNECT: Final = "CONNECT"


class Enforcer:
    """Decides and carries out one exchange at a time; `handle` always answers."""

    def __init__(self, parts: Parts, *, answer_bytes: int) -> None:
        self._parts = parts
        self._admission = Admission(parts)
        self._relay = Relay(parts, self._admission, answer_bytes)
        self._closing = Closing(parts)
        self._own = OwnEndpoints(parts, self._closing)

    async def handle(self, exchange: Exchange) -> Reply:
        """The answer to `exchange`. Raises only `CancelledError`, when the caller has left.

        A caller that leaves cancels its exchange, save where the conversation says that its
        protocol runs on (legacy MCP): that is finished in the background and recorded.
        """
        if self._parts.tracer is not None:
            exchange = self._parts.tracer.begin(exchange)
        passage = _passage(exchange)
        self._parts.live.enter(passage.entry)
        self._parts.metrics.in_flight(1, exchange.direction.value)
        try:
            return await self._behind_the_door(passage, self._enforce(passage))
        except asyncio.CancelledError:
            if not passage.detached:
                self._closing.settle(passage, Ending.CLIENT_LEFT, 0)
            raise

    def refuse_unread(self, exchange: Exchange, fault: EnforcementError) -> Reply:
        """The refusal of a request that the listener's gate turned away: recorded and counted
        like any other, in the words of the protocol its path belongs to."""
        passage = _passage(exchange)
        route = self._parts.table(exchange.direction).choose(exchange.head)
        if route is not None:
            passage.route, passage.adapter = route, self._parts.adapters[route.protocol]
        self._parts.metrics.in_flight(1, exchange.direction.value)
        passage.reason = fault.reason
        reply, _ = self._refusal(passage, fault, close=True)
        return reply

    async def _behind_the_door(self, passage: Passage, work: Awaitable[Reply]) -> Reply:
        """The last door: whatever goes wrong in `work` is a refusal, or the caller has left."""
        try:
            try:
                return await work
            except EnforcementError as fault:
                return await self._refuse(passage, fault)
        except asyncio.CancelledError:
            if passage.entry.cut_for is None:
                raise
            _uncancel()
            return await self._refuse(passage, _cut(passage.entry))
        except Exception:  # the last door
            logger.exception("an exchange failed inside", extra=_internal(passage))
        except BaseException as fault:  # a panic in a Rust extension is no `Exception`
            if not is_panic(fault):
                raise
            logger.exception("an exchange failed inside", extra=_internal(passage))
        if passage.reason is not None:
            passage.adapter = None  # the fault may lie in the adapter's own words
        return await self._refuse(passage, EnforcementError("internal fault"))

    async def _enforce(self, passage: Passage) -> Reply:
        parts, exchange = self._parts, passage.exchange
        clean = strip(exchange.head, parts.credential_headers, exchange.direction)
        passage.head, passage.task_header = clean.head, clean.task
        route = parts.table(exchange.direction).choose(clean.head)
        if route is not None:
            passage.route, passage.adapter = route, parts.adapters[route.protocol]
        passage.subject = await parts.identifier.authenticate(exchange)  # 4
        for _ in range(clean.credentials):
            parts.metrics.noted("credential_stripped", passage.protocol)
        passage.entry.agent = passage.subject.id
        passage.entry.attested = passage.subject.credential is Credential.ATTESTED_LOCAL
        passage.entry.still = passage.subject.still
        parts.quarantine.check(agent=passage.subject.id)  # 5
        if self._own.asked(passage):
            return await self._own.answer(passage)
        if route is None:
            raise _unrouted(passage)  # 6
        passage.give_back = await parts.slots.enter(passage.subject.id, route.upstream)
        passage.policy = parts.decider.active()
        conversation = await self._read(passage)  # 7
        return await self._converse(passage, conversation)

    async def _read(self, passage: Passage) -> Conversation:
        """Read the body within its bounds and let the adapter say what is asked."""
        _, _, route, adapter = passage.bound
        need = adapter.need(passage.head, route)
        body: bytes | None = None
        if need.judged:
            passage.body_read = True
            body = await passage.exchange.body.read(need.limit_bytes)
            if need.json is not None and len(body) > STEPPED_BYTES:
                passage.document = await _read_in_turns(body, need.json)
        return self._parse(passage, body)

    def _parse(self, passage: Passage, body: bytes | None) -> Conversation:
        return self._parse_under(passage, body, passage.bound[1].manifest)

    def _parse_under(
        self, passage: Passage, body: bytes | None, manifest: Manifest
    ) -> Conversation:
        subject, route, adapter = passage.subject, passage.route, passage.adapter
        if subject is None or route is None or adapter is None:
            raise RuntimeError("read before authentication and routing")
        passage.body, passage.read_s = body, self._parts.clock.monotonic_s()
        passage.conversation = adapter.parse(
            Inbound(
                head=passage.head,
                body=body,
                document=passage.document,
                source=passage.exchange.body,
                route=route,
                subject=subject,
                manifest=manifest,
                trace=passage.exchange.trace,
            )
        )
        passage.entry.conversation = passage.conversation
        traced = traced_of(passage.conversation)
        if traced is not None and (carried := traced.carried_trace()) is not None:
            self._rejoin(passage, traced, *carried)
        return passage.conversation

    def _rejoin(
        self, passage: Passage, traced: Traced, parent: str | None, state: str | None
    ) -> None:
        """What the message says of its trace wins over what its header said."""
        exchange, tracer = passage.exchange, self._parts.tracer
        if tracer is not None:
            exchange = tracer.rejoin(exchange, parent, state)
        elif (trace := rejoined(exchange.trace, parent, state)) is not exchange.trace:
            exchange = replace(exchange, trace=trace)
        if exchange is not passage.exchange:
            passage.exchange = exchange
            traced.join(exchange.trace)

    async def _converse(self, passage: Passage, conversation: Conversation) -> Reply:
        subject, policy, _, _ = passage.bound
        names = TaskNames(header=passage.task_header, message=conversation.task_name)
        passage.task = await self._parts.binder.bind(subject, names, policy)  # 8
        conversation = await self._prepare(passage, conversation)
        leg = passage.leg = Leg(conversation=conversation)
        _, plan = await self._admission.admit(passage, leg)  # 9-14
        if not conversation.runs_on:
            return await self._send_and_answer(passage, leg, plan)
        return await self._run_detached(passage, leg, plan)

    async def _run_detached(self, passage: Passage, leg: Leg, plan: Plan) -> Reply:
        """Send and answer in a job of its own, which a caller that leaves does not end."""
        answered: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        async def run_on() -> None:
            self._parts.live.enter(passage.entry)
            try:
                work = self._send_and_answer(passage, leg, plan)
                reply = await self._behind_the_door(passage, work)
                if not answered.done():
                    answered.set_result(reply)
                else:
                    await self._behind_the_door(passage, self._drain(passage, reply))
            finally:
                if not answered.done():
                    answered.cancel()
                if answered.cancelled():
                    self._closing.settle(passage, Ending.CLIENT_LEFT, 0)

        passage.detached = True
        self._parts.jobs.start("exchange", run_on())
        try:
            reply = await answered
        except asyncio.CancelledError:
            self._abandon(passage)
            if answered.done() and not answered.cancelled():
                # The answer came in the very moment the caller left: nobody else will end it.
                rest = self._behind_the_door(passage, self._drain(passage, answered.result()))
                self._parts.jobs.start("exchange", _ignoring(rest))
            raise
        passage.detached = False
        return reply

    def _abandon(self, passage: Passage) -> None:
        """The caller left what runs on: it takes nobody's place from now on, and has a minute."""
        passage.leave_place()
        passage.entry.abandoned = True
        limit_s = ABANDONED_S if self._parts.live.abandoned <= ABANDONED else 0.0
        loop = asyncio.get_running_loop()
        passage.timer = loop.call_later(limit_s, self._cut_one, passage.entry)

    def _cut_one(self, entry: LiveExchange) -> None:
        self._parts.live.cut(lambda live: live is entry, Reason.OVERLOAD)

    async def _send_and_answer(self, passage: Passage, leg: Leg, plan: Plan) -> Reply:
        return await self._answer(passage, leg, await self._relay.send(passage, leg, plan))

    async def _prepare(self, passage: Passage, conversation: Conversation) -> Conversation:
        """Hold the conversations that this one needs first, then read it anew (§4.5)."""
        prelude = prelude_of(conversation)
        if prelude is None:
            return conversation
        for _ in range(_PRELUDES):
            before = prelude()
            if before is None:
                break
            leg = passage.leg = Leg(conversation=before)
            try:
                _, plan = await self._admission.admit(passage, leg)
                watcher = await self._relay.send(passage, leg, plan)
                await self._relay.collect(passage, leg, watcher)
            except EnforcementError as fault:
                passage.reason = fault.reason  # this leg's outcome says why it ended
                raise
            finally:
                self._closing.end_leg(passage, leg, Ending.SENT, 0)
        else:
            raise UnrecognisedError("the upstream's list has no end")
        return self._parse(passage, passage.body)

    async def _answer(self, passage: Passage, leg: Leg, watcher: Watcher) -> Reply:
        settle = partial(self._closing.settle, passage)
        if watcher.streaming:
            head = watcher.head()
            return Reply(
                status=head.status,
                headers=head.headers,
                body=self._stream(passage, leg, watcher),
                settle=settle,
                is_last=lambda: passage.entry.cut_for is Reason.UNAUTHENTICATED,
            )
        head, data = await self._relay.collect(passage, leg, watcher)
        return Reply(status=head.status, headers=head.headers, body=data, settle=settle)

    async def _stream(self, passage: Passage, leg: Leg, watcher: Watcher) -> AsyncIterator[bytes]:
        """The answer's pieces; a fault ends them in the protocol's own words or aborts."""
        self._parts.live.enter(passage.entry)  # a detached call hands its stream to the caller
        try:
            async for piece in self._relay.pieces(passage, leg, watcher):
                yield piece
        except EnforcementError as fault:
            yield self._last_words(passage, leg, fault)
        except asyncio.CancelledError:
            if passage.entry.cut_for is None:
                raise
            _uncancel()
            yield self._last_words(passage, leg, _cut(passage.entry))
        finally:
            if not leg.complete and leg.conversation.runs_on and passage.reason is None:
                passage.running_out = True
                self._parts.jobs.start("stream", self._run_out(passage, leg, watcher))
                self._abandon(passage)  # after it: a cut finds the job that is to end

    async def _run_out(self, passage: Passage, leg: Leg, watcher: Watcher) -> None:
        """A legacy stream whose caller left: read to its end, for its outcome and for what it
        says of state. Its books are closed here, not when the caller's connection ends."""
        self._parts.live.enter(passage.entry)
        try:
            await self._behind_the_door(passage, self._read_out(passage, leg, watcher))
        finally:
            passage.running_out = False
            self._closing.settle(passage, Ending.CLIENT_LEFT, 0)

    async def _read_out(self, passage: Passage, leg: Leg, watcher: Watcher) -> Reply:
        async for _ in self._relay.pieces(passage, leg, watcher):
            pass
        return _nobody()

    async def _drain(self, passage: Passage, reply: Reply) -> Reply:
        """Finish an answer whose caller left, so that its outcome is known."""
        if not isinstance(reply.body, bytes):
            async for _ in reply.body:
                pass
        self._closing.settle(passage, Ending.CLIENT_LEFT, 0)
        return _nobody()

    def _last_words(self, passage: Passage, leg: Leg, fault: EnforcementError) -> bytes:
        """A fault inside a stream that has begun. Raises it on where no words are possible."""
        passage.reason = fault.reason
        leg.abort()
        adapter = passage.bound[3]
        refusal = self._closing.refusal(passage, fault)
        words = adapter.refuse(refusal, passage.head, passage.conversation, begun=True)
        if not words.body:
            raise fault
        return words.body

    async def _refuse(self, passage: Passage, fault: EnforcementError) -> Reply:
        """18: the refusal, recorded, in the caller's own protocol."""
        passage.reason = fault.reason
        passage.entry.refused = True
        if passage.leg is not None:
            passage.leg.abort()
        if passage.conversation is None and fault.reason in _BEFORE_BODY:
            await self._read_envelope(passage)
        unread = passage.head.has_body and not passage.body_read
        reply, said = self._refusal(passage, fault, close=unread)
        if said is Reason.UNRECOGNISED and passage.protocol == ProtocolName.MCP:
            # A hidden name was decided on and an unknown one was not: told at even steps, the
            # two take alike (PROTOCOLS §4.5).
            spent_s = self._parts.clock.monotonic_s() - passage.read_s
            await asyncio.sleep(-spent_s % ABSENT_STEP_S)
        return reply

    def _refusal(
        self, passage: Passage, fault: EnforcementError, *, close: bool
    ) -> tuple[Reply, Reason]:
        """The answer that refuses, and the reason that it tells."""
        if passage.exchange.peer.meant is not None and fault.reason in _ASTRAY:
            self._parts.metrics.noted("bypass_attempt", _attempted(passage))
        self._closing.record_refusal(passage, fault)
        refusal = self._closing.refusal(passage, fault)
        refused = self._closing.words(passage, refusal, fault)
        reply = Reply(
            status=refused.status,
            headers=refused.headers,
            body=refused.body,
            settle=partial(self._closing.settle, passage),
            close=close or refusal.close or _is_nobody(passage, fault),
        )
        return reply, refusal.reason

    async def _read_envelope(self, passage: Passage) -> None:
        """Read just enough to refuse in the protocol's words. Any fault leaves the plain form."""
        if passage.body_read or passage.adapter is None or passage.route is None:
            return
        try:
            need = passage.adapter.need(passage.head, passage.route)
            if need.judged:
                passage.body_read = True
                limit = min(need.limit_bytes, ENVELOPE_BYTES)
                body = await passage.exchange.body.read(limit)
                self._parse_under(passage, body, self._manifest(passage))
        except EnforcementError:
            return

    def _manifest(self, passage: Passage) -> Manifest:
        """The manifest in force, or an empty one: enough to see whose message it is."""
        try:
            return (passage.policy or self._parts.decider.active()).manifest
        except EnforcementError:
            return Manifest(upstreams={}, zones=Zones())


async def _read_in_turns(body: bytes, limits: JsonLimits) -> Document:
    """`body` parsed piece by piece, the loop given its turn between them (HARDENING §4)."""
    steps = read_steps(body, limits)
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return Document(value=done.value)
        except MalformedError as fault:  # the adapter may still find whose body it is
            return Document(value=None, fault=fault)
        await asyncio.sleep(0)


async def _ignoring(work: Awaitable[Reply]) -> None:
    await work


def _internal(passage: Passage) -> dict[str, str]:
    return {"event": "internal", "request_id": passage.exchange.id}


def _passage(exchange: Exchange) -> Passage:
    entry = LiveExchange(id=exchange.id, peer=exchange.peer.tls)
    return Passage(exchange=exchange, head=exchange.head, entry=entry)


def _unrouted(passage: Passage) -> UnrecognisedError:
    """No route: for the record, where it was to go if that is not in one of our own paths."""
    head = passage.head
    asked = head.host if head.absolute else None
    detail = "no upstream is configured for this path or host"
    return UnrecognisedError(detail, resource=asked, cause="route")


def _attempted(passage: Passage) -> ProtocolName:
    """What was tried past the settings, as far as it was read."""
    if passage.head.method == _CONNECT:
        return ProtocolName.CONNECT
    return ProtocolName.HTTP if passage.head.host else ProtocolName.UNKNOWN


def _is_nobody(passage: Passage, fault: EnforcementError) -> bool:
    """Whether the connection's own proof of identity is what failed, or stands beside it: what
    comes next on it would be refused alike."""
    return fault.reason is Reason.UNAUTHENTICATED and passage.exchange.peer.tls is not None


def _uncancel() -> int:
    """The cut was what cancelled this task; how many other cancellations it still owes."""
    task = asyncio.current_task()
    return 0 if task is None else task.uncancel()


def _cut(entry: LiveExchange) -> EnforcementError:
    return entry.why or EnforcementError("the exchange was cut", reason=entry.cut_for)


def _nobody() -> Reply:
    """The answer to a caller who left."""
    return Reply(status=499, headers=(), body=b"", settle=lambda _ending, _count: None)
