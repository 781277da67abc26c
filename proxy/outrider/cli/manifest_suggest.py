"""`outrider manifest suggest`: a first manifest from what a server, a document or traffic says."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import orjson
import typer

from outrider.audit.inputs import read_inputs
from outrider.cli.common import ConfigOption, err, faults_in_words, out, plain, settings
from outrider.cli.files import read_file, write_new
from outrider.cli.mcp_lists import Listed, list_tools
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.manifest import parse_manifest
from outrider.policy.bundle import read_yaml
from outrider.policy.manifest_draft import as_text, from_operations, from_tools, from_traffic
from outrider.policy.openapi import read_openapi
from outrider.stores.keyfile import read_secret

MOST_INPUTS: Final = 100_000
_NAME: Final = re.compile(r"[^a-z0-9_-]+")

TokenOption = Annotated[
    Path | None, typer.Option(help="File with a bearer token that the server asks for.")
]
CaOption = Annotated[Path | None, typer.Option(help="PEM file of the CAs that are trusted there.")]


def suggest(  # noqa: PLR0913, PLR0917 - one parameter for each option
    url: Annotated[str | None, typer.Argument(help="URL of a live MCP server.")] = None,
    openapi: Annotated[
        Path | None, typer.Option(help="An OpenAPI document, 3.0 or 3.1, YAML or JSON.")
    ] = None,
    traffic: Annotated[
        bool, typer.Option("--traffic", help="Recorded inputs (`audit.inputs: store`).")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="Name of the upstream; of recorded ones: only this.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="The team that answers for it.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New file to write; never overwritten.")
    ] = None,
    save_list: Annotated[
        Path | None, typer.Option(help="New file for the server's own list, for lint --tools.")
    ] = None,
    token_file: TokenOption = None,
    ca_file: CaOption = None,
    config: ConfigOption = None,
) -> None:
    """Draft a manifest; every effect and role in it is a guess that says `confirmed: false`.

    Nothing is milder than execute but what the server or the method says only reads, and that is
    a guess as well: what a server says of itself is no proof.
    """
    if sum((url is not None, openapi is not None, traffic)) != 1:
        raise typer.BadParameter("give one of URL, --openapi FILE, --traffic")
    with faults_in_words(code=1):
        if url is not None:
            listed = list_tools(url, bearer=bearer_of(token_file), ca_file=ca_file)
            tell_unusable(listed)
            drafts: JsonObject = {name or name_of(url): {"tools": from_tools(listed.tools)}}
            if save_list is not None:
                write_new(save_list, orjson.dumps({"tools": [*listed.tools]}).decode() + "\n")
        elif openapi is not None:
            found = read_openapi(read_file(openapi), str(openapi))
            drafts = {name or openapi.stem: {"operations": from_operations(found)}}
        else:
            drafts = from_traffic(_recorded(config), name)
        texts = [drafted(upstream, as_object(entry), owner) for upstream, entry in drafts.items()]
        if not texts:
            raise ConfigError(
                "nothing is recorded yet: `audit.inputs: store` keeps what is decided"
            )
        _write(texts, output)


def drafted(upstream: str, entry: JsonObject, owner: str | None, **more: str) -> str:
    """The text of one upstream's draft, read back before it is given. Raises `ConfigError`."""
    whole: JsonObject = {"owner": owner} if owner else {}
    whole |= {**more, "default": {"effect": "execute", "sensitivity": "confidential"}, **entry}
    text = as_text(whole, f"data.outrider.manifest.{upstream}: a draft")
    parse_manifest({upstream: read_yaml(text, "the draft")})
    return text


def name_of(url: str) -> str:
    """A name for the upstream at `url`: its host's first label, or `upstream`."""
    host = (urlsplit(url).hostname or "").lower()
    label = host.partition(".")[0]
    found = _NAME.sub("-", label).strip("-_")[:64]
    return found if found and not found[0].isdigit() else "upstream"


def bearer_of(file: Path | None) -> str | None:
    """The token in `file`. Raises `ConfigError`."""
    if file is None:
        return None
    try:
        return read_secret(file).reveal().decode("ascii", "replace").strip()
    except OSError as fault:
        raise ConfigError(f"{file}: cannot be read: {fault.strerror}") from fault


def tell_unusable(listed: Listed) -> None:
    if listed.unusable:
        err.print(
            f"[yellow]note[/] {listed.unusable} tools were left out: their names cannot be called"
        )


def _recorded(config: Path | None) -> Iterator[JsonObject]:
    loaded = settings(config)
    try:
        key = read_secret(loaded.data("keys/inputs.key"))
    except OSError as fault:
        raise ConfigError(f"the key of the recorded inputs: {fault.strerror}") from fault
    directory = loaded.data(loaded.settings.audit.path) / "inputs"
    for query in islice(read_inputs(directory, key), MOST_INPUTS):
        yield as_object(orjson.loads(query))


def _write(texts: list[str], output: Path | None) -> None:
    if output is None:
        typer.echo("\n".join(texts), nl=False)
        return
    if len(texts) > 1:
        raise ConfigError(f"{len(texts)} upstreams are recorded; with --output give --name")
    write_new(output, texts[0])
    out.print(f"[bold green]written[/] {plain(str(output))}", soft_wrap=True)
