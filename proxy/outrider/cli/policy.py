"""`outrider policy`: test, cover, lint, index and build a policy tree; see what is in force."""

import asyncio
import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from outrider.app.policy import opa_alone, opa_places
from outrider.cli.client import ControlClient, control_faults
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    err,
    faults_in_words,
    out,
    plain,
    print_json,
    print_table,
    settings,
)
from outrider.config.load import environment
from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, as_object
from outrider.policy import bundle, suite
from outrider.policy.catalogue import FILE as CATALOGUE, catalogue_page, is_outdated
from outrider.policy.coverage import coverage as measure
from outrider.policy.engines.embedded import EmbeddedSnapshot
from outrider.policy.gate import shipped_gate
from outrider.policy.index import indexes, outdated
from outrider.policy.lint import lint as lint_tree
from outrider.policy.opa_install import OpaBinary, OpaPlaces, find
from outrider.policy.release import Release, bundle_bytes, load
from outrider.policy.world import read_language

app = typer.Typer(no_args_is_help=True, help="Test, lint, index and build policy.")

ENTRYPOINT = "data.outrider.decision"
_SHOWN = 50

Tree = Annotated[
    Path | None, typer.Argument(help="Folder of the policy (default: the library that ships).")
]
Entrypoint = Annotated[str, typer.Option(help="What is asked for a decision.")]


class EngineName(StrEnum):
    EMBEDDED = "embedded"
    OPA = "opa"


@app.command(name="test")
def run_tests(  # noqa: PLR0913, PLR0917 - its options
    path: Tree = None,
    overlay: Annotated[
        list[Path] | None,
        typer.Option(help="Laid over it; then only the suites it brings are run. May be repeated."),
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="Only this engine (default: all that are here).")
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    entrypoint: Entrypoint = ENTRYPOINT,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run every test rule and suite; exit 1 if one fails, or if there is none."""
    folder = path or shipped_rego()
    with faults_in_words():
        tree, release = suite.tree_to_test(folder, overlay or ()), load(folder, overlay or ())
        binary = None if engine is EngineName.EMBEDDED else _opa(config, needed=engine is not None)
        results: list[suite.TestResult] = []
        if engine is not EngineName.OPA:
            results += asyncio.run(_on_embedded(tree, release, entrypoint)).results
        if binary is not None:
            found = asyncio.run(_on_opa(tree, release, entrypoint, binary)).results
            results += [one for one in found if one.kind != "rule" or engine is EngineName.OPA]
    report = suite.TestReport(results=tuple(results))
    if junit is not None:
        junit.write_text(report.junit(), encoding="utf-8")
    if as_json:
        print_json(report.document())
    else:
        _tell(report)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def coverage(
    path: Tree = None,
    threshold: Annotated[float, typer.Option(help="Lines of each control, in percent.")] = 95,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML to this file.")] = None,
    entrypoint: Entrypoint = ENTRYPOINT,
    as_json: JsonOption = False,
) -> None:
    """How much of each control its tests run; exit 1 for too little, or a kind of case missing."""
    folder = path or shipped_rego()
    with faults_in_words(code=1):
        report = measure(
            bundle.read(folder, ()), load(folder), entrypoint=entrypoint, threshold=threshold
        )
    if junit is not None:
        junit.write_text(report.junit(), encoding="utf-8")
    if as_json:
        print_json(report.document())
    else:
        rows = [(one.package, f"{one.percent:.0f} %") for one in report.controls]
        print_table("Lines run by tests", ("Package", "Lines"), rows)
        for one in report.failed:
            why = plain(one.why_not(threshold))
            err.print(f"[bold red]failed[/] {plain(one.package)}: {why}", soft_wrap=True)
        if not report.controls:
            err.print("[bold red]no control[/] was found")
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def lint(
    path: Tree = None, entrypoint: Entrypoint = ENTRYPOINT, as_json: JsonOption = False
) -> None:
    """Find what may not stand in a release, or should not; exit 1 naming file and line."""
    library = shipped_rego()
    today = datetime.fromtimestamp(SystemClock().unix_s(), UTC).date()
    with faults_in_words(code=1):
        found = lint_tree(
            path or library,
            library=library,
            language=read_language(library),
            entrypoint=entrypoint,
            today=today,
        )
    if as_json:
        rows: list[Json] = [
            {"check": one.check, "file": one.file, "line": one.line, "message": one.message}
            for one in found
        ]
        print_json(rows)
    else:
        for one in found:
            place = f"{one.file}:{one.line}" if one.line else one.file
            err.print(f"{plain(place)}: {plain(one.message)} [dim]({one.check})[/]", soft_wrap=True)
        if not found:
            out.print("[bold green]ok[/] nothing found")
    if found:
        raise typer.Exit(1)


@app.command()
def index(
    path: Tree = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 if stale.")] = False,
) -> None:
    """Write what is generated: indexes of packages, settings by code, the catalogue page."""
    folder = path or shipped_rego()
    with faults_in_words(code=1):
        tree = bundle.read(folder, ())
        stale, texts = outdated(tree), indexes(tree)
        page = catalogue_page(tree)
        if page is not None and is_outdated(folder, tree):
            stale, texts = [*stale, CATALOGUE], {**texts, CATALOGUE: page}
    for name in stale:
        if check:
            err.print(f"{plain(name)} is stale: run `outrider policy index`")
        else:
            (folder / name).write_text(texts[name], encoding="utf-8")
            out.print(f"written {plain(name)}")
    if not stale:
        out.print("[bold green]ok[/] the indexes are as they should be")
    if stale and check:
        raise typer.Exit(1)


@app.command()
def build(
    path: Tree = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "bundle.tar.gz"
    ),
    overlay: Annotated[
        list[Path] | None,
        typer.Option(help="Folder or bundle laid over it, as policy.overlay; may be repeated."),
    ] = None,
    entrypoint: Entrypoint = ENTRYPOINT,
    as_json: JsonOption = False,
) -> None:
    """Write the policy as one bundle: the same bytes for the same policy.

    Its revision is the one of a sidecar with the same policy.path and policy.overlay.
    """
    with faults_in_words(code=1):
        release = load(path or shipped_rego(), overlay or ())
        shipped_gate(shipped_rego(), entrypoint)(release)
        content = bundle_bytes(release)
        try:
            output.write_bytes(content)
        except OSError as fault:
            raise ConfigError(f"{output}: cannot be written: {fault.strerror}") from fault
    digest = hashlib.sha256(content).hexdigest()
    if as_json:
        print_json({"file": str(output), "revision": release.revision, "sha256": digest})
    else:
        out.print(
            f"[bold green]written[/] {plain(str(output))}: revision {plain(release.revision)}, "
            f"{len(content)} bytes, sha256 {digest}",
            soft_wrap=True,
        )


@app.command()
def status(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """What policy is in force in the running sidecar; exit 1 where none is, or it is not ready."""
    with control_faults():
        found = ControlClient(settings(config)).get("/v1/policy")
    if as_json:
        print_json(found)
    else:
        facts = as_object(found.get("policy"))
        rows = [(key, str(value)) for key, value in facts.items() if value is not None]
        print_table("Policy in force", ("", ""), rows)
        for name, why in as_object(found.get("missing")).items():
            out.print(f"[yellow]{plain(name)}:[/] {plain(str(why))}", soft_wrap=True)
    if found.get("ready") is not True:
        raise typer.Exit(1)


@app.command()
def rollback(
    sequence: Annotated[int, typer.Argument(min=0, help="The sequence to go back to.")],
    config: ConfigOption = None,
) -> None:
    """Let the running sidecar take signed policy older than what was in force: its source must hold
    it by now. The call is on the audit chain."""
    with control_faults():
        found = ControlClient(settings(config)).post("/v1/policy/rollback", {"sequence": sequence})
    said = "another policy is in force" if found.get("changed") else "nothing changed"
    out.print(f"[bold green]done[/] sequence {sequence} counts again; {said}")


# --- engines --------------------------------------------------------------------------------


def _opa(config: Path | None, *, needed: bool) -> OpaBinary | None:
    """The OPA to test on. Raises `ConfigError` where it is needed and not here."""
    places: OpaPlaces = opa_places(settings(config), environment())
    try:
        return find(places)
    except ConfigError:
        if needed:
            raise
        return None


async def _on_embedded(tree: bundle.Tree, release: Release, entrypoint: str) -> suite.TestReport:
    clock = SystemClock()

    async def make(changed: Release) -> EmbeddedSnapshot:
        return EmbeddedSnapshot(release=changed, clock=clock)

    return await suite.run_tests(
        tree, release, make, engine="embedded", entrypoint=entrypoint, clock=clock
    )


async def _on_opa(
    tree: bundle.Tree, release: Release, entrypoint: str, binary: OpaBinary
) -> suite.TestReport:
    clock = SystemClock()
    async with opa_alone(binary, clock, entrypoint) as engine:
        return await suite.run_tests(
            tree, release, engine.activate, engine="opa", entrypoint=entrypoint, clock=clock
        )


def _tell(report: suite.TestReport) -> None:
    for one in report.failed[:_SHOWN]:
        err.print(
            f"[bold red]failed[/] {plain(one.suite)}: {plain(one.name)} [dim]({one.engine})[/]: "
            f"{plain(one.message)}",
            soft_wrap=True,
        )
    if not report.results:
        err.print("[bold red]no tests[/] were found")
        return
    engines = ", ".join(sorted({one.engine for one in report.results}))
    colour = "green" if report.passed else "red"
    out.print(
        f"[bold {colour}]{len(report.results) - len(report.failed)} passed[/], "
        f"{len(report.failed)} failed on {engines}"
    )
    for line in suite.uncovered(report.results)[:_SHOWN]:
        out.print(f"[yellow]note[/] {plain(line)}", soft_wrap=True)
