"""The table of identity's figures, and `build/bench-identity.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from tests.bench.identity.figures import RULES, Figure, missing, row_of


def write_json(figures: Sequence[Figure], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps([row_of(one) for one in figures], option=orjson.OPT_INDENT_2))


def print_report(figures: Sequence[Figure], console: Console, *, notes: Mapping[str, str]) -> None:
    """Print figures against their bars."""
    table = Table(title="Identity, within this run")
    table.add_column("what")
    for name in ("value", "spread", "at most", ""):
        table.add_column(name, justify="right")
    for figure in figures:
        rule = RULES[figure.item]
        word = "[green]met[/]" if figure.is_met else "[red]missed[/]"
        table.add_row(
            figure.item.value,
            f"{_shown(figure.value)} {rule.unit}".strip(),
            "" if figure.low == figure.high else f"{_shown(figure.low)}-{_shown(figure.high)}",
            "" if rule.limit is None else f"{rule.limit:g}",
            "" if rule.limit is None else word,
        )
    console.print(table)
    for figure in figures:
        console.print(f"[dim]{figure.item.value}: {figure.basis}[/]", highlight=False)
    for item in missing(figures):
        console.print(f"[yellow]not measured:[/] {item.value}", highlight=False)
    for name, words in notes.items():
        console.print(f"[dim]{name}: {words}[/]", highlight=False)


def is_passed(figures: Sequence[Figure]) -> bool:
    """True when every bar was measured and met."""
    return not missing(figures) and all(figure.is_met for figure in figures)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.2f}"
