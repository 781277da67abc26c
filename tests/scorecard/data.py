"""What is replayed: AgentDojo's tasks, goals and calls; generated into the cache."""

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from tests.scorecard import environment

SUITES: Final = ("workspace", "travel", "banking", "slack")
EXPECTED: Final = {
    "tools": 74,
    "tasks": 97,
    "calls": 339,
    "useful": 97,
    "goals": 35,
    "goal calls": 47,
    "replayable goals": 26,
    "pairs": 609,
}
"""What v1.2.2 of AgentDojo 0.1.35 holds; anything else is not the set these figures are about."""
EXTRACT_S: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A user's task. `exposed_at` is the first of its calls whose result shows a vector."""

    id: str
    prompt: str
    calls: tuple[Call, ...]
    useful: bool
    exposed_at: int | None
    vectors: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """An attacker's goal; without calls it cannot be replayed."""

    id: str
    text: str
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    name: str
    tools: tuple[str, ...]
    tasks: tuple[Task, ...]
    goals: tuple[Goal, ...]

    def pairs(self) -> Iterator[tuple[Task, Goal]]:
        """Each task that shows a vector with each goal that has calls."""
        for task in self.tasks:
            for goal in self.goals:
                if task.exposed_at is not None and goal.calls:
                    yield task, goal


class WrongDataError(Exception):
    """What was extracted is not the set these figures are about."""


def load(python: Path) -> tuple[Suite, ...]:
    """The suites; extracted by AgentDojo's own Python where the cache has none yet (10 s).

    Raises:
        WrongDataError: the counts are not those expected.
    """
    file = environment.cache() / f"agentdojo-{_revision()}.json"
    if not file.is_file():
        beside = file.with_suffix(f".{id(file)}")
        subprocess.run(
            [python, environment.INSIDE / "extract.py", beside],
            check=True,
            timeout=EXTRACT_S,
            stderr=subprocess.DEVNULL,
        )
        beside.rename(file)
    suites = read(orjson.loads(file.read_bytes()))
    if (found := counts(suites)) != EXPECTED:
        raise WrongDataError(f"{file} holds {found}, expected {EXPECTED}")
    return suites


def read(document: Mapping[str, Any]) -> tuple[Suite, ...]:
    """The suites of an extracted document."""
    return tuple(_suite(name, document["suites"][name]) for name in SUITES)


def counts(suites: tuple[Suite, ...]) -> dict[str, int]:
    """How much there is of everything."""
    tasks = [task for suite in suites for task in suite.tasks]
    goals = [goal for suite in suites for goal in suite.goals]
    return {
        "tools": sum(len(suite.tools) for suite in suites),
        "tasks": len(tasks),
        "calls": sum(len(task.calls) for task in tasks),
        "useful": sum(task.useful for task in tasks),
        "goals": len(goals),
        "goal calls": sum(len(goal.calls) for goal in goals),
        "replayable goals": sum(bool(goal.calls) for goal in goals),
        "pairs": sum(len(list(suite.pairs())) for suite in suites),
    }


def _revision() -> str:
    """A changed lock or extractor is another file."""
    inside = sorted(environment.INSIDE.glob("*.py"))
    lock = environment.INSIDE.with_name("agentdojo.lock")
    texts = b"\0".join(path.read_bytes() for path in (lock, *inside))
    return hashlib.sha256(texts).hexdigest()[:12]


def _suite(name: str, said: Mapping[str, Any]) -> Suite:
    return Suite(
        name=name,
        tools=tuple(tool["name"] for tool in said["tools"]),
        tasks=tuple(
            Task(
                id=task,
                prompt=one["prompt"],
                calls=_calls(one["calls"]),
                useful=one["useful"] and not one["failed"],
                exposed_at=one["exposed_at"],
                vectors=tuple(one["vectors"]),
            )
            for task, one in said["tasks"].items()
        ),
        goals=tuple(
            Goal(id=goal, text=one["goal"], calls=_calls(one["calls"]))
            for goal, one in said["injections"].items()
        ),
    )


def _calls(said: list[Mapping[str, Any]]) -> tuple[Call, ...]:
    return tuple(Call(tool=one["tool"], arguments=one["arguments"]) for one in said)
