"""One exchange's page in its task's books."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from outrider.core.budget import UNUSED, Usage
from outrider.core.catalogue import UNDECLARED, ToolEntry
from outrider.core.errors import EnforcementError, StoreUnavailableError
from outrider.core.facts import Answered, Ended, Facts, Verdict
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.task import Allowance, BoundTask
from outrider.core.vocabulary import (
    OUTCOME_OF,
    Budget,
    Effect,
    EffectClass,
    FieldLabel,
    Outcome,
    OutcomeStatus,
    Reason,
    ResourceType,
    Role,
    Sensitivity,
)
from outrider.tasks import budgets
from outrider.tasks.behaviour import counting, outcomes
from outrider.tasks.behaviour.acts import Act, spelt_of
from outrider.tasks.behaviour.counting import Counted
from outrider.tasks.behaviour.document import TaskDocument
from outrider.tasks.budgets import Taken
from outrider.tasks.desk import Desk
from outrider.tasks.indexes import Shelf, in_turns
from outrider.tasks.memory import keys_of, taint_of, wrote
from outrider.tasks.past import Past, Told
from outrider.tasks.provenance.answers import Learnt

AUTHORITY: Final = frozenset(Role) - {Role.CONTENT, Role.CONTROL}
"""Roles of arguments that say what is done, where, to what and how much."""
_JUDGED: Final = frozenset({Outcome.DENIED, Outcome.INVALID})
"""Denials of the action itself; what our own faults and load refuse says nothing of the agent."""
_MAX_TOKENS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_NOT_DONE: Final = frozenset({OutcomeStatus.REFUSED, OutcomeStatus.CANCELLED})


class BookPage:
    """`core.ports.Page`. `counted` is None on a page that counts nothing, for the store is gone."""

    def __init__(  # noqa: PLR0913 - what was found out when it was opened
        self,
        *,
        desk: Desk,
        key: str,
        task: BoundTask | None,
        acts: list[Act],
        entries: list[ToolEntry],
        shelf: Shelf,
        past: Past,
        told: list[Told],
        facts: tuple[Facts, ...],
        counted: Counted | None,
    ) -> None:
        self._desk, self._key, self._task = desk, key, task
        self._acts, self._entries = acts, entries
        self._shelf, self._past, self._told = shelf, past, told
        self._facts, self._counted = facts, counted
        self._lineage: Sequence[Allowance] = task.lineage if task is not None else ()
        self._taken = UNUSED
        self._reserved = False
        self._bytes_in = 0
        self._closed = False
        self._flags = 0
        self._failed: set[int] = set()
        self._answered: set[int] = set()
        """Actions with an answer that said they failed, and with one that did not."""

    @property
    def facts(self) -> tuple[Facts, ...]:
        return self._facts

    # --- budgets ------------------------------------------------------------------------

    async def reserve(self) -> int | None:
        await self._taint_memories()
        if not any(one.limits.bounded for one in self._lineage):
            return None
        if self._counted is None:
            raise StoreUnavailableError("budgets cannot be counted while the store is gone")
        ask = self._ask()
        if ask is None:
            return None
        change = partial(_reserve, lineage=self._lineage, ask=ask, counted=self._counted)
        try:
            taken = await self._desk.tasks.change(self._key, change, durable=ask.spend > 0)
        except BaseException:
            # It may have been made all the same, and nobody will use it.
            undo = partial(_unreserve, lineage=self._lineage, ask=ask, counted=self._counted)
            self._desk.tasks.change_later(self._key, undo)
            raise
        self._refuse_short(taken)
        self._taken, self._reserved = ask, True
        self._tell_near(taken)
        return taken.records

    def _ask(self) -> Usage | None:
        """What the actions use at most; None where they are plumbing."""
        acts = [act for act in self._acts if act.counted]
        if not acts:
            return None
        spend = 0
        for told in self._told:
            if told.micros is None:
                if self._bounds(Budget.SPEND):
                    raise _short(Budget.SPEND, "an amount that cannot be read cannot be counted")
                continue
            spend += told.micros if told.payees else 0
        tokens = 0
        for act in acts:
            if act.action.ask.resource_type is ResourceType.HOST:
                self._refuse_uncounted()
            if act.action.ask.resource_type is ResourceType.MODEL:
                most = _most_tokens(act.action.ask.arguments or {})
                if most is None and self._bounds(Budget.TOKENS):
                    raise _short(Budget.TOKENS, "a model call without a bound on its tokens")
                tokens += most or 0
        return Usage(
            calls=len(acts), spend=spend, tokens=tokens, bytes=sum([act.sent for act in acts])
        )

    def _refuse_uncounted(self) -> None:
        """Of what passes a tunnel nothing can be counted beforehand but the call itself."""
        for budget in Budget:
            if budget is not Budget.CALLS and self._bounds(budget):
                raise _short(budget, "what a tunnel carries cannot be counted")

    def _bounds(self, budget: Budget) -> bool:
        return any(one.limits.of(budget) is not None for one in self._lineage)

    def _refuse_short(self, taken: Taken) -> None:
        if taken.short is None:
            return
        if taken.lost:
            raise StoreUnavailableError("what the task used so far is not known")
        task, budget = taken.short
        if taken.over and not self._standing:
            self._desk.watch.spent(task, budget)
        raise _short(budget, "the task has too little left of a budget")

    @property
    def _standing(self) -> bool:
        return self._task is not None and self._task.standing

    def _tell_near(self, taken: Taken) -> None:
        for task, budget in taken.near:
            self._desk.watch.nearing(task, budget)

    # --- memory -------------------------------------------------------------------------

    async def _taint_memories(self) -> None:
        """What is written to memory after something untrusted was read is untrusted to whoever
        reads it next, from before it is written."""
        for act, facts in zip(self._acts, self._facts, strict=True):
            flags = as_object(facts.behaviour.get("flags"))
            if act.remembers and flags.get("untrusted_read") is not False:
                task = self._task.id if self._task is not None else "none"
                await self._write_memory(act, tainted=True, task=task)

    async def _write_memory(self, act: Act, *, tainted: bool, task: str) -> None:
        change = partial(
            wrote,
            keys=keys_of(act.action),
            tainted=tainted,
            task=task,
            now_s=int(self._desk.clock.unix_s()),
        )
        await self._desk.memories.change(act.action.ask.upstream, change, durable=True)

    def _clean_memory(self, act: Act) -> None:
        keys, now_s = keys_of(act.action), int(self._desk.clock.unix_s())
        change = partial(wrote, keys=keys, tainted=False, task="", now_s=now_s)
        self._desk.memories.change_later(act.action.ask.upstream, change)

    async def _taint_of(self, act: Act) -> str | None:
        """The task that tainted the memory `act` read from; None where none did."""
        if not act.recalls:
            return None
        document = await self._desk.memories.look(act.action.ask.upstream)
        return taint_of(document, keys_of(act.action), int(self._desk.clock.unix_s()))

    # --- answers ------------------------------------------------------------------------

    async def learn(self, answered: Answered) -> None:
        act, entry = self._acts[answered.action], self._entries[answered.action]
        (self._failed if answered.failed else self._answered).add(answered.action)
        number = self._counted.events[answered.action] if self._counted is not None else 0
        event = f"evt_{number}"
        tainted_by = await self._taint_of(act)
        if tainted_by is not None:  # whatever its fields are, an earlier task spoilt them
            event, entry = f"mem_{tainted_by}", UNDECLARED
        learnt = await in_turns(
            self._shelf.index.learning(event, answered, action=act.action, entry=entry)
        )
        size = _size(answered)
        change = partial(
            _learn,
            shelf=self._shelf,
            lineage=self._lineage if self._reserved or not act.counted else (),
            act=act,
            number=number,
            learnt=learnt,
            size=size,
            raised=_raised(answered),
        )
        if self._counted is None:
            self._desk.tasks.change_later(self._key, change)
        else:
            taken, fresh = await self._desk.tasks.change(self._key, change)
            self._refuse_short(taken)
            self._bytes_in += size
            self._tell_near(taken)
            if fresh:
                self._tell_flags(fresh)
                if not self._desk.shared:  # in a shared store it stands already
                    await self._desk.tasks.change(self._key, _nothing, durable=True)
        if not answered.failed:
            self._past.made(list(learnt.created))
        await self._past.consents(act, answered)

    # --- the end ------------------------------------------------------------------------

    def close(self, ended: Ended | Verdict) -> None:
        if self._closed:
            return
        self._closed = True
        if isinstance(ended, Verdict):
            self._tell_arguments(ended.effect)
            self._refuse(ended)
        else:
            self._tell_arguments(Effect.ALLOW)
            self._end(ended)

    def _refuse(self, verdict: Verdict) -> None:
        for told in self._told:
            self._past.unpay(told)
        if self._counted is None:
            return
        judged = OUTCOME_OF[verdict.reason] in _JUDGED and verdict.reason is not Reason.BUDGET
        self._desk.tasks.change_later(
            self._key, partial(self._refused, verdict=verdict, judged=judged)
        )

    def _refused(self, document: TaskDocument, *, verdict: Verdict, judged: bool) -> None:
        if self._counted is not None:
            counting.refuse(
                document,
                self._acts,
                self._counted,
                verdict.effect,
                judged=judged,
                codes=verdict.codes,
            )
            self._settle(document, self._counted.period, self._taken)

    def _end(self, ended: Ended) -> None:
        if ended.status in _NOT_DONE:
            for told in self._told:
                self._past.unpay(told)
        elif ended.status is OutcomeStatus.EXECUTED:
            self._carried_out()
        if self._counted is not None:
            more = ended.bytes_in - self._bytes_in
            ended_so = partial(self._ended, status=ended.status, more=more)
            self._desk.tasks.change_later(self._key, ended_so)

    def _carried_out(self) -> None:
        numbers = self._counted.events if self._counted is not None else [0] * len(self._acts)
        for place, act in enumerate(self._acts):
            entry = self._entries[place]
            failed = place in self._failed - self._answered
            self._past.reached(act, self._told[place], entry, failed=failed)
            if failed:  # the words of an error make nothing the agent's own
                continue
            flags = as_object(self._facts[place].behaviour.get("flags"))
            if act.remembers and flags.get("untrusted_read") is False:
                self._clean_memory(act)
            if act.kind is not EffectClass.READ:
                self._shelf.index.wrote(act.action, entry=entry, event=f"evt_{numbers[place]}")

    def _ended(self, document: TaskDocument, *, status: OutcomeStatus, more: int) -> None:
        if self._counted is not None:
            fresh = outcomes.finish(document, self._acts, self._counted, status, more)
            self._tell_flags(fresh)
            unused = self._taken if status in _NOT_DONE else UNUSED
            self._settle(document, self._counted.period, unused)

    def _tell_flags(self, fresh: int) -> None:
        """Once each, however often a change is made again."""
        self._desk.flags(fresh & ~self._flags)
        self._flags |= fresh

    def _settle(self, document: TaskDocument, period: int, unused: Usage) -> None:
        """The reservation is over; `unused` of it was not used."""
        if not self._reserved or document.period != period:
            return
        for task, budget in budgets.settle(document, self._lineage, unused):
            if not self._standing:
                self._desk.watch.spent(task, budget)

    def _tell_arguments(self, effect: Effect) -> None:
        for facts in self._facts:
            for entry in facts.provenance.values():
                if isinstance(entry, dict) and entry["label"] == "untrusted":
                    role = Role(str(entry.get("role")))
                    if role in AUTHORITY:
                        self._desk.events.untrusted_argument(role, effect)


def _short(budget: Budget, detail: str) -> EnforcementError:
    return EnforcementError(detail, reason=Reason.BUDGET, cause=budget.value)


def _most_tokens(arguments: JsonObject) -> int | None:
    """The largest of its bounds: nobody knows which of them the upstream goes by."""
    found = [arguments.get(name) for name in _MAX_TOKENS]
    numbers = [one for one in found if isinstance(one, int) and not isinstance(one, bool)]
    return max((number for number in numbers if number > 0), default=None)


def _size(answered: Answered) -> int:
    size = sum([len(text) for text in answered.texts])
    return size if answered.value is None else size + len(spelt_of(answered.value))


def _raised(answered: Answered) -> int:
    """The rank that policy obliged the answer to have at least."""
    rank = -1 if answered.sensitivity is None else answered.sensitivity.rank
    if FieldLabel.SECRET in answered.labels:
        return Sensitivity.SECRET.rank
    if FieldLabel.PII in answered.labels:
        return max(rank, Sensitivity.CONFIDENTIAL.rank)
    return rank


# --- changes of the document ----------------------------------------------------------------


def _reserve(
    document: TaskDocument, *, lineage: Sequence[Allowance], ask: Usage, counted: Counted
) -> Taken:
    taken = budgets.reserve(document, lineage, ask)
    if taken.short is None:
        counting.mark_reserved(document, counted, reserved=True)
    return taken


def _unreserve(
    document: TaskDocument, *, lineage: Sequence[Allowance], ask: Usage, counted: Counted
) -> None:
    if counting.mark_reserved(document, counted, reserved=False):
        budgets.settle(document, lineage, ask)


def _learn(  # noqa: PLR0913 - one name for each thing an answer says
    document: TaskDocument,
    *,
    shelf: Shelf,
    lineage: Sequence[Allowance],
    act: Act,
    number: int,
    learnt: Learnt,
    size: int,
    raised: int,
) -> tuple[Taken, int]:
    records = learnt.records if act.kind is EffectClass.READ else 0
    taken = budgets.take(document, lineage, records) if records else Taken()
    if taken.short is not None:
        return taken, 0
    shelf.took_in(document)
    return taken, outcomes.learn(document, act, number, learnt, size=size, raised=raised)


def _nothing(document: TaskDocument) -> None:
    """All that was changed before is to be written."""
