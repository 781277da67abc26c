"""`outrider config`: check, show and describe settings."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from outrider.app.delivery import NotFetchedError, source_at_rest, source_of, trust_of
from outrider.app.policy import rehearse
from outrider.cli.common import (
    ConfigOption,
    JsonOption,
    faults_in_words,
    out,
    plain,
    print_json,
    settings,
)
from outrider.config.load import Loaded, schema
from outrider.config.places import check_files, warnings
from outrider.config.shown import as_yaml, in_force
from outrider.core.errors import ConfigError
from outrider.policy.manifest_lint import lint_manifest

_SHOWN: Final = 5

app = typer.Typer(no_args_is_help=True, help="Check, show and describe settings.")


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Settings file to check.")] = None,
    config: ConfigOption = None,
) -> None:
    """Read the settings and the policy they name; exit 2 naming key, value and what is allowed."""
    loaded = settings(file or config)
    with faults_in_words():
        check_files(loaded)
        _check_policy(loaded)
    count = len(loaded.settings.upstreams)
    out.print(
        f"[bold green]ok[/] {loaded.source or 'defaults'}: profile "
        f"{loaded.settings.profile.value}, {count} upstream{'' if count == 1 else 's'}"
    )
    for line in _identity(loaded):
        out.print(f"[dim]identity:[/] {plain(line)}", soft_wrap=True)
    for line in (*warnings(loaded), *_unanswered(loaded)):
        out.print(f"[yellow]warning:[/] {plain(line)}", soft_wrap=True)


def _identity(loaded: Loaded) -> Iterator[str]:
    """What the settings of identity come to: who we are, who may call, whom we call as whom."""
    settings = loaded.settings
    identity, listeners = settings.identity, settings.listeners
    named = identity.spiffe_id
    match identity.source:
        case "none":
            yield f"{named or 'no SPIFFE ID'}, taken on trust: source is none, no SVID is held"
        case "workload_api":
            yield f"{named or 'the first SVID'} from the Workload API at {loaded.workload_api}"
        case "files":
            folder = loaded.path(identity.files.directory or ".")
            yield f"{named or 'the SVID'} from files in {folder}"
    if identity.attested_local:
        uids = ", ".join(map(str, listeners.egress.uids)) or "our own"
        by = [f"the Unix socket for uid {uids}"] if listeners.egress.unix else []
        by += ["whoever shares our network namespace"] if listeners.egress.addresses else []
        yield f"local callers are taken under that ID: {' and '.join(by)}"
    if listeners.egress.bearer:
        domains = ", ".join(("our own trust domain", *identity.trust_domains))
        yield f"JWT-SVIDs count without mutual TLS on egress: {domains}"
    if identity.oidc:
        yield f"tokens of OIDC issuers are taken: {', '.join(identity.oidc)}"
    inward = [name for name, one in settings.upstreams.items() if one.direction == "ingress"]
    if inward:
        places = ", ".join(listeners.ingress.addresses) or listeners.ingress.unix
        yield f"others call {', '.join(inward)} by mutual TLS at {places}"
    for name, upstream in settings.upstreams.items():
        if upstream.tls.spiffe is not None:
            yield f"{name} must prove {' or '.join(upstream.tls.spiffe.expect)}"


def _check_policy(loaded: Loaded) -> None:
    """Raises `ConfigError` naming the policy's place besides what is wrong with it."""
    # A refusal is told by us alone: the keeper's log would say it again.
    logging.getLogger("outrider").addHandler(logging.NullHandler())
    try:
        asyncio.run(rehearse(loaded))
    except NotFetchedError:
        trust_of(loaded).keys()  # they must be there before the first bundle is
    except ConfigError as fault:
        source = source_of(loaded)
        base = source.path or loaded.settings.policy.bundle.url
        layers = ", ".join(map(str, (base, *source.overlays)))
        raise ConfigError(
            f"policy cannot be loaded: {fault} (policy.path and policy.overlay: {layers})"
        ) from fault


def _unanswered(loaded: Loaded) -> Iterator[str]:
    """What the production profile would refuse, or take for the worst: who is missing, guesses."""
    try:
        release = source_at_rest(loaded).load()
    except NotFetchedError as fault:
        yield f"policy was not looked at: {fault}"
        return
    guesses = [one for one in lint_manifest(release, {}) if one.check == "unconfirmed"]
    if guesses:
        yield (
            f"{len(guesses)} guesses in the manifest are not confirmed, the first: "
            f"{guesses[0].message}; see `outrider manifest lint`"
        )
    yield from release.lacking[:_SHOWN]
    if len(release.lacking) > _SHOWN:
        yield f"and {len(release.lacking) - _SHOWN} more that nobody answers for"


@app.command()
def show(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Every setting in force, defaults filled in, as YAML that `config check` takes; what is not
    set and has no default is left out."""
    loaded = settings(config)
    if as_json:
        print_json(in_force(loaded.settings))
    else:
        typer.echo(as_yaml(loaded.settings), nl=False)


@app.command(name="schema")
def schema_() -> None:
    """The JSON Schema (2020-12) of the settings file."""
    print_json(schema())
