"""`outrider config`: check, show and describe settings."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from outrider.app.policy import rehearse, source_of
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    faults_in_words,
    out,
    print_json,
    settings,
)
from outrider.config.load import Loaded, dump, schema
from outrider.core.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Check, show and describe settings.")


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Settings file to check.")] = None,
    config: ConfigOption = None,
) -> None:
    """Read the settings and the policy they name; exit 2 naming key, value and what is allowed."""
    loaded = settings(file or config)
    with faults_in_words():
        _check_policy(loaded)
    count = len(loaded.settings.upstreams)
    out.print(
        f"[bold green]ok[/] {loaded.source or 'defaults'}: profile "
        f"{loaded.settings.profile.value}, {count} upstream{'' if count == 1 else 's'}"
    )


def _check_policy(loaded: Loaded) -> None:
    """Raises `ConfigError` naming the policy's place besides what is wrong with it."""
    # A refusal is told by us alone: the keeper's log would say it again.
    logging.getLogger("outrider").addHandler(logging.NullHandler())
    try:
        asyncio.run(rehearse(loaded))
    except ConfigError as fault:
        source = source_of(loaded)
        layers = ", ".join(map(str, (source.path, *source.overlays)))
        raise ConfigError(
            f"policy cannot be loaded: {fault} (policy.path and policy.overlay: {layers})"
        ) from fault


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
