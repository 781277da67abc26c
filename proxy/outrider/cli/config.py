"""`outrider config`: check, show and describe settings."""

from pathlib import Path
from typing import Annotated

import typer

from outrider.cli.common import ConfigOption, JsonOption, out, print_json, settings
from outrider.config.load import dump, schema

app = typer.Typer(no_args_is_help=True, help="Check, show and describe settings.")


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Settings file to check.")] = None,
    config: ConfigOption = None,
) -> None:
    """Read the settings; exit 2 naming key, value and range of every fault."""
    loaded = settings(file or config)
    count = len(loaded.settings.upstreams)
    out.print(
        f"[bold green]ok[/] {loaded.source or 'defaults'}: profile "
        f"{loaded.settings.profile.value}, {count} upstream{'' if count == 1 else 's'}"
    )


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every setting in force, defaults filled in."""
    values = dump(settings(config).settings)
    if as_json:
        print_json(values)
        return
    _lines(values, 0)


@app.command(name="schema")
def schema_() -> None:
    """The JSON Schema (2020-12) of the settings file."""
    print_json(schema())


def _lines(values: object, depth: int) -> None:
    if not isinstance(values, dict):
        return
    for key, value in values.items():
        pad = "  " * depth
        if isinstance(value, dict) and value:
            out.print(f"{pad}[bold]{key}:[/]")
            _lines(value, depth + 1)
        else:
            out.print(f"{pad}{key}: {value!r}".replace("[", "\\["), soft_wrap=True)
