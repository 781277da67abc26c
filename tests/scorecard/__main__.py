"""`python -m tests.scorecard`: AgentDojo replayed through the real sidecar, under several settings.

Exit code 0: all gates hold; 1: one is missed; 2: something did not start or broke; 3: AgentDojo
cannot be had here, with the reason.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import aiohttp
from rich.console import Console

from tests.bench import tools
from tests.conformance import processes
from tests.scorecard import data, environment, manifest, sidecar, variants
from tests.scorecard.agent import BrokenAnswerError, PausedError
from tests.scorecard.chain import BrokenRunError
from tests.scorecard.figures import figures
from tests.scorecard.report import Card, print_report, write_json
from tests.scorecard.runner import Plan, Runner
from tests.scorecard.variants import FURTHER, MAIN, Setting, without

BASE = "shipped, no default holds"
"""The setting of which controls are taken away one by one."""
BROKEN = (
    BrokenAnswerError, PausedError, BrokenRunError, processes.BrokenRunError,
    aiohttp.ClientError, ValueError, OSError,
)  # fmt: skip
SAMPLED = 4
"""One of so many attacks is run for each control that is taken away."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.scorecard",
        description="What stops AgentDojo's attacks, and what it costs its users' tasks.",
    )
    names = ", ".join(setting.name for setting in (*MAIN, *FURTHER))
    parser.add_argument("--engine", choices=("embedded", "opa"), default="embedded")
    parser.add_argument("--whole", action="store_true", help="all settings, and each control off")
    parser.add_argument("--settings", help=f"some of: {names}; with `;` between them")
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="every n-th attack alone, to look quickly"
    )
    parser.add_argument("--output", type=Path, default=Path("build/scorecard.json"))
    parser.add_argument("--keep", type=Path, help="leave configurations and logs in this folder")
    return parser


def _leave(number: int, frame: object) -> NoReturn:
    """Turn a request to end into an exception, so that what was started is ended too."""
    sys.exit(128 + number)


class Progress:
    """How far the runs are, told every few seconds on a stream that is no terminal."""

    def __init__(self, console: Console, runs: int) -> None:
        self._console, self._runs = console, runs
        self._done = 0
        self._told_s = self._began_s = time.monotonic()

    def begin(self, setting: str) -> None:
        self._done = 0
        self._began_s = time.monotonic()
        self._console.print(f"==> {setting}: {self._runs} runs", highlight=False)

    def step(self, setting: str) -> None:
        self._done += 1
        now_s = time.monotonic()
        if now_s - self._told_s > 10:
            self._told_s = now_s
            self._console.print(f"    {self._done} of {self._runs}", highlight=False)

    def end(self) -> None:
        self._console.print(f"    {time.monotonic() - self._began_s:.0f} s", highlight=False)


def _chosen(options: argparse.Namespace) -> tuple[Setting, ...]:
    known = {setting.name: setting for setting in (*MAIN, *FURTHER)}
    if options.settings:
        return tuple(known[name.strip()] for name in options.settings.split(";"))
    return (*MAIN, *FURTHER) if options.whole else MAIN


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        chosen = _chosen(options)
    except KeyError as unknown:
        parser.error(f"no such setting: {unknown.args[0]}")
    signal.signal(signal.SIGTERM, _leave)
    console = Console() if sys.stdout.isatty() else Console(width=160)
    progress = Console(stderr=True)
    try:
        with tempfile.TemporaryDirectory(prefix="scorecard-") as scratch:
            room = options.keep.resolve() if options.keep else Path(scratch)
            room.mkdir(parents=True, exist_ok=True)
            card = _play(options, chosen, room, progress)
    except environment.UnavailableError as fault:
        progress.print(f"AgentDojo cannot be had here: {fault}", highlight=False)
        return 3
    except (processes.BrokenRunError, data.WrongDataError) as fault:
        progress.print(f"the run broke: {fault}", highlight=False, markup=False)
        return 2
    print_report(card, console)
    write_json(card, options.output)
    console.print(f"written: {options.output}")
    for line in card.missed:
        console.print(f"[bold red]missed[/]: {line}", highlight=False)
    return 1 if card.missed else 0


def _play(
    options: argparse.Namespace, chosen: tuple[Setting, ...], room: Path, progress: Console
) -> Card:
    progress.print("==> AgentDojo (set up and read out once, half a minute)", highlight=False)
    python = environment.python_of()
    plan = Plan(
        suites=data.load(python),
        kinds=variants.kinds(),
        engine=options.engine,
        every=options.every,
    )
    card = Card(runs={}, probes={}, reads=variants.reading_tools(), notes={})
    with sidecar.servers(python, room) as upstreams:
        stage = Stage(upstreams=upstreams, room=room, progress=progress, card=card)
        for setting in chosen:
            stage.run(setting, plan)
        if options.whole:
            stage.ablate(replace(plan, every=max(plan.every, SAMPLED)))
    digests = {setting.name: sidecar.policy_digest(setting, room) for setting in chosen}
    return replace(card, notes=_notes(options, plan, digests))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Runs settings one after another and puts what they come to on the card."""

    upstreams: Mapping[str, str]
    room: Path
    progress: Console
    card: Card

    def run(self, setting: Setting, plan: Plan) -> None:
        """Raises `BrokenRunError` with the first fault of any run."""
        told = Progress(self.progress, plan.runs)
        told.begin(setting.name)
        runner = Runner(plan=plan, upstreams=self.upstreams, room=self.room, step=told.step)
        try:
            played = runner.run(setting)
        except* BROKEN as faults:
            raise _broken(setting, faults) from faults
        self.card.runs[setting.name] = played.runs
        self.card.probes[setting.name] = played.probes
        told.end()

    def ablate(self, plan: Plan) -> None:
        """Take away each control of the library that stopped anything, one by one."""
        base = [run for run in self.card.runs[BASE] if plan.holds(run)]
        self.card.runs[f"{BASE}, a sample"] = base
        whole = figures(base, self.card.reads)
        for code in sorted({*whole.stopped, *whole.interrupted}):
            if code[:2].isupper() and code != "EF-00":  # the default deny is no control
                self.run(without(code), plan)


def _broken(setting: Setting, faults: BaseException) -> processes.BrokenRunError:
    first = faults
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return processes.BrokenRunError(f"{setting.name}: {type(first).__name__}: {first}")


def _notes(options: argparse.Namespace, plan: Plan, digests: dict[str, str]) -> dict[str, object]:
    frozen = manifest.is_frozen()
    told = "as frozen before any attack was looked at" if frozen else "CHANGED SINCE: post-hoc"
    left_out = f"every {plan.every}th attack" if plan.every > 1 else "all attacks"
    return {
        "machine": tools.machine_line(),
        "commit": tools.commit(),
        "engine": options.engine,
        "data": f"AgentDojo {environment.VERSION}, 97 tasks, 609 pairs; {left_out}",
        "manifest sha256": f"{manifest.digest()} ({told})",
        **{f"policy sha256, {name}": found for name, found in digests.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
