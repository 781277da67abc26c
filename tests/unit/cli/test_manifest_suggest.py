"""`outrider manifest suggest`: drafts that load, in which nothing is trusted yet."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from outrider.audit.inputs import InputStore
from outrider.cli.manifest_suggest import name_of
from outrider.core.manifest import parse_manifest
from outrider.core.secret import Secret
from outrider.policy.bundle import read_yaml
from tests.support.command import Said, outrider, write_settings
from tests.support.mcp_exchange import FakeUpstream, a_tool
from tests.support.sidecar import McpUpstream

API = """openapi: 3.0.3
paths:
  /people/{id}:
    get: {operationId: getPerson, parameters: [{name: id, in: path}], responses: {200: {}}}
    delete: {parameters: [{name: id, in: path}]}
"""


def read(said: Said) -> Any:
    assert said.code == 0, said
    document: Any = read_yaml(said.out, "x")
    parse_manifest({"x": document})
    return document


async def test_a_live_server_is_drafted_and_its_list_kept(tmp_path: Path) -> None:
    tools = (a_tool("get_note", annotations={"readOnlyHint": True}), a_tool("send"))
    async with McpUpstream(fake=FakeUpstream(*tools)) as upstream:
        url = f"http://127.0.0.1:{upstream.port}/mcp"
        saved = tmp_path / "list.json"
        said = await asyncio.to_thread(
            outrider, "manifest", "suggest", url, "--owner", "me", "--save-list", str(saved)
        )
    found = read(said)
    assert found["owner"] == "me"
    assert {name: entry["effect"] for name, entry in found["tools"].items()} == {
        "get_note": "read",
        "send": "execute",
    }
    assert all(entry["confirmed"] is False for entry in found["tools"].values())
    assert [tool["name"] for tool in orjson.loads(saved.read_bytes())["tools"]] == [
        "get_note",
        "send",
    ]


def test_an_api_is_drafted_into_a_new_file_only(tmp_path: Path) -> None:
    (tmp_path / "api.yaml").write_text(API)
    draft = tmp_path / "manifest" / "data.yaml"
    words = ("manifest", "suggest", "--openapi", tmp_path / "api.yaml", "-o", draft)
    assert outrider(*words).code == 0
    found: Any = read_yaml(draft.read_text(), "x")
    assert found["operations"]["GET /people/{id}"]["effect"] == "read"
    assert found["operations"]["DELETE /people/{id}"]["effect"] == "execute"
    again = outrider(*words)
    assert (again.code, "is there already" in again.err) == (1, True)


def test_recorded_traffic_is_drafted(tmp_path: Path) -> None:
    file = write_settings(tmp_path)
    key = tmp_path / "data" / "keys" / "inputs.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(b"k" * 32)
    key.chmod(0o600)
    store = InputStore(
        directory=tmp_path / "data" / "audit" / "inputs", key=Secret(b"k" * 32), limit_bytes=1 << 20
    )
    query = {
        "resource": {"type": "tool", "id": "crm/send", "properties": {"upstream": "crm"}},
        "action": {"properties": {"phase": "request", "arguments": {"to": "a@b.example"}}},
    }
    store.append("d-1", orjson.dumps(query))
    store.close()
    found = read(outrider("manifest", "suggest", "--traffic", "--config", file))
    assert found["tools"]["send"]["arguments"]["to"]["role"] == "destination"
    none = outrider("manifest", "suggest", "--traffic", "--name", "other", "--config", file)
    assert (none.code, "nothing is recorded yet" in none.err) == (1, True)


@pytest.mark.parametrize("words", [(), ("http://x/", "--traffic")], ids=["none", "two"])
def test_one_source_is_named(words: tuple[str, ...]) -> None:
    assert outrider("manifest", "suggest", *words).code == 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://crm.acme.test/mcp", "crm"),
        ("http://127.0.0.1:8080/mcp", "upstream"),
        ("http://My_Server/", "my_server"),
        ("http://[::1]/", "upstream"),
    ],
)
def test_an_upstream_is_named_after_its_host(url: str, name: str) -> None:
    assert name_of(url) == name
