"""What for: tasks, the books kept on them, and who is cut off."""

from dataclasses import dataclass
from typing import Protocol

from outrider.core.action import Action
from outrider.core.facts import Answered, Ended, Facts, Opening, Verdict
from outrider.core.jsonvalue import Json, JsonObject
from outrider.core.obligation import QuarantineObligation
from outrider.core.ports.policy import ActivePolicy
from outrider.core.subject import Subject
from outrider.core.task import BoundTask


class Quarantine(Protocol):
    def check(
        self,
        *,
        agent: str,
        task: str | None = None,
        tool: str | None = None,
        upstream: str | None = None,
    ) -> None:
        """Raises `EnforcementError(quarantined)` if any of them is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskNames:
    """The tasks an exchange names, unverified: by header and in the message itself."""

    header: str | None
    message: str | None


class TaskBinder(Protocol):
    async def bind(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy
    ) -> BoundTask | None:
        """The task, or None where none is bound and policy alone decides.

        Raises `EnforcementError` with `no_task`, `task_ended` or `malformed`.
        """


class OwnTasks(Protocol):
    """What an agent may ask of its own task (CONTRACTS §4). Each binds the task that `names` name,
    as `TaskBinder` does, and raises what that does; `MalformedError` for a body that cannot be
    read, and `EnforcementError` with its status for what is refused."""

    async def show(self, subject: Subject, names: TaskNames, policy: ActivePolicy) -> JsonObject:
        """The task: purpose, grant, budgets, deadline; and a token of it as it stands."""

    async def narrow(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject: ...

    async def child(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject: ...

    async def end(
        self, subject: Subject, names: TaskNames, policy: ActivePolicy, body: Json
    ) -> JsonObject: ...


class Page(Protocol):
    """One exchange's page in its task's books; opened before it is judged, closed after it."""

    @property
    def facts(self) -> tuple[Facts, ...]:
        """What policy is told of each action, the action itself counted in."""

    async def reserve(self) -> int | None:
        """Take from the budgets what the actions use at most; how many records the answer may
        show by what is left, None where nothing bounds them.

        Raises `EnforcementError(budget)` where there is not enough, `store_unavailable`.
        """

    async def learn(self, answered: Answered) -> None:
        """Take in part of the answer; when it returns, whatever is judged later knows of it."""

    def close(self, ended: Ended | Verdict) -> None:
        """Settle: what was reserved and not used is given back. Idempotent, never waits."""


class Care(Protocol):
    """What policy may have done to a task or its agent (CONTRACTS §2: `narrow`, `quarantine`)."""

    async def narrow(self, subject: Subject, task: BoundTask | None, grant: JsonObject) -> None:
        """The task's grant is met with `grant` from now on. Raises `ObligationError` where there
        is no task or the grant cannot be read, `EnforcementError(store_unavailable)`."""

    async def quarantine(
        self,
        obligation: QuarantineObligation,
        *,
        subject: Subject,
        task: BoundTask | None,
        action: Action,
    ) -> None:
        """Cut off what the obligation's scope names of these. Raises `ObligationError` for a scope
        that none of them is, `EnforcementError(store_unavailable)`."""


class Books(Protocol):
    """Behaviour, provenance and budgets of tasks and their agents (GOVERNANCE §4, §5)."""

    async def open(self, opening: Opening) -> Page:
        """Raises `EnforcementError(store_unavailable)` where what others did cannot be known."""

    async def glance(self, opening: Opening) -> Facts:
        """What stands in the books now, for lists; nothing is counted."""

    async def hear(self, agent: str, answered: Answered) -> None:
        """What came in for our own agent: untrusted in every task it has under way."""
