"""What the commands share: settings, faults in words, tables."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import orjson
import typer
from rich.console import Console
from rich.table import Table

from outrider.config.load import Loaded, default_path, environment, load
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Settings file (default: $OUTRIDER_CONFIG)."),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of tables.")
]


@contextmanager
def faults_in_words(*, code: int = 2) -> Iterator[None]:
    """Turn a `ConfigError` into its lines on stderr and exit `code`."""
    try:
        yield
    except ConfigError as fault:
        for line in str(fault).splitlines():
            err.print(f"[bold red]error[/] {plain(line)}", soft_wrap=True)
        raise typer.Exit(code) from fault


def settings(path: Path | None) -> Loaded:
    """The settings named by the option or the environment. Exits 2 with every fault."""
    environ = environment()
    with faults_in_words():
        return load(path or default_path(environ), environ)


def print_json(value: Json) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*[plain(cell) for cell in row])
    out.print(table)


def plain(text: str) -> str:
    """`text` without rich's markup and without control characters."""
    shown = "".join(char if char.isprintable() else "�" for char in text)
    return shown.replace("[", "\\[")
