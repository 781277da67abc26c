"""The one table, the bars below it, and `build/bench.json`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from tests.bench.figures import Case, Cell, Figure, Leg, Ratio, ratios_of, row_of, unread_bars
from tests.bench.runner import Outcome, Plan


def write_json(outcome: Outcome, plan: Plan, path: Path, *, notes: dict[str, str]) -> None:
    """Write the rows, and beside them a file with the rounds, the ratios and what was checked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    indent = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    found = [
        _figure(outcome, leg, spot) for spot in plan.spots() for leg in plan.legs if not spot[2]
    ]
    rows = [row_of(figure) for figure in found if figure is not None]
    path.write_bytes(orjson.dumps(rows, option=indent))
    detail = {
        "notes": notes,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "checked": outcome.checked,
        "skipped": outcome.skipped,
        "failed": outcome.failed,
        "ratios": [{**asdict(ratio), "met": ratio.is_met} for ratio in ratios_of(outcome.figures)],
        "figures": [asdict(figure) for figure in outcome.figures.values()],
        "samples": [
            {"cell": asdict(cell), "rounds": [asdict(sample) for sample in samples]}
            for cell, samples in outcome.samples.items()
        ],
    }
    path.with_name(f"{path.stem}-detail.json").write_bytes(orjson.dumps(detail, option=indent))


def print_report(outcome: Outcome, plan: Plan, console: Console, *, notes: dict[str, str]) -> None:
    """Print figures, bars, what each leg checked, and why a leg is missing."""
    console.print(_figures_table(outcome, plan))
    ratios = ratios_of(outcome.figures)
    if ratios:
        console.print(_bars_table(ratios))
    for bar in unread_bars(ratios):
        console.print(f"[yellow]not measured:[/] {bar}")
    for leg, words in outcome.checked.items():
        console.print(f"[bold]{leg}[/] checked {words}", highlight=False)
    for leg, words in outcome.skipped.items():
        console.print(f"[yellow]{leg} skipped:[/] {words}", highlight=False, markup=True)
    for leg, words in outcome.failed.items():
        console.print(f"[red]{leg} failed:[/] {words}", highlight=False)
    for name, words in notes.items():
        console.print(f"[dim]{name}: {words}[/]", highlight=False)


def is_passed(outcome: Outcome) -> bool:
    """True when every gating bar was measured and met and no leg failed."""
    ratios = ratios_of(outcome.figures)
    missed = [ratio for ratio in ratios if ratio.gates and not ratio.is_met]
    return not (missed or unread_bars(ratios) or outcome.failed)


def _place(case: str, connections: int, *, paced: bool) -> tuple[str, str]:
    return case, f"{connections} paced" if paced else str(connections)


def _figures_table(outcome: Outcome, plan: Plan) -> Table:
    table = Table(
        title=f"Medians of {plan.rounds} interleaved rounds of {plan.seconds} s, 1 KB body",
        caption="CPU: user + system of the leg's own processes, µs per completed exchange;"
        " + is added over direct",
    )
    for name in ("case", "c", "leg"):
        table.add_column(name)
    for name in ("req/s", "p50 ms", "+p50", "p99 ms", "+p99"):
        table.add_column(name, justify="right")
    for name in ("CPU µs", "proxy", "engine", "spread", "RSS MiB"):
        table.add_column(name, justify="right")
    for case, count, paced in plan.spots():
        direct = _figure(outcome, Leg.DIRECT, (case, count, paced))
        for leg in plan.legs:
            figure = _figure(outcome, leg, (case, count, paced))
            if figure is not None:
                table.add_row(*_place(case, count, paced=paced), leg, *_cells(figure, direct))
        table.add_section()
    return table


def _figure(outcome: Outcome, leg: Leg, spot: tuple[Case, int, bool]) -> Figure | None:
    case, count, paced = spot
    cell = Cell(leg=leg, case=case, connections=count, paced=paced)
    return outcome.figures.get(cell)


def _cells(figure: Figure, direct: Figure | None) -> list[str]:
    added = ["", ""]
    if direct is not None and figure.cell.leg is not Leg.DIRECT:
        added = [
            f"{figure.p50_ms - direct.p50_ms:+.2f}",
            f"{figure.p99_ms - direct.p99_ms:+.2f}",
        ]
    own = figure.cell.leg is not Leg.DIRECT
    return [
        f"{figure.rps:,.0f}",
        f"{figure.p50_ms:.2f}",
        added[0],
        f"{figure.p99_ms:.2f}",
        added[1],
        f"{figure.cpu_us:.0f}" if own else "",
        f"{figure.proxy_us:.0f}" if own else "",
        f"{figure.engine_us:.0f}" if own and figure.engine_us else "",
        f"{figure.cpu_low_us:.0f}-{figure.cpu_high_us:.0f}" if own else "",
        f"{figure.rss_mib:.0f}" if own else "",
    ]


def _bars_table(ratios: Sequence[Ratio]) -> Table:
    table = Table(title="Bars (PEERS §7), ratios within this run")
    for name in ("bar", "case", "c"):
        table.add_column(name)
    for name in ("value", "at most", ""):
        table.add_column(name, justify="right")
    last = None
    for ratio in ratios:
        if last not in (None, ratio.bar):
            table.add_section()
        last = ratio.bar
        word = "[green]met[/]" if ratio.is_met else "[red]missed[/]"
        table.add_row(
            ratio.bar,
            *_place(ratio.case, ratio.connections, paced=ratio.paced),
            f"{ratio.value:.2f}",
            f"{ratio.limit:g}",
            word if ratio.gates else f"{word} (no gate)",
        )
    return table
