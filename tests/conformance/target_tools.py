"""The tools the suite calls by name, and what they say; loaded by `server.py` alone.

A tool that needs the client asks on the stream of its call where the wire allows it (legacy), and
by an input request where it does not (modern).
"""

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import mcp_types as types
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

PAUSE_S: Final = 0.05

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


def text(value: str) -> types.TextContent:
    """Text content."""
    return types.TextContent(type="text", text=value)


def image() -> types.ImageContent:
    """The red pixel as content."""
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


def embedded(uri: str, mime: str, value: str) -> types.EmbeddedResource:
    """A text resource as content."""
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
    said = types.SamplingMessage(role="user", content=text(prompt))
    params = types.CreateMessageRequestParams(messages=[said], max_tokens=max_tokens)
    return types.CreateMessageRequest(params=params)


def ask_for(message: str, name: str, kind: str = "string") -> types.ElicitRequest:
    """A form with one required field."""
    return _elicit(message, _object([name], **{name: {"type": kind}}))


ASK_NAME: Final = ask_for("What is your name?", "name")
ASK_OK: Final = ask_for("Please confirm", "ok", "boolean")
ASK_COLOUR: Final = ask_for("And your colour?", "color")
ASK_ROOTS: Final = types.ListRootsRequest()
EXPECTED: Final = {
    types.ElicitRequest: types.ElicitResult,
    types.CreateMessageRequest: types.CreateMessageResult,
    types.ListRootsRequest: types.ListRootsResult,
}


def need(state: str | None = None, **requests: Any) -> types.InputRequiredResult:
    """The call goes on when the client has answered these."""
    return types.InputRequiredResult(input_requests=requests or None, request_state=state)


async def _ask(ctx: Context, request: Any) -> Any:
    """Put a legacy server-to-client request on the stream of the call that caused it."""
    related = ServerMessageMetadata(related_request_id=ctx.request_id)
    return await ctx.session.send_request(request, EXPECTED[type(request)], metadata=related)


def answered(params: Any, requests: Mapping[str, Any]) -> bool:
    """Every asked question has an answer of the kind it asked for; others are ignored."""
    given: Inputs = params.input_responses or {}
    return all(isinstance(given.get(key), EXPECTED[type(ask)]) for key, ask in requests.items())


def _rounds(*rounds: Mapping[str, Any], state: bool = False) -> Tool:
    """A tool that asks each round's questions in turn and then completes."""

    async def run(_: Context, params: types.CallToolRequestParams) -> ToolAnswer:
        at = int(params.request_state or 0) if state else 0
        if answered(params, rounds[at]):
            at += 1
        if at == len(rounds):
            said = [v.model_dump(mode="json") for v in (params.input_responses or {}).values()]
            return _result(text(f"{'state-ok ' if state else ''}{json.dumps(said)}"))
        return need(str(at) if state else None, **rounds[at])

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
            return _result(text(f"{label} {said.model_dump_json(exclude_none=True)}"))
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
    return _result(text("logged three times"))


async def _with_progress(ctx: Context, _: types.CallToolRequestParams) -> ToolAnswer:
    for done in (0, 50, 100):
        await ctx.session.report_progress(done, 100)
        await asyncio.sleep(PAUSE_S if done < 100 else 0)
    return _result(text("went from 0 to 100"))


async def _reconnection(ctx: Context, _: types.CallToolRequestParams) -> ToolAnswer:
    """Hang up before answering, so that the answer must be fetched by resuming."""
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
        await asyncio.sleep(2 * PAUSE_S)
    return _result(text("answered after the stream was closed"))


async def _missing_capability(ctx: Context, _: types.CallToolRequestParams) -> ToolAnswer:
    declared = ctx.session.client_capabilities
    if declared is None or declared.sampling is None:
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            "this tool needs sampling",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return _result(text("sampling is there"))


async def _by_capability(ctx: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    declared = ctx.session.client_capabilities
    asks = {
        "elicitation": ("who", ASK_NAME),
        "sampling": ("greet", _sample("Say hello")),
        "roots": ("where", ASK_ROOTS),
    }
    wanted = dict(ask for kind, ask in asks.items() if getattr(declared, kind, None) is not None)
    return await _rounds(wanted)(ctx, params) if wanted else _result(text("nothing to ask"))


async def _echo(_: Context, params: types.CallToolRequestParams) -> ToolAnswer:
    return _result(text(json.dumps(params.arguments or {}, sort_keys=True)))


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
        return _result(text("told every listener"))

    return Entry(run=run)


ROUND: Final = "test_input_required_result_"
TOOLS: Final[Mapping[str, Entry]] = {
    "test_simple_text": _fixed(text("This is a simple text response for testing.")),
    "test_image_content": _fixed(image()),
    "test_audio_content": _fixed(types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")),
    "test_embedded_resource": _fixed(
        embedded("test://embedded-resource", "text/plain", "An embedded resource.")
    ),
    "test_multiple_content_types": _fixed(
        text("Several kinds of content:"),
        image(),
        embedded("test://mixed-content-resource", "application/json", '{"test":"data"}'),
    ),
    "test_error_handling": _fixed(text("This tool always fails, on purpose."), is_error=True),
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
