"""`outrider`: one command a module; a module is imported only when its command is called."""

import importlib
import sys
from typing import Final

import typer

from outrider import __version__

_COMMANDS: Final = {
    "run": "outrider.cli.run",
    "demo": "outrider.cli.demo.main",
    "config": "outrider.cli.config",
    "policy": "outrider.cli.policy",
    "opa": "outrider.cli.opa",
    "audit": "outrider.cli.audit",
    "pins": "outrider.cli.pins",
    "explain": "outrider.cli.explain",
}


def _version(value: bool) -> None:
    if value:
        print(f"outrider {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Outrider decides every action of an autonomous agent at the moment it is taken."""


def build(named: str | None) -> typer.Typer:
    """The command line: with the one command that is called, or with all of them for help."""
    app = typer.Typer(
        no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, callback=_root
    )
    for name in [named] if named in _COMMANDS else _COMMANDS:
        app.add_typer(importlib.import_module(_COMMANDS[name]).app, name=name)
    return app


def main() -> None:
    """The console script. Exit codes: 0 done, 1 failed, 2 wrong settings or arguments."""
    named = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    try:
        build(named)()
    except KeyboardInterrupt:
        sys.exit(130)
