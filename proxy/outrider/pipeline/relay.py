"""With a permit to the upstream, and the answer back through the adapter's watcher (15-17).

Laws: the credential goes on last and only where the plan names it; nothing is retried once bytes
left, save one read after a 401 with a fresh lease; what a watcher did not emit never reaches the
caller; what is to be stored is stored before anything later leaves.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Final, assert_never

from outrider.core import span_names
from outrider.core.decision import Permit
from outrider.core.errors import (
    CredentialUnavailableError,
    ObligationError,
    OverloadError,
    TooLargeError,
    UpstreamFailedError,
    UpstreamUnavailableError,
)
from outrider.core.exchange import Outgoing, ResponseHead
from outrider.core.facts import Answered
from outrider.core.obligation import CredentialObligation
from outrider.core.ports import (
    CredentialProvider,
    CredentialRequest,
    Emit,
    Incoming,
    Judge,
    Learn,
    Lease,
    Note,
    Persist,
    Step,
    Watcher,
    news_of,
    opening_of,
)
from outrider.core.vocabulary import EffectClass, FieldLabel, Phase, RecordKind
from outrider.pipeline import records
from outrider.pipeline.admission import Admission, RefusedWithinError
from outrider.pipeline.echo import EchoFilter
from outrider.pipeline.hygiene import merged
from outrider.pipeline.notices import tell
from outrider.pipeline.obligations import Plan
from outrider.pipeline.parts import Parts
from outrider.pipeline.passage import Leg, Passage
from outrider.pipeline.tracing import begun_client, stepped

logger = logging.getLogger("outrider.pipeline")

UNAUTHORIZED = 401
LARGE_AT_ONCE: Final = 2
"""Large answers worked on at a time; the others wait as bytes, first come first served."""
_WITHDRAWN: Final = "definition_changed"  # from now on it is offered to nobody


class Relay:
    """Sends what was permitted and carries the answer back."""

    def __init__(self, parts: Parts, admission: Admission, answer_bytes: int) -> None:
        self._parts = parts
        self._admission = admission
        self._answer_bytes = answer_bytes
        # Decoded, an answer takes many times its bytes: so many are decoded at a time, in turn.
        self._large_work = asyncio.Semaphore(LARGE_AT_ONCE)

    async def send(self, passage: Passage, leg: Leg, plan: Plan) -> Watcher:
        """Forward `leg` under its permit; the watcher of the answer that began to arrive."""
        tell(self._parts, passage, plan.notify)
        began = self._parts.clock.monotonic_s()
        try:
            incoming = await self._forward(passage, leg, plan)
        finally:
            passage.upstream_s += self._parts.clock.monotonic_s() - began
        leg.incoming, leg.http_status = incoming, incoming.head.status
        head = incoming.head
        if leg.lease is not None:
            leg.echo = EchoFilter(leg.lease)
            head = leg.echo.head(head)
        watcher = leg.conversation.watch(head, leg.edits)
        opening = opening_of(watcher)
        if opening is not None:
            await self._carry_out(passage, opening())
        return watcher

    async def collect(
        self, passage: Passage, leg: Leg, watcher: Watcher
    ) -> tuple[ResponseHead, bytes]:
        """The whole answer, bounded, after everything the watcher asked for was done."""
        out = bytearray()
        while not leg.complete:  # not by `pieces`: a generator costs more than all it yields here
            for data in await self._more(passage, leg, watcher):
                out += data
                if len(out) > self._answer_bytes:
                    raise TooLargeError(self._answer_bytes, cause="answer")
        return watcher.head(), bytes(out)

    async def pieces(self, passage: Passage, leg: Leg, watcher: Watcher) -> AsyncIterator[bytes]:
        """The answer as the caller gets it, piece by piece. Raises `EnforcementError` to cut it."""
        news, entry = news_of(watcher), passage.entry
        if news is not None and leg.incoming is not None:
            entry.wake = leg.incoming.wake
        while not leg.complete:
            if entry.stale and news is not None:
                entry.stale = False
                await self._admission.admit_again(passage, leg)
                for data in await self._carry_out(passage, news()):
                    yield data
            for data in await self._more(passage, leg, watcher):
                yield data

    async def _more(self, passage: Passage, leg: Leg, watcher: Watcher) -> list[bytes]:
        """What the next chunk of the answer, or its end, comes to."""
        incoming = leg.incoming
        if incoming is None:
            raise RuntimeError("an answer is relayed after it began")
        began = self._parts.clock.monotonic_s()
        try:
            chunk = await anext(incoming, None)
        finally:
            passage.upstream_s += self._parts.clock.monotonic_s() - began
        echo = leg.echo
        if chunk is None:
            leg.complete = True
            if echo is None:
                return await self._carry_out(passage, watcher.end())
            self._tell_of_echo(passage, echo)
            return await self._carry_out(passage, [*watcher.feed(echo.end()), *watcher.end()])
        if not chunk:
            return []  # only woken
        leg.bytes_in += len(chunk)
        chunk = chunk if echo is None else echo.feed(chunk)
        return await self._carry_out(passage, watcher.feed(chunk))

    def _tell_of_echo(self, passage: Passage, echo: EchoFilter) -> None:
        """An upstream sent our own credential back: it never left, but somebody should know."""
        if not echo.found:
            return
        self._parts.metrics.noted("secret_echo", passage.protocol)
        logger.warning(
            "an upstream sent our credential back",
            extra={
                "event": "secret_echo",
                "upstream": passage.bound[2].upstream,
                "request_id": passage.exchange.id,
            },
        )

    async def _forward(self, passage: Passage, leg: Leg, plan: Plan) -> Incoming:
        if leg.permit is None:
            raise RuntimeError("nothing is forwarded without a permit")
        outgoing = leg.conversation.outgoing(leg.edits)
        if leg.edits.headers:
            outgoing = replace(outgoing, headers=merged(outgoing.headers, leg.edits.headers))
        meant = passage.exchange.peer.meant
        if meant is not None:
            outgoing = replace(outgoing, meant=meant, called=passage.head.host)
        found = self._provider(passage, plan)
        if found is None:
            return await self._dispatch(passage, leg, leg.permit, outgoing)
        provider, request = found
        lease = leg.lease = await self._acquire(passage, provider, request)
        outgoing_with = _with_lease(outgoing, lease)
        incoming = await self._dispatch(passage, leg, leg.permit, outgoing_with)
        if incoming.head.status != UNAUTHORIZED:
            return incoming
        incoming.abort()
        return await self._once_more(leg, provider, outgoing)

    async def _acquire(
        self, passage: Passage, provider: CredentialProvider, request: CredentialRequest
    ) -> Lease:
        spans = passage.exchange.trace.spans
        if spans is None:
            return await provider.acquire(request)
        with stepped(spans, span_names.LEASE):
            return await provider.acquire(request)

    async def _dispatch(
        self, passage: Passage, leg: Leg, permit: Permit, outgoing: Outgoing
    ) -> Incoming:
        spans = passage.exchange.trace.spans
        if spans is not None:
            leg.span = begun_client(passage, spans, self._parts.places)
        leg.sent = True
        try:
            return await self._parts.upstream.send(permit, outgoing)
        except UpstreamUnavailableError:
            leg.sent = False  # whatever the reason: nothing was written
            raise

    async def _once_more(
        self, leg: Leg, provider: CredentialProvider, outgoing: Outgoing
    ) -> Incoming:
        """A 401 is a complete answer: a read gets one fresh lease and one more try."""
        reads = all(action.effect_class is EffectClass.READ for action in leg.actions)
        if leg.lease is None or leg.permit is None or not reads:
            raise CredentialUnavailableError("the upstream refused the credential")
        lease = leg.lease = await provider.renew(leg.lease)
        try:
            incoming = await self._parts.upstream.send(leg.permit, _with_lease(outgoing, lease))
        except (UpstreamUnavailableError, OverloadError) as fault:
            # "nothing was written" is true of this try alone: the first one's bytes had left
            raise UpstreamFailedError("the upstream cannot be asked again") from fault
        if incoming.head.status == UNAUTHORIZED:
            incoming.abort()
            raise CredentialUnavailableError("the upstream refused a fresh credential")
        return incoming

    def _provider(
        self, passage: Passage, plan: Plan
    ) -> tuple[CredentialProvider, CredentialRequest] | None:
        subject, _, route, _ = passage.bound
        wanted = plan.credential
        if wanted is None:
            name = self._parts.upstream_credentials.get(route.upstream)
            if name is None:
                return None
            wanted = CredentialObligation(provider=name)
        provider = self._parts.credentials.get(wanted.provider)
        if provider is None:
            raise ObligationError("no such credential provider is configured")
        request = CredentialRequest(
            subject=subject,
            task=passage.task.id if passage.task else None,
            upstream=route.upstream,
            role=wanted.role,
            scope=wanted.scope,
            ttl_s=wanted.ttl_s,
        )
        return provider, request

    async def _carry_out(
        self, passage: Passage, steps: list[Step], *, at_work: bool = False
    ) -> list[bytes]:
        """What `steps` come to. `at_work`: they belong to a large work that has its place."""
        out: list[bytes] = []
        for step in steps:
            match step:
                case Emit(data=data):
                    if data:
                        out.append(data)
                case Judge(asks=(), then=then):
                    # a place from the first turn of a large work to its last step
                    async with nullcontext() if at_work else self._large_work:
                        await asyncio.sleep(0)
                        out += await self._carry_out(passage, then(()), at_work=True)
                case Judge(asks=asks, phase=Phase.LIST, then=then):
                    verdicts = await self._admission.visible(passage, asks, Phase.LIST)
                    out += await self._carry_out(passage, then(verdicts), at_work=at_work)
                case Judge():
                    out += await self._judge_within(passage, step, at_work=at_work)
                case Persist(table=table, key=key, value=value):
                    await self._parts.store.put(table, key, value)
                case Note():
                    await self._note(passage, step)
                case Learn():
                    await _learn(passage.bound_leg, step)
                case _:
                    assert_never(step)
        return out

    async def _judge_within(self, passage: Passage, judge: Judge, *, at_work: bool) -> list[bytes]:
        faults = await self._admission.answer_within(passage, judge.asks)
        verdicts = tuple([fault is None for fault in faults])
        out = await self._carry_out(passage, judge.then(verdicts), at_work=at_work)
        for fault in faults:
            if fault is not None and judge.refusal:
                raise RefusedWithinError(judge.refusal, fault)
        return out

    async def _note(self, passage: Passage, note: Note) -> None:
        protocol = passage.bound[2].protocol
        self._parts.metrics.noted(note.event, protocol)
        if note.event == _WITHDRAWN:
            self._parts.live.changed(passage.bound[2].upstream)
        if not note.recorded:
            return
        record = records.base(
            RecordKind.DEFINITION if note.event == _WITHDRAWN else RecordKind.ADMIN,
            self._parts.clock,
            passage.exchange,
            passage.subject,
            passage.task,
        )
        record["note"] = {"event": note.event, **note.facts}
        await self._parts.audit.append(record, durable=False)


async def _learn(leg: Leg, learn: Learn) -> None:
    """Have the task's books know of it before anything later leaves."""
    if leg.page is None:
        raise RuntimeError("an answer is learnt on the page its call opened")
    label = leg.label
    await leg.page.learn(
        Answered(
            action=0,
            value=learn.value,
            texts=learn.texts,
            whole=learn.whole,
            failed=learn.failed,
            spelt=learn.spelt,
            sensitivity=label.sensitivity if label is not None else None,
            labels=tuple(map(FieldLabel, label.labels)) if label is not None else (),
        )
    )


def _with_lease(outgoing: Outgoing, lease: Lease) -> Outgoing:
    return replace(
        outgoing,
        secret_headers=lease.headers,
        lease_fingerprint=lease.fingerprint,
    )
