"""`outrider audit`: verify the chain of evidence, show records, follow them."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from outrider.audit.reader import Filter, Follower, Located, records, verify_directory
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    err,
    out,
    plain,
    print_json,
    settings,
)
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object

app = typer.Typer(no_args_is_help=True, help="Verify, show and follow the audit chain.")

STYLES: Final = {"allow": "green", "hold": "yellow", "deny": "red"}
KEYS: Final = tuple(field.name for field in fields(Filter))
_POLL_S: Final = 0.5

Directory = Annotated[
    Path | None, typer.Argument(help="Folder of the chain (default: the settings' own).")
]
DirectoryOption = Annotated[
    Path | None, typer.Option("--dir", "-d", help="Folder of the chain (default: the settings').")
]


@app.command()
def verify(
    directory: Directory = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Check every record's form, hash and place; exit 1 naming the first bad one."""
    folder = _folder(directory, config)
    found = verify_directory(folder)
    report = found.report
    if as_json:
        print_json(_document(found))
    elif report.broken is not None:
        err.print(
            f"[bold red]bad record[/] index {report.broken.index}, after seq {report.seq}, "
            f"{plain(str(found.file))}:{found.line}: {report.broken.reason.value}: "
            f"{plain(report.broken.detail)}",
            soft_wrap=True,
        )
        err.print(f"the {report.records} records before it are good")
    elif not report.records:
        err.print(f"[bold red]no records[/] in {plain(str(folder))}", soft_wrap=True)
    else:
        _say_good(found)
    if report.broken is not None or not report.records:
        raise typer.Exit(1)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of a record or a decision.")],
    directory: DirectoryOption = None,
    config: ConfigOption = None,
) -> None:
    """Print the record of an id, or all records of a decision, as JSON."""
    folder = _folder(directory, config)
    found = [record for record in records(folder, Filter()) if _is_named(record, name)]
    if not found:
        err.print(f"[bold red]error[/] no record or decision {plain(name)} in {plain(str(folder))}")
        raise typer.Exit(1)
    print_json([*found] if len(found) > 1 else found[0])


@app.command()
def tail(
    directory: Directory = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many at first.")] = 20,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", "-w", help=f"Only KEY=VALUE; KEY one of {', '.join(KEYS)}."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """The latest records, one a line, coloured by what was done."""
    wanted = _filter(where or [])
    folder = _folder(directory, config)
    follower = Follower(folder, wanted)  # before reading: nothing falls between
    last = deque(records(folder, wanted), maxlen=lines)
    _print_all(last, as_json=as_json)
    shown = {record.get("hash") for record in last}
    pause = threading.Event()
    while follow:
        _print_all(
            (record for record in follower.fresh() if record.get("hash") not in shown),
            as_json=as_json,
        )
        pause.wait(_POLL_S)


def _folder(directory: Path | None, config: Path | None) -> Path:
    folder = directory
    if folder is None:
        loaded = settings(config)
        folder = loaded.data(loaded.settings.audit.path)
    if not folder.is_dir():
        err.print(f"[bold red]error[/] {plain(str(folder))}: no such folder", soft_wrap=True)
        raise typer.Exit(2)
    return folder


def _filter(where: list[str]) -> Filter:
    chosen: dict[str, str] = {}
    for item in where:
        key, equals, value = item.partition("=")
        if not equals or key not in KEYS:
            raise typer.BadParameter(f"{item!r}: give KEY=VALUE, KEY one of {', '.join(KEYS)}")
        chosen[key] = value
    return Filter(**chosen)


def _is_named(record: JsonObject, name: str) -> bool:
    decision = as_object(record.get("decision")).get("id")
    return name in (record.get("id"), decision, record.get("hash"))


def _say_good(found: Located) -> None:
    report = found.report
    boots = f"{report.chains} boot{'' if report.chains == 1 else 's'}"
    out.print(f"[bold green]ok[/] {report.records} records, {boots}, {report.gaps} gaps")
    out.print(f"head {report.head} at seq {report.seq}", soft_wrap=True)
    if not report.whole:
        out.print("[yellow]older files were retired:[/] the walk began at the oldest that is left")
    if report.unresolved_count:
        out.print(
            f"[yellow]{report.unresolved_count} permitted decisions have no outcome yet:[/] under "
            "way in a running sidecar, lost in one that died"
        )


def _document(found: Located) -> JsonObject:
    report = found.report
    broken: Json = None
    if report.broken is not None:
        broken = {
            "index": report.broken.index,
            "after_seq": report.seq,
            "file": str(found.file),
            "line": found.line,
            "reason": report.broken.reason.value,
            "detail": report.broken.detail,
        }
    facts: JsonObject = {
        key: [*value] if isinstance(value, tuple) else value
        for key, value in asdict(report).items()
        if key != "broken"
    }
    return {"ok": report.broken is None and report.records > 0, **facts, "broken": broken}


def _print_all(found: Iterable[JsonObject], *, as_json: bool) -> None:
    for record in found:
        if as_json:
            typer.echo(orjson.dumps(record))  # one object a line, as in the chain
        else:
            out.print(line_of(record), soft_wrap=True)


def line_of(record: JsonObject) -> str:
    """A record on one line, in rich's markup."""
    decision, action = as_object(record.get("decision")), as_object(record.get("action"))
    outcome = as_object(record.get("outcome"))
    done = decision.get("enforced") or outcome.get("status") or ""
    style = STYLES.get(str(done), "dim" if record.get("kind") == "outcome" else "cyan")
    codes = [as_object(reason).get("code") for reason in as_list(decision.get("reasons"))]
    why = ", ".join(dict.fromkeys(str(code) for code in codes if code)) or decision.get("reason")
    parts = (
        str(record.get("time"))[:19],
        f"{record.get('kind')!s:<10}",
        f"[{style}]{plain(f'{done!s:<9}')}[/]",
        plain(str(action.get("effect") or "-").ljust(7)),
        plain(str(action.get("resource") or action.get("protocol") or "-")),
        plain(str(why or outcome.get("error") or "")),
        f"[dim]{plain(str(decision.get('id') or record.get('id')))}[/]",
    )
    return " ".join(part for part in parts if part)
