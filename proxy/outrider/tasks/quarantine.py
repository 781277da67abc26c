"""Who and what is cut off now, whatever policy or grants say.

This version keeps the list in memory and nothing fills it but the process itself; an agent whose
status in policy data is not active is policy's to deny.
"""

from enum import StrEnum

from outrider.core.errors import EnforcementError
from outrider.core.vocabulary import Reason


class Scope(StrEnum):
    """What can be cut off."""

    AGENT = "agent"
    TASK = "task"
    TOOL = "tool"
    UPSTREAM = "upstream"


class QuarantineList:
    """`core.ports.Quarantine` over a set. Bounded: cutting off more than `limit` raises."""

    def __init__(self, *, limit: int = 10_000) -> None:
        self._limit = limit
        self._cut: set[tuple[Scope, str]] = set()

    def cut(self, scope: Scope, name: str) -> None:
        """Refuse `name` from the next check on. Idempotent. Raises `ValueError` past the bound."""
        if len(self._cut) >= self._limit and (scope, name) not in self._cut:
            raise ValueError(f"more than {self._limit} quarantined names")
        self._cut.add((scope, name))

    def lift(self, scope: Scope, name: str) -> None:
        """Let `name` pass again. Idempotent."""
        self._cut.discard((scope, name))

    def check(
        self,
        *,
        agent: str,
        task: str | None = None,
        tool: str | None = None,
        upstream: str | None = None,
    ) -> None:
        """`Quarantine.check`; the `cause` is the first scope that is cut off."""
        if not self._cut:
            return
        named = (
            (Scope.AGENT, agent),
            (Scope.TASK, task),
            (Scope.TOOL, tool),
            (Scope.UPSTREAM, upstream),
        )
        for scope, name in named:
            if name is not None and (scope, name) in self._cut:
                raise EnforcementError("quarantined", reason=Reason.QUARANTINED, cause=scope.value)
