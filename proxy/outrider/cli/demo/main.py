"""`outrider demo`: the whole thing in one terminal, with real parts."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from types import FrameType
from typing import Annotated, Final, Literal

import typer

from outrider.cli.common import print_json
from outrider.cli.demo import cast as casting, lookout, stage as staging
from outrider.cli.demo.cast import Cast
from outrider.cli.demo.play import Outcome, Play
from outrider.cli.demo.spire.play import over_spire
from outrider.cli.demo.spire.programs import NoProgramsError, find_programs
from outrider.cli.demo.stage import Stage
from outrider.cli.demo.story import PERSON, story
from outrider.cli.demo.teller import Teller, console_of
from outrider.config.load import cache_dir, environment
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError, OutriderError
from outrider.core.jsonvalue import JsonObject
from outrider.policy.opa_install import OpaPlaces, find, install

EngineName = Literal["embedded", "opa"]

_LOOK_S: Final = 0.5
_LACKS: Final = 3
"""Exit code where a program is missing that somebody must put there."""

app = typer.Typer(help="See an agent governed: real parts, one terminal, nothing but Python.")


@app.callback(invoke_without_command=True)
def demo(
    engine: Annotated[EngineName, typer.Option(help="What evaluates the policy.")] = "embedded",
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave it all up afterwards, until Ctrl-C.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what happened as JSON instead of the story.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="No colour, nothing that moves.")] = False,
    spire: Annotated[
        bool, typer.Option("--spire", help="Another story: two agents over real SPIRE.")
    ] = False,
) -> None:
    """Tell the story; exit 1 naming each difference from what must happen."""
    if spire and (keep or engine != "embedded"):
        raise typer.BadParameter("--spire goes with neither --keep nor --engine")
    teller = Teller(console_of(plain=plain, quiet=as_json))
    loud = Teller(console_of(plain=plain, to_stderr=True))
    try:
        with _ended_by_signals():
            outcome = _over_spire(teller) if spire else _perform(engine, teller, keep=keep)
    except NoProgramsError as fault:
        loud.fault(str(fault))
        raise typer.Exit(_LACKS) from fault
    except OutriderError as fault:
        loud.fault(str(fault))
        raise typer.Exit(1) from fault
    if as_json:
        print_json(_document(engine, outcome))
    raise typer.Exit(1 if outcome.faults else 0)


def _perform(engine: EngineName, teller: Teller, *, keep: bool) -> Outcome:
    environ, clock = casting.clean(environment()), SystemClock()
    teller.opening(engine)
    binary = _opa(environ, teller) if engine == "opa" else None
    wanted = {each: f"the official MCP SDK {each}" for each in casting.missing_sdks(environ)}
    with teller.waiting([f"setting up {name} (once)" for name in wanted.values()]) as done:
        pythons = casting.pythons(
            environ,
            lambda each: done(f"setting up {wanted[each]} (once)") if each in wanted else None,
        )
    started_s = clock.monotonic_s()
    with _folder(teller) as room, ExitStack() as stack:
        stage = staging.set_up(room.home)
        with teller.waiting(["starting everybody"]):
            cast = casting.assemble(stack, stage, pythons, opa=binary, environ=environ)
            casting.wait_ready(cast, stage, clock)
        play = Play(stage=stage, cast=cast, clock=clock, teller=teller)
        outcome = play.perform(story(stage, clock.unix_s()))
        room.is_kept = bool(outcome.faults)
        hint = "" if keep else f"Try it yourself: {sys.argv[0]} demo --keep"
        took_s = clock.monotonic_s() - started_s
        teller.closing(outcome.faults, len(outcome.steps), took_s, hint)
        if keep:
            _keep(teller, stage, cast, outcome)
    return outcome


def _over_spire(teller: Teller) -> Outcome:
    """The other story. Raises `NoProgramsError` where SPIRE is not there to be run."""
    environ, clock = casting.clean(environment()), SystemClock()
    programs = find_programs(environ)
    started_s = clock.monotonic_s()
    with _folder(teller) as room:
        outcome = over_spire(programs, room.home, environ=environ, clock=clock, teller=teller)
        room.is_kept = bool(outcome.faults)
        took_s = clock.monotonic_s() - started_s
        teller.closing(outcome.faults, len(outcome.steps), took_s, "")
    return outcome


def _opa(environ: Mapping[str, str], teller: Teller) -> Path:
    """The OPA to run, built or fetched where there is none. Raises `ConfigError`."""
    places = OpaPlaces(cache=cache_dir(environ), search_path=environ.get("PATH", ""))
    try:
        return find(places).path
    except ConfigError:
        with teller.waiting(["setting up OPA (once, some minutes where Go builds it)"]):
            return install(places, environ).path


def _keep(teller: Teller, stage: Stage, cast: Cast, outcome: Outcome) -> None:
    """Say what to try, and stay until a part ends or somebody ends it."""
    refused = next((step for step in outcome.steps if step["reason"] == "policy"), {})
    outrider = Path(sys.argv[0]).resolve()
    settings = stage.settings
    teller.try_it(
        (
            ("a call as the agent", f"curl -s {stage.base}{PERSON}"),
            ("one that its grant does not cover", f"curl -s -X DELETE {stage.base}{PERSON}"),
            ("why a call was refused", f"{outrider} explain {refused.get('id')} -c {settings}"),
            ("decisions as they are made", f"{outrider} audit tail -c {settings}"),
            ("the chain, checked", f"{outrider} audit verify -c {settings}"),
            (
                "change the policy; it is in force at once",
                f"$EDITOR {stage.home}/policy/outrider/rules/helpdesk/data.yaml",
            ),
            *lookout.places(stage),
        )
    )
    try:
        while all(child.is_running() for child in cast.everybody()):
            sleep(_LOOK_S)
    except KeyboardInterrupt:
        return
    gone = ", ".join(child.name for child in cast.everybody() if not child.is_running())
    outcome.faults.append(f"{gone} ended by itself")


def _document(engine: str, outcome: Outcome) -> JsonObject:
    return {
        "ok": not outcome.faults,
        "engine": engine,
        "steps": [*outcome.steps],
        "evidence": outcome.facts,
        "differences": [*outcome.faults],
    }


@dataclass(slots=True)
class _Room:
    """A folder for one run; it goes with the run unless it is worth a look."""

    home: Path
    is_kept: bool = False


@contextmanager
def _folder(teller: Teller) -> Iterator[_Room]:
    room = _Room(Path(tempfile.mkdtemp(prefix="outrider-demo-")))
    try:
        yield room
    except OutriderError:
        room.is_kept = True
        raise
    finally:
        if room.is_kept:
            teller.kept(str(room.home))
        else:
            shutil.rmtree(room.home, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind as Ctrl-C does, so that nobody is left behind."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {each: signal.signal(each, leave) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
