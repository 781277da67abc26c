"""The texts that `outrider init` writes; that they serve is held by tests/e2e/test_init.py."""

from typing import Any

import pytest
import yaml

from outrider.cli.init import AGENT, Server, texts
from outrider.cli.mcp_lists import Listed
from outrider.core.grant import parse_grant
from outrider.core.manifest import parse_manifest
from outrider.policy.bundle import read_yaml
from outrider.policy.ownership import lacking

TOOLS: Any = (
    {"name": "get_note", "annotations": {"readOnlyHint": True}},
    {"name": "add_note", "inputSchema": {"properties": {"to": {"type": "string"}}}},
)


def a_server(
    name: str = "notes", url: str = "https://notes.acme.test/mcp", **changes: Any
) -> Server:
    listed = Listed(version="2026-07-28", tools=TOOLS, unusable=0)
    fields: dict[str, Any] = {"name": name, "url": url, "listed": listed, "networks": ()}
    return Server(**fields | changes)


def test_what_is_written_is_whole_and_grants_reading_alone() -> None:
    servers = [a_server(), a_server("local", "http://127.0.0.1:1/x", networks=("127.0.0.1/32",))]
    files = texts(servers, agent=AGENT, owner="me")
    data = {name: read_yaml(text, name) for name, text in files.items()}
    manifest: Any = {
        name: data[f"policy/outrider/manifest/{name}/data.yaml"] for name in ("notes", "local")
    }
    agents: Any = data["policy/outrider/agents/data.yaml"]
    assert lacking({"manifest": manifest, "agents": agents}) == ()
    parse_manifest(manifest)
    grant = parse_grant(agents[AGENT]["grant"], "grant")
    assert (grant.tools, grant.destinations) == (
        ("notes/*", "local/*"),
        ("notes.acme.test", "127.0.0.1"),
    )
    assert [effect.value for effect in grant.effects] == ["read"]
    settings = yaml.safe_load(files["outrider.yaml"])
    assert settings["profile"] == "development"
    assert settings["upstreams"] == {
        "notes": {"url": "https://notes.acme.test/mcp", "protocol": "mcp", "prefix": "/notes"},
        "local": {
            "url": "http://127.0.0.1:1/x",
            "protocol": "mcp",
            "prefix": "/local",
            "networks": ["127.0.0.1/32"],
        },
    }


@pytest.mark.parametrize("owner", ["a: b", "#x", '"', "yes", "\u202eme"])
def test_whatever_the_owner_is_called_stays_data(owner: str) -> None:
    files = texts([a_server()], agent=AGENT, owner=owner)
    found: Any = read_yaml(files["policy/outrider/manifest/notes/data.yaml"], "x")
    agents: Any = read_yaml(files["policy/outrider/agents/data.yaml"], "x")
    assert (found["owner"], agents[AGENT]["sponsor"]) == (owner, owner)


def test_only_what_says_so_is_told_to_read() -> None:
    assert a_server().reads == 1
