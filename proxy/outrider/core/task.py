"""The task an exchange works for, as the binder found it."""

from dataclasses import dataclass

from outrider.core.grant import Grant


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundTask:
    """One active task of one subject. A standing grant gives an implicit one: `standing`."""

    id: str
    purpose: str
    purpose_digest: str
    grant: Grant
    grant_revision: int
    standing: bool
    principal: str | None = None
    tenant: str | None = None
    template: str | None = None
    deadline_unix_s: float | None = None

    @property
    def ends_unix_s(self) -> float | None:
        """When nothing of it is granted any more; None where that is not known beforehand."""
        expires = self.grant.expires_unix_s
        if expires is None or self.deadline_unix_s is None:
            return self.deadline_unix_s if expires is None else expires
        return min(expires, self.deadline_unix_s)
