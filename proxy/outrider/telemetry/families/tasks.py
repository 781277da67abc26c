"""Tasks: how many, how they ended, and what their behaviour showed."""

from collections.abc import Mapping
from typing import Final

from outrider.core.vocabulary import Effect, Role, TaskEnd
from outrider.telemetry.families.base import LAG, Families, closed

# What the tasks' books tell, which stand above telemetry; the tests hold them equal.
FLAGS: Final = ("untrusted_read", "sensitive_read", "external_send")
AUTHORITY: Final = tuple(role for role in Role if role not in (Role.CONTENT, Role.CONTROL))
"""Roles that are counted: the others only say what is in a thing, not what is done."""
SCOPES: Final = ("agent", "task", "tool", "upstream")


class TaskFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        self._tasks_active = self._one("tasks_active", "Tasks under way, standing grants aside")
        tasks = self._tally("tasks_total", "Tasks by how they ended", closed("end", TaskEnd))
        self._tasks_ended = {end: tasks.labels(end.value) for end in TaskEnd}
        self._flags = self._closed(
            "behaviour_flags_total",
            "Flags set for the first time in a task",
            (closed("flag", FLAGS),),
            [(flag,) for flag in FLAGS],
        )
        self._untrusted = self._closed(
            "untrusted_arguments_total",
            "Authority arguments that came from untrusted text, by what became of the action",
            (closed("role", Role), closed("effect", Effect)),
            [(role.value, effect.value) for role in Role for effect in Effect],
            [(role.value, effect.value) for role in AUTHORITY for effect in Effect],
        )
        quarantined = self._level("quarantined", "What is cut off now", closed("scope", SCOPES))
        self._quarantined = {scope: quarantined.labels(scope) for scope in SCOPES}
        self._propagation = self._spread(
            "quarantine_propagation_seconds",
            "From a cut-off by another sidecar of the store to its counting here",
            LAG,
        )
        if self._shape.shared:
            self._propagation.labels()
        self._review_overdue = self._one(
            "review_overdue_seconds", "How long the review of our own agent is overdue; 0 until due"
        )

    def tasks_active(self, count: int) -> None:
        self._tasks_active.set(count)

    def task_ended(self, end: TaskEnd) -> None:
        self._tasks_ended[end].inc()

    def flag_set(self, flag: str) -> None:
        """A flag of `context.behaviour.flags` was set for the first time in a task."""
        self._flags[flag,].inc()

    def untrusted_argument(self, role: Role, effect: Effect) -> None:
        """An authority argument labelled `untrusted`, and what became of its action."""
        self._untrusted[role.value, effect.value].inc()

    def quarantined(self, counts: Mapping[str, int]) -> None:
        """How many are cut off now, by scope; a scope that is not named has none."""
        for scope, level in self._quarantined.items():
            level.set(counts.get(scope, 0))

    def quarantine_propagated(self, seconds: float) -> None:
        self._propagation.labels().observe(max(0.0, seconds))

    def review_overdue(self, seconds: float) -> None:
        """How long our own agent's review is overdue; 0 where it is not."""
        self._review_overdue.set(seconds)
