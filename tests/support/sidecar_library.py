"""A sidecar under the library that ships, with a mailbox, a vault, a memory and a web to read.

The upstream `crm` plays all four: what each tool answers is what the test laid in `said`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from outrider.config.paths import shipped_rego
from outrider.core.jsonvalue import Json, JsonObject, as_list, as_object
from tests.support.mcp_exchange import FakeUpstream, Reply, replies
from tests.support.net import dialled
from tests.support.sidecar import GuardedUpstream, McpUpstream, World, a_world
from tests.support.sidecar_mcp import call, message_of
from tests.support.sidecar_policy import AGENT, Files, an_agent

_TEXT: Final[JsonObject] = {"type": "string"}


LIBRARY: Final = str(shipped_rego())


def a_schema(*names: str) -> JsonObject:
    return {"type": "object", "properties": dict.fromkeys(names, _TEXT)}


TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "read_mail": ("id",),
    "find_person": ("name",),
    "send_mail": ("to", "body"),
    "read_secret": ("name",),
    "remember": ("key", "text"),
    "recall": ("key",),
    "fetch": ("url",),
    "summarise": ("text",),
}


def a_tool(effect: str, **more: Json) -> JsonObject:
    return {
        "effect": effect,
        "reversible": effect != "delete",
        "impact": "low",
        "sensitivity": "internal",
        **more,
    }


MANIFEST: Final[JsonObject] = {
    "owner": "team-crm",
    "destination": {"zone": "internal"},
    "default": {"effect": "execute", "sensitivity": "internal"},
    "tools": {
        "read_mail": a_tool(
            "read",
            arguments={"id": {"role": "selector"}},
            result=[{"path": "$.sender", "label": "platform", "match": "exact"}],
        ),
        "find_person": a_tool(
            "read",
            arguments={"name": {"role": "selector"}},
            result=[{"path": "$.email", "label": "record"}],
        ),
        "send_mail": a_tool(
            "send",
            arguments={"to": {"role": "destination", "type": "email"}, "body": {"role": "content"}},
        ),
        "read_secret": a_tool(
            "read",
            sensitivity="confidential",
            arguments={"name": {"role": "selector"}},
            result=[{"path": "$.value", "label": "secret"}],
        ),
        "remember": a_tool(
            "write",
            tags=["memory"],
            arguments={"key": {"role": "target"}, "text": {"role": "content"}},
        ),
        "recall": a_tool(
            "read",
            tags=["memory"],
            arguments={"key": {"role": "target"}},
            result=[{"path": "$.text", "label": "record"}],
        ),
        "fetch": a_tool("read", arguments={"url": {"role": "destination", "type": "url"}}),
        "summarise": a_tool("read", arguments={"text": {"role": "content"}}),
    },
}
GRANT: Final[JsonObject] = {
    "tools": ["crm/*"],
    "effects": ["read", "write", "send"],
    "destinations": ["127.0.0.1", "acme.test", "*.example"],
    "sensitivity": "secret",
}
INSIDER: Final = "bob@acme.test"
OUTSIDER: Final = "mallory@evil.example"


def an_overlay(**changes: Any) -> dict[str, str | bytes | JsonObject]:
    """Policy data laid over the library: one agent, one upstream, no other."""
    agent = an_agent(**GRANT)
    agent |= {"class": "internal", "escalation": "support-leads", "review_by": "2099-01-01"}
    agent["grant"] = changes.pop("grant", GRANT)
    files: dict[str, str | bytes | JsonObject] = {
        "outrider/agents/data.yaml": {AGENT: {**agent, **changes.pop("agent", {})}},
        "outrider/manifest/crm/data.yaml": changes.pop("manifest", MANIFEST),
        "outrider/templates/data.yaml": changes.pop("templates", {}),
    }
    return files | changes


@dataclass(slots=True)
class Library:
    """A world under the library, and what its tools say."""

    world: World
    said: dict[str, JsonObject] = field(default_factory=dict)

    async def ask(self, tool: str, *fields: str, **arguments: Json) -> JsonObject:
        """One call; the members of its result, or of the refusal in `decision`."""
        answer = await self.world.raw(self.world.legacy(call(tool, dict(arguments)), *fields))
        result = as_object(message_of(answer).get("result"))
        decision = as_object(as_object(result.get("_meta")).get("dev.outrider/decision"))
        return {"ok": not decision and answer.status == 200, "decision": decision, **result}

    async def passes(self, tool: str, *fields: str, **arguments: Json) -> bool:
        return bool((await self.ask(tool, *fields, **arguments))["ok"])

    async def codes(self, tool: str, *fields: str, **arguments: Json) -> set[str]:
        """The codes a call is refused for; empty where it passed, its reason where it has none."""
        asked = await self.ask(tool, *fields, **arguments)
        decision = as_object(asked["decision"])
        if asked["ok"]:
            return set()
        return {str(code) for code in as_list(decision.get("reasons"))} or {
            str(decision.get("reason"))
        }

    async def control(self, method: str, path: str, body: Json = None) -> Json:
        """A call of the control API by its operator. Anything but success is a fault."""
        sent = b"" if body is None else orjson.dumps(body)
        host = self.world.sidecar.control.addresses[0]
        token = self.world.sidecar.state.token.reveal().decode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        )
        async with dialled(int(host.rpartition(":")[2])) as client:
            await client.send(head.encode() + sent)
            answer = await client.answer()
        assert answer.status < 300, (answer.status, answer.body)
        said: Json = orjson.loads(answer.body)
        return said

    def behaviour(self) -> JsonObject:
        """What the last decision's record knows of the task."""
        return as_object(self.world.records("decision")[-1]["behaviour"])

    def answer(self, message: JsonObject) -> Reply:
        name = str(as_object(message["params"])["name"])
        value = self.said.get(name, {"done": True})
        text: JsonObject = {"type": "text", "text": orjson.dumps(value).decode()}
        result: JsonObject = {"content": [text], "structuredContent": value}
        return replies({"jsonrpc": "2.0", "id": message["id"], "result": result})


@asynccontextmanager
async def a_library(
    overlay: Files | None = None,
    *,
    settings: JsonObject | None = None,
    engine: str = "embedded",
    upstreams: Mapping[str, GuardedUpstream] | None = None,
) -> AsyncIterator[Library]:
    """A sidecar under the shipped library with `overlay` laid over it."""
    crm = McpUpstream()
    tools: list[JsonObject] = [
        {"name": name, "inputSchema": a_schema(*names)} for name, names in TOOLS.items()
    ]
    crm.fake = FakeUpstream(*tools)
    policy: JsonObject = {"path": LIBRARY, "overlay": ["policy"]}
    given: JsonObject = {**(settings or {})}
    given["policy"] = {**policy, **as_object(given.get("policy"))}
    async with a_world(
        an_overlay() if overlay is None else overlay,
        upstreams={"crm": crm, **(upstreams or {})},
        settings=given,
        engine=engine,
    ) as world:
        library = Library(world=world)
        crm.fake.answers["tools/call"] = library.answer
        yield library
