"""`outrider init`: from the URLs of live MCP servers to a sidecar that governs them.

Laws: everything is asked and checked before anything is written; nothing is overwritten; what is
granted is reading, and what nobody confirmed is granted to no sidecar in production.
"""

import asyncio
import logging
import os
import pwd
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import orjson
import typer

from outrider.app.policy import rehearse
from outrider.cli.common import err, faults_in_words, out, plain
from outrider.cli.files import write_new
from outrider.cli.manifest_suggest import (
    CaOption,
    TokenOption,
    bearer_of,
    drafted,
    name_of,
    tell_unusable,
)
from outrider.cli.mcp_lists import Listed, addresses_of, is_reachable_plainly, list_tools
from outrider.config.load import environment, load
from outrider.core.clock import SystemClock
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.policy.manifest_draft import from_tools

app = typer.Typer(help="Ask live MCP servers, and write settings, a manifest draft and a grant.")

AGENT: Final = "spiffe://outrider.internal/agent"
MOST_SERVERS: Final = 32
_REVIEW: Final = timedelta(days=90)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SPIFFE_ID: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}/[A-Za-z0-9._/-]{1,1024}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server that was asked."""

    name: str
    url: str
    listed: Listed
    networks: tuple[str, ...]

    @property
    def reads(self) -> int:
        entries = map(as_object, from_tools(self.listed.tools).values())
        return sum(entry.get("effect") == "read" for entry in entries)


@app.command()
def init(
    urls: Annotated[
        list[str], typer.Argument(metavar="URL…", help="URL of an MCP server, or NAME=URL.")
    ],
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Where to write.")] = Path(),
    agent: Annotated[str, typer.Option(help="The agent's SPIFFE ID.")] = AGENT,
    owner: Annotated[
        str | None, typer.Option(help="Who answers for all of it (default: your login name).")
    ] = None,
    token_file: TokenOption = None,
    ca_file: CaOption = None,
) -> None:
    """Ask each server for its tools, then write settings, a manifest draft and a standing grant.

    The grant is to read. What reads is guessed from the servers' own hints, so every guess is
    marked and counts as execute in the production profile until somebody confirms it.
    """
    with faults_in_words(code=1):
        if not _SPIFFE_ID.fullmatch(agent):
            raise ConfigError(f"--agent {agent}: give spiffe://<trust domain>/<path>")
        servers = _asked(urls, bearer_of(token_file), ca_file)
        answers_for = owner or pwd.getpwuid(os.getuid()).pw_name
        files = texts(servers, agent=agent, owner=answers_for, ca_file=ca_file)
        _write(directory, files)
        _try(directory / "outrider.yaml")
    _tell(servers, directory)


def _asked(urls: Sequence[str], bearer: str | None, ca_file: Path | None) -> list[Server]:
    if len(urls) > MOST_SERVERS:
        raise ConfigError(f"more than {MOST_SERVERS} servers at once")
    found: dict[str, Server] = {}
    for given in urls:
        named, equals, rest = given.partition("=")
        has_name = bool(equals) and "/" not in named
        url = rest if has_name else given
        name = _free(named if has_name else name_of(url), found, chosen=has_name)
        if not is_reachable_plainly(url):
            raise ConfigError(f"{url}: give https; only a server on this machine is asked plainly")
        listed = list_tools(url, bearer=bearer, ca_file=ca_file)
        tell_unusable(listed)
        found[name] = Server(name=name, url=url, listed=listed, networks=_networks(url))
    return list(found.values())


def _free(name: str, taken: dict[str, Server], *, chosen: bool) -> str:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of an upstream; give {_NAME.pattern}")
    if name not in taken:
        return name
    if chosen:
        raise ConfigError(f"{name} is given twice; give each server a name of its own: NAME=URL")
    return next(one for number in range(2, 100) if (one := f"{name}-{number}") not in taken)


def _networks(url: str) -> tuple[str, ...]:
    """What the sidecar must be told it may reach, beyond public addresses."""
    found = [ip_address(address.partition("%")[0]) for address in addresses_of(url)]
    return tuple(f"{one}/{one.max_prefixlen}" for one in found if not one.is_global)


# --- what is written ------------------------------------------------------------------------


def texts(
    servers: Sequence[Server], *, agent: str, owner: str, ca_file: Path | None = None
) -> dict[str, str]:
    """Every file by its place below the directory."""
    files = {
        f"policy/outrider/manifest/{one.name}/data.yaml": drafted(
            one.name, {"tools": from_tools(one.listed.tools)}, owner, **_review(owner)
        )
        for one in servers
    }
    files["policy/outrider/agents/data.yaml"] = _agents(servers, agent, owner)
    files["outrider.yaml"] = _settings(servers, agent, ca_file)
    return files


def _review(owner: str) -> dict[str, str]:
    due = datetime.fromtimestamp(SystemClock().unix_s(), UTC) + _REVIEW
    return {"escalation": owner, "review_by": due.date().isoformat()}


def _agents(servers: Sequence[Server], agent: str, owner: str) -> str:
    grant: JsonObject = {
        "tools": [f"{one.name}/*" for one in servers],
        "effects": ["read"],
        "destinations": list(dict.fromkeys(_host(one.url) for one in servers)),
        "sensitivity": "confidential",
    }
    entry: JsonObject = {
        "owner": owner,
        "sponsor": owner,
        **_review(owner),
        "class": "internal",
        "tier": "standard",
        "environment": "dev",
        "status": "active",
        "purpose": "say here what this agent is for",
        "grant": grant,
    }
    lines = [
        "# data.outrider.agents: who may do what at most, where no task is named.",
        "# To let it do more than read, confirm what a tool does, then add its effect here.",
        f"{_said(agent)}:",
    ]
    lines += [f"  {key}: {_said(value)}" for key, value in entry.items() if key != "grant"]
    lines += ["  grant:", *(f"    {key}: {_said(value)}" for key, value in grant.items())]
    return "\n".join(lines) + "\n"


def _settings(servers: Sequence[Server], agent: str, ca_file: Path | None) -> str:
    lines = [
        "# `outrider config schema` says what else there is; `outrider config show` what is set.",
        "profile: development",
        "environment: dev",
        "data_dir: data",
        f"identity: {{spiffe_id: {_said(agent)}}}",
        "policy: {overlay: [policy]}",
        "audit: {inputs: store}",
        "upstreams:",
    ]
    for one in servers:
        lines += [
            f"  {_said(one.name)}:",
            f"    url: {_said(one.url)}",
            "    protocol: mcp",
            f"    prefix: {_said('/' + one.name)}",
        ]
        lines += [f"    networks: {_said([*one.networks])}"] if one.networks else []
        if ca_file is not None and urlsplit(one.url).scheme == "https":
            lines.append(f"    ca_file: {_said(str(ca_file.resolve()))}")
    return "\n".join(lines) + "\n"


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _said(value: Json) -> str:
    """A value as JSON, which is YAML."""
    return orjson.dumps(value).decode()


def _write(directory: Path, files: dict[str, str]) -> None:
    for name in files:  # all or none
        if (directory / name).exists():
            raise ConfigError(f"{directory / name} is there already; nothing was written")
    for name, text in files.items():
        write_new(directory / name, text)


def _try(file: Path) -> None:
    """What was written must start. Raises `ConfigError`."""
    # A refusal is told by us alone: the keeper's log would say it again.
    logging.getLogger("outrider").addHandler(logging.NullHandler())
    loaded = load(file, environment())
    asyncio.run(rehearse(loaded))


def _tell(servers: Sequence[Server], directory: Path) -> None:
    where = plain(str(directory))
    for one in servers:
        count = len(one.listed.tools)
        out.print(
            f"[bold green]{plain(one.name)}[/] {count} tools, {one.reads} of them said to only "
            f"read; the agent asks http://127.0.0.1:15001/{plain(one.name)} instead of "
            f"{plain(one.url)}",
            soft_wrap=True,
        )
    out.print(f"[bold]written[/] {where}/outrider.yaml, {where}/policy/", soft_wrap=True)
    for number, line in enumerate(_next(where), start=1):
        out.print(f"  {number}. {line}", soft_wrap=True)
    if not any(one.reads for one in servers):
        err.print(
            "[yellow]note[/] no tool says of itself that it only reads, so nothing is granted yet: "
            "begin with 2"
        )


def _next(where: str) -> tuple[str, ...]:
    manifest, agents = f"{where}/policy/outrider/manifest", f"{where}/policy/outrider/agents"
    look = "what does each tool do, what is each argument for?"
    return (
        f"start it: outrider run --config {where}/outrider.yaml",
        f"look at {manifest}: {look} delete `confirmed: false` where the guess is right",
        f"see what is left: outrider manifest lint --overlay {where}/policy",
        f"grant more in {agents}, then see with the same command what flows where",
    )
