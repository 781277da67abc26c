"""`outrider pins`: what tools said of themselves when they were reviewed, and what they say now."""

from typing import Annotated

import orjson
import typer

from outrider.cli.client import ControlClient, control_faults
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    out,
    plain,
    print_json,
    print_table,
    settings,
)
from outrider.core.jsonvalue import Json, as_list, as_object

app = typer.Typer(no_args_is_help=True, help="List, compare and accept pinned tool definitions.")

_STYLE = {"pinned": "green", "changed": "bold red", "pending": "yellow"}
_SHOWN = 2000

Upstream = Annotated[str, typer.Argument(help="Name of the upstream.")]


@app.command(name="list")
def list_(
    upstream: Annotated[str | None, typer.Argument(help="Only this upstream's.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every pinned definition and its state: pinned, changed or pending."""
    with control_faults():
        found = as_list(ControlClient(settings(config)).get("/v1/pins").get("pins"))
    pins = [as_object(pin) for pin in found]
    pins = [pin for pin in pins if upstream in (None, pin.get("upstream"))]
    if as_json:
        print_json([*pins])
        return
    if not pins:
        out.print("no definition is pinned yet: pins are made when tools are first listed")
        return
    print_table(
        "Pinned definitions",
        ("upstream", "kind", "name", "state", "digest"),
        (
            (
                _text(pin.get("upstream")),
                _text(pin.get("kind")),
                _text(pin.get("name")),
                _text(pin.get("state")),
                _text(pin.get("digest"))[:19],
            )
            for pin in pins
        ),
    )
    waiting = sum(pin.get("state") != "pinned" for pin in pins)
    if waiting:
        out.print(
            f"[yellow]{waiting} refused until a person accepts[/]: "
            "`outrider pins diff UPSTREAM NAME`, then `outrider pins accept UPSTREAM NAME`"
        )


@app.command()
def diff(
    upstream: Upstream,
    name: Annotated[str, typer.Argument(help="Name of the tool, resource or prompt.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What differs between the accepted definition and the latest one; exit 1 if anything does."""
    with control_faults():
        found = ControlClient(settings(config)).get(
            "/v1/pins/diff", {"upstream": upstream, "name": name}
        )
    changes = [as_object(change) for change in as_list(found.get("changes"))]
    if as_json:
        print_json(found)
    elif not changes:
        out.print("[green]no difference[/]")
    for change in changes if not as_json else ():
        out.print(f"[bold]{plain(_text(change.get('member')))}[/]")
        out.print(f"  [red]- {plain(_value(change.get('before')))}[/]", soft_wrap=True)
        out.print(f"  [green]+ {plain(_value(change.get('after')))}[/]", soft_wrap=True)
    if changes:
        raise typer.Exit(1)


@app.command()
def accept(
    upstream: Upstream,
    name: Annotated[str | None, typer.Argument(help="Name of the definition.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the upstream's.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept the latest definition, so that it may be used again. Recorded in the audit chain."""
    if (name is None) is not everything:
        raise typer.BadParameter("give a NAME, or --all")
    with control_faults():
        body: Json = {"upstream": upstream, "name": name}
        found = ControlClient(settings(config)).post("/v1/pins/accept", body)
    accepted = found.get("accepted")
    if as_json:
        print_json(found)
    elif accepted:
        out.print(f"[green]accepted[/] {accepted} definition{'' if accepted == 1 else 's'}")
    else:
        out.print("nothing to accept: every definition is the accepted one")


def _text(value: Json) -> str:
    return "" if value is None else str(value)


def _value(value: Json) -> str:
    """A member of a definition, cut; what is not there is said."""
    if value is None:
        return "(absent)"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
