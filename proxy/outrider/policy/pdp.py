"""The decision point: questions in, decisions out, every one of them within one deadline.

Laws: it always answers; what goes wrong inside is a deny with its reason; one snapshot for an
exchange; one `asyncio.timeout` a decision, and no task where one question is asked.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from outrider.core import span_names
from outrider.core.decision import ReasonEntry
from outrider.core.errors import EnforcementError
from outrider.core.ids import uuid7
from outrider.core.jsonvalue import digest
from outrider.core.ports import ActivePolicy, Clock, Defined, Failed, Judged, Question, Raw
from outrider.core.spans import Span
from outrider.core.vocabulary import OUTCOME_OF, Effect, Outcome, Phase, Reason
from outrider.policy.query import QueryBuilder
from outrider.policy.result import Source, decide, refusal

AT_ONCE: Final = 8
_SAMPLED: Final = 15  # of 16 decisions one is timed in its parts
_MEMO_ENTRIES: Final = 4096
_MEMO_LIFE_S: Final = 30.0
_CUT_OFF: Final = "cancelled"
_TIMED_OUT: Final = Failed(code=Reason.POLICY_TIMEOUT, detail="no answer by the deadline")


class PolicyHolder(Protocol):
    """Who keeps the policy in force."""

    def active(self) -> ActivePolicy:
        """As `core.ports.Decider.active`."""


class DecisionEvents(Protocol):
    """What is counted of decisions."""

    def decision_made(self, engine: str, seconds: float, query_bytes: int) -> None:
        """An engine was asked, whatever came of it."""

    def decision_phase(self, engine: str, phase: str, seconds: float) -> None:
        """Where the time of one decision in 16 went: encode, wait, evaluate or parse."""

    def list_verdicts(self, hits: int, misses: int) -> None:
        """Items of a list whose verdict was known, and those that were asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionLimits:
    """Deadlines in seconds and the entry point asked."""

    entrypoint: str
    timeout_s: float
    list_timeout_s: float


class _FirstDenyError(Exception):
    """Ends the other questions of an exchange: the strictest answer is known."""


class PolicyDecisionPoint:
    """`core.ports.Decider` over whatever engine the holder's policy carries."""

    def __init__(
        self,
        *,
        holder: PolicyHolder,
        builder: QueryBuilder,
        limits: DecisionLimits,
        clock: Clock,
        events: DecisionEvents,
    ) -> None:
        self._holder = holder
        self._builder = builder
        self._limits = limits
        self._clock = clock
        self._events = events
        self._memo = _Memo(clock)
        self._turn = _SAMPLED  # the first is timed

    def active(self) -> ActivePolicy:
        """The policy in force. Raises `EnforcementError` as the port says."""
        return self._holder.active()

    async def decide(
        self, policy: ActivePolicy, questions: Sequence[Question]
    ) -> tuple[Judged, ...]:
        """One answer for each question, in order; never raises but on cancellation."""
        deadline_s = self._clock.monotonic_s() + self._limits.timeout_s
        if len(questions) == 1:
            return (await self._judge_one(policy, questions[0], deadline_s),)
        answers = await self._judge_all(policy, questions, deadline_s)
        if _revisions(answers) > 1:
            # a swap fell between: one exchange is judged under one revision
            answers = await self._judge_all(policy, questions, deadline_s)
            if _revisions(answers) > 1:
                return tuple(self._stale(policy, one) for one in answers)
        return answers

    async def judge_list(
        self, policy: ActivePolicy, questions: Sequence[Question]
    ) -> tuple[Effect, ...]:
        """Whether each item shows. What has no answer by the deadline is hidden."""
        deadline_s = self._clock.monotonic_s() + self._limits.list_timeout_s
        keys = [_memo_key(policy, question) for question in questions]
        effects = [self._memo.get(key) for key in keys]
        asked = [place for place, effect in enumerate(effects) if effect is None]
        self._events.list_verdicts(len(questions) - len(asked), len(asked))
        answers = await self._judge_all(
            policy, [questions[place] for place in asked], deadline_s, whole=True
        )
        for place, answer in zip(asked, answers, strict=True):
            effects[place] = answer.decision.effect
            if answer.decision.reason in _SETTLED:
                self._memo.put(keys[place], answer.decision.effect)
        return tuple(effect if effect is not None else Effect.DENY for effect in effects)

    async def _judge_one(
        self, policy: ActivePolicy, question: Question, deadline_s: float
    ) -> Judged:
        if not policy.snapshot.waits:
            return await self._judge(policy, question, deadline_s)
        query = self._query(policy, question)
        if isinstance(query, Judged):
            return query
        try:
            async with asyncio.timeout(deadline_s - self._clock.monotonic_s()):
                judged = await self._asked(policy, question, query, deadline_s)
                if _by_another_revision(policy, judged):
                    return await self._judge_whole(policy, question, deadline_s)
                return judged
        except TimeoutError:
            return self._judged(policy, query, _TIMED_OUT)

    async def _judge_all(
        self,
        policy: ActivePolicy,
        questions: Sequence[Question],
        deadline_s: float,
        *,
        whole: bool = False,
    ) -> tuple[Judged, ...]:
        """Answers in order. Without `whole` the first deny leaves the rest unasked."""
        answers: list[Judged | None] = [None] * len(questions)
        pending = iter(enumerate(questions))

        async def work() -> None:
            for place, question in pending:
                answer = await self._judge(policy, question, deadline_s)
                answers[place] = answer
                if answer.decision.effect is Effect.DENY and not whole:
                    raise _FirstDenyError
                if whole and not policy.snapshot.waits:
                    await asyncio.sleep(0)  # a long list must not hold up the calls of others

        try:
            async with asyncio.timeout(deadline_s - self._clock.monotonic_s()):
                await self._work_together(work, len(questions), waits=policy.snapshot.waits)
        except TimeoutError:
            pass  # what has no answer yet is filled with a deny
        return self._filled(policy, answers)

    @staticmethod
    async def _work_together(
        work: Callable[[], Coroutine[None, None, None]], questions: int, *, waits: bool
    ) -> None:
        try:
            if not waits:
                await work()
                return
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, questions)):
                    group.create_task(work(), name="policy question")
        except* _FirstDenyError:
            pass

    async def _judge(self, policy: ActivePolicy, question: Question, deadline_s: float) -> Judged:
        query = self._query(policy, question)
        if isinstance(query, Judged):
            return query
        judged = await self._asked(policy, question, query, deadline_s)
        if _by_another_revision(policy, judged):
            return await self._judge_whole(policy, question, deadline_s)
        return judged

    async def _asked(
        self, policy: ActivePolicy, question: Question, query: bytes, deadline_s: float
    ) -> Judged:
        """The engine's answer to `query`; a step of its own where the exchange is traced."""
        spans = question.exchange.trace.spans
        if spans is None or question.action.ask.phase is Phase.LIST:
            raw = await self._evaluate(policy, question, query, deadline_s)
            return self._judged(policy, query, raw)
        span = spans.begin(span_names.DECIDE)
        try:
            raw = await self._evaluate(policy, question, query, deadline_s, span)
        except BaseException:
            span.end(_CUT_OFF)
            raise
        judged = self._judged(policy, query, raw)
        _tell(span, policy, judged)
        return judged

    async def _judge_whole(
        self, policy: ActivePolicy, question: Question, deadline_s: float
    ) -> Judged:
        """Ask again with nothing left out: a release that is just being activated answered, and
        it may read what the one in force does not."""
        whole = replace(policy, reads=None)
        query = self._query(whole, question)
        if isinstance(query, Judged):
            return query
        return await self._asked(policy, question, query, deadline_s)

    def _query(self, policy: ActivePolicy, question: Question) -> bytes | Judged:
        self._turn = (self._turn + 1) & _SAMPLED
        began_s = None if self._turn else self._clock.monotonic_s()
        try:
            query = self._builder.build(question, policy)
        except EnforcementError as fault:
            judged = self._judged(policy, b"", Failed(code=fault.reason, detail=fault.detail))
            # Policy was not asked, so nobody but us can say what to mend.
            told = ReasonEntry(code=fault.reason.value, message=fault.detail)
            return replace(judged, decision=replace(judged.decision, reasons=(told,)))
        if began_s is not None:
            self._phase(policy, "encode", began_s)
        return query

    async def _evaluate(
        self,
        policy: ActivePolicy,
        question: Question,
        query: bytes,
        deadline_s: float,
        span: Span | None = None,
    ) -> Raw:
        trace = question.exchange.trace.traceparent if span is None else span.traceparent
        entrypoint = self._limits.entrypoint
        began_s = self._clock.monotonic_s()
        sampled = not self._turn
        raw: Raw | None = None
        try:
            raw = await policy.snapshot.evaluate(entrypoint, query, deadline_s, trace)
        finally:
            took_s = self._clock.monotonic_s() - began_s
            if span is not None:
                span.tree.focus(span.tree.trace_id)  # its exemplar
            self._events.decision_made(policy.engine, took_s, len(query))
            if span is not None:
                span.tree.focus(None)
            if sampled and isinstance(raw, Defined):
                inside_s = raw.meta.eval_us / 1e6
                self._events.decision_phase(policy.engine, "evaluate", inside_s)
                self._events.decision_phase(policy.engine, "wait", took_s - inside_s)
        return raw

    def _phase(self, policy: ActivePolicy, phase: str, began_s: float) -> None:
        took_s = self._clock.monotonic_s() - began_s
        self._events.decision_phase(policy.engine, phase, took_s)

    def _judged(self, policy: ActivePolicy, query: bytes, raw: Raw) -> Judged:
        began_s = self._clock.monotonic_s() if not self._turn else None
        decision = decide(raw, id=uuid7(self._clock.unix_s()), source=_source(policy))
        if began_s is not None:
            self._phase(policy, "parse", began_s)
        return Judged(decision=decision, query=query, input_digest=digest(query))

    def _filled(self, policy: ActivePolicy, answers: Sequence[Judged | None]) -> tuple[Judged, ...]:
        """Answers with a deny standing in for each that was left unasked."""
        if all(one is not None for one in answers):
            return tuple(one for one in answers if one is not None)
        denied = [one for one in answers if one and one.decision.effect is Effect.DENY]
        rest = denied[0] if denied else self._judged(policy, b"", _TIMED_OUT)
        return tuple(one if one is not None else rest for one in answers)

    def _stale(self, policy: ActivePolicy, judged: Judged) -> Judged:
        decision = refusal(
            Reason.POLICY_STALE,
            "answers of one exchange under two revisions",
            id=judged.decision.id,
            source=_source(policy),
        )
        return replace(judged, decision=decision)


def _tell(span: Span, policy: ActivePolicy, judged: Judged) -> None:
    """What was decided, on its span. A deny is an answer, a fault of the engine's is none."""
    decision = judged.decision
    reason = decision.reason
    is_fault = reason is not None and OUTCOME_OF[reason] is Outcome.FAULT
    span.end(
        reason.value if reason is not None and is_fault else None,
        {
            span_names.DECISION_ID: decision.id,
            span_names.DECISION_EFFECT: decision.effect.value,
            span_names.DECISION_REASON: reason.value if reason is not None else "none",
            span_names.DECISION_REVISION: policy.revision,
            span_names.DECISION_ENGINE: policy.engine,
        },
    )


_SETTLED: Final = frozenset({None, Reason.HELD, Reason.POLICY})
_MemoKey = tuple[object, ...]


class _Memo:
    """Verdicts on list items, bounded in number and age; only policy's own words are kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[_MemoKey, tuple[float, Effect]] = {}

    def get(self, key: _MemoKey) -> Effect | None:
        found = self._known.get(key)
        if found is None or found[0] < self._clock.monotonic_s():
            return None
        return found[1]

    def put(self, key: _MemoKey, effect: Effect) -> None:
        if len(self._known) >= _MEMO_ENTRIES:
            self._known.clear()
        self._known[key] = (self._clock.monotonic_s() + _MEMO_LIFE_S, effect)


def _memo_key(policy: ActivePolicy, question: Question) -> _MemoKey:
    """All of a list item's query that can change a verdict, but for time, behaviour and headers."""
    action, task = question.action, question.task
    return (
        policy.revision,
        question.subject,
        task and (task.id, task.grant_revision, task.deadline_unix_s),
        action.ask.name,
        action.ask.resource_type,
        action.resource_id,
        action.ask.definition,
        action.effect,
        action.impact,
        action.reversible,
        action.sensitivity,
    )


def _by_another_revision(policy: ActivePolicy, judged: Judged) -> bool:
    named = judged.decision.revision
    return policy.reads is not None and bool(named) and named != policy.revision


def _revisions(answers: Sequence[Judged]) -> int:
    return len({one.decision.revision for one in answers})


def _source(policy: ActivePolicy) -> Source:
    snapshot = policy.snapshot
    return Source(engine=policy.engine, revision=snapshot.revision, expected=snapshot.expected)
