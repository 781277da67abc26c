"""What an exchange needs before its permit: who may, for how long, on which upstream."""

from dataclasses import dataclass, field

import pytest

from outrider.core.action import Ask
from outrider.core.decision import ReasonEntry
from outrider.core.errors import StoreUnavailableError
from outrider.core.exchange import Ending, Outgoing
from outrider.core.facts import Verdict
from outrider.core.ports import ActivePolicy, Edits, Emit, Judge, Step
from outrider.core.vocabulary import ActionEffect, Effect, Phase, Reason, ResourceType
from tests.support.builders import (
    NOW_UNIX_S,
    a_decision,
    a_grant,
    a_task,
    an_ask,
    an_exchange,
)
from tests.support.pipeline import FixedConversation, FixedDecider, Rig

GRANT_DENIAL = Verdict(effect=Effect.DENY, reason=Reason.GRANT)


@dataclass(slots=True)
class _Keeping(FixedConversation):
    """A conversation that offers `optional` and keeps what it was told."""

    optional: tuple[Ask, ...] = ()
    allowed: list[tuple[bool, ...]] = field(default_factory=list)
    edits: list[Edits] = field(default_factory=list)

    def optional_asks(self) -> tuple[Ask, ...]:
        return self.optional

    def allow_optional(self, verdicts: tuple[bool, ...]) -> None:
        self.allowed.append(verdicts)

    def outgoing(self, edits: Edits) -> Outgoing:
        self.edits.append(edits)
        return FixedConversation.outgoing(self, edits)


async def _done(rig: Rig) -> None:
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        reply.settle(Ending.SENT, 0)


def _sampling(**changes: object) -> Ask:
    return an_ask(
        name="sampling/createMessage",
        resource_type=ResourceType.API,
        resource="sampling/createMessage",
        phase=Phase.RESPONSE,
        effect=ActionEffect.READ,
        **changes,
    )


@pytest.mark.parametrize(
    ("ends_s", "left_s"),
    [
        pytest.param(None, None, id="no-end"),
        pytest.param(NOW_UNIX_S + 90, 90.0, id="later"),
        pytest.param(NOW_UNIX_S - 1, 0.0, id="just-over"),
    ],
)
async def test_what_an_answer_shows_stays_granted_until_its_task_ends(
    ends_s: float | None, left_s: float | None
) -> None:
    conversation = _Keeping()
    rig = Rig()
    rig.adapter.conversation = conversation
    rig.binder.task = a_task(deadline_unix_s=ends_s)
    await _done(rig)
    assert [edits.lifetime_s for edits in conversation.edits] == [left_s]


@pytest.mark.parametrize(
    ("denied", "told"),
    [
        pytest.param((), [(True, True)], id="both"),
        pytest.param(("roots/list",), [(True, False)], id="one"),
        pytest.param(("roots/list", "sampling/createMessage"), [(False, False)], id="none"),
    ],
)
async def test_of_what_a_conversation_offers_it_is_told_what_may_stay(
    denied: tuple[str, ...], told: list[tuple[bool, ...]]
) -> None:
    roots = an_ask(
        name="roots/list",
        resource_type=ResourceType.API,
        resource="roots/list",
        effect=ActionEffect.READ,
    )
    conversation = _Keeping(optional=(_sampling(), roots))
    rig = Rig()
    rig.adapter.conversation = conversation
    rig.binder.task = None
    rig.decider.listed = lambda question: (
        Effect.DENY if question.action.ask.resource in denied else Effect.ALLOW
    )
    await _done(rig)
    assert conversation.allowed == told
    assert len(rig.upstream.permits) == 1  # what is taken out is no reason to refuse the rest


async def test_a_conversation_that_offers_nothing_is_told_nothing() -> None:
    conversation = _Keeping()
    rig = Rig()
    rig.adapter.conversation = conversation
    await _done(rig)
    assert conversation.allowed == []


async def test_without_a_task_policy_alone_decides() -> None:
    rig = Rig()
    rig.binder.task = None
    rig.adapter.conversation.asks = (an_ask(resource="send_email"),)
    await _done(rig)
    assert [question.task for question in rig.decider.asked] == [None]
    assert len(rig.upstream.permits) == 1
    assert rig.audit.of("decision")[0]["task"] is None


async def test_actions_on_two_upstreams_get_no_permit_though_each_is_allowed() -> None:
    rig = Rig()
    rig.binder.task = None
    rig.adapter.conversation.asks = (an_ask(), an_ask(upstream="mail"))
    await _done(rig)
    assert len(rig.decider.asked) == 2
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is Reason.MALFORMED
    assert [record["decision"]["enforced"] for record in rig.audit.of("decision")] == ["deny"]


@pytest.mark.parametrize(
    ("plumbing", "told"),
    [pytest.param(False, [GRANT_DENIAL], id="an-act"), pytest.param(True, [], id="plumbing")],
)
async def test_what_the_grant_refuses_is_a_denial_in_the_books(
    plumbing: bool, told: list[Verdict]
) -> None:
    rig = Rig()
    rig.adapter.conversation.asks = (an_ask(plumbing=plumbing),)
    rig.binder.task = a_task(grant=a_grant(tools=["mail/*"]))
    await _done(rig)
    assert rig.upstream.permits == []
    assert [page.endings[0] for page in rig.books.pages] == told


async def test_what_the_grant_refuses_is_refused_though_nobody_can_count_it() -> None:
    rig = Rig()
    rig.books.shut = StoreUnavailableError("cut off")
    rig.binder.task = a_task(grant=a_grant(effects=["send"]))
    await _done(rig)
    assert rig.upstream.permits == []
    record = rig.audit.records[0]["decision"]
    assert record["reason"] == "grant"  # type: ignore[index, call-overload]


async def test_the_books_are_told_the_codes_of_every_action_that_was_denied() -> None:
    rig = Rig()
    rig.binder.task = None
    rig.adapter.conversation.asks = (an_ask(), an_ask(resource="other"))
    codes = iter(("PV-01", "SQ-01"))
    rig.decider.decision = lambda _question: a_decision(
        effect=Effect.DENY, reason=Reason.POLICY, reasons=(ReasonEntry(code=next(codes)),)
    )
    await _done(rig)
    ended = rig.books.pages[0].endings[0]
    assert isinstance(ended, Verdict)
    assert ended.codes == ("PV-01", "SQ-01")


async def test_an_operation_outside_the_grant_is_not_hidden_since_no_list_shows_it() -> None:
    rig = Rig()
    rig.adapter.conversation.asks = (_sampling(arguments=None),)
    rig.binder.task = a_task(grant=a_grant(tools=["mail/*"], effects=["send"]))
    await _done(rig)
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is Reason.GRANT


async def test_a_servers_request_outside_the_grant_is_kept_away_and_asks_no_policy() -> None:
    rig = Rig()

    def then(verdicts: tuple[bool, ...]) -> list[Step]:
        return [Emit(data=repr(verdicts).encode())]

    outside = an_ask(upstream="mail", resource="send", phase=Phase.RESPONSE)
    rig.adapter.conversation.on_chunk = lambda _chunk: [
        Judge(asks=(outside,), phase=Phase.RESPONSE, then=then)
    ]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        reply.settle(Ending.SENT, 0)
    assert reply.body == b"(False,)"
    assert [question.action.ask.upstream for question in rig.decider.asked] == ["crm"]
    assert len(rig.audit.of("decision")) == 1


@pytest.mark.parametrize("covered", [True, False])
async def test_a_request_of_a_server_that_is_refused_ends_the_answer_that_would_wait_for_it(
    covered: bool,
) -> None:
    rig = Rig()
    asked = an_ask(upstream="crm" if covered else "mail", phase=Phase.RESPONSE)
    refusing = Judge(asks=(asked,), phase=Phase.RESPONSE, then=lambda _: [], refusal="it asked")
    rig.adapter.conversation.on_chunk = lambda _chunk: [refusing]
    codes = (ReasonEntry(code="EX-01", message="no"),)
    no = a_decision(Effect.DENY, reason=Reason.POLICY, reasons=codes)
    rig.decider.decision = lambda question: (
        no if question.action.ask.phase is Phase.RESPONSE else a_decision()
    )
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        reply.settle(Ending.SENT, 0)
    refusal = rig.adapter.refusals[-1]
    assert refusal.detail == "it asked"
    assert refusal.reason is (Reason.POLICY if covered else Reason.GRANT)
    assert refusal.reasons == (codes if covered else ())
    told = [record["decision"]["id"] for record in rig.audit.of("decision")]
    assert refusal.decision_id == told[-1]
    assert [record["outcome"]["status"] for record in rig.audit.of("outcome")] == ["unknown"]


async def test_a_stream_that_looks_again_under_the_same_policy_keeps_its_task() -> None:
    @dataclass(slots=True)
    class Steady(FixedDecider):
        """A decider whose policy does not change."""

        policy: ActivePolicy | None = None

        def active(self) -> ActivePolicy:
            if self.policy is None:
                self.policy = FixedDecider.active(self)
            return self.policy

    rig = Rig(decider=Steady())
    news: list[Step] = [Emit(data=b"news")]
    rig.adapter.conversation.is_stream = True
    rig.adapter.conversation.news = lambda: news
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        assert not isinstance(reply.body, bytes)
        got: list[bytes] = []
        async for piece in reply.body:
            if not got:
                rig.live.changed("crm")
            got.append(piece)
        reply.settle(Ending.SENT, 0)
    assert got == [b'{"ok":true}', b"news"]
    assert (len(rig.binder.names), len(rig.decider.asked)) == (1, 2)
