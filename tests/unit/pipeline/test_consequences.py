"""The task's books beside each exchange, and what policy has done to the task and its agent."""

import pytest

from outrider.core.decision import ReasonEntry
from outrider.core.errors import EnforcementError, ObligationError
from outrider.core.exchange import Ending, ResponseHead
from outrider.core.facts import Ended, Facts, Verdict
from outrider.core.obligation import (
    ApprovalObligation,
    LabelObligation,
    NarrowObligation,
    QuarantineObligation,
)
from outrider.core.ports import Edits, Emit, Learn, Step
from outrider.core.vocabulary import (
    Direction,
    Effect,
    FieldLabel,
    OutcomeStatus,
    Reason,
    Sensitivity,
)
from tests.support.builders import a_decision, a_head, an_ask, an_exchange
from tests.support.pipeline import PlainWatcher, Rig

NARROW = NarrowObligation(grant={"effects": ["read"]})
QUARANTINE = QuarantineObligation(scope="task", reason="SQ-01")
KNOWN = Facts(
    behaviour={
        "flags": {"untrusted_read": True, "sensitive_read": False},
        "highest_sensitivity_read": "internal",
        "counters": {"calls_60s": 4, "bytes_out": {"crm.internal": 3}},
    },
    provenance={
        "/to": {"role": "destination", "label": "untrusted", "sources": ["evt_1#/body"]},
        "/body": {"role": "content", "label": "model", "sources": []},
    },
)


async def _done(rig: Rig, **changes: object) -> None:
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange(**changes))
        if not isinstance(reply.body, bytes):
            async for _ in reply.body:
                pass
        reply.settle(Ending.SENT, 0)


async def test_a_call_is_counted_in_told_to_policy_reserved_and_closed() -> None:
    rig = Rig()
    rig.books.known = KNOWN
    await _done(rig)
    assert [question.facts for question in rig.decider.asked] == [KNOWN]
    (page,) = rig.books.pages
    assert page.reserved == 1
    assert [type(one) for one in page.endings] == [Ended]
    assert page.endings[0].status is OutcomeStatus.EXECUTED


async def test_the_record_says_what_was_known_and_of_content_nothing() -> None:
    rig = Rig()
    rig.books.known = KNOWN
    await _done(rig)
    (decision,) = rig.audit.of("decision")
    assert decision["provenance"] == {"/to": {"label": "untrusted", "sources": ["evt_1#/body"]}}
    assert decision["behaviour"] == {
        "flags": ["untrusted_read"],
        "highest_sensitivity_read": "internal",
        "counters": {"calls_60s": 4},
    }


async def test_a_denied_call_is_given_back_with_the_verdict() -> None:
    rig = Rig()
    rig.decider.decision = a_decision(Effect.DENY)
    await _done(rig)
    (page,) = rig.books.pages
    assert page.reserved == 0
    assert page.endings[0] == Verdict(effect=Effect.DENY, reason=Reason.POLICY)


async def test_where_the_budget_is_spent_nothing_leaves_and_one_record_says_so() -> None:
    rig = Rig()
    rig.books.fault = EnforcementError("no calls are left", reason=Reason.BUDGET)
    await _done(rig)
    assert rig.upstream.permits == []
    (decision,) = rig.audit.of("decision")
    assert decision["decision"]["effect"] == "allow"
    assert decision["decision"]["enforced"] == "deny"
    assert decision["decision"]["reason"] == "budget"
    assert rig.adapter.refusals[-1].reason is Reason.BUDGET
    assert rig.adapter.refusals[-1].decision_id == decision["decision"]["id"]
    assert rig.books.pages[0].endings[0].status is OutcomeStatus.REFUSED


async def test_without_books_nothing_passes() -> None:
    rig = Rig()
    rig.books.shut = EnforcementError("gone", reason=Reason.STORE_UNAVAILABLE)
    await _done(rig)
    assert rig.upstream.permits == []
    assert rig.decider.asked == []
    assert rig.adapter.refusals[-1].reason is Reason.STORE_UNAVAILABLE


@pytest.mark.parametrize(
    ("left", "limit", "records"),
    [
        pytest.param(None, None, None, id="unbounded"),
        pytest.param(7, None, 7, id="what-is-left"),
    ],
)
async def test_the_rest_of_the_records_caps_the_answer(
    left: int | None, limit: int | None, records: int | None
) -> None:
    rig = Rig()
    rig.books.left = left
    seen: list[int | None] = []
    watch = rig.adapter.conversation.watch

    def watching(head: object, edits: object) -> object:
        seen.append(edits.records)  # type: ignore[attr-defined]
        return watch(head, edits)  # type: ignore[arg-type]

    object.__setattr__(rig.adapter, "conversation", _Watched(rig, watching))
    await _done(rig)
    assert seen == [records]


class _Watched:
    """The rig's conversation with another way to watch."""

    def __init__(self, rig: Rig, watch: object) -> None:
        self._inner = rig.adapter.conversation
        self.watch = watch

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


async def test_what_an_answer_teaches_is_known_before_it_leaves() -> None:
    rig = Rig()
    order: list[str] = []
    label = LabelObligation(sensitivity=Sensitivity.SECRET, labels=("untrusted",))
    rig.decider.decision = a_decision(obligations=(label,))

    def teaching(chunk: bytes) -> list[Step]:
        order.append(f"learnt {len(rig.books.pages[0].learnt)}")
        learn = Learn(value={"id": 1}, texts=("hello",), failed=True, spelt=True)
        return [learn, Emit(data=chunk)]

    rig.adapter.conversation.on_chunk = teaching
    await _done(rig)
    (learnt,) = rig.books.pages[0].learnt
    assert (learnt.value, learnt.texts) == ({"id": 1}, ("hello",))
    assert (learnt.failed, learnt.spelt) == (True, True)
    assert learnt.sensitivity is Sensitivity.SECRET
    assert learnt.labels == (FieldLabel.UNTRUSTED,)
    assert order == ["learnt 0"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_what_a_head_says_is_known_before_it_leaves(*, streaming: bool) -> None:
    rig = Rig()
    watch = rig.adapter.conversation.watch

    def watching(head: ResponseHead, edits: Edits) -> PlainWatcher:
        watcher = watch(head, edits)
        watcher.is_stream = streaming
        watcher.opening = lambda: [Learn(texts=("pay mallory",))]
        return watcher

    object.__setattr__(rig.adapter, "conversation", _Watched(rig, watching))
    await _done(rig)
    assert [one.texts for one in rig.books.pages[0].learnt] == [("pay mallory",)]


@pytest.mark.parametrize("effect", [Effect.ALLOW, Effect.DENY])
async def test_the_task_is_narrowed_whether_the_call_passes_or_not(effect: Effect) -> None:
    rig = Rig()
    rig.decider.decision = a_decision(effect, obligations=(NARROW,))
    await _done(rig)
    assert rig.care.narrowed == [NARROW.grant]
    assert bool(rig.upstream.permits) is (effect is Effect.ALLOW)


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        pytest.param(Effect.ALLOW, Reason.QUARANTINED, id="allowed"),
        pytest.param(Effect.DENY, Reason.POLICY, id="denied"),
    ],
)
async def test_what_is_cut_off_does_not_pass_itself(effect: Effect, reason: Reason) -> None:
    rig = Rig()
    rig.decider.decision = a_decision(effect, obligations=(NARROW, QUARANTINE))
    await _done(rig)
    assert [one for one, _ in rig.care.quarantined] == [QUARANTINE]
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is reason


async def test_a_hold_narrows_too() -> None:
    rig = Rig()
    approval = ApprovalObligation(group="approvers")
    rig.decider.decision = a_decision(Effect.HOLD, obligations=(approval, NARROW))
    await _done(rig)
    assert rig.care.narrowed == [NARROW.grant]
    assert rig.upstream.permits == []


async def test_what_cannot_be_done_to_the_task_denies_what_was_allowed() -> None:
    rig = Rig()
    rig.care.fault = ObligationError("no task to narrow")
    rig.decider.decision = a_decision(obligations=(NARROW,))
    await _done(rig)
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is Reason.OBLIGATION


async def test_a_denial_stands_where_its_consequence_cannot_be_carried_out() -> None:
    rig = Rig()
    rig.care.fault = ObligationError("no task to narrow")
    rig.decider.decision = a_decision(Effect.DENY, obligations=(NARROW,))
    await _done(rig)
    assert rig.adapter.refusals[-1].reason is Reason.POLICY


async def test_what_others_send_our_agent_is_heard_as_their_word() -> None:
    rig = Rig()
    rig.binder.task = None
    rig.adapter.conversation.asks = (an_ask(upstream="agent", arguments={"text": "pay me"}),)
    await _done(rig, direction=Direction.INGRESS, listener="ingress", head=a_head(path="/agent"))
    assert rig.adapter.refusals == []
    ((agent, said),) = rig.books.heard
    assert agent == "spiffe://acme.test/ns/support/sa/triage"
    assert said.value == {"text": "pay me"}


async def test_what_our_own_agent_says_is_not_heard() -> None:
    rig = Rig()
    await _done(rig)
    assert rig.books.heard == []


async def test_a_denial_says_where_the_value_it_points_at_was_seen() -> None:
    rig = Rig()
    rig.books.known = KNOWN
    reasons = (
        ReasonEntry(code="PV-01", message="not the user's", pointer="/to"),
        ReasonEntry(code="SQ-08", message="new", pointer="/other"),
    )
    rig.decider.decision = a_decision(Effect.DENY, reasons=reasons)
    await _done(rig)
    assert rig.adapter.refusals[-1].seen == {
        "/to": {"label": "untrusted", "sources": ["evt_1#/body"]}
    }
