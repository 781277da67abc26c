"""`outrider identity`: who the running sidecar is, what changes of it, and who a peer is."""

import threading
from collections.abc import Iterator
from typing import Annotated, Final

import orjson
import typer

from outrider.cli.client import (
    ControlClient,
    ControlError,
    NotRunningError,
    NotTakenError,
    control_faults,
)
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
from outrider.core.clock import SystemClock, rfc3339
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object

app = typer.Typer(
    no_args_is_help=True, help="Show and follow the sidecar's identity; check a peer's."
)

WAIT_S: Final = 30
_AGAIN_S: Final = 1.0
_STYLES: Final = {
    "serving": "green",
    "disconnected": "yellow",
    "waiting": "yellow",
    "redacted": "bold red",
    "expired": "bold red",
    "failed": "bold red",
}
_FOLLOWED: Final = ("state", "degraded", "spiffe_id", "svid", "trust_domains")


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Who the sidecar is, until when, and whom it can verify; exit 1 where it holds no valid SVID
    and should."""
    with control_faults():
        found = ControlClient(settings(config)).get("/v1/identity")
    if as_json:
        print_json(found)
    else:
        _tell(found)
    if found.get("source") != "none" and found.get("proven") is not True:
        raise typer.Exit(1)


@app.command()
def watch(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    changes: Annotated[
        int | None, typer.Option("--changes", "-n", min=1, help="End after so many changes.")
    ] = None,
) -> None:
    """Follow changes of state, of our SVID and of trust bundles, a line each; Ctrl-C ends it."""
    with control_faults():
        client = ControlClient(settings(config))
        before = client.get("/v1/identity")
    try:
        _print_line(before, ["now"], as_json=as_json)
        for count, (found, what) in enumerate(_changes(client, before), start=1):
            _print_line(found, what, as_json=as_json)
            if count == changes:
                return
    except KeyboardInterrupt:
        return  # how a watch ends; nothing failed


@app.command()
def check(
    peer: Annotated[
        str, typer.Argument(help="host:port, https://host:port, or the name of an upstream.")
    ],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have the sidecar make one TLS handshake with PEER under its own SVID, and say who that is;
    exit 1 where it would not be dealt with, 2 where PEER names nobody that can be asked."""
    with control_faults():
        try:
            found = ControlClient(settings(config)).post("/v1/identity/check", {"peer": peer})
        except NotTakenError as fault:
            err.print(f"[bold red]error[/] {plain(str(fault))}", soft_wrap=True)
            raise typer.Exit(2) from fault
    if as_json:
        print_json(found)
    else:
        _tell_check(found)
    if found.get("accepted") is not True:
        raise typer.Exit(1)


# --- show -----------------------------------------------------------------------------------


def _tell(found: JsonObject) -> None:
    print_table("Identity", ("", ""), _rows(found))
    domains = [as_object(one) for one in as_list(found.get("trust_domains"))]
    if domains:
        print_table(
            "Whom we can verify",
            ("trust domain", "X.509 authorities", "left out", "JWT keys"),
            (
                (
                    f"{_text(one.get('name'))}{' (ours)' if one.get('own') else ''}",
                    _text(one.get("x509_authorities")),
                    _text(one.get("collisions")),
                    _text(one.get("jwt_keys")),
                )
                for one in domains
            ),
        )
    if any(one.get("collisions") for one in domains):
        out.print(
            "[yellow]left out:[/] an authority with another trust domain's name and another key",
            soft_wrap=True,
        )
    _tell_local(found)
    note = found.get("note")
    if note is not None:
        out.print(f"[yellow]{plain(_text(note))}[/]", soft_wrap=True)


def _rows(found: JsonObject) -> Iterator[tuple[str, str]]:
    svid = as_object(found.get("svid"))
    source = _text(found.get("source"))
    place = found.get("address")
    yield "SPIFFE ID", _text(found.get("spiffe_id")) or "(none)"
    if source == "none":
        yield "proven by", "nothing: identity.source is none, the ID is the settings' word"
    else:
        yield "source", f"{source} {_text(place)}".strip()
        yield "state", f"{_text(found.get('state'))} since {_time(found.get('since'))}"
        yield "last heard", _time(found.get("last_contact")) or "never"
    yield "instance", _text(found.get("instance"))
    if svid:
        yield "SVID", f"{_text(svid.get('key'))}, chain of {_text(svid.get('chain'))}"
        yield "serial", _text(svid.get("serial"))
        yield "SHA-256", _text(svid.get("leaf_sha256"))
        yield "valid from", _time(svid.get("not_before"))
        yield "valid until", f"{_time(svid.get('expires_at'))} ({_left(svid)})"
        if svid.get("hint"):
            yield "hint", _text(svid.get("hint"))


def _left(svid: JsonObject) -> str:
    left, life = svid.get("remaining_s"), svid.get("lifetime_s")
    if not isinstance(left, int | float) or not isinstance(life, int | float) or life <= 0:
        return "unknown"
    return f"{int(left)} s left, {100 * left / life:.0f} % of its life"


def _tell_local(found: JsonObject) -> None:
    local = as_object(found.get("attested_local"))
    if not local.get("enabled"):
        out.print("a caller beside us is not taken without proof (identity.attested_local is off)")
        return
    if found.get("source") != "none" and found.get("proven") is not True:
        out.print("no caller beside us is taken: we hold no valid SVID under whose ID it could be")
        return
    out.print(
        f"a caller beside us is taken under our ID (attested-local). That proves "
        f"{plain(_text(local.get('proves')))}; it does not prove "
        f"{plain(_text(local.get('does_not_prove')))}.",
        soft_wrap=True,
    )


# --- watch ----------------------------------------------------------------------------------


def _changes(client: ControlClient, before: JsonObject) -> Iterator[tuple[JsonObject, list[str]]]:
    """Each state that is another than the one before it, and what is other."""
    pause = threading.Event()
    lost = False
    while True:
        try:
            mark = _text(before.get("mark"))
            found = client.get("/v1/identity", {"after": mark, "wait": str(WAIT_S)}, wait_s=WAIT_S)
        except (NotRunningError, ControlError) as fault:
            if not lost:
                lost = True
                yield {"state": None, "note": str(fault)}, ["lost"]
            pause.wait(_AGAIN_S)
            continue
        what = ["found again"] if lost else []
        what += _differences(before, found)
        lost, before = False, found
        if what:
            yield found, what


def _differences(before: JsonObject, after: JsonObject) -> list[str]:
    said = {
        "state": "state",
        "degraded": "degraded" if after.get("degraded") else "no longer degraded",
        "spiffe_id": "another SPIFFE ID",
        "svid": "rotated" if before.get("svid") and after.get("svid") else "SVID",
        "trust_domains": "trust bundles",
    }
    return [said[key] for key in _FOLLOWED if _seen(before, key) != _seen(after, key)]


def _seen(found: JsonObject, key: str) -> Json:
    """What of `key` is other when something happened, and not when time passed."""
    return as_object(found.get("svid")).get("leaf_sha256") if key == "svid" else found.get(key)


def _print_line(found: JsonObject, what: list[str], *, as_json: bool) -> None:
    time = rfc3339(SystemClock().unix_s())
    if as_json:
        typer.echo(orjson.dumps({"time": time, "what": [*what], **found}))
        return
    svid = as_object(found.get("svid"))
    state = _text(found.get("state")) or "-"
    until = _time(svid.get("expires_at"))
    parts = (
        _time(time),
        f"[{_STYLES.get(state, 'dim')}]{plain(f'{state:<12}')}[/]",
        plain(", ".join(what)),
        plain(_text(found.get("spiffe_id"))),
        f"until {plain(until)}" if until else "",
        f"{plain(_text(svid.get('leaf_sha256'))[:12])}" if svid else "",
        f"[yellow]{plain(_text(found.get('note')))}[/]" if found.get("note") else "",
    )
    out.print("  ".join(part for part in parts if part), soft_wrap=True)


# --- check ----------------------------------------------------------------------------------


def _tell_check(found: JsonObject) -> None:
    accepted = found.get("accepted") is True
    reason = _text(found.get("reason"))
    verdict = "[bold green]accepted[/]" if accepted else f"[bold red]refused[/] ({plain(reason)})"
    whom = ", ".join(filter(None, map(_text, (found.get("upstream"), found.get("peer")))))
    says = plain(_text(found.get("says")))
    out.print(f"{verdict} {plain(whom)}: {says}", soft_wrap=True)
    print_table("Peer", ("", ""), _check_rows(found))
    out.print(f"next: {plain(_text(found.get('next')))}", soft_wrap=True)


def _check_rows(found: JsonObject) -> Iterator[tuple[str, str]]:
    shown = as_object(found.get("found"))
    yield "we are", _text(found.get("ours")) or "nobody: no valid SVID"
    if found.get("address"):
        yield "dialled", " ".join(map(_text, (found.get("address"), found.get("tls"))))
    if found.get("detail"):
        yield "because", _text(found.get("detail"))
    if shown:
        claim = "" if shown.get("verified") else " (its own claim, not verified)"
        yield "it is", f"{_text(shown.get('spiffe_id')) or 'without a SPIFFE ID'}{claim}"
        yield "certificate", f"{_text(shown.get('key'))}, serial {_text(shown.get('serial'))}"
        yield "valid", f"{_time(shown.get('not_before'))} to {_time(shown.get('expires_at'))}"
        if shown.get("trust_domain"):
            yield "bundle", f"of {_text(shown.get('trust_domain'))}: {_held(found)}"
        for number, link in enumerate(map(as_object, as_list(shown.get("chain")))):
            yield (
                f"chain {number}",
                f"{_text(link.get('sha256'))[:16]}… until {_time(link.get('expires_at'))}",
            )
    expected = found.get("expected")
    yield (
        "expected",
        (
            ", ".join(map(_text, as_list(expected)))
            if expected is not None
            else "nobody in particular: settings do not name this place"
        ),
    )


def _held(found: JsonObject) -> str:
    return "held" if found.get("bundle_known") else "not held"


def _text(value: Json) -> str:
    return "" if value is None else str(value)


def _time(value: Json) -> str:
    """An RFC 3339 time to the second."""
    text = _text(value)
    return f"{text[:19]}Z" if text else ""
