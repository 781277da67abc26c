"""Which root tasks our own agents have under way here, and when those agents heard from others."""

from collections import OrderedDict
from typing import Final

from outrider.core.task import BoundTask

AGENTS: Final = 256
"""Agents that are told apart; a sidecar has one, or a few in a shared pod."""
ROOTS: Final = 64
"""Root tasks known of one agent."""
HEARD_S: Final = 3600
"""A task that begins within this time of a message counts as begun on what it said."""


class Running:
    """Bounded, in memory: what it forgets is taken for new, and so for heard."""

    def __init__(self) -> None:
        self._roots: OrderedDict[str, OrderedDict[str, BoundTask | None]] = OrderedDict()
        self._heard: OrderedDict[str, float] = OrderedDict()

    def began(self, agent: str, root: str, task: BoundTask | None, now_unix_s: float) -> bool:
        """`agent` works for this root; whether that is new, and it heard from others lately."""
        roots = self._roots.get(agent)
        if roots is None:
            roots = self._roots[agent] = OrderedDict()
            if len(self._roots) > AGENTS:
                self._roots.popitem(last=False)
        if root in roots:
            return False
        roots[root] = task
        if len(roots) > ROOTS:
            roots.popitem(last=False)
        return self._heard.get(agent, -HEARD_S) > now_unix_s - HEARD_S

    def heard(self, agent: str, now_unix_s: float) -> list[tuple[str, BoundTask | None]]:
        """Others sent `agent` something; the roots it works for, each with a task of it."""
        self._heard[agent] = now_unix_s
        self._heard.move_to_end(agent)
        if len(self._heard) > AGENTS:
            self._heard.popitem(last=False)
        return list(self._roots.get(agent, {}).items())

    def ended(self, root: str) -> None:
        """The root task ended."""
        for roots in self._roots.values():
            roots.pop(root, None)
