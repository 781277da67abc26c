"""The decision point always answers, within its deadline, and what goes wrong is a deny."""

import asyncio

import orjson
import pytest

from outrider.core.action import Definition
from outrider.core.errors import EnforcementError
from outrider.core.jsonvalue import digest
from outrider.core.ports import Failed, Meta, Undefined
from outrider.core.vocabulary import Effect, Phase, Reason
from outrider.policy.pdp import AT_ONCE, DecisionLimits, PolicyDecisionPoint
from outrider.policy.query import QueryBuilder
from tests.support.builders import (
    FixedClock,
    a_subject,
    a_task,
    an_action,
    an_ask,
    an_exchange,
)
from tests.support.policy import (
    ENTRYPOINT,
    FixedSnapshot,
    SlowSnapshot,
    a_policy,
    a_question,
    answers,
    fails,
)
from tests.support.spans import RecordingTracer

HOLD = {"effect": "hold", "obligations": [{"type": "approval", "group": "leads"}]}


class Holder:
    def __init__(self, policy):
        self.policy = policy

    def active(self):
        if self.policy is None:
            raise EnforcementError("nothing", reason=Reason.POLICY_UNAVAILABLE)
        return self.policy


class RecordingDecisionEvents:
    def __init__(self):
        self.made, self.lists, self.phases = [], [], []

    def decision_made(self, engine, seconds, query_bytes):
        self.made.append((engine, seconds, query_bytes))

    def decision_phase(self, engine, phase, seconds):
        self.phases.append((engine, phase, seconds))

    def list_verdicts(self, hits, misses):
        self.lists.append((hits, misses))


def a_point(policy=None, *, clock=None, timeout_s=5.0, query_bytes=32_768, events=None):
    clock = clock or FixedClock()
    return PolicyDecisionPoint(
        holder=Holder(policy),
        builder=QueryBuilder(
            clock=clock, environment="prod", arguments_bytes=8192, query_bytes=query_bytes
        ),
        limits=DecisionLimits(entrypoint=ENTRYPOINT, timeout_s=timeout_s, list_timeout_s=timeout_s),
        clock=clock,
        events=events or RecordingDecisionEvents(),
    )


def questions(count):
    return [
        a_question(action=an_action(ask=an_ask(arguments={"n": place}))) for place in range(count)
    ]


async def decided(snapshot, count=1, **changes):
    policy = a_policy(snapshot)
    judged = await a_point(policy, **changes).decide(policy, questions(count))
    return [(one.decision.effect, one.decision.reason) for one in judged]


ALLOW = (Effect.ALLOW, None)
DENY = (Effect.DENY, Reason.POLICY)
TIMEOUT = (Effect.DENY, Reason.POLICY_TIMEOUT)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(answers(True), ALLOW, id="true"),
        pytest.param(answers(False), DENY, id="false"),
        pytest.param(answers(HOLD), (Effect.HOLD, Reason.HELD), id="hold"),
        pytest.param(Undefined(meta=Meta()), (Effect.DENY, Reason.POLICY_UNDEFINED), id="P01"),
        pytest.param(answers({}), (Effect.DENY, Reason.POLICY_MALFORMED), id="malformed"),
        pytest.param(fails(Reason.POLICY_ERROR), (Effect.DENY, Reason.POLICY_ERROR), id="error"),
        pytest.param(fails(Reason.POLICY_TIMEOUT), TIMEOUT, id="late"),
        pytest.param(
            fails(Reason.POLICY_UNAVAILABLE), (Effect.DENY, Reason.POLICY_UNAVAILABLE), id="away"
        ),
        pytest.param(fails(Reason.OVERLOAD), (Effect.DENY, Reason.OVERLOAD), id="no-slot"),
        pytest.param(
            answers(True, revision="rev-2"), (Effect.DENY, Reason.POLICY_STALE), id="stale"
        ),
    ],
)
async def test_one_question_gets_the_decision_of_its_answer(raw, expected, waits):
    assert await decided(FixedSnapshot([raw], waits=waits)) == [expected]


async def test_the_answer_carries_the_query_it_answers():
    snapshot = FixedSnapshot([answers(True)])
    policy = a_policy(snapshot)
    (judged,) = await a_point(policy).decide(policy, questions(1))
    assert snapshot.queries == [judged.query]
    assert judged.input_digest == digest(judged.query)
    assert orjson.loads(judged.query)["action"]["properties"]["arguments"] == {"n": 0}
    assert snapshot.traces == ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]
    assert len(judged.decision.id) == 36


async def test_a_question_without_an_answer_is_denied_at_the_deadline():
    snapshot = SlowSnapshot()
    assert await decided(snapshot, timeout_s=0.01) == [TIMEOUT]
    assert (snapshot.waiting, snapshot.cancelled) == (0, 1)


async def test_a_timed_out_decision_still_names_its_query():
    policy = a_policy(SlowSnapshot())
    (judged,) = await a_point(policy, timeout_s=0.01).decide(policy, questions(1))
    assert judged.input_digest == digest(judged.query)
    assert judged.query


@pytest.mark.parametrize("waits", [True, False])
async def test_one_decision_in_sixteen_is_timed_in_its_parts(waits):
    events = RecordingDecisionEvents()
    policy = a_policy(FixedSnapshot([answers(True)] * 32, waits=waits))
    point = a_point(policy, events=events)
    for _ in range(32):
        await point.decide(policy, questions(1))
    assert len(events.made) == 32
    parts = ["encode", "evaluate", "wait", "parse"]
    assert [phase for _, phase, _ in events.phases] == parts * 2


async def test_what_has_no_answer_has_no_time_of_its_own_inside_the_engine():
    events = RecordingDecisionEvents()
    policy = a_policy(FixedSnapshot([Failed(code=Reason.POLICY_ERROR, detail="")]))
    await a_point(policy, events=events).decide(policy, questions(1))
    assert [phase for _, phase, _ in events.phases] == ["encode", "parse"]


async def test_what_is_too_large_is_refused_without_asking():
    snapshot = FixedSnapshot([answers(True)])
    assert await decided(snapshot, query_bytes=1024) == [(Effect.DENY, Reason.TOO_LARGE)]
    assert await decided(snapshot, 2, query_bytes=1024) == [(Effect.DENY, Reason.TOO_LARGE)] * 2
    assert snapshot.queries == []


async def test_what_could_not_be_asked_is_told_with_what_to_mend():
    policy = a_policy(FixedSnapshot([answers(True)]))
    (judged,) = await a_point(policy, query_bytes=1024).decide(policy, questions(1))
    (told,) = judged.decision.reasons
    assert (told.code, told.mode) == ("too_large", "enforce")
    assert told.message == judged.decision.detail
    assert "policy.query_bytes" in told.message


@pytest.mark.parametrize("waits", [True, False])
async def test_each_question_gets_its_own_answer_in_order(waits):
    raws = [answers(True), answers(HOLD), answers(True)]
    found = await decided(FixedSnapshot(raws, waits=waits), 3)
    assert sorted(found) == sorted([ALLOW, (Effect.HOLD, Reason.HELD), ALLOW])


async def test_answers_stand_in_the_order_of_their_questions():
    class ByNumber(FixedSnapshot):
        async def evaluate(self, entrypoint, query, deadline_s, trace):
            number = orjson.loads(query)["action"]["properties"]["arguments"]["n"]
            for _ in range(10 - number):
                await asyncio.sleep(0)
            return answers({"effect": "allow", "reasons": [{"code": str(number)}]})

    policy = a_policy(ByNumber([answers(True)]))
    judged = await a_point(policy).decide(policy, questions(10))
    assert [one.decision.reasons[0].code for one in judged] == [str(n) for n in range(10)]


@pytest.mark.parametrize("waits", [True, False])
async def test_the_first_deny_leaves_the_rest_unasked_and_denied(waits):
    snapshot = FixedSnapshot([answers(True), answers(False)], waits=waits)
    found = await decided(snapshot, 40)
    assert found.count(DENY) >= 39
    assert len(snapshot.queries) <= 2 * AT_ONCE


async def test_no_questions_get_no_answers():
    assert await decided(FixedSnapshot([answers(True)]), 0) == []


async def test_at_most_eight_are_asked_at_once():
    snapshot = SlowSnapshot()
    assert await decided(snapshot, 20, timeout_s=0.01) == [TIMEOUT] * 20
    assert (snapshot.most, snapshot.waiting) == (AT_ONCE, 0)


@pytest.mark.parametrize(
    ("revisions", "expected"),
    [
        pytest.param(["rev-1", "rev-2", "rev-2"], ALLOW, id="a-swap-fell-between"),
        pytest.param(
            ["rev-1", "rev-2", "rev-1", "rev-2"], (Effect.DENY, Reason.POLICY_STALE), id="again"
        ),
    ],
)
async def test_one_exchange_is_judged_under_one_revision(revisions, expected):
    raws = [answers({"effect": "allow", "revision": revision}) for revision in revisions]
    snapshot = FixedSnapshot(raws, expected=frozenset({"rev-1", "rev-2"}))
    assert await decided(snapshot, 2) == [expected] * 2
    assert len(snapshot.queries) == 4


@pytest.mark.parametrize("count", [1, 2])
async def test_a_release_that_answers_before_its_swap_is_told_everything(count):
    newer = answers({"effect": "allow", "revision": "rev-2"})
    snapshot = FixedSnapshot([newer], expected=frozenset({"rev-1", "rev-2"}))
    policy = a_policy(snapshot, reads=frozenset({("action", "name")}))
    judged = await a_point(policy).decide(policy, questions(count))
    assert [one.decision.effect for one in judged] == [Effect.ALLOW] * count
    sizes = [len(query) for query in snapshot.queries]
    assert len(sizes) == 2 * count
    assert min(len(one.query) for one in judged) > min(sizes)


async def test_what_is_too_large_to_be_told_whole_is_refused_when_it_has_to_be():
    newer = answers({"effect": "allow", "revision": "rev-2"})
    narrow = frozenset({("action", "name")})
    sizes = {}
    for reads in (narrow, None):
        snapshot = FixedSnapshot([newer], expected=frozenset({"rev-2"}), revision="rev-2")
        policy = a_policy(snapshot, reads=reads, revision="rev-2")
        await a_point(policy).decide(policy, questions(1))
        sizes[reads] = len(snapshot.queries[0])
    snapshot = FixedSnapshot([newer], expected=frozenset({"rev-1", "rev-2"}))
    policy = a_policy(snapshot, reads=narrow)
    (judged,) = await a_point(policy, query_bytes=sizes[narrow]).decide(policy, questions(1))
    assert sizes[narrow] < sizes[None]
    assert (judged.decision.effect, judged.decision.reason) == (Effect.DENY, Reason.TOO_LARGE)
    assert len(snapshot.queries) == 1


async def test_the_release_in_force_is_asked_once():
    snapshot = FixedSnapshot([answers({"effect": "allow", "revision": "rev-1"})])
    policy = a_policy(snapshot, reads=frozenset({("action", "name")}))
    await a_point(policy).decide(policy, questions(1))
    assert len(snapshot.queries) == 1


async def test_cancellation_passes_through_and_leaves_nobody_waiting():
    snapshot = SlowSnapshot()
    policy = a_policy(snapshot)
    point = a_point(policy)
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(point.decide(policy, questions(count))) for count in (1, 3)]
        while snapshot.waiting < 4:  # noqa: ASYNC110 - the double says it nowhere else
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
    assert [call.cancelled() for call in calls] == [True, True]
    assert (snapshot.waiting, snapshot.cancelled) == (0, 4)


def test_nothing_active_is_policy_unavailable():
    with pytest.raises(EnforcementError) as fault:
        a_point().active()
    assert fault.value.reason is Reason.POLICY_UNAVAILABLE


# --- lists ----------------------------------------------------------------------------------


def an_item(name="get_ticket", digest_of="a", **changes):
    ask = an_ask(
        resource=name,
        arguments=None,
        phase=Phase.LIST,
        definition=Definition(digest=digest_of, pinned=True),
    )
    return a_question(action=an_action(ask=ask), **changes)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.case("P14")
async def test_P14_a_list_shows_what_is_allowed_or_held_and_hides_the_rest(waits):
    class ByName(FixedSnapshot):
        async def evaluate(self, entrypoint, query, deadline_s, trace):
            name = orjson.loads(query)["resource"]["id"].partition("/")[2]
            return {"a": answers(True), "b": answers(HOLD), "c": answers(False)}.get(name, fails())

    policy = a_policy(ByName([answers(True)], waits=waits))
    found = await a_point(policy).judge_list(policy, [an_item(name) for name in "abcd"])
    assert found == (Effect.ALLOW, Effect.HOLD, Effect.DENY, Effect.DENY)


async def test_a_list_is_remembered_for_subject_grant_revision_and_definition():
    snapshot = FixedSnapshot([answers(True)])
    policy = a_policy(snapshot)
    point = a_point(policy)
    asked = []
    for question in (
        an_item(),
        an_item(),
        an_item(digest_of="b"),
        an_item(name="other"),
        an_item(subject=a_subject(instance="host:other")),
        an_item(task=a_task(grant_revision=2)),
        an_item(task=None),
    ):
        before = len(snapshot.queries)
        assert await point.judge_list(policy, [question]) == (Effect.ALLOW,)
        asked.append(len(snapshot.queries) - before)
    assert asked == [1, 0, 1, 1, 1, 1, 1]


async def test_a_new_revision_forgets_the_list():
    point = a_point()
    for revision in ("rev-1", "rev-2"):
        snapshot = FixedSnapshot([answers(True)], revision=revision, expected=frozenset({revision}))
        await point.judge_list(a_policy(snapshot), [an_item()])
        assert len(snapshot.queries) == 1


async def test_a_remembered_verdict_ages():
    clock = FixedClock()
    snapshot = FixedSnapshot([answers(True)])
    policy = a_policy(snapshot)
    point = a_point(policy, clock=clock)
    await point.judge_list(policy, [an_item()])
    clock.pass_s(31)
    await point.judge_list(policy, [an_item()])
    assert len(snapshot.queries) == 2


async def test_a_fault_hides_and_is_not_remembered():
    snapshot = FixedSnapshot([fails(), answers(True)])
    policy = a_policy(snapshot)
    point = a_point(policy)
    assert await point.judge_list(policy, [an_item()]) == (Effect.DENY,)
    assert await point.judge_list(policy, [an_item()]) == (Effect.ALLOW,)


async def test_what_is_not_judged_by_the_deadline_is_hidden():
    policy = a_policy(SlowSnapshot())
    found = await a_point(policy, timeout_s=0.01).judge_list(
        policy, [an_item(str(place)) for place in range(20)]
    )
    assert found == (Effect.DENY,) * 20


async def test_a_long_list_gives_others_their_turn():
    policy = a_policy(FixedSnapshot([answers(True)], waits=False))
    point = a_point(policy)
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(others())
        await point.judge_list(policy, [an_item(str(place)) for place in range(50)])
        running.cancel()
    assert turns >= 50


async def test_what_is_remembered_is_bounded():
    policy = a_policy(FixedSnapshot([answers(True)], waits=False))
    point = a_point(policy, timeout_s=60)
    for start in range(0, 5000, 1000):
        await point.judge_list(policy, [an_item(str(start + place)) for place in range(1000)])
    assert len(point._memo._known) <= 4096


async def test_each_question_asked_of_an_engine_is_told_with_its_size():
    events = RecordingDecisionEvents()
    policy = a_policy(FixedSnapshot([answers(True)]))
    judged = await a_point(policy, events=events).decide(policy, questions(2))
    assert [size for _, _, size in events.made] == [len(one.query) for one in judged]
    assert {engine for engine, _, _ in events.made} == {policy.engine}


async def test_of_a_list_known_verdicts_and_those_asked_are_told_apart():
    events = RecordingDecisionEvents()
    policy = a_policy(FixedSnapshot([answers(True)]))
    point = a_point(policy, events=events)
    for _ in range(2):
        await point.judge_list(policy, [an_item(name) for name in "abc"])
    assert events.lists == [(0, 3), (3, 0)]


# --- a step of its own where the exchange is traced ---


def traced_questions(count=1, **ask):
    tracer = RecordingTracer()
    exchange = tracer.begin(an_exchange())
    action = an_action(ask=an_ask(**ask))
    return tracer, [a_question(exchange=exchange, action=action) for _ in range(count)]


async def test_the_question_goes_out_under_the_span_of_its_decision():
    snapshot = FixedSnapshot([answers(True)])
    tracer, asked = traced_questions()
    policy = a_policy(snapshot)
    (judged,) = await a_point(policy).decide(policy, asked)
    (span,) = asked[0].exchange.trace.spans.children
    assert snapshot.traces == [span.traceparent]
    assert span.parent_id == asked[0].exchange.trace.span_id
    assert span.fault is None
    assert span.attributes == {
        "outrider.decision.id": judged.decision.id,
        "outrider.decision.effect": "allow",
        "outrider.decision.reason": "none",
        "outrider.decision.revision": policy.revision,
        "outrider.decision.engine": policy.engine,
    }
    assert tracer.focused == [asked[0].exchange.trace.trace_id, None]


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        pytest.param(answers(False), None, id="a-deny-is-an-answer"),
        pytest.param(fails(Reason.POLICY_ERROR), "policy_error", id="a-fault-is-none"),
    ],
)
async def test_only_what_went_wrong_is_a_fault(raw, fault):
    _, asked = traced_questions()
    policy = a_policy(FixedSnapshot([raw]))
    await a_point(policy).decide(policy, asked)
    assert asked[0].exchange.trace.spans.children[0].fault == fault


async def test_items_of_a_list_are_no_steps():
    snapshot = FixedSnapshot([answers(True)] * 3)
    _, asked = traced_questions(phase=Phase.LIST)
    policy = a_policy(snapshot)
    await a_point(policy).judge_list(policy, asked)
    assert asked[0].exchange.trace.spans.children == []
