"""The run: start every leg that can be had, check it, then measure all of them in turn."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import envoy_legs, outrider_legs, tools
from tests.bench.figures import Case, Cell, Figure, Leg, Sample, figure_of
from tests.bench.load import PACED_CONNECTIONS, Generator
from tests.bench.machine import BenchError
from tests.bench.target import Target
from tests.bench.upstream import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to measure, how often and for how long."""

    legs: tuple[Leg, ...]
    cases: tuple[Case, ...]
    connections: tuple[int, ...]
    rounds: int
    seconds: int
    warm_seconds: int
    paced: bool
    plugin: Path | None = None
    opa: Path | None = None
    keep: Path | None = None

    def spots(self) -> list[tuple[Case, int, bool]]:
        """Each case at each number of connections, then at the fixed rate."""
        found = [(case, count, False) for case in self.cases for count in self.connections]
        if self.paced:
            found += [(case, PACED_CONNECTIONS, True) for case in self.cases]
        return found

    def seconds_in_all(self, legs: int) -> int:
        """About how long the measuring takes."""
        return legs * len(self.spots()) * (self.rounds * self.seconds + self.warm_seconds)


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the run gave; `skipped` and `failed` hold a sentence for each leg."""

    figures: dict[Cell, Figure] = field(default_factory=dict)
    samples: dict[Cell, list[Sample]] = field(default_factory=dict)
    checked: dict[Leg, str] = field(default_factory=dict)
    skipped: dict[Leg, str] = field(default_factory=dict)
    failed: dict[Leg, str] = field(default_factory=dict)


class Runner:
    """One interleaved run in a folder of its own; every process is ended, come what may."""

    def __init__(
        self, plan: Plan, *, say: Callable[[str], None], step: Callable[[str, int, int], None]
    ) -> None:
        self._plan = plan
        self._say = say
        self._step = step
        self._outcome = Outcome()
        self._targets: dict[Leg, Target] = {}

    def run(self) -> Outcome:
        """Measure; legs that cannot be had are skipped with their reason, never stood in for."""
        with ExitStack() as stack:
            if self._plan.keep is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
            else:
                folder = self._plan.keep
            try:
                wrk, nginx = tools.find_program("wrk"), tools.find_program("nginx")
            except BenchError as error:
                self._outcome.skipped = dict.fromkeys(self._plan.legs, str(error))
                return self._outcome
            upstream = Upstream(nginx, folder / "nginx")
            stack.callback(upstream.stop)
            upstream.wait_ready()
            for leg in self._plan.legs:
                self._start(leg, folder=folder / leg, upstream=upstream, stack=stack)
            self._measure(Generator(wrk, upstream, folder / "client"))
        return self._outcome

    def _start(self, leg: Leg, *, folder: Path, upstream: Upstream, stack: ExitStack) -> None:
        self._say(f"starting {leg}")
        try:
            target = self._target(leg, folder, upstream)
        except BenchError as error:
            self._outcome.skipped[leg] = str(error)
            return
        stack.callback(target.stop)
        try:
            for case in self._plan.cases:
                target.check(case)
        except (BenchError, OSError) as error:
            self._outcome.failed[leg] = str(error)
            return
        self._targets[leg] = target
        self._outcome.checked[leg] = target.checked

    def _target(self, leg: Leg, folder: Path, upstream: Upstream) -> Target:
        match leg:
            case Leg.DIRECT:
                return Target(leg=leg, port=upstream.port, checked="nothing stands between")
            case Leg.ENVOY:
                binary = tools.envoy(self._say)
                return envoy_legs.start_envoy(binary, folder=folder, upstream=upstream.port)
            case Leg.ENVOY_OPA:
                plugin = tools.opa_envoy_plugin(self._plan.plugin)
                binary = tools.envoy(self._say)
                return envoy_legs.start_envoy_opa(
                    binary,
                    plugin,
                    folder=folder,
                    upstream=upstream.port,
                )
            case Leg.FIXED_ALLOW | Leg.EMBEDDED | Leg.OPA:
                return outrider_legs.start_outrider(
                    leg, folder=folder, upstream=upstream.port, opa=self._plan.opa
                )

    def _measure(self, generator: Generator) -> None:
        """Round by round, spot by spot, leg after leg; the first leg changes with each round."""
        plan = self._plan
        total = plan.rounds + 1
        for number in range(total):
            seconds = plan.warm_seconds if number == 0 else plan.seconds
            if seconds == 0:
                continue
            for case, count, paced in plan.spots():
                for leg in self._in_turn(number):
                    cell = Cell(leg=leg, case=case, connections=count, paced=paced)
                    self._step(f"{leg} {case} c={count}", number, total)
                    self._one(generator, cell, seconds=seconds, counts=number > 0)
        for cell, samples in self._outcome.samples.items():
            if cell.leg in self._targets:
                self._outcome.figures[cell] = figure_of(cell, samples)

    def _in_turn(self, number: int) -> list[Leg]:
        legs = list(self._targets)
        turn = number % len(legs) if legs else 0
        return legs[turn:] + legs[:turn]

    def _one(self, generator: Generator, cell: Cell, *, seconds: int, counts: bool) -> None:
        try:
            sample = generator.measure(self._targets[cell.leg], cell, seconds=seconds)
        except BenchError as error:
            # One wrong answer and none of the leg's figures can be believed.
            self._outcome.failed[cell.leg] = str(error)
            del self._targets[cell.leg]
            return
        if counts:
            self._outcome.samples.setdefault(cell, []).append(sample)
