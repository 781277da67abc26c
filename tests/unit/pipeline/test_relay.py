"""With a permit to the upstream and back: never without one, and a credential never twice."""

import pytest

from outrider.core.decision import grant_permit
from outrider.core.errors import CredentialUnavailableError
from outrider.core.exchange import Ending
from outrider.core.ports import Emit, Note, Step
from outrider.pipeline.admission import Admission
from outrider.pipeline.live import LiveExchange
from outrider.pipeline.obligations import EMPTY
from outrider.pipeline.passage import Leg, Passage
from outrider.pipeline.relay import Relay
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
