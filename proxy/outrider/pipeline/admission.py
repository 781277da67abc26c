"""From a read exchange to a permit: complete, cover, decide, plan, record (ARCHITECTURE §3, 8-14).

Laws: what the grant does not cover never reaches the engine; a decision record is on the chain
before a permit is used; a decision that is not an allow, or whose obligations cannot be done,
gives no permit, whatever else went well.
"""

from dataclasses import replace
from functools import partial
from typing import Final

from outrider.core.action import Action, Ask
from outrider.core.decision import Decision, grant_permit, strictest
from outrider.core.errors import (
    AuditUnavailableError,
    EnforcementError,
    MalformedError,
    ObligationError,
    StoreUnavailableError,
)
from outrider.core.facts import Answered, Facts, Opening, Verdict
from outrider.core.grant import Uncovered, covers
from outrider.core.jsonvalue import JsonObject, json_digest
from outrider.core.manifest import complete
from outrider.core.ports import (
    ApprovalFacts,
    Conversation,
    Question,
    TaskNames,
    optional_of,
    waiting_of,
)
from outrider.core.vocabulary import (
    Direction,
    Effect,
    EffectClass,
    Phase,
    Reason,
    RecordKind,
    ResourceType,
)
from outrider.pipeline import records
from outrider.pipeline.consequences import follow, follow_anyway
from outrider.pipeline.notices import notices_of, tell
from outrider.pipeline.obligations import Plan, plan
from outrider.pipeline.parts import Parts
from outrider.pipeline.passage import Leg, Passage

_LISTED: Final = frozenset({ResourceType.TOOL, ResourceType.PROMPT, ResourceType.RESOURCE})


class DeniedError(EnforcementError):
    """Policy said no, or could not be asked. The decision is on the chain already."""

    def __init__(self, decision: Decision, reason: Reason, detail: str) -> None:
        super().__init__(detail, reason=reason)
        self.decision = decision


class NotCoveredError(EnforcementError):
    """Outside the grant; refused before the engine is asked. `hidden`: not even to be seen."""

    reason = Reason.GRANT

    def __init__(self, detail: str, pointer: str | None, action: Action, *, hidden: bool) -> None:
        super().__init__(detail, pointer=pointer)
        self.action = action
        self.hidden = hidden


class RefusedWithinError(EnforcementError):
    """What the upstream asked within its answer was refused for `why`, and that ends the answer."""

    def __init__(self, detail: str, why: EnforcementError) -> None:
        super().__init__(detail, reason=why.reason, pointer=why.pointer)
        self.why = why


class Admission:
    """The stages between a conversation that was read and the permit it needs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def admit(
        self, passage: Passage, leg: Leg, approval: ApprovalFacts | None = None
    ) -> tuple[Leg, Plan]:
        """Fill `leg` up to its permit. Called again with `approval` once a hold is answered.

        Raises `EnforcementError`; every decision made is then on the chain.
        """
        questions, planned = await self._judge(passage, leg, approval)
        leg.edits, leg.label = planned.edits, planned.label
        await self._reserve(passage, leg, questions)  # 13: reserve
        ends_s = passage.task.ends_unix_s if passage.task is not None else None
        if ends_s is not None:
            left_s = max(0.0, ends_s - self._parts.clock.unix_s())
            leg.edits = replace(leg.edits, lifetime_s=left_s)
        leg.permit = grant_permit(leg.decisions, leg.actions)  # 13: mint
        if leg.permit is None:
            raise MalformedError("nothing that a permit could be for")
        await self._record(passage, leg, questions, Effect.ALLOW, None)  # 14: record
        await self._hear(passage, leg)
        return leg, planned

    async def admit_again(self, passage: Passage, leg: Leg) -> None:
        """Ask for a long answer's leg again under what is in force now, and have all that comes
        later judged by it. Nothing is recorded where it may go on as it does.

        Raises `EnforcementError` where it may not; a decision made is then on the chain.
        """
        policy = self._parts.decider.active()
        conversation = leg.conversation
        if policy is not passage.policy:
            names = TaskNames(header=passage.task_header, message=conversation.task_name)
            task = await self._parts.binder.bind(passage.bound[0], names, policy)
            passage.judge_under(policy, task)
        fresh = Leg(conversation=conversation)
        _, planned = await self._judge(passage, fresh, None, counted=False)
        edits = replace(planned.edits, lifetime_s=leg.edits.lifetime_s)
        if grant_permit(fresh.decisions, fresh.actions) is None or edits != leg.edits:
            raise ObligationError("policy asks another thing of this answer than when it began")

    async def _judge(
        self, passage: Passage, leg: Leg, approval: ApprovalFacts | None, *, counted: bool = True
    ) -> tuple[tuple[Question, ...], Plan]:
        """Fill `leg` up to its decisions: what was asked of policy, and what its answers ask.

        Without `counted` it is no new call: the task's books stay as they are.
        """
        leg.actions = self.completed(passage, leg.conversation.asks)
        self._check_cut_off(passage, leg.actions)
        await self._judge_optional(passage, leg.conversation)
        opening = self._opening(passage, leg.actions)
        for action in leg.actions:
            await self._cover(passage, leg, action, opening if counted else None)
        if counted:
            leg.page = leg.page or await self._parts.books.open(opening)  # 9
            facts = leg.page.facts
        else:
            facts = (await self._parts.books.glance(opening),) * len(leg.actions)
        questions = self._questions(passage, leg.actions, facts, approval)
        leg.judged = await self._parts.decider.decide(passage.bound[1], questions)  # 10
        return questions, await self._plan_or_refuse(passage, leg, questions, leg.decisions)  # 11

    async def _reserve(self, passage: Passage, leg: Leg, questions: tuple[Question, ...]) -> None:
        """Take the leg's share of the budgets; what is left of the records caps its answer."""
        if leg.page is None:
            raise RuntimeError("a leg is judged with its page open")
        try:
            left = await leg.page.reserve()
        except EnforcementError as fault:
            await self._record(passage, leg, questions, Effect.DENY, fault.reason)
            passage.refused, passage.decision_id = True, leg.judged[0].decision.id
            raise
        if left is not None:
            asked = leg.edits.records
            leg.edits = replace(leg.edits, records=left if asked is None else min(left, asked))

    async def _hear(self, passage: Passage, leg: Leg) -> None:
        """What others send our own agent is nobody's word but theirs."""
        if passage.exchange.direction is not Direction.INGRESS:
            return
        own = self._parts.own_agent()
        for action in leg.actions:
            said = Answered(action=0, value=action.ask.arguments)
            if own is not None and not action.ask.plumbing:
                await self._parts.books.hear(own, said)

    def _opening(self, passage: Passage, actions: tuple[Action, ...]) -> Opening:
        subject, policy, _, _ = passage.bound
        entry = policy.agents.get(subject.id)
        kind = entry.document.get("class") if entry is not None else None
        return Opening(
            exchange=passage.exchange.id,
            direction=passage.exchange.direction,
            subject=subject,
            task=passage.task,
            actions=actions,
            agent_class=kind if isinstance(kind, str) else None,
        )

    def completed(self, passage: Passage, asks: tuple[Ask, ...]) -> tuple[Action, ...]:
        if not asks:
            raise MalformedError("nothing is asked for")
        manifest = passage.bound[1].manifest
        return tuple([complete(ask, manifest) for ask in asks])

    async def visible(
        self, passage: Passage, asks: tuple[Ask, ...], phase: Phase
    ) -> tuple[bool, ...]:
        """For each item of a list whether this subject may see it: covered, and not denied."""
        listed = tuple(replace(ask, phase=phase, arguments=None) for ask in asks)
        actions = self.completed(passage, listed) if listed else ()
        covered = [action for action in actions if self._uncovered(passage, action) is None]
        if not covered:
            return (False,) * len(actions)
        known = await self._parts.books.glance(self._opening(passage, ()))
        facts = (known,) * len(covered)
        questions = self._questions(passage, tuple(covered), facts, None)
        effects = await self._parts.decider.judge_list(passage.bound[1], questions)
        shown = {
            id(action)
            for action, effect in zip(covered, effects, strict=True)
            if effect is not Effect.DENY
        }
        return tuple(id(action) in shown for action in actions)

    async def answer_within(
        self, passage: Passage, asks: tuple[Ask, ...]
    ) -> tuple[EnforcementError | None, ...]:
        """Decide and record actions found in an answer, such as a server's own requests: for each
        why it is refused, or None."""
        faults: list[EnforcementError | None] = []
        for ask in asks:
            leg = Leg(conversation=passage.bound_leg.conversation)
            leg.actions = self.completed(passage, (ask,))
            fault = await self._fault_within(passage, leg)
            faults.append(fault)
            waiting = waiting_of(leg.conversation)
            if fault is not None and waiting is not None:
                said = f"the server asked the agent for {ask.name}"
                self._parts.live.end(waiting, RefusedWithinError(said, fault))
        return tuple(faults)

    async def _fault_within(self, passage: Passage, leg: Leg) -> EnforcementError | None:
        action = leg.actions[0]
        uncovered = self._uncovered(passage, action)
        if uncovered is not None:
            return NotCoveredError(uncovered.detail, uncovered.pointer, action, hidden=False)
        known = await self._parts.books.glance(self._opening(passage, leg.actions))
        questions = self._questions(passage, leg.actions, (known,), None)
        leg.judged = await self._parts.decider.decide(passage.bound[1], questions)
        decision = leg.judged[0].decision
        allowed = decision.effect is Effect.ALLOW and not decision.obligations
        enforced = Effect.ALLOW if allowed else Effect.DENY
        reason = None if allowed else decision.reason or Reason.OBLIGATION
        await self._record(passage, leg, questions, enforced, reason)
        passage.owed += leg.recorded
        return None if reason is None else DeniedError(decision, reason, decision.detail)

    def _check_cut_off(self, passage: Passage, actions: tuple[Action, ...]) -> None:
        subject, _, route, _ = passage.bound
        task = passage.task.id if passage.task else None
        passage.entry.task, passage.entry.upstream = task, route.upstream
        passage.entry.tools = tuple([action.resource_id for action in actions])
        for action in actions:
            ask = action.ask
            check = partial(self._parts.quarantine.check, agent=subject.id, task=task)
            check(tool=ask.resource_id, upstream=route.upstream)
            if ask.via is not None:
                check(tool=ask.via, upstream=ask.upstream)

    async def _judge_optional(self, passage: Passage, conversation: Conversation) -> None:
        offer = optional_of(conversation)
        asks = offer.optional_asks() if offer is not None else ()
        if offer is not None and asks:
            offer.allow_optional(await self.visible(passage, asks, Phase.LIST))

    async def _cover(
        self, passage: Passage, leg: Leg, action: Action, opening: Opening | None
    ) -> None:
        """The first action is what the exchange is about: if that is hidden, all of it is. With
        `opening` a refusal is a denial in the task's books."""
        uncovered = self._uncovered(passage, action)
        if uncovered is None:
            return
        if opening is not None:
            await self._count_uncovered(leg, opening)
        hidden = any(self._is_hidden_item(passage, one) for one in (action, leg.actions[0]))
        raise NotCoveredError(uncovered.detail, uncovered.pointer, action, hidden=hidden)

    async def _count_uncovered(self, leg: Leg, opening: Opening) -> None:
        """What the grant does not cover was tried all the same (SQ-25, RL-02)."""
        if all(action.ask.plumbing for action in opening.actions):
            return
        try:
            leg.page = leg.page or await self._parts.books.open(opening)
        except StoreUnavailableError:
            return  # it is refused whether or not anybody can count it
        leg.page.close(Verdict(effect=Effect.DENY, reason=Reason.GRANT))

    def _is_hidden_item(self, passage: Passage, action: Action) -> bool:
        if action.ask.resource_type not in _LISTED:
            return False
        as_item = replace(action, ask=replace(action.ask, phase=Phase.LIST, arguments=None))
        return self._uncovered(passage, as_item) is not None

    def _uncovered(self, passage: Passage, action: Action) -> Uncovered | None:
        if passage.task is None:
            return None  # policy alone decides; the shipped library denies such a caller
        return covers(passage.task.grant, action, now_unix_s=self._parts.clock.unix_s())

    def _questions(
        self,
        passage: Passage,
        actions: tuple[Action, ...],
        facts: tuple[Facts, ...],
        approval: ApprovalFacts | None,
    ) -> tuple[Question, ...]:
        subject = passage.bound[0]
        return tuple(
            [
                Question(
                    exchange=passage.exchange,
                    subject=subject,
                    action=action,
                    task=passage.task,
                    arguments_digest=_digest_of(action.ask),
                    approval=approval,
                    facts=known,
                )
                for action, known in zip(actions, facts, strict=True)
            ]
        )

    async def _plan_or_refuse(
        self,
        passage: Passage,
        leg: Leg,
        questions: tuple[Question, ...],
        decisions: tuple[Decision, ...],
    ) -> Plan:
        worst = strictest(decisions)
        reason, detail = worst.reason, worst.detail
        if worst.effect is not Effect.DENY:
            try:
                planned = plan(decisions)
                await follow(self._parts, passage, leg, decisions)
            except ObligationError as fault:
                reason, detail = fault.reason, fault.detail
            else:
                return planned
        await self._record(passage, leg, questions, Effect.DENY, reason)
        if leg.page is not None:
            why = reason or Reason.POLICY
            leg.page.close(Verdict(effect=worst.effect, reason=why, codes=_codes_of(decisions)))
        tell(self._parts, passage, notices_of(decisions))
        await follow_anyway(self._parts, passage, leg, decisions)
        passage.hidden = await self._is_hidden(passage, leg.actions, reason)
        raise DeniedError(worst, reason or Reason.POLICY, detail)

    async def _is_hidden(
        self, passage: Passage, actions: tuple[Action, ...], reason: Reason | None
    ) -> bool:
        """Whether a denied item would not be seen in a list either: then it is absent (§4.5)."""
        if reason is not Reason.POLICY or actions[0].ask.resource_type not in _LISTED:
            return False
        return not (await self.visible(passage, (actions[0].ask,), Phase.LIST))[0]

    async def _record(
        self,
        passage: Passage,
        leg: Leg,
        questions: tuple[Question, ...],
        enforced: Effect,
        reason: Reason | None,
    ) -> None:
        parts = self._parts
        durable = enforced is Effect.ALLOW and not _only_reads(leg.actions)
        shared = passage.whose
        if shared is None:
            shared = records.whose(passage.exchange, passage.bound[0], passage.task)
            passage.whose = shared
        last = len(leg.actions) - 1
        for index, (action, judged) in enumerate(zip(leg.actions, leg.judged, strict=True)):
            decision = judged.decision
            record: JsonObject = records.begun(RecordKind.DECISION, parts.clock, shared)
            records.completed(record, action, judged, questions[index].arguments_digest)
            records.known(record, questions[index].facts)
            record["decision"] = records.decision_facts(decision, enforced, reason)
            if decision.raw_obligations:
                record = dict(record)  # nobody vouches for the numbers in policy's own JSON
            before = leg.recorded
            if enforced is Effect.ALLOW:
                # Owed an outcome even if the caller leaves while the record is being written.
                leg.recorded = (*before, decision.id)
            try:
                await parts.audit.append(
                    record, durable=durable and index == last, query=judged.query
                )
            except AuditUnavailableError:
                leg.recorded = before
                raise
            self._count(action, decision, enforced, reason)

    def _count(
        self, action: Action, decision: Decision, enforced: Effect, reason: Reason | None
    ) -> None:
        self._parts.metrics.decided(
            effect=enforced,
            effect_class=action.effect_class,
            reason=reason,
            resource=action.resource_id if action.declared else "other",
            reasons=decision.reasons,
        )


def _codes_of(decisions: tuple[Decision, ...]) -> tuple[str, ...]:
    """What was enforced, of every action: the strictest is not the only one that counts."""
    found: dict[str, None] = {}
    for decision in decisions:
        for entry in decision.reasons:
            if entry.mode == "enforce" and decision.effect is not Effect.ALLOW:
                found[entry.code] = None
    return tuple(found)


def _only_reads(actions: tuple[Action, ...]) -> bool:
    for action in actions:  # noqa: SIM110 - half the time of `all` over a generator
        if action.effect_class is not EffectClass.READ:
            return False
    return True


def _digest_of(ask: Ask) -> str | None:
    return None if ask.arguments is None else json_digest(ask.arguments)
