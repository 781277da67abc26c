"""`outrider explain`: why a decision was made, and one change that would flip it."""

from dataclasses import replace
from typing import Annotated, Final

import orjson
import typer

from outrider.app.delivery import source_at_rest
from outrider.app.explaining import explain_decision
from outrider.cli.audit import STYLES
from outrider.cli.client import ControlClient, NotRunningError, control_faults
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
from outrider.config.load import Loaded
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from outrider.stores.keyfile import read_secret

app = typer.Typer(help="Say why a decision was made and what would change it.")


@app.command()
def explain(
    decision_id: Annotated[str, typer.Argument(help="Id of the decision.")],
    offline: Annotated[
        bool, typer.Option("--offline", help="Read the files; do not ask the sidecar.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the rule that decided, what failed with its value, and a change that would flip it."""
    loaded = settings(config)
    with control_faults(), faults_in_words(code=1):
        found = _from_files(loaded, decision_id) if offline else _found(loaded, decision_id)
    if as_json:
        print_json(found)
    else:
        tell(found)


def _found(loaded: Loaded, decision_id: str) -> JsonObject:
    try:
        return ControlClient(loaded).post("/v1/explain", {"decision_id": decision_id})
    except NotRunningError:
        err.print("[dim]outrider is not running: explained from its files[/]")
        return _from_files(loaded, decision_id)


def _from_files(loaded: Loaded, decision_id: str) -> JsonObject:
    source = source_at_rest(loaded)
    try:
        key = read_secret(loaded.data("keys/inputs.key"))
    except OSError as fault:
        raise ConfigError(
            f"{loaded.data('keys/inputs.key')}: cannot be read ({fault.strerror}); run this as "
            "the user the sidecar runs as, with its --config"
        ) from fault
    return explain_decision(
        directory=loaded.data(loaded.settings.audit.path),
        key=key,
        release=replace(source, complete=False).load(),
        entrypoint=loaded.settings.policy.entrypoint,
        decision_id=decision_id,
    )


# --- telling --------------------------------------------------------------------------------


def tell(found: JsonObject) -> None:
    """Print an explanation for a person."""
    record = as_object(found.get("record"))
    enforced = str(record.get("enforced"))
    out.print(
        f"[bold {STYLES.get(enforced, 'cyan')}]{plain(enforced)}[/] "
        f"{plain(str(record.get('resource') or '(no resource)'))} "
        f"[dim]for {plain(str(record.get('subject')))} at {plain(str(record.get('time')))}[/]",
        soft_wrap=True,
    )
    if found.get("summary"):
        out.print(plain(str(found["summary"])), soft_wrap=True)
    _tell_known(record)
    _tell_replay(as_object(found.get("replayed")), record)
    for item in as_list(found.get("decided_by")):
        _tell_rule(as_object(item))
    _tell_failed([as_object(item) for item in as_list(found.get("failed"))])
    if enforced == "allow":
        _tell_near([as_object(item) for item in as_list(found.get("near"))])
    _tell_change(found.get("change"), str(as_object(found.get("decision")).get("effect")))


_DOUBTED: Final = frozenset({"untrusted", "model"})


def _tell_known(record: JsonObject) -> None:
    """Whose word the arguments were, and what the task had done before."""
    for pointer, entry in as_object(record.get("provenance")).items():
        label, seen = as_object(entry).get("label"), as_list(as_object(entry).get("sources"))
        where = f" [dim]{plain(', '.join(map(str, seen)))}[/]" if seen else ""
        style = "yellow" if label in _DOUBTED else "green"
        out.print(f"{plain(pointer)} is [{style}]{plain(str(label))}[/]{where}", soft_wrap=True)
    behaviour = as_object(record.get("behaviour"))
    flags = ", ".join(str(flag).replace("_", " ") for flag in as_list(behaviour.get("flags")))
    if flags:
        out.print(f"[dim]the task so far:[/] {plain(flags)}", soft_wrap=True)


def _tell_replay(replayed: JsonObject, record: JsonObject) -> None:
    if replayed and replayed.get("same") is not True:
        before = f"{record.get('effect')} under {record.get('revision')}"
        now = f"{replayed.get('effect')} under {replayed.get('revision')}"
        out.print(
            f"[yellow]policy has changed since:[/] it said {plain(before)}, it says {plain(now)}",
            soft_wrap=True,
        )
    elif replayed and record.get("effect") != record.get("enforced"):
        out.print(
            f"policy said {plain(str(record.get('effect')))}; the proxy enforced "
            f"{plain(str(record.get('enforced')))} ({plain(str(record.get('reason')))})"
        )


def _tell_rule(rule: JsonObject) -> None:
    code = f"[bold]{plain(str(rule['code']))}[/] " if rule.get("code") else ""
    said = rule.get("message") or rule.get("title") or rule.get("rule")
    out.print(f"\ndecided by {code}{plain(str(said))}", soft_wrap=True)
    out.print(f"  [dim]{plain(str(rule.get('file')))}:{rule.get('line')}[/]", soft_wrap=True)
    for item in as_list(rule.get("conditions")):
        _tell_condition(as_object(item))


def _tell_condition(condition: JsonObject) -> None:
    mark = "[green]✓[/]" if condition.get("holds") else "[red]✗[/]"
    values = "; ".join(_value(as_object(value)) for value in as_list(condition.get("values")))
    shown = f"  [dim]{plain(values)}[/]" if values else ""
    out.print(f"  {mark} {plain(str(condition.get('text')))}{shown}", soft_wrap=True)


def _tell_failed(failed: list[JsonObject]) -> None:
    if not failed:
        return
    out.print("\nwhat failed")
    for condition in failed:
        _tell_condition(condition)
        if condition.get("file"):
            place = f"{condition.get('file')}:{condition.get('line')}"
            out.print(f"    [dim]{plain(place)}[/]", soft_wrap=True)


def _tell_near(near: list[JsonObject]) -> None:
    if near:
        out.print("\nwhat came closest to stopping it")
    for rule in near:
        code, place = plain(str(rule.get("code"))), f"{rule.get('file')}:{rule.get('line')}"
        out.print(f"  [bold]{code}[/] [dim]{plain(place)}[/]", soft_wrap=True)
        for item in as_list(rule.get("conditions")):
            condition = as_object(item)
            if not condition.get("holds"):
                _tell_condition(condition)


def _tell_change(change: Json, effect: str) -> None:
    told = as_object(change)
    if not told:
        if effect != "None":
            out.print("\nno single change was found that would flip it")
        return
    place = f"{'policy data' if told.get('document') == 'data' else 'the input'} {told['pointer']}"
    after = told.get("effect")
    then = "policy would be asked" if after == "asked" else f"the answer would be {after}"
    out.print(
        f"\n[bold]what would change it[/] if {plain(place)} were {plain(_json(told.get('to')))} "
        f"instead of {plain(_json(told.get('from')))}, {plain(then)}",
        soft_wrap=True,
    )


def _value(value: JsonObject) -> str:
    held = "is missing" if value.get("missing") else f"= {_json(value.get('value'))}"
    return f"{value.get('name')} {held}"


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
