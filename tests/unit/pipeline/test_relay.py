"""With a permit to the upstream and back: never without one, and a credential never twice."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from outrider.core.decision import grant_permit
from outrider.core.errors import (
    CredentialUnavailableError,
    EnforcementError,
    OverloadError,
    UpstreamUnavailableError,
)
from outrider.core.exchange import Ending
from outrider.core.ports import Emit, Judge, Note, Step
from outrider.core.vocabulary import Phase, Reason
from outrider.pipeline.admission import Admission
from outrider.pipeline.live import LiveExchange
from outrider.pipeline.obligations import EMPTY
from outrider.pipeline.passage import Leg, Passage
from outrider.pipeline.relay import LARGE_AT_ONCE, Relay
from tests.support.builders import a_decision, a_response_head, a_subject, an_action, an_exchange
from tests.support.pipeline import FixedIncoming, PlainWatcher, Rig


def _relay(rig: Rig) -> tuple[Relay, Passage, Leg]:
    """A relay, and a passage that was authenticated and routed but not admitted."""
    parts = rig.parts()
    exchange = an_exchange()
    route = parts.routes.choose(exchange.head)
    passage = Passage(
        exchange=exchange,
        head=exchange.head,
        entry=LiveExchange(id=exchange.id),
        route=route,
        adapter=rig.adapter,
        subject=a_subject(),
        policy=rig.decider.active(),
    )
    leg = passage.leg = Leg(conversation=rig.adapter.conversation, actions=(an_action(),))
    return Relay(parts, Admission(parts), 1 << 20), passage, leg


async def test_nothing_is_forwarded_without_a_permit() -> None:
    rig = Rig(configured_credential=True)
    relay, passage, leg = _relay(rig)
    with pytest.raises(RuntimeError, match="without a permit"):
        await relay.send(passage, leg, EMPTY)
    assert (rig.upstream.requests, rig.provider.acquired, leg.sent) == ([], [], False)
    permit = leg.permit = grant_permit((a_decision(),), leg.actions)
    await relay.send(passage, leg, EMPTY)
    assert rig.upstream.permits == [permit]


async def test_an_answer_is_not_relayed_before_it_began() -> None:
    rig = Rig()
    relay, passage, leg = _relay(rig)
    with pytest.raises(RuntimeError, match="after it began"):
        await relay.collect(passage, leg, PlainWatcher(a_response_head()))
    assert not leg.complete


async def test_a_fresh_credential_that_is_refused_too_is_not_renewed_again() -> None:
    rig = Rig(configured_credential=True)
    answers = [FixedIncoming(head=a_response_head(401)) for _ in range(3)]
    rig.upstream.answers = [*answers]
    relay, passage, leg = _relay(rig)
    leg.permit = grant_permit((a_decision(),), leg.actions)
    with pytest.raises(CredentialUnavailableError, match="a fresh credential"):
        await relay.send(passage, leg, EMPTY)
    sent = [request.secret_headers[0][1].reveal() for request in rig.upstream.requests]
    assert sent == [b"Bearer token-1", b"Bearer fresh"]
    assert [answer.aborted for answer in answers] == [1, 1, 0]


@pytest.mark.parametrize(
    "fault", [UpstreamUnavailableError("refused", cause="connect"), OverloadError("busy")], ids=repr
)
async def test_a_second_try_that_never_left_does_not_unsay_the_first(
    fault: EnforcementError,
) -> None:
    rig = Rig(configured_credential=True)
    rig.upstream.answers = [FixedIncoming(head=a_response_head(401)), fault]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        reply.settle(Ending.SENT, 0)
    assert len(rig.upstream.requests) == 2
    assert rig.adapter.refusals[-1].reason is Reason.UPSTREAM_ERROR
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "unknown"


@pytest.mark.parametrize(
    ("note", "kinds"),
    [
        pytest.param(Note(event="definition_changed", facts={}), ["definition"], id="definition"),
        pytest.param(Note(event="handshake", facts={}), ["admin"], id="anything-else"),
        pytest.param(Note(event="handshake", facts={}, recorded=False), [], id="only-counted"),
    ],
)
async def test_a_note_is_counted_and_recorded_where_it_says_so(
    note: Note, kinds: list[str]
) -> None:
    rig = Rig()
    steps: list[Step] = [note, Emit(data=b"on")]
    rig.adapter.conversation.on_chunk = lambda _chunk: steps
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        reply.settle(Ending.SENT, 0)
    assert reply.body == b"on"
    assert rig.metrics.notes == [note.event]
    assert rig.audit.kinds() == ["decision", *kinds, "outcome"]


@pytest.mark.parametrize(
    ("event", "woken"),
    [
        pytest.param("definition_changed", ["crm"], id="a-definition-that-changed"),
        pytest.param("definition_added", [], id="one-that-came"),
    ],
)
async def test_only_what_was_withdrawn_is_told_to_other_answers(
    event: str, woken: list[str]
) -> None:
    rig = Rig()
    told: list[str] = []
    other = LiveExchange(id="other", upstream="crm")
    other.wake = lambda: told.append("crm")
    foreign = LiveExchange(id="foreign", upstream="mail")
    foreign.wake = lambda: told.append("mail")
    rig.live.enter(other)
    rig.live.enter(foreign)
    rig.adapter.conversation.on_chunk = lambda _chunk: [Note(event=event, facts={})]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        reply.settle(Ending.SENT, 0)
    assert told == woken


@dataclass(slots=True)
class LargeAnswers:
    """Answers to one relay whose work takes turns until it is let end."""

    relay: Relay
    begun: list[int] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    may_end: set[int] = field(default_factory=set)
    faults: set[int] = field(default_factory=set)

    async def answer(self, number: int) -> bytes:
        _, passage, leg = _relay(Rig())
        leg.incoming = FixedIncoming()
        steps: list[Step] = [self._turn(lambda: self._begin(number))]
        watcher = PlainWatcher(a_response_head(), on_chunk=lambda _: steps)
        return (await self.relay.collect(passage, leg, watcher))[1]

    def _turn(self, then: Callable[[], list[Step]]) -> Judge:
        return Judge(asks=(), phase=Phase.RESPONSE, then=lambda _verdicts: then())

    def _begin(self, number: int) -> list[Step]:
        self.begun.append(number)
        return [self._turn(lambda: self._go_on(number))]

    def _go_on(self, number: int) -> list[Step]:
        if number in self.faults:
            raise CredentialUnavailableError("broken")
        if number not in self.may_end:
            return [self._turn(lambda: self._go_on(number))]
        self.ended.append(number)
        return [Emit(data=b"%d" % number)]


@asynccontextmanager
async def _under_way(count: int) -> AsyncIterator[tuple[LargeAnswers, list[asyncio.Task[bytes]]]]:
    relay, _, _ = _relay(Rig())
    answers = LargeAnswers(relay)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(answers.answer(number)) for number in range(count)]
        await _a_while()
        yield answers, tasks
        answers.may_end |= {*range(count)}


async def _a_while() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_few_large_answers_are_worked_on_at_once_and_the_others_wait_in_order() -> None:
    async with _under_way(LARGE_AT_ONCE + 3) as (answers, tasks):
        assert answers.begun == [0, 1]
        answers.may_end.add(1)
        await _a_while()
        assert (answers.begun, tasks[1].result()) == ([0, 1, 2], b"1")
        answers.may_end |= {0, 2}
        await _a_while()
        assert answers.begun == [0, 1, 2, 3, 4]
    assert sorted(answers.ended) == [0, 1, 2, 3, 4]


async def test_a_caller_who_leaves_gives_the_place_or_the_wait_up() -> None:
    async with _under_way(LARGE_AT_ONCE + 3) as (answers, tasks):
        tasks[2].cancel()  # waits
        tasks[0].cancel()  # works
        await _a_while()
        assert answers.begun == [0, 1, 3]
        tasks[3].cancel()
        tasks[1].cancel()
        await _a_while()
        assert answers.begun == [0, 1, 3, 4]
    assert answers.ended == [4]


async def test_a_work_that_fails_gives_its_place_up() -> None:
    relay, _, _ = _relay(Rig())
    answers = LargeAnswers(relay, faults={*range(3)}, may_end={3})
    for number in range(3):
        with pytest.raises(CredentialUnavailableError):
            await answers.answer(number)
    assert await answers.answer(3) == b"3"


async def test_what_is_small_waits_for_no_large_answer() -> None:
    async with _under_way(LARGE_AT_ONCE) as (answers, _):
        _, passage, leg = _relay(Rig())
        leg.incoming = FixedIncoming()
        watcher = PlainWatcher(a_response_head(), on_chunk=lambda _: [Emit(data=b"small")])
        assert (await answers.relay.collect(passage, leg, watcher))[1] == b"small"
