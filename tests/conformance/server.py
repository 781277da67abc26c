"""A complete MCP server for the public conformance suite, on the official SDK, both eras.

The suite calls tools, prompts and resources by fixed names and looks for fixed facts in the
answers; this module says those facts and nothing else. It runs in the virtual environment of
``tests.support.mcp_env.sdk_python("2.3.0")``, so it imports nothing of ours:

    python tests/conformance/server.py [--port 0]

The first line on standard output is the URL. It ends on SIGTERM, or when standard input closes.
"""

import argparse
import asyncio
import base64
import json
import logging
import os
import socket
import struct
import sys
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import mcp_types as types
import uvicorn
from mcp.server.caching import CacheHint
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    PromptsListChanged,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

NAME: Final = "outrider-conformance-target"
PAUSE_S: Final = 0.05
RETRY_MS: Final = 300
KEPT_EVENTS: Final = 4096

Context = Any
Inputs = Mapping[str, Any]
ToolAnswer = types.CallToolResult | types.InputRequiredResult
Tool = Callable[[Context, types.CallToolRequestParams], Awaitable[ToolAnswer]]
Json = dict[str, Any]

NOTHING: Final[Json] = {"type": "object", "properties": {}}


# --- content -------------------------------------------------------------------------------


def _png() -> str:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\x00\xff\x00\x00"))
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")).decode()


def _wav() -> str:
    """Eight silent samples, mono, 8 kHz, 8 bits."""
    samples = b"\x80" * 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    data = struct.pack("<4sI", b"data", len(samples)) + samples
    riff = struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE")
    return base64.b64encode(riff + form + data).decode()


PNG: Final = _png()
WAV: Final = _wav()


def _text(value: str) -> types.TextContent:
    return types.TextContent(type="text", text=value)


def _image() -> types.ImageContent:
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def _embedded(uri: str, mime: str, value: str) -> types.EmbeddedResource:
    inner = types.TextResourceContents(uri=uri, mime_type=mime, text=value)
    return types.EmbeddedResource(type="resource", resource=inner)


def _result(*content: Any, is_error: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=list(content), is_error=is_error)


# --- asking the client: legacy requests, modern input requests ------------------------------


def _object(required: list[str] | None = None, **properties: Json) -> Json:
    schema: Json = {"type": "object", "properties": properties}
    return schema | ({"required": required} if required else {})


def _elicit(message: str, schema: Json) -> types.ElicitRequest:
    params = types.ElicitRequestFormParams(message=message, requested_schema=schema)
    return types.ElicitRequest(params=params)


def _sample(prompt: str, max_tokens: int = 100) -> types.CreateMessageRequest:
    said = types.SamplingMessage(role="user", content=_text(prompt))
    params = types.CreateMessageRequestParams(messages=[said], max_tokens=max_tokens)
    return types.CreateMessageRequest(params=params)


ASK_NAME: Final = _elicit("What is your name?", _object(["name"], name={"type": "string"}))
ASK_OK: Final = _elicit("Please confirm", _object(["ok"], ok={"type": "boolean"}))
ASK_COLOUR: Final = _elicit("And your colour?", _object(["color"], color={"type": "string"}))
ASK_CONTEXT: Final = _elicit("Which context?", _object(["context"], context={"type": "string"}))
ASK_ROOTS: Final = types.ListRootsRequest()
EXPECTED: Final = {
    types.ElicitRequest: types.ElicitResult,
    types.CreateMessageRequest: types.CreateMessageResult,
    types.ListRootsRequest: types.ListRootsResult,
}


def _need(state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests=requests or None, request_state=state)


async def _ask(ctx: Context, request: Any) -> Any:
    """Put a legacy server-to-client request on the stream of the call that caused it."""
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    return await ctx.session.send_request(request, EXPECTED[type(request)], metadata=related)


def _answered(params: Any, requests: Mapping[str, Any]) -> bool:
    """Every asked question has an answer of the kind it asked for; others are ignored."""
    given: Inputs = params.input_responses or {}
    return all(isinstance(given.get(key), EXPECTED[type(ask)]) for key, ask in requests.items())


def _rounds(*rounds: Mapping[str, Any], state: bool = False) -> Tool:
    """A tool that asks each round's questions in turn and then completes."""

    async def run(_: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        at = int(params.request_state or 0) if state else 0
        if _answered(params, rounds[at]):
            at += 1
        if at == len(rounds):
            said = [v.model_dump(mode="json") for v in (params.input_responses or {}).values()]
            return _result(_text(f"{'state-ok ' if state else ''}{json.dumps(said)}"))
        return _need(str(at) if state else None, **rounds[at])

    return run


# --- tools ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One advertised tool and what it does."""

    run: Tool
    schema: Json = field(default_factory=lambda: NOTHING)


def _fixed(*content: Any, is_error: bool = False) -> Entry:
    async def run(_: Context, __: types.CallToolRequestParams) -> ToolAnswer:
        return _result(*content, is_error=is_error)

    return Entry(run=run)


def _asking(build: Callable[[Json], Any], label: str, **arguments: Json) -> Entry:
    """A tool that asks the client once: on the stream where it can, by input request else."""

    async def run(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        request = build(params.arguments or {})
        if ctx.session.can_send_request:
            said = await _ask(ctx, request)
            return _result(_text(f"{label} {said.model_dump_json(exclude_none=True)}"))
        return await _rounds({"asked": request})(ctx, params)

    return Entry(run=run, schema=_object(list(arguments), **arguments))


async def _log(ctx: Context, message: str) -> None:
    await ctx.session.send_log_message("info", message, related_request_id=ctx.request_id)


async def _with_logging(ctx: Context, _: types.CallToolRequestParams) -> ToolAnswer:
    await _log(ctx, "Tool execution started")
    await asyncio.sleep(PAUSE_S)
    await _log(ctx, "Tool processing data")
    await asyncio.sleep(PAUSE_S)
    await _log(ctx, "Tool execution completed")
    return _result(_text("logged three times"))


async def _with_progress(ctx: Context, _: types.CallToolRequestParams) -> ToolAnswer:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
        await asyncio.sleep(PAUSE_S if done < 100 else 0)
    return _result(_text("went from 0 to 100"))


async def _reconnection(ctx: Context, _: types.CallToolRequestParams) -> ToolAnswer:
    """Hang up before answering, so that the answer must be fetched by resuming."""
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
        await asyncio.sleep(2 * PAUSE_S)
    return _result(_text("answered after the stream was closed"))


async def _missing_capability(ctx: Context, _: types.CallToolRequestParams) -> ToolAnswer:
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            "this tool needs sampling",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return _result(_text("sampling is there"))


async def _by_capability(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    declared = ctx.session.client_capabilities
    asks = {
        "elicitation": ("who", ASK_NAME),
        "sampling": ("greet", _sample("Say hello")),
        "roots": ("where", ASK_ROOTS),
    }
    wanted = dict(ask for kind, ask in asks.items() if getattr(declared, kind, None) is not None)
    return await _rounds(wanted)(ctx, params) if wanted else _result(_text("nothing to ask"))


async def _echo(_: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    return _result(_text(json.dumps(params.arguments or {}, sort_keys=True)))


DEFAULTS: Final = _object(
    name={"type": "string", "default": "John Doe"},
    age={"type": "integer", "default": 30},
    score={"type": "number", "default": 95.5},
    status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    verified={"type": "boolean", "default": True},
)
PLAIN: Final = ["option1", "option2", "option3"]
TITLED: Final = [
    {"const": "value1", "title": "First"},
    {"const": "value2", "title": "Second"},
    {"const": "value3", "title": "Third"},
]
ENUMS: Final = _object(
    untitledSingle={"type": "string", "enum": PLAIN},
    titledSingle={"type": "string", "oneOf": TITLED},
    legacyEnum={
        "type": "string",
        "enum": ["opt1", "opt2", "opt3"],
        "enumNames": ["One", "Two", "Three"],
    },
    untitledMulti={"type": "array", "items": {"type": "string", "enum": PLAIN}},
    titledMulti={"type": "array", "items": {"anyOf": TITLED}},
)
PERSON: Final = _object(
    ["username", "email"], username={"type": "string"}, email={"type": "string"}
)
WIDE_SCHEMA: Final[Json] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}
CUSTOM_HEADERS: Final = _object(region={"type": "string", "x-mcp-header": "Region"})

BUS: Final = InMemorySubscriptionBus()


def _publishing(event: Any) -> Entry:
    async def run(_: Context, __: types.CallToolRequestParams) -> ToolAnswer:
        await BUS.publish(event)
        return _result(_text("told every listener"))

    return Entry(run=run)


ROUND: Final = "test_input_required_result_"
TOOLS: Final[Mapping[str, Entry]] = {
    "test_simple_text": _fixed(_text("This is a simple text response for testing.")),
    "test_image_content": _fixed(_image()),
    "test_audio_content": _fixed(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")),
    "test_embedded_resource": _fixed(
        _embedded("test://embedded-resource", "text/plain", "An embedded resource.")
    ),
    "test_multiple_content_types": _fixed(
        _text("Several kinds of content:"),
        _image(),
        _embedded("test://mixed-content-resource", "application/json", '{"test":"data"}'),
    ),
    "test_error_handling": _fixed(_text("This tool always fails, on purpose."), is_error=True),
    "test_tool_with_logging": Entry(run=_with_logging),
    "test_logging_tool": Entry(run=_with_logging),
    "test_tool_with_progress": Entry(run=_with_progress),
    "test_reconnection": Entry(run=_reconnection),
    "test_sampling": _asking(
        lambda given: _sample(str(given.get("prompt", ""))),
        "LLM response:",
        prompt={"type": "string"},
    ),
    "test_elicitation": _asking(
        lambda given: _elicit(str(given.get("message", "")), PERSON),
        "User response:",
        message={"type": "string"},
    ),
    "test_elicitation_sep1034_defaults": _asking(
        lambda _: _elicit("Please check the defaults", DEFAULTS), "Elicitation completed:"
    ),
    "test_elicitation_sep1330_enums": _asking(
        lambda _: _elicit("Please choose", ENUMS), "Elicitation completed:"
    ),
    "test_streaming_elicitation": _asking(lambda _: ASK_NAME, "User response:"),
    "json_schema_2020_12_tool": Entry(run=_echo, schema=WIDE_SCHEMA),
    "test_custom_headers": Entry(run=_echo, schema=CUSTOM_HEADERS),
    "test_missing_capability": Entry(run=_missing_capability),
    "test_trigger_tool_change": _publishing(ToolsListChanged()),
    "test_trigger_prompt_change": _publishing(PromptsListChanged()),
    f"{ROUND}elicitation": Entry(run=_rounds({"user_name": ASK_NAME})),
    f"{ROUND}sampling": Entry(run=_rounds({"capital_question": _sample("Capital of France?")})),
    f"{ROUND}list_roots": Entry(run=_rounds({"client_roots": ASK_ROOTS})),
    f"{ROUND}request_state": Entry(run=_rounds({"confirm": ASK_OK}, state=True)),
    f"{ROUND}tampered_state": Entry(run=_rounds({"confirm": ASK_OK}, state=True)),
    f"{ROUND}multiple_inputs": Entry(
        run=_rounds(
            {
                "user_name": ASK_NAME,
                "greeting": _sample("Greet somebody", 50),
                "client_roots": ASK_ROOTS,
            },
            state=True,
        )
    ),
    f"{ROUND}multi_round": Entry(
        run=_rounds({"step1": ASK_NAME}, {"step2": ASK_COLOUR}, state=True)
    ),
    f"{ROUND}capabilities": Entry(run=_by_capability),
}


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
            content: list[Any] = [_text("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            filled = ", ".join(f"{name}={given.get(name)!r}" for name in ("arg1", "arg2"))
            content = [_text(f"Prompt with arguments: {filled}")]
        case "test_prompt_with_embedded_resource":
            uri = given.get("resourceUri", "test://example-resource")
            content = [_embedded(uri, "text/plain", "Embedded."), _text("Read the above.")]
        case "test_prompt_with_image":
            content = [_image(), _text("Look at the image above.")]
        case "test_input_required_result_prompt":
            if not _answered(params, {"user_context": ASK_CONTEXT}):
                return _need(user_context=ASK_CONTEXT)
            content = [_text("The context is known.")]
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
