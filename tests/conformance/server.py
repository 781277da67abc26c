"""A complete MCP server for the public conformance suite, on the official SDK, both eras.

The suite calls tools, prompts and resources by fixed names and looks for fixed facts in the
answers; this module and `target_tools` beside it say those facts and nothing else. They run in
the virtual environment of ``tests.support.mcp_env.sdk_python("2.3.0")``, so they import nothing
of ours:

    python tests/conformance/server.py [--port 0]

The first line on standard output is the URL. It ends on SIGTERM, or when standard input closes.
"""

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import mcp_types as types
import uvicorn
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from target_tools import (  # beside this script: its directory is the path's first entry
    BUS,
    PNG,
    TOOLS,
    Context,
    Json,
    ToolAnswer,
    answered,
    ask_for,
    embedded,
    image,
    need,
    text,
)

NAME: Final = "outrider-conformance-target"
RETRY_MS: Final = 300
KEPT_EVENTS: Final = 4096
ASK_CONTEXT: Final = ask_for("Which context?", "context")


async def list_tools(_: Context, __: Any) -> types.ListToolsResult:
    """Every tool, in one order for ever."""
    return types.ListToolsResult(
        tools=[
            types.Tool(name=name, description=f"Conformance: {name}", input_schema=entry.schema)
            for name, entry in TOOLS.items()
        ]
    )


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    """Run the named tool."""
    entry = TOOLS.get(params.name)
    if entry is None:
        raise MCPError(types.INVALID_PARAMS, "no such tool")
    return await entry.run(ctx, params)


# --- resources -----------------------------------------------------------------------------

TEMPLATE: Final = ("test://template/", "/data")
RESOURCES: Final[Mapping[str, Json]] = {
    "test://static-text": {"mime_type": "text/plain", "text": "A static text resource."},
    "test://static-binary": {"mime_type": "image/png", "blob": PNG},
    "test://watched-resource": {"mime_type": "text/plain", "text": "A watched resource."},
}


async def list_resources(_: Context, __: Any) -> types.ListResourcesResult:
    """The direct resources."""
    return types.ListResourcesResult(
        resources=[
            types.Resource(
                uri=uri,
                name=uri.removeprefix("test://"),
                description=f"Conformance: {uri}",
                mime_type=body["mime_type"],
            )
            for uri, body in RESOURCES.items()
        ]
    )


async def list_templates(_: Context, __: Any) -> types.ListResourceTemplatesResult:
    """The one template."""
    template = types.ResourceTemplate(
        uri_template="{id}".join(TEMPLATE),
        name="template",
        description="Conformance: a template with one parameter",
        mime_type="application/json",
    )
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> Any:
    """A direct resource, or one made from the template."""
    uri = str(params.uri)
    head, tail = TEMPLATE
    if uri.startswith(head) and uri.endswith(tail):
        key = uri[len(head) : -len(tail)]
        said = json.dumps({"id": key, "templateTest": True, "data": f"Data for ID: {key}"})
        body: Json = {"mime_type": "application/json", "text": said}
    elif uri in RESOURCES:
        body = RESOURCES[uri]
    else:
        raise MCPError(types.INVALID_PARAMS, "Resource not found", {"uri": uri})
    kind = types.BlobResourceContents if "blob" in body else types.TextResourceContents
    return types.ReadResourceResult(contents=[kind(uri=uri, **body)])


async def accept(_: Context, __: Any) -> types.EmptyResult:
    """Say yes: subscriptions of the legacy wire, and its log level."""
    return types.EmptyResult()


# --- prompts, completion --------------------------------------------------------------------

PROMPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


async def list_prompts(_: Context, __: Any) -> types.ListPromptsResult:
    """Every prompt with its arguments, all required."""
    return types.ListPromptsResult(
        prompts=[
            types.Prompt(
                name=name,
                description=f"Conformance: {name}",
                arguments=[types.PromptArgument(name=arg, required=True) for arg in arguments],
            )
            for name, arguments in PROMPTS.items()
        ]
    )


async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> Any:
    """The named prompt, filled in."""
    given = params.arguments or {}
    match params.name:
        case "test_simple_prompt":
            content: list[Any] = [text("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            filled = ", ".join(f"{name}={given.get(name)!r}" for name in ("arg1", "arg2"))
            content = [text(f"Prompt with arguments: {filled}")]
        case "test_prompt_with_embedded_resource":
            uri = given.get("resourceUri", "test://example-resource")
            content = [embedded(uri, "text/plain", "Embedded."), text("Read the above.")]
        case "test_prompt_with_image":
            content = [image(), text("Look at the image above.")]
        case "test_input_required_result_prompt":
            if not answered(params, {"user_context": ASK_CONTEXT}):
                return need(user_context=ASK_CONTEXT)
            content = [text("The context is known.")]
        case _:
            raise MCPError(types.INVALID_PARAMS, "no such prompt")
    messages = [types.PromptMessage(role="user", content=item) for item in content]
    return types.GetPromptResult(messages=messages)


async def complete(_: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
    """Three ways to go on."""
    values = [params.argument.value + end for end in ("", "-a", "-b")]
    completion = types.Completion(values=values, total=len(values), has_more=False)
    return types.CompleteResult(completion=completion)


# --- the server ----------------------------------------------------------------------------


class RecentEvents(EventStore):
    """The last events of all streams, so that a client may resume."""

    def __init__(self) -> None:
        self._next = 1
        self._kept: deque[tuple[int, str, Any]] = deque(maxlen=KEPT_EVENTS)

    async def store_event(self, stream_id: str, message: Any) -> str:
        """Number the event; a number is never used again."""
        number, self._next = self._next, self._next + 1
        self._kept.append((number, stream_id, message))
        return str(number)

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> Any:
        """Send what followed on the same stream; `None` for an event we do not know."""
        kept = list(self._kept)
        stream = next((s for number, s, _ in kept if str(number) == last_event_id), None)
        if stream is None:
            return None
        for number, its_stream, message in kept:
            if its_stream == stream and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def build_server() -> Server[Any]:
    """The server, with every handler the suite asks for."""
    server: Server[Any] = Server(
        NAME,
        version="1.0.0",
        cache_hints={
            method: CacheHint(ttl_ms=1000, scope="public")
            for method in (
                "tools/list",
                "prompts/list",
                "resources/list",
                "resources/templates/list",
                "resources/read",
            )
        },
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=accept,
        on_unsubscribe_resource=accept,
        on_subscriptions_listen=ListenHandler(BUS),
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=accept,
    )
    server.middleware.append(
        RequestStateBoundary(RequestStateSecurity.ephemeral(), default_audience=NAME)
    )
    return server


async def _until_orphaned(running: uvicorn.Server) -> None:
    """Stop when whoever started us has gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    running.should_exit = True


async def _serve(listening: socket.socket) -> None:
    app = build_server().streamable_http_app(
        event_store=RecentEvents(), retry_interval=RETRY_MS, host="127.0.0.1"
    )
    config = uvicorn.Config(
        app, log_level="error", access_log=False, timeout_graceful_shutdown=1, lifespan="on"
    )
    running = uvicorn.Server(config)
    watch = asyncio.create_task(_until_orphaned(running), name="orphan-watch")
    try:
        await running.serve(sockets=[listening])
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError, OSError, ValueError):
            await watch


def main() -> None:
    """Listen, say where, serve."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=0)
    chosen = options.parse_args()
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "ERROR"))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", chosen.port))
        listening.listen(128)
        sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp\n")
        sys.stdout.flush()
        asyncio.run(_serve(listening))


if __name__ == "__main__":
    main()
