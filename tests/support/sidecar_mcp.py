"""What a test says to a sidecar's MCP route, and how it reads what comes back."""

import asyncio
from typing import Final

import orjson

from outrider.core.jsonvalue import Json, JsonObject, as_object
from tests.support.mcp_exchange import LEGACY, Reply, event, replies, request, streams
from tests.support.net import RawAnswer
from tests.support.sidecar import World

INITIALIZE: Final = request(
    "initialize",
    {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
    0,
)


def message_of(answer: RawAnswer) -> JsonObject:
    return as_object(orjson.loads(answer.body))


def code_of(answer: RawAnswer) -> Json:
    """The JSON-RPC error code of an answer, None where it has none."""
    return as_object(message_of(answer).get("error")).get("code")


def reason_of(answer: RawAnswer) -> Json:
    """The proxy's reason in an answer of any form; None where it is no refusal."""
    said = message_of(answer)
    error = as_object(as_object(said.get("error")).get("data")).get("reason")
    meta = as_object(as_object(said.get("result")).get("_meta"))
    decision = as_object(meta.get("dev.outrider/decision")).get("reason")
    return said.get("reason") or error or decision


def events_of(body: bytes) -> list[JsonObject]:
    """The data of every event of a stream."""
    return [
        as_object(orjson.loads(line[6:]))
        for line in body.decode().split("\n")
        if line.startswith("data: {")
    ]


def call(name: str = "echo", arguments: Json = None, id_: Json = 1) -> JsonObject:
    """A tools/call."""
    told: Json = {"text": "hi"} if arguments is None else arguments
    return {
        "jsonrpc": "2.0",
        "id": id_,
        "method": "tools/call",
        "params": {"name": name, "arguments": told},
    }


def result(message: JsonObject, value: JsonObject) -> JsonObject:
    """The response to `message`."""
    return {"jsonrpc": "2.0", "id": message["id"], "result": value}


def begins(session: str) -> object:
    """What an upstream answers to initialize when it gives out `session`."""

    def answer(message: JsonObject) -> Reply:
        value: JsonObject = {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "serverInfo": {"name": "fake", "version": "1"},
        }
        return replies(result(message, value), mcp_session_id=session)

    return answer


async def open_session(world: World, session: str = "s-1", *fields: str) -> str:
    """A legacy session of the caller that `fields` name."""
    world.crm.fake.answers["initialize"] = begins(session)  # type: ignore[assignment]
    answer = await world.raw(world.legacy(INITIALIZE, *fields))
    assert (answer.status, answer.field("mcp-session-id")) == (200, session), answer
    return session


def hold_answers(world: World) -> asyncio.Event:
    """Calls are answered by a stream that begins at once and ends when the event is set."""

    def held(message: JsonObject) -> Reply:
        done: JsonObject = {"content": [], "resultType": "complete"}
        return streams(b": waiting\n\n", event(result(message, done)))

    world.crm.fake.answers["tools/call"] = held
    world.crm.hold = asyncio.Event()
    return world.crm.hold
