"""The index of one root task: every value its agents were shown, by where it was seen.

Laws: what was only ever seen in untrusted places is never labelled better than `untrusted`; what
was seen nowhere, or can no longer be looked for, is `model`; what is forwarded is not touched.
"""

from collections.abc import Generator, Sequence
from typing import TypeVar

from outrider.core.action import Action
from outrider.core.catalogue import ToolEntry
from outrider.core.constraints import resolve
from outrider.core.destinations import pointers_of
from outrider.core.facts import Answered
from outrider.core.vocabulary import ActionEffect, EffectClass, Label, Role
from outrider.core.zones import Zones
from outrider.tasks.provenance.anchors import values_in
from outrider.tasks.provenance.answers import Learnt, Looked
from outrider.tasks.provenance.forms import fold, texts_of, value_of
from outrider.tasks.provenance.learning import Lesson
from outrider.tasks.provenance.looking import View
from outrider.tasks.provenance.memory import Memory
from outrider.tasks.provenance.seen import Place

_Answer = TypeVar("_Answer")


class Index:
    """One for each root task on each sidecar; bounded. `key` is secret and the task's own: digests
    and fingerprints are the same on every sidecar that has it. `incomplete` says that others read
    for this task, or it ran here before, without the index seeing it.

    A large answer or call is taken in steps, so that the loop keeps its turn: `learning` and
    `looking` are generators that yield after at most about 0.5 ms of work each and return what
    `learn` and `look`, which never pause, give.
    """

    __slots__ = ("_memory",)

    def __init__(self, *, key: bytes, incomplete: bool = False) -> None:
        self._memory = Memory(key=key, incomplete=incomplete)

    def anchor(self, texts: Sequence[str]) -> None:
        """What the principal wrote when the task was registered: its values are `user`."""
        for number, text in enumerate(texts):
            source = f"task#/anchors/{number}"
            self._memory.said.add(fold(text), fold(text, cased=True), source)
            for value in values_in(text):
                self._memory.keep(value, Place(Label.USER, source, b"", "", exact=True))

    def endorse(self, value: str | float, *, role: Role, kind: str | None, source: str) -> None:
        """A person trusts `value` in arguments of this role and type: `user`, from `apr_…`."""
        found = value_of(value, kind)
        if found is not None:
            self._memory.endorse(found, role, kind, source)

    def learning(
        self, event: str, answered: Answered, *, action: Action | None, entry: ToolEntry
    ) -> Generator[None, None, Learnt]:
        """Take in part of an answer before it is relayed. `event` is the id its values' sources
        begin with (`evt_17`, or `mem_…` for what memory kept). `entry` is what the manifest says
        of `action`, which it answers; None where it came unasked."""
        lesson = Lesson(event, action=action, entry=entry, memory=self._memory)
        return lesson.take(answered)

    def learn(
        self, event: str, answered: Answered, *, action: Action | None, entry: ToolEntry
    ) -> Learnt:
        """`learning` in one go."""
        return _in_one_go(self.learning(event, answered, action=action, entry=entry))

    def wrote(self, action: Action, *, entry: ToolEntry, event: str) -> None:
        """An allowed action succeeded: what a `write` names as its target is `session` now, and
        what it carries comes back no better than it was."""
        arguments = action.ask.arguments
        if action.effect_class is not EffectClass.READ:
            for _ in self._memory.own.add(event, arguments):
                pass
        if action.effect is not ActionEffect.WRITE or not arguments:
            return
        for argument in entry.arguments:
            if argument.role is not Role.TARGET:
                continue
            for pointer in pointers_of(arguments, argument.pointer):
                _, value = resolve(arguments, pointer)
                for leaf in texts_of(value):
                    place = Place(
                        Label.SESSION, f"{event}#{pointer}", b"", action.ask.upstream, exact=True
                    )
                    self._memory.keep(leaf, place)

    def looking(
        self, action: Action, *, entry: ToolEntry, zones: Zones
    ) -> Generator[None, None, Looked]:
        """Label the arguments of a call. Nothing is remembered of it."""
        view = View(action, entry, zones=zones, memory=self._memory)
        return view.take()

    def look(self, action: Action, *, entry: ToolEntry, zones: Zones) -> Looked:
        """`looking` in one go."""
        return _in_one_go(self.looking(action, entry=entry, zones=zones))


def _in_one_go(steps: Generator[None, None, _Answer]) -> _Answer:
    try:
        while True:
            next(steps)
    except StopIteration as done:
        answer: _Answer = done.value
        return answer
