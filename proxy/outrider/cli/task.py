"""`outrider task`: register tasks, look at them, narrow and end them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from outrider.cli.client import ControlClient, ControlError, control_faults
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    err,
    out,
    plain,
    print_json,
    print_table,
    settings,
)
from outrider.core.clock import SystemClock
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object

app = typer.Typer(no_args_is_help=True, help="Register, look at, narrow and end tasks.")

_FILE_BYTES: Final = 1 << 20
_BOUNDS: Final = ("calls", "spend", "tokens", "records", "bytes")

TaskId = Annotated[str, typer.Argument(help="Id of the task: tsk_…")]
GrantFile = Annotated[
    Path | None,
    typer.Option("--grant", help="JSON file of the grant that is asked for; - reads it from here."),
]


@app.command()
def start(  # noqa: PLR0913, PLR0917 - one option for each thing that may be asked for
    purpose: Annotated[str, typer.Argument(help="What the task is for, in a sentence.")],
    template: Annotated[str | None, typer.Option("--template", "-t", help="Kind of task.")] = None,
    agent: Annotated[
        str | None, typer.Option(help="SPIFFE ID of the agent (default: this sidecar's own).")
    ] = None,
    principal: Annotated[str | None, typer.Option(help="In whose name it works.")] = None,
    anchor: Annotated[
        list[str] | None,
        typer.Option(help="A text the principal gave, such as an address; may be repeated."),
    ] = None,
    grant: GrantFile = None,
    minutes: Annotated[int | None, typer.Option(min=1, help="How long it may take.")] = None,
    parent: Annotated[str | None, typer.Option(help="The task it works within.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a task; prints its id and its token, which the agent names it by."""
    ask: JsonObject = {"purpose": purpose, "anchors": [*(anchor or ())]}
    given = {"template": template, "agent": agent, "principal": principal, "parent": parent}
    ask |= {key: value for key, value in given.items() if value is not None}
    if grant is not None:
        with control_faults():
            ask["grant"] = _read_grant(grant)
    if minutes is not None:
        ends = datetime.fromtimestamp(SystemClock().unix_s(), UTC) + timedelta(minutes=minutes)
        ask["deadline"] = ends.isoformat(timespec="seconds")
    with control_faults():
        try:
            task = ControlClient(settings(config)).post("/v1/tasks", ask)
        except ControlError as fault:
            _tell_reasons(fault)
            raise
    if as_json:
        print_json(task)
        return
    _print_task(task)
    out.print(f"header: Outrider-Task: {plain(_text(task.get('id')))}", soft_wrap=True)
    out.print(f"token:  {plain(_text(task.get('token')))}", soft_wrap=True)


@app.command()
def show(
    task: TaskId,
    events: Annotated[bool, typer.Option("--events", help="What happened to it, too.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """One task: its state, its grant, and with --events its life."""
    with control_faults():
        client = ControlClient(settings(config))
        found = client.get(f"/v1/tasks/{_named(task)}")
        if events:
            found["events"] = client.get(f"/v1/tasks/{_named(task)}/events").get("events")
    if as_json:
        print_json(found)
        return
    _print_task(found)
    if events:
        lines = map(as_object, as_list(found.get("events")))
        print_table(
            "Events",
            ("at", "event", "by", "why"),
            ([_text(line.get(key)) for key in ("at", "event", "by", "detail")] for line in lines),
        )


@app.command()
def narrow(
    task: TaskId,
    grant: Annotated[
        Path, typer.Argument(help="JSON file of what is to be left of its grant; - reads it here.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Leave a task less of its grant, from its next call on. What is wider is refused."""
    with control_faults():
        client = ControlClient(settings(config))
        found = client.patch(f"/v1/tasks/{_named(task)}", {"grant": _read_grant(grant)})
    if as_json:
        print_json(found)
        return
    _print_task(found)


@app.command()
def end(
    task: TaskId,
    cancelled: Annotated[
        bool, typer.Option("--cancelled", help="It was given up, not completed.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a task and its children, for good: what is under way is cut, new calls are refused."""
    with control_faults():
        client = ControlClient(settings(config))
        how: JsonObject = {"end": "cancelled" if cancelled else "completed"}
        found = client.post(f"/v1/tasks/{_named(task)}/end", how)
    if as_json:
        print_json(found)
        return
    said = f"{_text(found.get('id'))} {_text(found.get('state'))}: {_text(found.get('end'))}"
    out.print(plain(said), soft_wrap=True)


@app.command(name="list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every task that is under way."""
    with control_faults():
        found = as_list(ControlClient(settings(config)).get("/v1/tasks").get("tasks"))
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("no task is under way; agents work under their standing grants, if they have any")
        return
    print_table(
        "Tasks",
        ("id", "agent", "state", "template", "purpose", "until"),
        (
            [
                _text(task.get(key))
                for key in ("id", "agent", "state", "template", "purpose", "deadline")
            ]
            for task in map(as_object, found)
        ),
    )


def _print_task(task: JsonObject) -> None:
    state = _text(task.get("state"))
    print_table(f"Task {_text(task.get('id'))}", ("", ""), _rows(task, state))


def _rows(task: JsonObject, state: str) -> Iterator[tuple[str, str]]:
    end = task.get("end")
    yield "state", f"{state}: {_text(end)}" if end else state
    yield "purpose", _text(task.get("purpose"))
    for key in ("agent", "principal", "template", "parent", "deadline"):
        if task.get(key):
            yield key, _text(task.get(key))
    grant = as_object(task.get("grant"))
    yield "grant", f"revision {_text(task.get('grant_revision'))}"
    for key in ("tools", "effects", "destinations"):
        yield f"  {key}", ", ".join(map(_text, as_list(grant.get(key)))) or "none"
    yield "  sensitivity", _text(grant.get("sensitivity") or "public")
    for key in _BOUNDS:
        if grant.get(key) is not None:
            yield f"  {key}", _bound(grant[key])
    for key, used in as_object(task.get("budget")).items():
        if as_object(used).get("limit") is not None:
            yield f"used {key}", _used(as_object(used))


def _bound(value: Json) -> str:
    if isinstance(value, dict):
        return f"{_text(value.get('limit'))} {_text(value.get('unit'))}".rstrip()
    return _text(value)


def _used(used: JsonObject) -> str:
    said = f"{_text(used.get('used'))} of {_text(used.get('limit'))}"
    return f"{said} {_text(used['unit'])}" if used.get("unit") else said


def _tell_reasons(fault: ControlError) -> None:
    """What policy said of a registration that it refused."""
    for reason in map(as_object, as_list(fault.said.get("reasons"))):
        said = f"{_text(reason.get('code'))}: {_text(reason.get('message'))}"
        err.print(plain(said), soft_wrap=True)


def _read_grant(path: Path) -> Json:
    """A JSON document. Raises `ControlError` in words."""
    source = "standard input" if str(path) == "-" else str(path)
    try:
        if str(path) == "-":
            data = typer.get_binary_stream("stdin").read(_FILE_BYTES + 1)
        else:
            data = path.read_bytes()
        found: Json = orjson.loads(data[:_FILE_BYTES])
    except OSError as fault:
        raise ControlError(f"{source}: cannot be read: {fault.strerror}") from fault
    except orjson.JSONDecodeError as fault:
        raise ControlError(f"{source}: not JSON: {fault}") from fault
    return found


def _named(task: str) -> str:
    """A task's id as it may stand in a path."""
    if not task.replace("_", "").isalnum() or not task.isascii():
        raise ControlError("a task is named by its id: tsk_ and 32 characters")
    return task


def _text(value: Json) -> str:
    return "" if value is None else str(value)
