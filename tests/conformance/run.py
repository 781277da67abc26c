"""Run the public MCP server conformance suite directly and through Outrider, and compare.

    python -m tests.conformance.run [--wire 2026-07-28] [--engine opa] [--json FILE]

Gate `equal`: under a policy and a grant that allow all, every scenario must give the same figures
as without Outrider, on both wires. Gate `filter`: under a policy that refuses a few names, the
scenarios in `expected-failures.yaml` fail and no others.

Exit code 0: all gates hold; 1: a difference; 2: something did not start or took too long;
3: the suite or the SDK cannot be had here, with the reason.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.conformance import processes, sidecar
from tests.conformance.results import BASELINES, Comparison, Counts, Row, compare, read_results
from tests.support.mcp_env import UnavailableError, node_binary, sdk_python, suite_script

SUITE_S: Final = 240.0
SCENARIO_MS: Final = 10_000
SERVER_START_S: Final = 30.0
HERE: Final = Path(__file__).parent
COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
EXPECTED_FAILURES: Final = HERE / "expected-failures.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The suite's own command, ready to run."""

    node: Path
    script: Path
    room: Path

    def run(self, url: str, wire: str, *, label: str, expected: Path | None = None) -> "Report":
        """All server scenarios of one wire against `url`.

        Raises:
            BrokenRunError: it did not come to its end.
        """
        saved, log = self.room / f"{label}-{wire}", self.room / f"{label}-{wire}.log"
        options: list[str | Path] = ["--url", url, "--suite", "all", "--spec-version", wire]
        options += ["--timeout", str(SCENARIO_MS)]
        options += ["-o", saved]
        options += ["--expected-failures", expected] if expected else []
        command: list[str | Path] = [self.node, self.script, "server", *options]
        code, printed = processes.run_to_end(command, within_s=SUITE_S, log=log)
        try:
            counts = read_results(printed, saved)
        except ValueError as broken:
            raise processes.BrokenRunError(f"{broken}\n{processes.tail(log)}") from broken
        return Report(code=code, printed=printed, counts=counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run of the suite."""

    code: int
    printed: str
    counts: dict[str, Counts]

    @property
    def verdict(self) -> list[str]:
        """What the suite says about its list of expected failures, without colours."""
        _, _, said = COLOUR.sub("", self.printed).rpartition("Total:")
        return [line.strip() for line in said.splitlines()[1:] if line.strip()]


@contextmanager
def target(options: argparse.Namespace, room: Path, say: Console) -> Iterator[str]:
    """The server under test: our own, or the one named on the command line."""
    if options.target is not None:
        yield options.target
        return
    log = room / "server.log"
    command: list[str | Path] = [sdk_python("2.3.0"), "-W", "ignore", HERE / "server.py"]
    with processes.running(command, log=log) as process:
        url = processes.first_line(
            "the server under test", process, within_s=SERVER_START_S, log=log
        )
        say.print(f"server under test at {url}")
        yield url


@contextmanager
def dialled(url: str, policy: str, options: argparse.Namespace, room: Path) -> Iterator[str]:
    """What stands in front of the server: Outrider, or the URL named on the command line."""
    if options.through is not None:
        yield options.through
        return
    with sidecar.outrider(url, policy=policy, engine=options.engine, room=room) as through:
        yield through


def gate_equal(
    suite: Suite, url: str, options: argparse.Namespace, say: Console
) -> list[Comparison]:
    """Direct and proxied runs of every wire, compared."""
    compared = []
    with dialled(url, "allow", options, suite.room) as through:
        for wire in options.wire:
            say.print(f"running {wire}: directly, then through {through}")
            direct = suite.run(url, wire, label="direct").counts
            proxied = suite.run(through, wire, label="proxied").counts
            baseline = BASELINES[wire] if options.target is None else None
            compared.append(compare(wire, direct, proxied, baseline=baseline))
    return compared


def gate_filter(
    suite: Suite, url: str, options: argparse.Namespace, say: Console
) -> list[dict[str, Any]]:
    """The filtering policy against its list, wire by wire; the suite itself is the judge."""
    results = []
    with dialled(url, "filter", options, suite.room) as through:
        for wire in options.wire:
            say.print(f"running {wire} under the filtering policy")
            report = suite.run(through, wire, label="filter", expected=EXPECTED_FAILURES)
            failing = sorted(name for name, one in report.counts.items() if one.failed)
            # Exit code 0 with nothing failing would mean the policy was never asked.
            held = report.code == 0 and bool(failing)
            results.append({"wire": wire, "held": held, "failing": failing, "said": report.verdict})
    return results


def table(comparison: Comparison) -> Table:
    """One wire, a line a scenario."""
    drawn = Table(title=f"MCP {comparison.wire}", title_justify="left")
    drawn.add_column("scenario")
    drawn.add_column("direct", justify="right")
    drawn.add_column("proxied", justify="right")
    drawn.add_column("")
    for row in comparison.rows:
        mark = "[green]equal[/]" if row.is_equal else "[bold red]differs[/]"
        drawn.add_row(row.scenario, _cell(row.direct), _cell(row.proxied), mark)
    return drawn


def _cell(counts: Counts | None) -> str:
    if counts is None:
        return "not run"
    warned = f" ({counts.warned} warned)" if counts.warned else ""
    return f"{counts.passed}/{counts.failed}{warned}"


def tell_equal(comparison: Comparison, say: Console) -> None:
    """The table, and under it why a row differs."""
    say.print(table(comparison))
    for fault in comparison.faults:
        say.print(f"  {fault}", style="red", markup=False)
    for row in comparison.rows:
        if not row.is_equal:
            _tell_difference(row, say)


def _tell_difference(row: Row, say: Console) -> None:
    for side, counts in (("direct", row.direct), ("proxied", row.proxied)):
        for complaint in () if counts is None else counts.complaints:
            say.print(f"  {row.scenario}, {side}: {complaint}", markup=False, highlight=False)


def tell_filter(result: dict[str, Any], say: Console) -> None:
    """Whether the list of expected failures held, and what failed."""
    state = "held" if result["held"] else "did not hold"
    say.print(f"filtering policy, {result['wire']}: {state}; failing: {len(result['failing'])}")
    for line in () if result["held"] else result["said"]:
        say.print(f"  {line}", markup=False, highlight=False)


def last_line(compared: list[Comparison], filtered: list[dict[str, Any]]) -> str:
    """Everything in one line."""
    parts = []
    for one in compared:
        passed, failed, through_passed, through_failed = one.totals()
        word = "equal" if one.is_equal else "DIFFERS"
        parts.append(
            f"{one.wire} direct {passed}/{failed}, proxied {through_passed}/{through_failed}, "
            f"{len(one.rows)} scenarios: {word}"
        )
    parts += [f"{one['wire']} filter: {'held' if one['held'] else 'BROKEN'}" for one in filtered]
    return "conformance: " + "; ".join(parts)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    options = argparse.ArgumentParser(prog="python -m tests.conformance.run", description=__doc__)
    options.formatter_class = argparse.RawDescriptionHelpFormatter
    options.add_argument("--wire", action="append", choices=list(BASELINES), help="default: both")
    options.add_argument("--gate", choices=["equal", "filter", "all"], default="all")
    options.add_argument("--engine", choices=["embedded", "opa"], default="embedded")
    options.add_argument("--target", metavar="URL", help="a server that already runs")
    options.add_argument("--through", metavar="URL", help="a proxy that already runs before it")
    options.add_argument("--json", metavar="FILE", type=Path, help="write the results here too")
    options.add_argument("--keep", metavar="DIR", type=Path, help="keep logs and raw results here")
    parsed = options.parse_args(arguments)
    parsed.wire = parsed.wire or list(BASELINES)
    if parsed.through is not None:  # its policy is not ours to choose
        parsed.gate = "equal"
    return parsed


def run(options: argparse.Namespace, room: Path, say: Console) -> int:
    """Both gates as asked; prints, writes and gives the exit code."""
    suite = Suite(node=node_binary(say=say.print), script=suite_script(say=say.print), room=room)
    sdk_python("2.3.0", say=say.print)
    compared: list[Comparison] = []
    filtered: list[dict[str, Any]] = []
    with target(options, room, say) as url:
        if options.gate in ("equal", "all"):
            compared = gate_equal(suite, url, options, say)
        if options.gate in ("filter", "all"):
            filtered = gate_filter(suite, url, options, say)
    for comparison in compared:
        tell_equal(comparison, say)
    for result in filtered:
        tell_filter(result, say)
    good = all(one.is_equal for one in compared) and all(one["held"] for one in filtered)
    if options.json is not None:
        document = {
            "ok": good,
            "equal": [one.as_json() for one in compared],
            "filter": filtered,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    say.print(last_line(compared, filtered), markup=False, highlight=False, soft_wrap=True)
    return 0 if good else 1


def main(arguments: list[str] | None = None) -> int:
    """The command; see the top of this file for its exit codes."""
    options, say = parse(arguments), Console()
    try:
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            return run(options, options.keep.resolve(), say)
        with tempfile.TemporaryDirectory(prefix="outrider-conformance-") as room:
            return run(options, Path(room), say)
    except UnavailableError as why:
        say.print(f"conformance: cannot run here: {why}", markup=False, highlight=False)
        return 3
    except processes.BrokenRunError as why:
        say.print(f"conformance: {why}", markup=False, highlight=False)
        return 2


if __name__ == "__main__":
    sys.exit(main())
