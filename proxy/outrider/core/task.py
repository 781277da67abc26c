"""The task an exchange works for, as the binder found it."""

from dataclasses import dataclass

from outrider.core.budget import UNLIMITED, Limits
from outrider.core.grant import Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """One task's own limits in the lineage of another: what is used below counts for it too."""

    task: str
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTask:
    """One active task of one subject. A standing grant gives an implicit one: `standing`.

    `root` is the task that flags, labels and budgets are kept under: its own id unless it is a
    child. `lineage` holds the limits of the task itself, then of each parent up to the root.
    `anchors` are the texts its principal gave when it was registered. `usual` is what its template
    says that such a task normally does. `period_s` is how long a standing grant's budgets run.
    """

    id: str
    purpose: str
    purpose_digest: str
    grant: Grant
    grant_revision: int
    standing: bool
    principal: str | None = None
    tenant: str | None = None
    acr: str | None = None
    auth_time: int | None = None
    template: str | None = None
    deadline_unix_s: float | None = None
    root: str = ""
    lineage: tuple[Allowance, ...] = ()
    anchors: tuple[str, ...] = ()
    usual: Grant | None = None
    period_s: int | None = None

    @property
    def root_id(self) -> str:
        return self.root or self.id

    @property
    def ends_unix_s(self) -> float | None:
        """When nothing of it is granted any more; None where that is not known beforehand."""
        expires = self.grant.expires_unix_s
        if expires is None or self.deadline_unix_s is None:
            return self.deadline_unix_s if expires is None else expires
        return min(expires, self.deadline_unix_s)
