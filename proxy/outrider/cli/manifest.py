"""`outrider manifest`: hold the manifest against itself and its grants, and draft one."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from outrider.cli.common import JsonOption, faults_in_words, out, plain, print_json
from outrider.cli.files import read_file
from outrider.cli.manifest_suggest import suggest
from outrider.cli.mcp_lists import list_tools
from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.grant import parse_grant
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.policy.engines.embedded import EmbeddedSnapshot
from outrider.policy.flow import Subject
from outrider.policy.manifest_lint import NOTES, Lists, lint_manifest
from outrider.policy.proof import GrantProof, Proof, Prover, subjects_of
from outrider.policy.reaching import Reach, reaches
from outrider.policy.release import Release, load
from outrider.policy.world import Problem

app = typer.Typer(no_args_is_help=True, help="Check the manifest, prove its flows, draft one.")
app.command()(suggest)

ENTRYPOINT: Final = "data.outrider.decision"
_SHOWN: Final = 20


@app.command()
def lint(  # noqa: PLR0913, PLR0917 - one parameter for each option
    path: Annotated[
        Path | None, typer.Argument(help="Folder of the policy (default: what ships).")
    ] = None,
    overlay: Annotated[
        list[Path] | None, typer.Option(help="Folder or bundle laid over it; may be repeated.")
    ] = None,
    grant: Annotated[
        Path | None, typer.Option(help="Prove the grant in this file alone, YAML or JSON.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Prove this agent's grant alone; with --grant: as whom.")
    ] = None,
    template: Annotated[str | None, typer.Option(help="Prove this template's grant alone.")] = None,
    tools: Annotated[
        list[str] | None,
        typer.Option(help="UPSTREAM=FILE or =URL: its tools/list, to hold paths against."),
    ] = None,
    draft: Annotated[
        bool, typer.Option("--draft", help="Let stand what nobody confirmed yet.")
    ] = False,
    entrypoint: Annotated[str, typer.Option(help="What is asked for a decision.")] = ENTRYPOINT,
    as_json: JsonOption = False,
) -> None:
    """Find what is missing in the manifest, and prove what each grant lets flow where.

    Exits 1 where anything is missing, where nothing stops a way from untrusted text over
    sensitive data to the outside, or where a grant that only reads can change something.
    """
    logging.getLogger("outrider").addHandler(logging.NullHandler())  # what fails is told by us
    now = SystemClock().unix_s()
    with faults_in_words(code=1):
        release = load(path or shipped_rego(), overlay or ())
        lists = read_lists(tools or ())
        subjects = _subjects(release, grant, agent, template)
        found = lint_manifest(release, lists, draft=draft)
        reach = [one for subject in subjects for one in reaches(subject, release, lists, now)]
        proofs = asyncio.run(_prove(release, subjects, entrypoint))
    faults = [one for one in found if one.check not in NOTES]
    if as_json:
        print_json(_document(found, reach, proofs))
    else:
        _tell_problems(found)
        _tell_reach(reach)
        for proof in proofs:
            _tell_proof(proof, release)
    if faults or reach or any(proof.open or proof.unproved for proof in proofs):
        raise typer.Exit(1)
    if not as_json:
        out.print("[bold green]ok[/] nothing is missing, and every flow found is stopped")


async def _prove(
    release: Release, subjects: Sequence[Subject], entrypoint: str
) -> list[GrantProof]:
    clock = SystemClock()
    prover = Prover(
        release=release,
        snapshot=EmbeddedSnapshot(release=release, clock=clock),
        clock=clock,
        entrypoint=entrypoint,
    )
    return [proof async for proof in prover.prove(subjects)]


# --- what is given --------------------------------------------------------------------------


def read_lists(given: Sequence[str]) -> Lists:
    """Lists, `UPSTREAM=FILE` or `UPSTREAM=URL` each. A file holds an array of tools, `{tools}`, or
    a whole answer to tools/list. Raises `ConfigError`."""
    found: dict[str, dict[str, JsonObject]] = {}
    for one in given:
        upstream, equals, file = one.partition("=")
        if not equals or not upstream or not file:
            raise ConfigError(f"--tools {one}: give UPSTREAM=FILE or UPSTREAM=URL")
        live = file.startswith(("http://", "https://"))
        listed = list_tools(file).tools if live else _recorded(Path(file))
        tools = {str(tool.get("name")): tool for tool in listed}
        if not tools:
            raise ConfigError(f"{file}: no tools are listed there")
        found.setdefault(upstream, {}).update(tools)
    return found


def _recorded(file: Path) -> list[JsonObject]:
    document = read_file(file)
    result = as_object(as_object(document).get("result", document))
    listed = document if isinstance(document, list) else result.get("tools")
    return [as_object(tool) for tool in as_list(listed)]


def _subjects(
    release: Release, grant: Path | None, agent: str | None, template: str | None
) -> list[Subject]:
    """Whose grants are proved: all, or the one that is named."""
    if grant is not None:
        who = agent or next(iter(release.agents), "spiffe://nobody.invalid/agent")
        parsed = parse_grant(read_file(grant), str(grant))
        return [Subject(name=f"grant {grant.name}", agent=who, grant=parsed, template=template)]
    found = subjects_of(release)
    if agent is not None:
        found = [one for one in found if one.template is None and one.agent == agent]
    if template is not None:
        found = [one for one in found if one.template == template]
    if not found and (agent or template):
        raise ConfigError(f"no active agent or template {agent or template} has a grant")
    return found


# --- what is told ---------------------------------------------------------------------------


def _tell_problems(found: Sequence[Problem]) -> None:
    for one in found:
        note = one.check in NOTES
        colour = "yellow" if note else "bold red"
        word = "note" if note else "missing" if one.check == "owner" else one.check
        out.print(f"[{colour}]{word}[/] {plain(one.file)}: {plain(one.message)}", soft_wrap=True)


def _tell_reach(reach: Sequence[Reach]) -> None:
    for one in reach[:_SHOWN]:
        out.print(
            f"[bold red]FAIL[/] a grant that only reads reaches a change: "
            f"{plain(' → '.join(one.path))}: {plain(one.why)}",
            soft_wrap=True,
        )


def _tell_proof(proof: GrantProof, release: Release) -> None:
    name = plain(proof.subject.name)
    if not proof.proofs:
        out.print(f"[green]{name}[/]: no way from untrusted text to the outside")
        return
    stopped = len(proof.proofs) - len(proof.open)
    out.print(f"[bold]{name}[/]: {len(proof.proofs)} toxic flows, {stopped} of them stopped")
    for one in proof.open[:_SHOWN]:
        _tell_flow(one, release)
        _tell_remedies(one, proof.subject)
    if not proof.open:
        _tell_flow(proof.proofs[0], release)
        _tell_remedies(proof.proofs[0], proof.subject)
    if proof.unproved:
        out.print(f"  [bold red]FAIL[/] {proof.unproved} more were too many to prove")


def _tell_flow(one: Proof, release: Release) -> None:
    flow = one.flow
    out.print(f"  untrusted text    {plain(flow.source.name)}", soft_wrap=True)
    if flow.sensitive is not None:
        level = flow.sensitive.sensitivity.value
        out.print(f"  {level:<17} {plain(flow.sensitive.name)}", soft_wrap=True)
    places = ", ".join(flow.outside) or "nobody has said where"
    out.print(
        f"  {flow.sink.effect.value:<17} {plain(flow.sink.resource_id)} → {plain(places)}",
        soft_wrap=True,
    )
    if not one.holds:
        out.print("  [bold red]FAIL[/] nothing stops it", soft_wrap=True)
        return
    catalogue = as_object(as_object(release.data["outrider"]).get("catalogue"))
    verb = "held" if one.effect.value == "hold" else "denied"
    for code in one.broken_by:
        title = as_object(catalogue.get(code)).get("title")
        said = f": {title}" if isinstance(title, str) else ""
        out.print(f"  [green]{verb} by {plain(code)}[/]{plain(said)} (enforce)", soft_wrap=True)


def _tell_remedies(one: Proof, subject: Subject) -> None:
    """How an open flow can be broken, the smallest change first."""
    flow = one.flow
    if one.shadowed:
        out.print(f"  to end it: enforce {plain(', '.join(one.shadowed))}, which is in shadow")
    hosts = ", ".join(
        str(glob) for glob in subject.grant.hosts if any(map(glob.matches, flow.outside))
    )
    if hosts:
        out.print(f"  to end it: take {plain(hosts)} out of the grant's destinations")
    out.print(
        f"  to end it: take {plain(flow.sink.resource_id)} or the effect "
        f"{flow.sink.effect.value} out of the grant",
        soft_wrap=True,
    )
    if flow.sensitive is not None:
        out.print(f"  to end it: take {plain(flow.sensitive.name)} out of the grant")


def _document(
    found: Sequence[Problem], reach: Sequence[Reach], proofs: Sequence[GrantProof]
) -> JsonObject:
    return {
        "problems": [
            {"check": one.check, "file": one.file, "message": one.message, "fails": fails}
            for one in found
            for fails in [one.check not in NOTES]
        ],
        "reaches": [{"path": [*one.path], "why": one.why} for one in reach],
        "grants": [
            {
                "name": proof.subject.name,
                "unproved": proof.unproved,
                "flows": [_flow_document(one) for one in proof.proofs],
            }
            for proof in proofs
        ],
    }


def _flow_document(one: Proof) -> JsonObject:
    return {
        "path": [*one.flow.steps],
        "carries": one.flow.highest.value,
        "outside": [*one.flow.outside],
        "effect": one.effect.value,
        "broken_by": [*one.broken_by],
        "shadowed": [*one.shadowed],
    }
