"""`outrider opa`: which OPA is run, and how one is had."""

from typing import Annotated

import typer

from outrider.app.policy import opa_places
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    err,
    faults_in_words,
    out,
    plain,
    print_json,
    settings,
)
from outrider.config.load import environment
from outrider.policy.opa_install import RECOMMENDED, OpaBinary, find, install

app = typer.Typer(no_args_is_help=True, help="Find or install Open Policy Agent.")


@app.command(name="find")
def find_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """The OPA that would be run; exit 1 saying where it was looked for."""
    places = opa_places(settings(config), environment())
    with faults_in_words(code=1):
        _say("found", find(places), as_json=as_json)


@app.command(name="install")
def install_(
    version: Annotated[str, typer.Option(help="Which OPA.")] = RECOMMENDED,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put an OPA into the cache: built with Go where there is one, else the official release."""
    places = opa_places(settings(config), environment())
    with (
        faults_in_words(code=1),
        err.status(f"getting OPA {version}: building it may take two minutes"),
    ):
        made = install(places, environment(), version)
    _say("installed", made, as_json=as_json)


def _say(verb: str, binary: OpaBinary, *, as_json: bool) -> None:
    if as_json:
        print_json({"path": str(binary.path), "version": binary.version})
    else:
        out.print(
            f"[bold green]{verb}[/] OPA {binary.version} at {plain(str(binary.path))}",
            soft_wrap=True,
        )
