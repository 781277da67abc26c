"""Books that know nothing, until the task's own are composed."""

from outrider.core.action import Action
from outrider.core.errors import ObligationError
from outrider.core.facts import NOTHING_KNOWN, Answered, Ended, Facts, Opening, Verdict
from outrider.core.jsonvalue import JsonObject
from outrider.core.obligation import QuarantineObligation
from outrider.core.subject import Subject
from outrider.core.task import BoundTask


class BlankPage:
    def __init__(self, actions: int) -> None:
        self._actions = actions

    @property
    def facts(self) -> tuple[Facts, ...]:
        return (NOTHING_KNOWN,) * self._actions

    async def reserve(self) -> int | None:
        return None

    async def learn(self, answered: Answered) -> None:
        return

    def close(self, ended: Ended | Verdict) -> None:
        return


class NoBooks:
    async def open(self, opening: Opening) -> BlankPage:
        return BlankPage(len(opening.actions))

    async def glance(self, opening: Opening) -> Facts:
        return NOTHING_KNOWN

    async def hear(self, agent: str, answered: Answered) -> None:
        return


class NoCare:
    async def narrow(self, subject: Subject, task: BoundTask | None, grant: JsonObject) -> None:
        raise ObligationError("the obligation cannot be carried out in this version")

    async def quarantine(
        self,
        obligation: QuarantineObligation,
        *,
        subject: Subject,
        task: BoundTask | None,
        action: Action,
    ) -> None:
        raise ObligationError("the obligation cannot be carried out in this version")
