"""`python -m tests.bench`: measure, print a table a part, write `build/bench*.json`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from rich.console import Console

from tests.bench import tools
from tests.bench.figures import Case, Leg
from tests.bench.identity import report as identity_report
from tests.bench.identity.measures import QUICK, Effort, measure
from tests.bench.micro import library, tasks
from tests.bench.report import is_passed, print_report, write_json
from tests.bench.runner import Plan, Runner


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description="What identity, policy and tasks cost; and Outrider beside Envoy, in one run.",
    )
    parser.add_argument(
        "--only", choices=("traffic", "identity", "policy", "tasks"), help="one part; default: all"
    )
    parser.add_argument("--legs", default=",".join(Leg), help="default: all")
    parser.add_argument("--cases", default=",".join(Case), help="default: all")
    parser.add_argument("-c", "--connections", default="1,8,32")
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over these")
    parser.add_argument("--seconds", type=int, default=3, help="length of each round")
    parser.add_argument("--quick", action="store_true", help="c=8, three rounds of one second")
    parser.add_argument(
        "--paced",
        action="store_true",
        help="also four connections that pause 20 ms before each call",
    )
    parser.add_argument("--opa-envoy-plugin", type=Path, help="a ready binary, version 1.19.1")
    parser.add_argument("--opa", type=Path, help="the OPA of the governed leg `opa`")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--keep", type=Path, help="leave configurations and logs in this folder")
    parser.add_argument("--no-install", action="store_true", help="never call apt-get")
    parser.add_argument("--gate", action="store_true", help="exit 1 where a bar is missed")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    quick = options.quick
    keep = options.keep.resolve() if options.keep else None
    return Plan(
        legs=tuple(Leg(name) for name in options.legs.split(",")),
        cases=tuple(Case(name) for name in options.cases.split(",")),
        connections=(8,) if quick else tuple(int(n) for n in options.connections.split(",")),
        rounds=3 if quick else options.rounds,
        seconds=1 if quick else options.seconds,
        warm_seconds=1,
        paced=options.paced,
        plugin=options.opa_envoy_plugin,
        opa=tools.opa(options.opa),
        keep=keep,
    )


def _leave(number: int, frame: object) -> NoReturn:
    """Turn a request to end into an exception, so that what was started is ended too."""
    sys.exit(128 + number)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the run ended, also with legs skipped; 1 where `--gate` finds a bar missed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        plan = _plan(options)
    except ValueError as error:
        parser.error(str(error))
    signal.signal(signal.SIGTERM, _leave)
    # Into a file or pipe the table keeps its columns.
    console = Console() if sys.stdout.isatty() else Console(width=132)
    progress = Console(stderr=True)
    notes = {"machine": tools.machine_line(), "commit": tools.commit()}
    passed = [
        part(options, plan, console, progress, notes=notes)
        for name, part in _PARTS.items()
        if options.only in (None, name)
    ]
    return 1 if options.gate and not all(passed) else 0


def _identity(
    options: argparse.Namespace,
    plan: Plan,
    console: Console,
    progress: Console,
    *,
    notes: dict[str, str],
) -> bool:
    """Measure identity in this process and one of its own; True where every bar is met."""
    with progress.status("starting") as status:
        figures = measure(QUICK if options.quick else Effort(), status.update)
    path = options.output.with_name(f"{options.output.stem}-identity.json")
    identity_report.write_json(figures, path)
    identity_report.print_report(figures, console, notes=notes)
    console.print(f"written: {path}")
    return identity_report.is_passed(figures)


def _policy(
    options: argparse.Namespace,
    plan: Plan,
    console: Console,
    progress: Console,
    *,
    notes: dict[str, str],
) -> bool:
    """Price decisions of the shipped library in this process; True where every bar is met."""
    with progress.status("pricing the library"):
        prices = library.measure(goes=60 if options.quick else library.GOES)
    path = options.output.with_name(f"{options.output.stem}-policy.json")
    library.write_json(prices, path)
    library.print_report(
        prices, console, title="The library in regorus, CPU by itself", notes=notes
    )
    console.print(f"written: {path}")
    return all(price.is_met for price in prices)


def _tasks(
    options: argparse.Namespace,
    plan: Plan,
    console: Console,
    progress: Console,
    *,
    notes: dict[str, str],
) -> bool:
    """Price the books of a task in this process; True where every bar is met."""
    with progress.status("pricing the books of a task"):
        prices = tasks.measure(goes=10 if options.quick else tasks.GOES)
    path = options.output.with_name(f"{options.output.stem}-tasks.json")
    library.write_json(prices, path)
    library.print_report(prices, console, title="The books of a task, CPU by itself", notes=notes)
    console.print(f"written: {path}")
    return all(price.is_met for price in prices)


def _traffic(
    options: argparse.Namespace,
    plan: Plan,
    console: Console,
    progress: Console,
    *,
    notes: dict[str, str],
) -> bool:
    """The interleaved run of all legs; True where every bar is met."""
    if not options.no_install:
        tools.install_debian_parts(progress.print)
    minutes = plan.seconds_in_all(len(plan.legs)) / 60
    progress.print(f"about {minutes:.0f} min with every leg")
    with progress.status("starting") as status:

        def step(what: str, number: int, total: int) -> None:
            status.update(f"round {number} of {total - 1}: {what}")

        outcome = Runner(plan, say=status.update, step=step).run()
    write_json(outcome, plan, options.output, notes=notes)
    print_report(outcome, plan, console, notes=notes)
    console.print(f"written: {options.output}")
    return is_passed(outcome)


_PARTS: Final = {
    "identity": _identity,
    "policy": _policy,
    "tasks": _tasks,
    "traffic": _traffic,
}


if __name__ == "__main__":
    sys.exit(main())
