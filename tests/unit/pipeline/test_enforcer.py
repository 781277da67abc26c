"""The last door and the order of the stages: what is not plainly allowed is never forwarded."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from outrider.core.answers import Refusal
from outrider.core.errors import (
    AuditUnavailableError,
    CredentialUnavailableError,
    EnforcementError,
    MalformedError,
    UpstreamFailedError,
    UpstreamUnavailableError,
)
from outrider.core.exchange import Ending, Reply, RequestHead
from outrider.core.jsonvalue import FloatFree, Json, JsonObject, has_no_float
from outrider.core.obligation import (
    ApprovalObligation,
    CredentialObligation,
    HeaderObligation,
    LabelObligation,
    LimitObligation,
    NotifyObligation,
    Obligation,
)
from outrider.core.ports import (
    BodyNeed,
    Conversation,
    Emit,
    Judge,
    Note,
    Persist,
    Refused,
    Route,
    Step,
)
from outrider.core.strict_json import JsonLimits
from outrider.core.vocabulary import (
    ActionEffect,
    Effect,
    Phase,
    ProtocolName,
    Reason,
    ResourceType,
)
from outrider.pipeline import enforcer
from tests.support.builders import (
    a_decision,
    a_grant,
    a_head,
    a_response_head,
    a_task,
    an_ask,
    an_exchange,
)
from tests.support.pipeline import FixedAdapter, FixedConversation, FixedIncoming, Rig

SEND = an_ask(resource="send_email", arguments={"to": "bob@crm.internal", "body": "hello"})


async def _answer(rig: Rig, **changes: object) -> Reply:
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange(**changes))
        reply.settle(Ending.SENT, 0)
        return reply


@asynccontextmanager
async def _call_under_way(rig: Rig) -> AsyncIterator[asyncio.Task[Reply]]:
    """A call whose upstream has it and does not answer before `rig.upstream.gate` is set."""
    rig.upstream.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.enforcer().handle(an_exchange()))
        await rig.upstream.reached.wait()
        yield task


async def _text(reply: Reply) -> bytes:
    if isinstance(reply.body, bytes):
        return reply.body
    return b"".join([piece async for piece in reply.body])


async def test_an_allowed_call_is_recorded_before_it_leaves_and_its_outcome_after() -> None:
    rig = Rig()
    seen: list[list[str]] = []
    send = rig.upstream.send

    async def watched(permit: object, outgoing: object) -> FixedIncoming:
        seen.append(rig.audit.kinds())
        return await send(permit, outgoing)  # type: ignore[arg-type]

    rig.upstream.send = watched  # type: ignore[method-assign]
    reply = await _answer(rig)
    assert (reply.status, await _text(reply)) == (200, b'{"ok":true}')
    assert seen == [["decision"]]
    assert rig.audit.kinds() == ["decision", "outcome"]
    decision, outcome = rig.audit.records
    assert outcome["decision"]["id"] == decision["decision"]["id"]  # type: ignore[index]
    assert outcome["outcome"]["status"] == "executed"  # type: ignore[index]


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        pytest.param(a_decision(Effect.DENY), Reason.POLICY, id="deny"),
        pytest.param(
            a_decision(Effect.DENY, Reason.POLICY_UNDEFINED),
            Reason.POLICY_UNDEFINED,
            id="undefined",
        ),
        pytest.param(
            a_decision(Effect.DENY, Reason.POLICY_TIMEOUT), Reason.POLICY_TIMEOUT, id="timeout"
        ),
        pytest.param(
            a_decision(Effect.HOLD, obligations=(ApprovalObligation(group="leads"),)),
            Reason.OBLIGATION,
            id="hold-with-approval",
        ),
        pytest.param(a_decision(Effect.HOLD), Reason.OBLIGATION, id="hold-without-approval"),
    ],
)
async def test_nothing_but_an_allow_reaches_the_upstream(decision: object, reason: Reason) -> None:
    rig = Rig()
    rig.decider.decision = decision  # type: ignore[assignment]
    await _answer(rig)
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is reason
    assert [record["kind"] for record in rig.audit.records] == ["decision"]
    assert rig.audit.records[0]["decision"]["enforced"] == "deny"  # type: ignore[index]


async def test_the_record_of_a_hold_keeps_policys_own_effect() -> None:
    rig = Rig()
    rig.decider.decision = a_decision(Effect.HOLD, obligations=(ApprovalObligation(group="leads"),))
    await _answer(rig)
    facts = rig.audit.records[0]["decision"]
    assert (facts["effect"], facts["enforced"], facts["reason"]) == (  # type: ignore[index]
        "hold", "deny", "obligation",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "vouched"),
    [
        pytest.param((), True, id="no-json-of-policys-own"),
        pytest.param(({"limit": 0.5},), False, id="a-float-in-an-obligation"),
    ],
)
async def test_nobody_vouches_for_the_numbers_of_policys_own_json(
    raw: tuple[Json, ...], vouched: bool
) -> None:
    rig = Rig()
    rig.decider.decision = a_decision(raw_obligations=raw)
    await _answer(rig)
    decision, outcome = rig.audit.records
    assert (type(decision) is FloatFree, type(outcome) is FloatFree) == (vouched, True)
    assert has_no_float(dict(decision)) is vouched


@pytest.mark.parametrize(
    "obligation",
    [
        pytest.param(LabelObligation(labels=("holy",)), id="unknown-label"),
        pytest.param(CredentialObligation(provider="nobody"), id="unknown-credential"),
        pytest.param(HeaderObligation(set=(("authorization", "x"),)), id="identity-header"),
        pytest.param(HeaderObligation(set=(("x-a", "b\r\nc: d"),)), id="header-injection"),
    ],
)
async def test_an_obligation_that_cannot_be_done_denies(obligation: Obligation) -> None:
    rig = Rig()
    rig.decider.decision = a_decision(obligations=(obligation,))
    await _answer(rig)
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is Reason.OBLIGATION


async def test_obligations_that_can_be_done_are_done() -> None:
    rig = Rig()
    rig.decider.decision = a_decision(
        obligations=(
            HeaderObligation(set=(("X-Tenant", "acme"),)),
            LimitObligation(response_bytes=1000),
            NotifyObligation(channel="security", severity="high"),
            CredentialObligation(provider="vault", role="crm"),
        )
    )
    await _answer(rig)
    sent = rig.upstream.requests[0]
    assert ("x-tenant", "acme") in sent.headers
    assert [name for name, _ in sent.secret_headers] == ["authorization"]
    assert rig.provider.acquired[0].role == "crm"
    assert "notify" in rig.metrics.notes


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        pytest.param(Effect.DENY, Reason.POLICY, id="deny"),
        pytest.param(Effect.HOLD, Reason.HELD, id="a-hold-that-cannot-be-held"),
    ],
)
async def test_somebody_is_told_of_what_is_refused_too(effect: Effect, reason: Reason) -> None:
    rig = Rig()
    notice = NotifyObligation(channel="security", severity="high")
    rig.decider.decision = a_decision(effect, reason=reason, obligations=(notice, notice))
    await _answer(rig)
    assert rig.upstream.permits == []
    assert rig.metrics.notes.count("notify") == 1


async def test_two_actions_are_as_strict_as_the_strictest() -> None:
    rig = Rig()
    rig.adapter.conversation.asks = (an_ask(), SEND)
    rig.decider.decision = lambda question: a_decision(
        Effect.DENY if question.action.ask is SEND else Effect.ALLOW
    )
    await _answer(rig)
    assert rig.upstream.permits == []
    assert len(rig.audit.of("decision")) == 2


async def test_what_the_grant_does_not_cover_never_reaches_the_engine() -> None:
    rig = Rig()
    rig.binder.task = a_task(grant=a_grant(effects=["send"]))
    await _answer(rig)
    assert rig.decider.asked == []
    assert rig.upstream.permits == []
    record = rig.audit.records[0]
    assert record["decision"]["reason"] == "grant"  # type: ignore[index]
    assert record["action"]["resource"] == "crm/get_ticket"  # type: ignore[index]


async def test_a_tool_outside_the_grant_looks_like_one_that_does_not_exist() -> None:
    rig = Rig()
    rig.binder.task = a_task(grant=a_grant(tools=["crm/other"]))
    await _answer(rig)
    refusal = rig.adapter.refusals[-1]
    assert (refusal.reason, refusal.detail, refusal.reasons) == (Reason.UNRECOGNISED, "", ())
    assert rig.audit.records[0]["decision"]["reason"] == "grant"  # type: ignore[index]


async def test_a_tool_that_policy_hides_looks_like_one_that_does_not_exist() -> None:
    rig = Rig()
    rig.decider.decision = a_decision(Effect.DENY)
    rig.decider.listed = lambda _question: Effect.DENY
    await _answer(rig)
    refusal = rig.adapter.refusals[-1]
    assert refusal.reason is Reason.UNRECOGNISED
    # a refusal without an id would tell what is hidden from what does not exist
    assert refusal.decision_id == rig.audit.records[0]["decision"]["id"] != ""  # type: ignore[index]
    assert rig.audit.records[0]["decision"]["reason"] == "policy"  # type: ignore[index]


async def test_a_visible_tool_that_is_denied_says_so() -> None:
    rig = Rig()
    rig.decider.decision = a_decision(Effect.DENY)
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.POLICY


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(
            lambda rig: setattr(rig.identifier, "subject", None),
            Reason.UNAUTHENTICATED,
            id="no-identity",
        ),
        pytest.param(
            lambda rig: rig.quarantine.agents.add("spiffe://acme.test/ns/support/sa/triage"),
            Reason.QUARANTINED,
            id="agent-quarantined",
        ),
        pytest.param(
            lambda rig: rig.quarantine.tools.add("crm/get_ticket"),
            Reason.QUARANTINED,
            id="tool-quarantined",
        ),
        pytest.param(
            lambda rig: setattr(
                rig.binder, "fault", EnforcementError("none", reason=Reason.NO_TASK)
            ),
            Reason.NO_TASK,
            id="no-task",
        ),
        pytest.param(lambda rig: setattr(rig.slots, "room", 0), Reason.OVERLOAD, id="no-room"),
        pytest.param(
            lambda rig: setattr(
                rig.decider,
                "fault",
                EnforcementError("nothing", reason=Reason.POLICY_UNAVAILABLE),
            ),
            Reason.POLICY_UNAVAILABLE,
            id="no-policy",
        ),
        pytest.param(
            lambda rig: setattr(rig.adapter, "fault", ZeroDivisionError()),
            Reason.INTERNAL,
            id="fault-inside",
        ),
        pytest.param(
            lambda rig: setattr(rig.adapter.conversation, "asks", ()),
            Reason.MALFORMED,
            id="nothing-asked",
        ),
    ],
)
async def test_every_refusal_is_answered_recorded_and_counted_once(
    spoil: Callable[[Rig], None], reason: Reason
) -> None:
    rig = Rig()
    spoil(rig)
    await _answer(rig)
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is reason
    assert [record["decision"]["reason"] for record in rig.audit.records] == [reason.value]  # type: ignore[index]
    assert [ended[1] for ended in rig.metrics.ended] == [reason]
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


async def test_a_path_without_a_route_is_refused_in_plain_http() -> None:
    rig = Rig()
    reply = await _answer(rig, head=a_head(path="/elsewhere"))
    assert reply.status == 404
    assert b"unrecognised" in await _text(reply)
    assert rig.metrics.ended == [(ProtocolName.UNKNOWN, Reason.UNRECOGNISED, False)]


async def test_the_reserved_prefix_is_never_forwarded() -> None:
    rig = Rig()
    reply = await _answer(rig, head=a_head(path="/.outrider/task"))
    assert (reply.status, rig.upstream.permits) == (404, [])


async def test_a_refusal_that_fails_itself_is_still_a_refusal() -> None:
    rig = Rig()
    rig.identifier.subject = None

    def broken(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError

    rig.adapter.refuse = broken  # type: ignore[method-assign,assignment]
    reply = await _answer(rig)
    assert reply.status == 503
    assert b"internal" in await _text(reply)


@pytest.mark.parametrize(
    ("effect", "durable"),
    [pytest.param("read", False, id="read"), pytest.param("send", True, id="send")],
)
async def test_only_what_changes_the_world_waits_for_the_disk(effect: str, durable: bool) -> None:
    rig = Rig()
    ask = an_ask() if effect == "read" else SEND
    rig.adapter.conversation.asks = (ask,)
    await _answer(rig)
    assert rig.audit.durable == [durable]
    assert len(rig.upstream.permits) == 1


async def test_no_record_no_call() -> None:
    rig = Rig()
    rig.audit.broken = True
    await _answer(rig)
    assert rig.upstream.permits == []
    assert rig.adapter.refusals[-1].reason is Reason.AUDIT_UNAVAILABLE


@pytest.mark.parametrize(
    ("fault", "reason", "status"),
    [
        pytest.param(
            UpstreamUnavailableError("refused"),
            Reason.UPSTREAM_UNAVAILABLE,
            "refused",
            id="nothing-was-written",
        ),
        pytest.param(
            UpstreamFailedError("reset"), Reason.UPSTREAM_ERROR, "unknown", id="bytes-had-left"
        ),
    ],
)
async def test_an_upstream_that_fails_leaves_an_honest_outcome(
    fault: Exception, reason: Reason, status: str
) -> None:
    rig = Rig()
    rig.upstream.answers = [fault]
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is reason
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == status
    assert len(rig.audit.of("decision")) == 1


async def test_an_answer_that_breaks_off_is_unknown_not_executed() -> None:
    rig = Rig()
    rig.upstream.answers = [FixedIncoming(fault=UpstreamFailedError("short body"))]
    await _answer(rig)
    outcome = rig.audit.of("outcome")[0]["outcome"]
    assert (outcome["status"], outcome["error"]) == ("unknown", "upstream_error")


async def test_no_credential_no_call() -> None:
    rig = Rig(configured_credential=True)
    rig.provider.fault = CredentialUnavailableError("down")
    await _answer(rig)
    assert rig.upstream.permits == []
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "refused"


async def test_a_read_refused_with_401_is_tried_once_with_a_fresh_lease() -> None:
    rig = Rig(configured_credential=True)
    rig.upstream.answers = [FixedIncoming(head=a_response_head(401)), FixedIncoming()]
    reply = await _answer(rig)
    assert reply.status == 200
    sent = [request.secret_headers[0][1].reveal() for request in rig.upstream.requests]
    assert sent == [b"Bearer token-1", b"Bearer fresh"]


async def test_a_write_refused_with_401_is_never_tried_again() -> None:
    rig = Rig(configured_credential=True)
    rig.adapter.conversation.asks = (SEND,)
    rig.upstream.answers = [FixedIncoming(head=a_response_head(401)), FixedIncoming()]
    await _answer(rig)
    assert len(rig.upstream.requests) == 1
    assert rig.adapter.refusals[-1].reason is Reason.CREDENTIAL_UNAVAILABLE
    assert _statuses(rig) == ["unknown"], "all of it had left: what it reserved stays used"


async def test_what_the_agent_sent_as_credentials_does_not_leave() -> None:
    rig = Rig()
    head = a_head(
        headers=(
            ("authorization", "Bearer stolen"),
            ("cookie", "a=b"),
            ("x-amz-date", "now"),
            ("outrider-task", "tsk_1"),
            ("accept", "application/json"),
        )
    )
    await _answer(rig, head=head)
    assert rig.upstream.requests[0].headers == (("accept", "application/json"),)
    assert rig.metrics.notes.count("credential_stripped") == 3
    assert rig.binder.names[0].header == "tsk_1"


async def test_a_caller_that_leaves_cancels_its_call_and_the_outcome_is_unknown() -> None:
    rig = Rig()
    async with rig.jobs, _call_under_way(rig) as task:
        task.cancel()
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "unknown"
    assert rig.metrics.ended == [(ProtocolName.MCP, None, True)]
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


async def test_a_legacy_call_runs_on_when_its_caller_leaves() -> None:
    rig = Rig()
    rig.adapter.conversation.runs_on = True
    async with rig.jobs:
        async with _call_under_way(rig) as task:
            task.cancel()
        assert rig.audit.of("outcome") == []
        assert rig.upstream.gate is not None
        rig.upstream.gate.set()
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "executed"
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


async def test_a_legacy_call_answers_like_any_other() -> None:
    rig = Rig()
    rig.adapter.conversation.runs_on = True
    reply = await _answer(rig)
    assert (reply.status, await _text(reply)) == (200, b'{"ok":true}')
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "executed"


async def test_a_fault_in_a_detached_call_reaches_the_last_door() -> None:
    rig = Rig()
    rig.adapter.conversation.runs_on = True
    rig.upstream.answers = [ZeroDivisionError()]
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.INTERNAL


@pytest.mark.parametrize("runs_on", [False, True], ids=["modern", "legacy"])
async def test_a_cut_ends_the_call_under_way_with_its_reason(runs_on: bool) -> None:
    rig = Rig()
    rig.adapter.conversation.runs_on = runs_on
    async with rig.jobs, _call_under_way(rig) as task:
        cut = rig.live.cut(lambda live: live.tools == ("crm/get_ticket",), Reason.QUARANTINED)
        assert len(cut) == 1
    reply = task.result()
    reply.settle(Ending.SENT, 0)
    assert await _text(reply) == b"quarantined"
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "unknown"


async def test_a_call_that_was_cut_after_it_left_is_unknown_whatever_it_was_cut_for() -> None:
    rig = Rig()
    async with rig.jobs, _call_under_way(rig) as task:
        rig.live.cut(lambda _live: True, Reason.OVERLOAD)
        reply = await task
        reply.settle(Ending.SENT, 1)
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "unknown"


async def test_a_cut_that_picks_nothing_ends_nothing() -> None:
    rig = Rig()
    assert rig.live.cut(lambda _live: True, Reason.QUARANTINED) == ()


async def test_a_stream_that_breaks_ends_in_the_protocols_own_words() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = True
    rig.upstream.answers = [
        FixedIncoming(chunks=[b"one", b"two"], fault=UpstreamFailedError("reset"))
    ]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        text = await _text(reply)
        reply.settle(Ending.SENT, len(text))
    assert text == b"onetwoupstream_error"
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "unknown"


async def test_a_cut_stream_says_why() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = True
    rig.upstream.answers = [FixedIncoming(chunks=[b"one"], gate=asyncio.Event())]
    pieces: list[bytes] = []

    async def read(reply: Reply) -> None:
        assert not isinstance(reply.body, bytes)
        async for piece in reply.body:
            if not pieces:
                rig.live.cut(lambda _live: True, Reason.TASK_ENDED)
            pieces.append(piece)

    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        await read(reply)
        reply.settle(Ending.SENT, 3)
    assert pieces == [b"one", b"task_ended"]


async def test_a_legacy_stream_runs_on_when_its_caller_leaves() -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream = rig.adapter.conversation.runs_on = True
    gate = asyncio.Event()
    rig.upstream.answers = [FixedIncoming(chunks=[b"one"], gate=gate)]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        assert isinstance(reply.body, AsyncGenerator)
        assert await anext(reply.body) == b"one"
        await reply.body.aclose()
        reply.settle(Ending.CLIENT_LEFT, 3)
        assert rig.audit.of("outcome") == []
        assert (rig.metrics.flying, rig.slots.taken) == (1, 0)
        gate.set()
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "executed"
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


@pytest.mark.parametrize("runs_on", [True, False])
async def test_a_stream_of_either_kind_can_be_cut(runs_on: bool) -> None:
    rig = Rig()
    rig.adapter.conversation.is_stream, rig.adapter.conversation.runs_on = True, runs_on
    rig.upstream.answers = [FixedIncoming(chunks=[b"one"], gate=asyncio.Event())]
    pieces: list[bytes] = []
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        assert not isinstance(reply.body, bytes)
        async for piece in reply.body:
            if not pieces:
                asyncio.get_running_loop().call_soon(
                    rig.live.cut, lambda _live: True, Reason.QUARANTINED
                )
            pieces.append(piece)
        reply.settle(Ending.SENT, 3)
    assert pieces == [b"one", b"quarantined"]


async def test_a_server_s_own_request_in_an_answer_is_decided_and_recorded() -> None:
    rig = Rig()
    sampling = an_ask(
        name="sampling/createMessage",
        resource_type=ResourceType.API,
        resource="sampling/createMessage",
        phase=Phase.RESPONSE,
        effect=ActionEffect.READ,
    )

    def then(verdicts: tuple[bool, ...]) -> list[Step]:
        return [Emit(data=b"asked" if verdicts[0] else b"kept away")]

    rig.adapter.conversation.on_chunk = lambda _chunk: [
        Judge(asks=(sampling,), phase=Phase.RESPONSE, then=then)
    ]
    rig.decider.decision = lambda question: a_decision(
        Effect.DENY if question.action.ask.name == "sampling/createMessage" else Effect.ALLOW
    )
    reply = await _answer(rig)
    assert await _text(reply) == b"kept away"
    assert len(rig.audit.of("decision")) == 2
    assert len(rig.audit.of("outcome")) == 1


async def test_a_list_shows_what_is_covered_and_not_denied() -> None:
    rig = Rig()
    asks = (an_ask(), an_ask(resource="denied"), an_ask(upstream="other"))

    def then(verdicts: tuple[bool, ...]) -> list[Step]:
        return [Emit(data=repr(verdicts).encode())]

    rig.adapter.conversation.on_chunk = lambda _chunk: [
        Judge(asks=asks, phase=Phase.LIST, then=then)
    ]
    rig.binder.task = a_task(grant=a_grant(effects=["read", "execute"], sensitivity="secret"))
    rig.decider.listed = lambda question: (
        Effect.DENY if question.action.ask.resource == "denied" else Effect.HOLD
    )
    assert await _text(await _answer(rig)) == b"(True, False, False)"


async def test_state_is_stored_before_anything_later_leaves() -> None:
    rig = Rig()
    rig.store.broken = True
    rig.adapter.conversation.on_chunk = lambda chunk: [
        Persist(table="pins", key="crm/a", value={"digest": "x"}),
        Emit(data=chunk),
    ]
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.STORE_UNAVAILABLE


async def test_a_note_is_counted_and_recorded() -> None:
    rig = Rig()
    rig.adapter.conversation.on_chunk = lambda _chunk: [
        Note(event="definition_changed", facts={"tool": "crm/a"})
    ]
    await _answer(rig)
    assert rig.audit.of("definition")[0]["note"]["tool"] == "crm/a"
    assert rig.metrics.notes == ["definition_changed"]


async def test_an_answer_larger_than_the_bound_is_cut() -> None:
    rig = Rig()
    rig.upstream.answers = [FixedIncoming(chunks=[b"x" * (1 << 20), b"y"])]
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.TOO_LARGE


async def test_settling_twice_changes_nothing() -> None:
    rig = Rig()
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        reply.settle(Ending.SENT, 1)
        reply.settle(Ending.CLIENT_LEFT, 2)
    assert len(rig.audit.of("outcome")) == 1
    assert len(rig.metrics.ended) == 1


async def test_a_stopped_audit_log_refuses_in_its_own_reason() -> None:
    rig = Rig()

    async def append(*_args: object, **_kwargs: object) -> None:
        raise AuditUnavailableError("queue full")

    rig.audit.append = append  # type: ignore[method-assign]
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.AUDIT_UNAVAILABLE


async def test_a_large_body_is_parsed_in_turns_before_its_adapter_sees_it() -> None:
    rig = Rig()
    rig.adapter.json_limits = JsonLimits(nodes=100_000)
    body = b"[" + b"17," * 40_000 + b"17]"
    await _answer(rig, body=body)
    assert rig.adapter.seen is not None
    assert rig.adapter.seen.document is not None
    assert rig.adapter.seen.json(JsonLimits(nodes=1)) == [17] * 40_001
    assert len(rig.upstream.permits) == 1


async def test_a_large_body_with_a_doubled_key_is_read_by_nobody() -> None:
    rig = Rig()
    rig.adapter.json_limits = JsonLimits()
    body = b'{"a":1,"b":"' + b"x" * 70_000 + b'","a":2}'
    await _answer(rig, body=body)
    assert rig.adapter.seen is not None
    with pytest.raises(MalformedError) as refused:
        rig.adapter.seen.json(JsonLimits())
    assert refused.value.cause == "duplicate_key"


async def test_a_small_body_is_left_to_its_adapter() -> None:
    rig = Rig()
    rig.adapter.json_limits = JsonLimits()
    await _answer(rig, body=(b'{"a":1}'))
    assert rig.adapter.seen is not None
    assert rig.adapter.seen.document is None


async def test_an_answer_that_comes_as_its_caller_leaves_is_still_closed() -> None:
    rig = Rig()
    rig.adapter.conversation.runs_on = True
    tasks: list[asyncio.Task[Reply]] = []

    class Leaving(FixedIncoming):
        async def __anext__(self) -> bytes:
            if not self.chunks:
                asyncio.get_running_loop().call_soon(tasks[0].cancel)
            return await FixedIncoming.__anext__(self)

    rig.upstream.answers = [Leaving()]
    async with rig.jobs, asyncio.TaskGroup() as group:
        tasks.append(group.create_task(rig.enforcer().handle(an_exchange())))
    assert tasks[0].cancelled()
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "executed"
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


async def test_a_call_that_runs_on_gives_its_place_back_when_its_caller_leaves() -> None:
    rig = Rig()
    rig.adapter.conversation.runs_on = True
    async with rig.jobs:
        async with _call_under_way(rig) as task:
            task.cancel()
        assert (rig.slots.taken, rig.live.abandoned) == (0, 1)
        assert rig.upstream.gate is not None
        rig.upstream.gate.set()
    assert (rig.slots.taken, rig.live.abandoned) == (0, 0)


async def test_more_calls_than_may_run_on_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enforcer, "ABANDONED", 0)
    rig = Rig()
    rig.adapter.conversation.runs_on = True
    async with rig.jobs, _call_under_way(rig) as task:
        task.cancel()
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "unknown"
    assert len(rig.live) == 0


async def test_a_caller_that_leaves_while_its_record_is_synced_is_owed_an_outcome() -> None:
    rig = Rig()
    rig.adapter.conversation.asks = (SEND,)
    synced = asyncio.Event()
    append = rig.audit.append

    async def slow(record: JsonObject, *, durable: bool, query: bytes | None = None) -> None:
        await append(record, durable=durable, query=query)
        synced.set()
        await asyncio.Event().wait()

    rig.audit.append = slow  # type: ignore[method-assign]
    async with rig.jobs, asyncio.TaskGroup() as group:
        task = group.create_task(rig.enforcer().handle(an_exchange()))
        await synced.wait()
        task.cancel()
    assert rig.upstream.permits == []
    assert [record["outcome"]["status"] for record in rig.audit.of("outcome")] == ["cancelled"]


async def test_a_stream_too_many_is_cut_when_its_caller_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enforcer, "ABANDONED", 0)
    rig = Rig()
    rig.adapter.conversation.is_stream = rig.adapter.conversation.runs_on = True
    rig.upstream.answers = [FixedIncoming(chunks=[b"one"], gate=asyncio.Event())]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        assert isinstance(reply.body, AsyncGenerator)
        assert await anext(reply.body) == b"one"
        await reply.body.aclose()
        reply.settle(Ending.CLIENT_LEFT, 3)
    assert rig.audit.of("outcome")[0]["outcome"]["status"] == "unknown"
    assert (rig.metrics.flying, len(rig.live), rig.slots.taken) == (0, 0, 0)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
async def test_our_own_credential_does_not_come_back_to_the_agent(is_stream: bool) -> None:
    rig = Rig(configured_credential=True)
    rig.adapter.conversation.is_stream = is_stream
    head = a_response_head(headers=(("x-echo", "Bearer token-1"),))
    rig.upstream.answers = [FixedIncoming(head=head, chunks=[b"you sent Bearer to", b"ken-1!"])]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        text = await _text(reply)
        reply.settle(Ending.SENT, len(text))
    assert text == b"you sent [redacted]!"
    assert reply.headers == (("x-echo", "[redacted]"),)
    assert rig.metrics.notes == ["secret_echo"]


async def test_a_hidden_tool_is_hidden_whatever_else_its_call_asks() -> None:
    rig = Rig()
    rig.adapter.conversation.asks = (an_ask(), SEND)
    rig.decider.decision = a_decision(Effect.DENY)
    rig.decider.listed = lambda question: (
        Effect.DENY if question.action.ask.resource == "get_ticket" else Effect.ALLOW
    )
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.UNRECOGNISED


async def test_an_uncovered_part_of_a_hidden_tools_call_tells_nothing() -> None:
    rig = Rig()
    outside = an_ask(resource="somewhere_else")
    rig.adapter.conversation.asks = (an_ask(), outside)
    rig.binder.task = a_task(grant=a_grant(tools=["crm/other"]))
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.UNRECOGNISED


async def test_a_panic_is_refused_and_recorded_and_gives_its_place_back() -> None:
    class PanicException(BaseException):
        """Named as pyo3 names its own, which cannot be imported."""

    rig = Rig()
    rig.adapter.fault = PanicException("index out of bounds")  # type: ignore[assignment]
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.INTERNAL
    assert rig.audit.kinds() == ["decision"]
    assert (rig.slots.taken, rig.upstream.permits) == (0, [])


async def test_between_the_pieces_of_a_large_work_everybody_else_has_a_turn() -> None:
    rig = Rig()
    turns = 0
    seen: list[int] = []
    steps: list[Step] = []

    def go_on(_verdicts: tuple[bool, ...]) -> list[Step]:
        seen.append(turns)
        if len(seen) == 5:
            return [Emit(data=b"done")]
        steps.append(Judge(asks=(), phase=Phase.RESPONSE, then=go_on))
        return []

    steps.append(Judge(asks=(), phase=Phase.RESPONSE, then=go_on))
    first = Judge(asks=(), phase=Phase.RESPONSE, then=lambda _verdicts: steps)
    rig.adapter.conversation.on_chunk = lambda _chunk: [first]

    async def count() -> None:
        nonlocal turns
        while len(seen) < 5:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(count())
        reply = await _answer(rig)
    assert await _text(reply) == b"done"
    assert len(set(seen)) == 5
    assert rig.audit.kinds() == ["decision", "outcome"]


@dataclass(slots=True)
class _Prefaced(FixedConversation):
    """A conversation that needs `before` first, one after the other; without end if `endless`."""

    before: list[FixedConversation] = field(default_factory=list)
    endless: bool = False

    def prelude(self) -> FixedConversation | None:
        if self.endless:
            return FixedConversation()
        return self.before.pop(0) if self.before else None


def _prefaced(rig: Rig, *before: FixedConversation, endless: bool = False) -> None:
    rig.adapter.conversation = _Prefaced(
        asks=(SEND,), before=list(before), endless=endless, head=a_head()
    )


def _statuses(rig: Rig) -> list[str]:
    return [record["outcome"]["status"] for record in rig.audit.of("outcome")]


async def test_what_a_call_needs_first_is_permitted_and_recorded_of_its_own() -> None:
    rig = Rig()
    seen: list[bytes] = []

    def kept(chunk: bytes) -> list[Step]:
        seen.append(chunk)
        return []

    _prefaced(rig, FixedConversation(on_chunk=kept), FixedConversation(on_chunk=kept))
    rig.upstream.answers = [FixedIncoming(chunks=[b"one"]), FixedIncoming(chunks=[b"two"])]
    reply = await _answer(rig)
    assert (reply.status, await _text(reply)) == (200, b'{"ok":true}')
    assert seen == [b"one", b"two"]
    permitted = [permit.actions[0].resource_id for permit in rig.upstream.permits]
    assert permitted == ["crm/get_ticket", "crm/get_ticket", "crm/send_email"]
    assert rig.audit.kinds() == ["decision", "outcome"] * 3
    assert _statuses(rig) == ["executed"] * 3


@pytest.mark.parametrize(
    ("answer", "reason", "statuses"),
    [
        pytest.param(None, Reason.POLICY, [], id="denied"),
        pytest.param(
            UpstreamUnavailableError("refused"),
            Reason.UPSTREAM_UNAVAILABLE,
            ["refused"],
            id="not-reached",
        ),
        pytest.param(
            FixedIncoming(fault=UpstreamFailedError("reset")),
            Reason.UPSTREAM_ERROR,
            ["unknown"],
            id="broken-off",
        ),
    ],
)
async def test_a_call_is_not_sent_where_what_it_needs_first_fails(
    answer: FixedIncoming | Exception | None, reason: Reason, statuses: list[str]
) -> None:
    rig = Rig()
    _prefaced(rig, FixedConversation())
    if answer is None:
        rig.decider.decision = a_decision(Effect.DENY)
    else:
        rig.upstream.answers = [answer]
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is reason
    assert [permit.actions[0].resource_id for permit in rig.upstream.permits] == (
        [] if answer is None else ["crm/get_ticket"]
    )
    assert len(rig.audit.of("decision")) == 1
    assert _statuses(rig) == statuses
    assert (rig.metrics.flying, rig.slots.taken) == (0, 0)


async def test_a_list_without_end_is_given_up() -> None:
    rig = Rig()
    _prefaced(rig, endless=True)
    await _answer(rig)
    assert rig.adapter.refusals[-1].reason is Reason.UNRECOGNISED
    assert len(rig.upstream.permits) == 100
    assert {permit.actions[0].resource_id for permit in rig.upstream.permits} == {"crm/get_ticket"}


@pytest.mark.parametrize(
    ("path", "protocol", "body"),
    [
        pytest.param("/mcp/crm", ProtocolName.MCP, b"malformed", id="in-the-routes-words"),
        pytest.param("/elsewhere", ProtocolName.UNKNOWN, b"malformed", id="in-plain-words"),
    ],
)
async def test_what_the_gate_turned_away_is_refused_recorded_and_counted(
    path: str, protocol: ProtocolName, body: bytes
) -> None:
    rig = Rig()
    exchange = an_exchange(head=a_head(path=path))
    reply = rig.enforcer().refuse_unread(exchange, MalformedError("two lengths"))
    reply.settle(Ending.SENT, 0)
    assert (reply.status, reply.close) == (400, True)
    assert body in await _text(reply)
    assert len(rig.adapter.refusals) == (protocol is ProtocolName.MCP)
    assert [record["decision"]["reason"] for record in rig.audit.records] == ["malformed"]  # type: ignore[index]
    assert rig.metrics.ended == [(protocol, Reason.MALFORMED, False)]
    assert (rig.metrics.flying, rig.upstream.permits) == (0, [])


async def test_what_is_neither_an_error_nor_a_panic_is_nobodys_to_answer() -> None:
    class Stop(BaseException):
        """As `SystemExit` is."""

    rig = Rig()
    rig.adapter.fault = Stop()  # type: ignore[assignment]
    with pytest.raises(Stop):
        await rig.enforcer().handle(an_exchange())
    assert (rig.upstream.permits, rig.adapter.refusals) == ([], [])


class _Opaque(FixedAdapter):
    """An adapter that judges no body."""

    def need(self, head: RequestHead, route: Route) -> BodyNeed:
        return BodyNeed(judged=False, limit_bytes=0, json=None)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        pytest.param(_Opaque, None, id="opaque"),
        pytest.param(FixedAdapter, b"{}", id="judged"),
    ],
)
async def test_a_body_is_read_only_where_it_is_judged(
    kind: type[FixedAdapter], seen: bytes | None
) -> None:
    adapter = kind()
    rig = Rig(adapter=adapter)
    reply = await _answer(rig)
    assert adapter.seen is not None
    assert (reply.status, adapter.seen.body) == (200, seen)


@pytest.mark.parametrize(
    ("kind", "path", "seen", "words"),
    [
        pytest.param(FixedAdapter, "/mcp/crm", b"{}", 1, id="its-envelope-is-read"),
        pytest.param(_Opaque, "/mcp/crm", None, 1, id="no-body-is-read"),
        pytest.param(FixedAdapter, "/elsewhere", None, 0, id="no-route"),
    ],
)
async def test_who_is_refused_before_the_body_is_answered_in_their_protocol(
    kind: type[FixedAdapter], path: str, seen: bytes | None, words: int
) -> None:
    adapter = kind()
    rig = Rig(adapter=adapter)
    rig.quarantine.agents.add("spiffe://acme.test/ns/support/sa/triage")
    reply = await _answer(rig, head=a_head(path=path))
    assert b"quarantined" in await _text(reply)
    assert (None if adapter.seen is None else adapter.seen.body) == seen
    assert len(adapter.refusals) == words
    assert [ended[1] for ended in rig.metrics.ended] == [Reason.QUARANTINED]


async def test_a_stream_that_breaks_where_no_words_are_possible_is_broken_off() -> None:
    class Wordless(FixedAdapter):
        """An adapter with nothing to say inside a body that has begun."""

        def refuse(
            self,
            refusal: Refusal,
            head: RequestHead,
            conversation: Conversation | None,
            begun: bool,
        ) -> Refused:
            return Refused(status=500, headers=(), body=b"" if begun else b"words")

    rig = Rig(adapter=Wordless())
    rig.adapter.conversation.is_stream = True
    incoming = FixedIncoming(chunks=[b"one"], fault=UpstreamFailedError("reset"))
    rig.upstream.answers = [incoming]
    async with rig.jobs:
        reply = await rig.enforcer().handle(an_exchange())
        assert isinstance(reply.body, AsyncGenerator)
        got = [await anext(reply.body)]
        with pytest.raises(UpstreamFailedError):
            await anext(reply.body)
        reply.settle(Ending.ABORTED, 3)
    assert (got, incoming.aborted > 0) == ([b"one"], True)
    assert _statuses(rig) == ["unknown"]


async def test_an_answer_that_says_it_failed_is_recorded_as_failed() -> None:
    rig = Rig()
    rig.upstream.answers = [FixedIncoming(head=a_response_head(400))]
    reply = await _answer(rig)
    assert (reply.status, _statuses(rig)) == (400, ["failed"])
