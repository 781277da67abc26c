"""The calls of the run: what the client sends, what the upstream answers, what must be refused."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from tests.bench.figures import Case

AGENT = "spiffe://acme.test/ns/support/sa/desk"
MARK = "bench-upstream-answer"
"""A word only the upstream says: an answer without it did not come from there."""

PATHS: Mapping[Case, str] = {
    Case.MCP_READ: "/crm/mcp",
    Case.MCP_WRITE: "/crm/mcp",
    Case.HTTP: "/desk/tickets/search",
}

_FILLER = "All shelves were counted twice and the totals agree. " * 15
_MODERN = "2026-07-28"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, the same bytes on every leg."""

    path: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back, read whole."""

    status: int
    body: bytes

    @property
    def is_upstreams(self) -> bool:
        """True when the upstream itself answered with success."""
        return self.status == 200 and MARK.encode() in self.body and b'"error"' not in self.body


def mcp_call(method: str, params: dict[str, object], *, name: str | None = None) -> Call:
    """A request of the sessionless wire, with the headers that must agree with its body."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    }
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": _MODERN,
        "Mcp-Method": method,
    }
    if name is not None:
        headers["Mcp-Name"] = name
    message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}
    return Call(path=PATHS[Case.MCP_READ], body=orjson.dumps(message), headers=headers)


def tool_call(tool: str, arguments: dict[str, object]) -> Call:
    """One `tools/call`."""
    return mcp_call("tools/call", {"name": tool, "arguments": arguments}, name=tool)


def rest_call(path: str, arguments: dict[str, object]) -> Call:
    """One JSON POST."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return Call(path=path, body=orjson.dumps(arguments), headers=headers)


def _letter(to: str) -> dict[str, object]:
    return {"to": to, "subject": "Stock count", "body": _FILLER}


def allowed_call(case: Case) -> Call:
    """The call that is measured."""
    match case:
        case Case.MCP_READ:
            return tool_call("search", {"q": _FILLER, "limit": 5})
        case Case.MCP_WRITE:
            return tool_call("send_email", _letter("ines@acme.test"))
        case Case.HTTP:
            words = _FILLER + _FILLER[:159]
            return rest_call(PATHS[case], {"q": words, "status": "open", "limit": 5})


def refused_calls(case: Case) -> tuple[Call, ...]:
    """Calls a governed leg must keep from the upstream; else it does not judge what it should."""
    match case:
        case Case.MCP_READ:
            return (tool_call("drop_table", {"name": "customers"}),)
        case Case.MCP_WRITE:
            return (tool_call("send_email", _letter("eve@elsewhere.example")),)
        case Case.HTTP:
            return (
                rest_call("/desk/tickets/purge", {"q": "all"}),
                rest_call(PATHS[case], {"q": "x", "status": "sealed", "limit": 5}),
            )


def send(call: Call, *, port: int, extra: Mapping[str, str]) -> Reply:
    """Send one call by itself over a fresh connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", call.path, body=call.body, headers={**call.headers, **extra})
        answer = connection.getresponse()
        return Reply(status=answer.status, body=answer.read())
    finally:
        connection.close()


_TOOLS = [
    {
        "name": "search",
        "description": "Find customers by words.",
        "inputSchema": {
            "type": "object",
            "properties": {"q": {"type": "string"}, "limit": {"type": "integer"}},
            "required": ["q"],
            "additionalProperties": False,
        },
    },
    {
        "name": "send_email",
        "description": "Send a letter to one address.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "to": {"type": "string"},
                "subject": {"type": "string"},
                "body": {"type": "string"},
            },
            "required": ["to", "body"],
            "additionalProperties": False,
        },
    },
]


def hot_answer(case: Case) -> bytes:
    """What the upstream says to the measured call: about 900 bytes."""
    text = f"{MARK}: {_FILLER[:640]}"
    if case is Case.HTTP:
        return orjson.dumps({"tickets": [{"id": 4711, "text": text}], "next": None, "total": 1})
    result = {"resultType": "complete", "content": [{"type": "text", "text": text}]}
    return orjson.dumps({"jsonrpc": "2.0", "id": 7, "result": {**result, "isError": False}})


def slow_answer(message: Mapping[str, object]) -> bytes:
    """What the upstream says to the few other MCP requests that a proxy or a probe makes."""
    method = message.get("method")
    result: dict[str, object] = {"resultType": "complete"}
    match method:
        case "tools/list":
            result |= {"tools": _TOOLS, "ttlMs": 60_000, "cacheScope": "public"}
        case "server/discover":
            result |= {
                "supportedVersions": [_MODERN],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "bench", "version": "1"},
                "ttlMs": 60_000,
                "cacheScope": "public",
            }
        case "tools/call":
            result |= {"content": [{"type": "text", "text": MARK}], "isError": False}
        case _:
            error = {"code": -32601, "message": "no such method"}
            return orjson.dumps({"jsonrpc": "2.0", "id": message.get("id"), "error": error})
    return orjson.dumps({"jsonrpc": "2.0", "id": message.get("id"), "result": result})
