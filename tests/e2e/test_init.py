"""From a live server's URL to a sidecar that governs it, with nothing written by hand."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from outrider.app.sidecar import Sidecar
from outrider.cli.init import AGENT
from outrider.config.load import load
from tests.support.command import WIDE, Said, outrider
from tests.support.mcp_exchange import FakeUpstream, a_tool, legacy_headers, request
from tests.support.net import dialled
from tests.support.sidecar import McpUpstream
from tests.support.sidecar_mcp import call, message_of, reason_of

TOOLS = (
    a_tool("get_note", annotations={"readOnlyHint": True}),
    a_tool("send_mail", annotations={"readOnlyHint": True}),
    a_tool("add_note"),
)
FREE = {
    f"OUTRIDER_LISTENERS__{name}__ADDRESSES": '["127.0.0.1:0"]'
    for name in ("EGRESS", "CONTROL", "TELEMETRY")
} | {"OUTRIDER_POLICY__TIMEOUT_MS": "5000", "OUTRIDER_POLICY__LIST_TIMEOUT_MS": "5000"}
"""Any ports, and patience: a machine that pauses is not what these tests are about."""


def _files(room: Path) -> list[str]:
    return sorted(str(path.relative_to(room)) for path in room.rglob("*") if path.is_file())


async def _run(*words: str | Path) -> Said:
    """The command in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from outrider.cli.main import main; main()", *map(str, words)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=WIDE | {"PATH": os.environ.get("PATH", "")},
    )
    told, erred = await process.communicate()
    return Said(code=process.returncode or 0, out=told.decode(), err=erred.decode())


async def _init(room: Path, *urls: str) -> Said:
    return await _run("init", *urls, "--directory", room, "--owner", "me")


async def _refused(room: Path, *urls: str, agent: str = AGENT) -> str:
    """What is said to one that comes to nothing."""
    words: list[str | Path] = ["init", *urls, "--directory", room, "--owner", "me"]
    words += ["--agent", agent]
    said = await asyncio.to_thread(outrider, *words)
    assert (said.code, said.out) == (1, ""), said
    return said.err


async def _ask(sidecar: Sidecar, name: str, message: Any) -> Any:
    async with dialled(sidecar.egress.ports[0]) as client:
        body = orjson.dumps(message)
        fields = [f"{key}: {value}" for key, value in legacy_headers()]
        head = [f"POST /{name} HTTP/1.1", f"Host: 127.0.0.1:{sidecar.egress.ports[0]}", *fields]
        head.append(f"Content-Length: {len(body)}")
        await client.send("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        return await client.answer()


async def test_what_is_written_is_checked_and_serves(tmp_path: Path) -> None:
    async with McpUpstream(fake=FakeUpstream(*TOOLS)) as upstream:
        url = f"http://127.0.0.1:{upstream.port}/mcp"
        said = await _init(tmp_path, f"notes={url}")
        assert said.code == 0, said
        assert "notes 3 tools, 1 of them said to only read" in said.out
        assert "outrider run --config" in said.out
        assert _files(tmp_path) == [
            "outrider.yaml",
            "policy/outrider/agents/data.yaml",
            "policy/outrider/manifest/notes/data.yaml",
        ]
        file = tmp_path / "outrider.yaml"
        checked = await _run("config", "check", file)
        assert (checked.code, "1 upstream" in checked.out) == (0, True), checked
        loaded = await asyncio.to_thread(load, file, FREE)
        async with Sidecar(loaded, FREE) as sidecar:
            listed: Any = message_of(await _ask(sidecar, "notes", request("tools/list")))
            assert [tool["name"] for tool in listed["result"]["tools"]] == ["get_note"]
            assert reason_of(await _ask(sidecar, "notes", call("get_note"))) is None
            # near miss: it says that it reads, and its name says that it sends
            assert reason_of(await _ask(sidecar, "notes", call("send_mail"))) == "unrecognised"


@pytest.mark.parametrize("there", ["outrider.yaml", "policy/outrider/agents/data.yaml"])
async def test_nothing_is_overwritten(there: str, tmp_path: Path) -> None:
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("mine")
    async with McpUpstream(fake=FakeUpstream(*TOOLS)) as upstream:
        said = await _refused(tmp_path, f"http://127.0.0.1:{upstream.port}/mcp")
    assert "is there already; nothing was written" in said
    assert _files(tmp_path) == [there]


async def test_servers_of_one_host_have_names_of_their_own(tmp_path: Path) -> None:
    async with McpUpstream(fake=FakeUpstream(*TOOLS)) as one, McpUpstream() as two:
        urls = [f"http://127.0.0.1:{upstream.port}/mcp" for upstream in (one, two)]
        said = await _init(tmp_path, *urls)
    assert said.code == 0, said
    settings = yaml.safe_load((tmp_path / "outrider.yaml").read_text())
    assert list(settings["upstreams"]) == ["upstream", "upstream-2"]


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://127.0.0.1:9/mcp", "cannot be asked"),
        ("http://mcp.acme.test/", "give https"),
        ("Notes=https://mcp.acme.test/", "is no name of an upstream"),
        ("mcp", "give https"),
    ],
)
async def test_a_server_that_cannot_be_asked_leaves_nothing_behind(
    url: str, named: str, tmp_path: Path
) -> None:
    assert named in await _refused(tmp_path, url)
    assert _files(tmp_path) == []


async def test_a_name_for_two_and_an_agent_that_is_none_are_refused(tmp_path: Path) -> None:
    async with McpUpstream(fake=FakeUpstream(*TOOLS)) as upstream:
        url = f"http://127.0.0.1:{upstream.port}/mcp"
        assert "a is given twice" in await _refused(tmp_path, f"a={url}", f"a={url}")
        assert "give spiffe://" in await _refused(tmp_path, url, agent="me")
