"""A task's books that tell what they were given and keep what they heard."""

from dataclasses import dataclass, field

from outrider.core.action import Action
from outrider.core.errors import EnforcementError
from outrider.core.facts import NOTHING_KNOWN, Answered, Ended, Facts, Opening, Verdict
from outrider.core.jsonvalue import JsonObject
from outrider.core.obligation import QuarantineObligation
from outrider.core.subject import Subject
from outrider.core.task import BoundTask


@dataclass
class RecordingPage:
    facts: tuple[Facts, ...]
    left: int | None = None
    fault: EnforcementError | None = None
    reserved: int = 0
    learnt: list[Answered] = field(default_factory=list)
    endings: list[Ended | Verdict] = field(default_factory=list)

    async def reserve(self) -> int | None:
        if self.fault is not None:
            raise self.fault
        self.reserved += 1
        return self.left

    async def learn(self, answered: Answered) -> None:
        self.learnt.append(answered)

    def close(self, ended: Ended | Verdict) -> None:
        self.endings.append(ended)


@dataclass
class RecordingBooks:
    """`known` is told of every action; `left` and `fault` are what a page reserves."""

    known: Facts = NOTHING_KNOWN
    left: int | None = None
    fault: EnforcementError | None = None
    shut: EnforcementError | None = None
    openings: list[Opening] = field(default_factory=list)
    glances: list[Opening] = field(default_factory=list)
    pages: list[RecordingPage] = field(default_factory=list)
    heard: list[tuple[str, Answered]] = field(default_factory=list)

    async def open(self, opening: Opening) -> RecordingPage:
        if self.shut is not None:
            raise self.shut
        self.openings.append(opening)
        page = RecordingPage((self.known,) * len(opening.actions), self.left, self.fault)
        self.pages.append(page)
        return page

    async def glance(self, opening: Opening) -> Facts:
        self.glances.append(opening)
        return self.known

    async def hear(self, agent: str, answered: Answered) -> None:
        self.heard.append((agent, answered))


@dataclass
class RecordingCare:
    narrowed: list[JsonObject] = field(default_factory=list)
    quarantined: list[tuple[QuarantineObligation, Action]] = field(default_factory=list)
    fault: EnforcementError | None = None

    async def narrow(self, subject: Subject, task: BoundTask | None, grant: JsonObject) -> None:
        if self.fault is not None:
            raise self.fault
        self.narrowed.append(grant)

    async def quarantine(
        self,
        obligation: QuarantineObligation,
        *,
        subject: Subject,
        task: BoundTask | None,
        action: Action,
    ) -> None:
        if self.fault is not None:
            raise self.fault
        self.quarantined.append((obligation, action))
