"""A live server's list, over either wire: what it says is data, and bounded."""

import asyncio
from typing import Any

import pytest

from outrider.cli import mcp_lists
from outrider.cli.mcp_lists import Listed, list_tools
from outrider.core.errors import ConfigError
from outrider.core.jsonvalue import JsonObject, as_object
from tests.support.mcp_exchange import LEGACY, FakeUpstream, Reply, a_tool, event, replies, streams
from tests.support.net import RecordingUpstream
from tests.support.sidecar import McpUpstream


async def asked(fake: FakeUpstream, **options: Any) -> tuple[Listed, McpUpstream]:
    async with McpUpstream(fake=fake) as upstream:
        url = f"http://127.0.0.1:{upstream.port}/mcp"
        return await asyncio.to_thread(list_tools, url, **options), upstream


def answer(message: JsonObject, value: JsonObject, **headers: Any) -> Reply:
    return replies({"jsonrpc": "2.0", "id": message["id"], "result": value}, **headers)


def a_legacy_server(*tools: JsonObject, version: str = LEGACY) -> FakeUpstream:
    """One that knows nothing of requests that describe themselves."""
    fake = FakeUpstream(*tools)

    def listing(message: JsonObject) -> Reply:
        if "_meta" in as_object(message.get("params")):
            error: JsonObject = {"code": -32600, "message": "no session"}
            _, headers, chunks = replies({"jsonrpc": "2.0", "id": None, "error": error})
            return 400, headers, chunks
        return answer(message, {"tools": [*fake.tools]})

    fake.answers["tools/list"] = listing
    fake.answers["initialize"] = lambda message: answer(
        message,
        {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "x"}},
        mcp_session_id="s-1",
    )
    return fake


async def test_a_server_that_describes_itself_is_asked_once() -> None:
    listed, upstream = await asked(FakeUpstream(a_tool("a"), a_tool("b")))
    assert ([tool["name"] for tool in listed.tools], listed.is_modern) == (["a", "b"], True)
    assert upstream.methods == ["tools/list"]
    assert upstream.seen[0].field("mcp-method") == "tools/list"


async def test_a_server_with_sessions_is_asked_in_one() -> None:
    listed, upstream = await asked(a_legacy_server(a_tool("a")), bearer="t0ken")
    assert (listed.version, listed.is_modern) == (LEGACY, False)
    methods = ["tools/list", "initialize", "notifications/initialized", "tools/list"]
    assert upstream.methods == methods
    last = upstream.seen[-1]
    assert (last.field("mcp-session-id"), last.field("authorization")) == ("s-1", "Bearer t0ken")


async def test_pages_and_streams_are_read_to_their_end() -> None:
    fake = FakeUpstream()

    def listing(message: JsonObject) -> Reply:
        second = as_object(message["params"]).get("cursor") == "2"
        page: JsonObject = {"tools": [a_tool("b")]}
        if not second:
            page = {"tools": [a_tool("a"), a_tool("bad name"), a_tool("a"), 7], "nextCursor": "2"}
        noise: JsonObject = {"jsonrpc": "2.0", "method": "notifications/message"}
        done: JsonObject = {"jsonrpc": "2.0", "id": message["id"], "result": page}
        return streams(b": hello\n\n", event(noise), event(done))

    fake.answers["tools/list"] = listing
    listed, _ = await asked(fake)
    assert [tool["name"] for tool in listed.tools] == ["a", "b"]
    assert listed.unusable == 3


@pytest.mark.parametrize(
    ("value", "named"),
    [
        pytest.param({"tools": [], "nextCursor": "x"}, "more than 3 pages", id="without-end"),
        pytest.param({"tools": [a_tool("a"), a_tool("b")]}, "more than 1 tools", id="too-many"),
    ],
)
async def test_a_list_is_bounded(
    value: JsonObject, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_lists, "MOST_PAGES", 3)
    monkeypatch.setattr(mcp_lists, "MOST_TOOLS", 1)
    fake = FakeUpstream()
    fake.answers["tools/list"] = lambda message: answer(message, value)
    with pytest.raises(ConfigError, match=named):
        await asked(fake)


@pytest.mark.parametrize(
    ("fake", "named"),
    [
        pytest.param(a_legacy_server(version="1999-01-01"), "it speaks 1999-01-01", id="version"),
        pytest.param(a_legacy_server(version="\u202e"), "it speaks \ufffd", id="not-printed"),
    ],
)
async def test_a_server_we_cannot_speak_to_is_named(fake: FakeUpstream, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        await asked(fake)


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", "initialize: it answers 503"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
            "not usable as JSON",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length:4\r\n\r\n: \n\n",
            "its stream ended without an answer",
        ),
        (b"nonsense\r\n\r\n", "cannot be asked"),
    ],
)
async def test_what_is_no_list_is_refused_in_words(raw: bytes, named: str) -> None:
    async with RecordingUpstream(answers=(raw,)) as upstream:
        url = f"http://127.0.0.1:{upstream.port}/mcp"
        with pytest.raises(ConfigError, match=named):
            await asyncio.to_thread(list_tools, url)


@pytest.mark.parametrize("url", ["mcp", "ftp://a/b", "http://", "http://me@host/"])
def test_only_an_address_of_a_server_is_asked(url: str) -> None:
    with pytest.raises(ConfigError, match="is no URL of a server"):
        list_tools(url)
