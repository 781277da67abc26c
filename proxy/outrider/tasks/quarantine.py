"""Who and what is cut off now, whatever policy or grants say.

The list is in memory; who is cut off by name is filled in by those who keep it, who is out by its
status in the policy's data with each policy.
"""

from collections import Counter
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
        self._out: frozenset[str] = frozenset()

    def cut(self, scope: Scope, name: str) -> None:
        """Refuse `name` from the next check on. Idempotent. Raises `ValueError` past the bound."""
        if len(self._cut) >= self._limit and (scope, name) not in self._cut:
            raise ValueError(f"more than {self._limit} quarantined names")
        self._cut.add((scope, name))

    def lift(self, scope: Scope, name: str) -> None:
        """Let `name` pass again. Idempotent."""
        self._cut.discard((scope, name))

    def counts(self) -> dict[str, int]:
        """How many are cut off now, by scope; who is out by status counts as an agent."""
        found = Counter(scope.value for scope, _ in self._cut)
        found[Scope.AGENT.value] += len(self._out)
        return dict(found)

    def out_by_status(self, agents: frozenset[str]) -> None:
        """Refuse exactly `agents` besides: who is not active in the policy's data."""
        self._out = agents

    def check(
        self,
        *,
        agent: str,
        task: str | None = None,
        tool: str | None = None,
        upstream: str | None = None,
    ) -> None:
        """`Quarantine.check`; the `cause` is the first scope that is cut off."""
        if self._out and agent in self._out:
            raise EnforcementError(
                "the agent is not active in the policy's data",
                reason=Reason.QUARANTINED,
                cause="status",
            )
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
                raise EnforcementError(
                    f"the {scope.value} was cut off", reason=Reason.QUARANTINED, cause=scope.value
                )
