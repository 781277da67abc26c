"""`outrider pins`: what tools said of themselves when they were reviewed, and what they say now."""

import re
from typing import Annotated

import orjson
import typer

from outrider.cli.client import ControlClient, ControlError, control_faults
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    out,
    plain,
    print_json,
    print_table,
    settings,
)
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object

app = typer.Typer(no_args_is_help=True, help="List, compare and accept pinned tool definitions.")

_STYLE = {"pinned": "green", "changed": "bold red", "pending": "yellow"}
_SHOWN = 2000
_NEW = {
    "added": "it was added after the list had been seen whole, or nothing is trusted unreviewed",
    "long_description": "its description is long enough to hide instructions in",
    "invisible_characters": "its words hold invisible characters",
    "unreadable": "what was stored of it cannot be read",
}
_SHORT = len("sha256:") + 12
_DIGEST = re.compile(r"sha256:[0-9a-f]{12,64}\Z")
_AT_ONCE = 256  # the most that one call of the control API accepts

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
                _text(pin.get("digest"))[:_SHORT],
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
    new = found.get("new")
    if isinstance(new, str) and not as_json:
        out.print(f"[yellow]new, waits for a person[/]: {plain(_NEW.get(new, new))}")
    for change in changes if not as_json else ():
        out.print(f"[bold]{plain(_text(change.get('member')))}[/]")
        if new is None:
            out.print(f"  [red]- {plain(_value(change.get('before')))}[/]", soft_wrap=True)
        out.print(f"  [green]+ {plain(_value(change.get('after')))}[/]", soft_wrap=True)
    if changes:
        if not as_json:
            seen = plain(_text(found.get("digest"))[:_SHORT])
            out.print(
                f"to accept exactly this: `outrider pins accept {plain(upstream)} {plain(name)} "
                f"--digest {seen}`",
                soft_wrap=True,
            )
        raise typer.Exit(1)


@app.command()
def accept(
    upstream: Upstream,
    name: Annotated[str | None, typer.Argument(help="Name of the definition.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of the upstream's.")] = False,
    digest: Annotated[
        str | None,
        typer.Option(help="Accept only the definition of this digest, as `pins diff` shows it."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Accept the latest definition, so that it may be used again. Recorded in the audit chain."""
    if (name is None) is not everything or (everything and digest is not None):
        raise typer.BadParameter("give a NAME, with --digest or not, or --all")
    if digest is not None and not _DIGEST.match(digest):
        raise typer.BadParameter("a digest is `sha256:` and at least 12 hexadecimal digits")
    accepted = 0
    with control_faults():
        control = ControlClient(settings(config))
        pins = _reviewed(control, upstream, name, digest)
        for some in (pins[at : at + _AT_ONCE] for at in range(0, len(pins), _AT_ONCE)):
            found = control.post("/v1/pins/accept", {"upstream": upstream, "pins": [*some]})
            accepted += count if isinstance(count := found.get("accepted"), int) else 0
    if as_json:
        print_json({"accepted": accepted})
    elif accepted:
        out.print(f"[green]accepted[/] {accepted} definition{'' if accepted == 1 else 's'}")
    else:
        out.print("nothing to accept: every definition is the accepted one")


def _reviewed(
    control: ControlClient, upstream: str, name: str | None, digest: str | None
) -> list[JsonObject]:
    """What is to be accepted, with the digests it has now: what comes later is refused."""
    found = map(as_object, as_list(control.get("/v1/pins").get("pins")))
    pins = [
        pin for pin in found if pin.get("upstream") == upstream and name in (None, pin.get("name"))
    ]
    if not pins and name is not None:
        raise ControlError(f"{upstream} has no definition of that name: see `outrider pins list`")
    if digest is not None:
        pins = [pin for pin in pins if _text(pin.get("seen")).startswith(digest)]
        if not pins:
            raise ControlError(
                f"{upstream} says something else of {name} by now: compare it again with "
                f"`outrider pins diff {upstream} {name}`"
            )
    return [
        {"kind": pin.get("kind"), "name": pin.get("name"), "digest": pin.get("seen")}
        for pin in pins
        if pin.get("state") != "pinned"
    ]


def _text(value: Json) -> str:
    return "" if value is None else str(value)


def _value(value: Json) -> str:
    """A member of a definition, cut; what is not there is said."""
    if value is None:
        return "(absent)"
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
