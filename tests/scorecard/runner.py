"""All runs of one setting: each in a fresh environment, under a task of its own."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.scorecard import chain, sidecar
from tests.scorecard.adaptive import PROBES, Probe
from tests.scorecard.agent import Agent, PausedError
from tests.scorecard.data import Goal, Suite, Task
from tests.scorecard.replay import Fate, Ran, Step, Stepped, script
from tests.scorecard.variants import Setting, grant_of, template_of

AT_ONCE: Final = 2
"""Suites at a time: a sidecar and the suites' servers share the machine's processors."""
ATTEMPTS: Final = 4
PAUSE_S: Final = 2.0
"""A run that met a machine too busy is begun anew, with an environment and a task of its own."""
CALL_S: Final = 60.0
LONGEST_FIRST: Final = ("workspace", "slack", "travel", "banking")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run: of `every` n attacks one alone, the same ones each time, to look quickly."""

    suites: tuple[Suite, ...]
    kinds: Mapping[str, str]
    engine: str = "embedded"
    every: int = 1

    @property
    def runs(self) -> int:
        return sum(len(self.of(suite)) for suite in self.suites)

    def of(self, suite: Suite) -> list[tuple[Task, Goal | None]]:
        """Each task alone, then each under attack."""
        benign: list[tuple[Task, Goal | None]] = [(task, None) for task in suite.tasks]
        pairs = list(suite.pairs())
        # drawn, not counted off: the goals come in turn, so every sixth might be the same
        count = -(-len(pairs) // self.every)
        drawn = random.Random(suite.name).sample(range(len(pairs)), count)  # noqa: S311 - no secret
        return benign + [pairs[number] for number in sorted(drawn)]

    def holds(self, run: Ran) -> bool:
        """Whether a run is one of the plan's."""
        suite = next(suite for suite in self.suites if suite.name == run.suite)
        goals = {(task.id, None if goal is None else goal.id) for task, goal in self.of(suite)}
        return (run.task, run.goal) in goals


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one setting came to: the replay, and apart from it the adaptive probes."""

    runs: list[Ran]
    probes: list[tuple[Probe, Ran]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    plan: Plan
    upstreams: Mapping[str, str]
    room: Path
    step: Callable[[str], None]
    """Called after each run with the setting's name."""

    def run(self, setting: Setting) -> "Played":
        """Every run of the plan under `setting`, through a sidecar of its own; then the probes."""
        with sidecar.outrider(
            setting, self.upstreams, engine=self.plan.engine, room=self.room
        ) as running:
            played = asyncio.run(self._all(setting, running))
        known = chain.read(running.audit)  # whole, now that it has ended
        return Played(
            runs=[chain.settled(run, known) for run in played.runs],
            probes=[(probe, chain.settled(run, known)) for probe, run in played.probes],
        )

    async def _all(self, setting: Setting, running: sidecar.Sidecar) -> "Played":
        turns = asyncio.Semaphore(AT_ONCE)
        limit = aiohttp.ClientTimeout(total=CALL_S)
        order = sorted(self.plan.suites, key=lambda suite: LONGEST_FIRST.index(suite.name))
        async with aiohttp.ClientSession(timeout=limit) as session:
            async with asyncio.TaskGroup() as group:
                jobs = [
                    group.create_task(self._suite(setting, running, suite, session, turns))
                    for suite in order
                ]
            probes = await self._probes(setting, running, session)
        return Played(runs=[run for job in jobs for run in job.result()], probes=probes)

    async def _suite(
        self,
        setting: Setting,
        running: sidecar.Sidecar,
        suite: Suite,
        session: aiohttp.ClientSession,
        turns: asyncio.Semaphore,
    ) -> list[Ran]:
        found = []
        async with turns:
            for task, goal in self.plan.of(suite):
                one = _One(self, setting, running, suite, session)
                found.append(await one.replay(task, goal))
                self.step(setting.name)
        return found

    async def _probes(
        self, setting: Setting, running: sidecar.Sidecar, session: aiohttp.ClientSession
    ) -> list[tuple[Probe, Ran]]:
        found = []
        suites = {suite.name: suite for suite in self.plan.suites}
        for probe in PROBES:
            one = _One(self, setting, running, suites[probe.suite], session)
            found.append((probe, await one.probe(probe)))
        return found


@dataclass(frozen=True, slots=True)
class _One:
    runner: Runner
    setting: Setting
    sidecar: sidecar.Sidecar
    suite: Suite
    session: aiohttp.ClientSession

    async def replay(self, task: Task, goal: Goal | None) -> Ran:
        named = None if goal is None else goal.id
        return await self._run(task, script(task, goal), goal=named, text=None, label=named)

    async def probe(self, probe: Probe) -> Ran:
        task = probe.of(self.suite)
        steps = probe.steps(self.suite)
        return await self._run(task, steps, goal=None, text=probe.text, label=probe.name)

    async def _run(
        self,
        task: Task,
        steps: Sequence[Step],
        *,
        goal: str | None,
        text: str | None,
        label: str | None,
    ) -> Ran:
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._once(task, steps, goal=goal, text=text, label=label)
            except PausedError:
                await asyncio.sleep(PAUSE_S)
        return await self._once(task, steps, goal=goal, text=text, label=label)

    async def _once(
        self,
        task: Task,
        steps: Sequence[Step],
        *,
        goal: str | None,
        text: str | None,
        label: str | None,
    ) -> Ran:
        vectors = list(task.vectors)
        await self._bench("init", {"task": task.id, "goal": goal, "text": text, "vectors": vectors})
        bound = await self.sidecar.begin(self.session, self._ask(task))
        agent = Agent(session=self.session, url=self.sidecar.url(self.suite.name))
        stepped = await agent.run(steps, bound)
        await self.sidecar.end(self.session, bound)
        said = await self._bench("verdict", {})
        return Ran(
            suite=self.suite.name,
            task=task.id,
            goal=label,
            steps=tuple(with_added(stepped, said["calls"], said["spent_s"])),
            useful=said["useful"],
            broken=said["broken"],
        )

    def _ask(self, task: Task) -> dict[str, Any]:
        template = template_of(self.setting, self.suite.name, task, self.runner.plan.kinds)
        grant = grant_of(self.setting, self.suite, task)
        ask = {
            "purpose": f"AgentDojo {self.suite.name} {task.id}",
            "template": template,
            "anchors": [task.prompt],
        }
        return ask if grant is None else {**ask, "grant": grant}

    async def _bench(self, what: str, body: Mapping[str, Any]) -> dict[str, Any]:
        url = f"{self.runner.upstreams[self.suite.name]}/_bench/{what}"
        async with self.session.post(url, json=body) as answer:
            answer.raise_for_status()
            return dict(await answer.json())


def with_added(
    steps: Sequence[Stepped], calls: Sequence[str], spent_s: Sequence[float]
) -> list[Stepped]:
    """The steps with what each took beyond the tool's own work.

    Raises:
        ValueError: other calls reached the tools than those that were let through.
    """
    passed = [step for step in steps if step.fate in (Fate.DONE, Fate.FAILED)]
    if [step.tool for step in passed] != list(calls):
        raise ValueError(f"passed {[step.tool for step in passed]}, but {list(calls)} were called")
    own = iter(spent_s)
    return [
        replace(step, added_s=step.took_s - next(own))
        if step.fate in (Fate.DONE, Fate.FAILED)
        else step
        for step in steps
    ]
