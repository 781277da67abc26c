"""MCP exchanges in one process: a caller, the adapter and an upstream that answers bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from outrider.config.limit_settings import Limits
from outrider.config.upstream_settings import McpOptions
from outrider.core.action import Ask
from outrider.core.answers import Refusal
from outrider.core.errors import EnforcementError
from outrider.core.exchange import Headers, Outgoing, RequestHead, ResponseHead, TraceContext
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.manifest import Manifest, ToolEntry, UpstreamEntry, Zones
from outrider.core.ports import (
    Conversation,
    Edits,
    Emit,
    Inbound,
    Judge,
    Learn,
    Note,
    Persist,
    Refused,
    Route,
    Step,
    Watcher,
    optional_of,
    prelude_of,
)
from outrider.core.subject import Subject
from outrider.core.vocabulary import (
    ActionEffect,
    Credential,
    Impact,
    ProtocolName,
    Reason,
    Sensitivity,
)
from outrider.protocols.adapters.mcp.adapter import McpAdapter
from outrider.protocols.adapters.mcp.seal import Seals
from outrider.protocols.pins import PinTable
from outrider.protocols.sessions import SessionTable

MODERN: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"
AGENT: Final = "spiffe://acme.test/agent/one"
OTHER: Final = "spiffe://acme.test/agent/two"
BOTH: Final = "application/json, text/event-stream"
KEY: Final = b"k" * 32
Verdict = Callable[[Ask], bool]


class FixedClock:
    """A clock that stands until it is told otherwise."""

    def __init__(self, now_s: float = 1_800_000_000.0) -> None:
        self.now_s = now_s

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return self.now_s


class NoBody:
    """A body source that nobody may read."""

    async def read(self, limit_bytes: int) -> bytes:
        raise AssertionError("the adapter reads no body itself")

    def stream(self, limit_bytes: int) -> "NoBody":
        raise AssertionError("the adapter reads no body itself")

    def release(self) -> None:
        return None


def a_tool(name: str = "echo", **changes: Json) -> JsonObject:
    schema: JsonObject = {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
    }
    return {"name": name, "description": "Says it again.", "inputSchema": schema, **changes}


def an_entry(**tools: ToolEntry) -> UpstreamEntry:
    default = ToolEntry(
        effect=ActionEffect.EXECUTE,
        reversible=False,
        impact=Impact.HIGH,
        sensitivity=Sensitivity.INTERNAL,
        declared=False,
    )
    return UpstreamEntry(
        name="crm",
        owner="team-crm",
        zone="internal",
        takes_credential=False,
        tenant=None,
        default=default,
        tools=tools,
    )


def a_declared(effect: ActionEffect = ActionEffect.READ) -> ToolEntry:
    return ToolEntry(
        effect=effect, reversible=True, impact=Impact.LOW, sensitivity=Sensitivity.INTERNAL
    )


def a_subject(id_: str = AGENT) -> Subject:
    return Subject(
        id=id_,
        type="agent",
        trust_domain="acme.test",
        credential=Credential.ATTESTED_LOCAL,
        expires_unix_s=None,
        instance=None,
    )


def a_route(options: McpOptions | None = None, **changes: str) -> Route:
    return Route(
        name=changes.get("name", "crm"),
        upstream=changes.get("upstream", "crm"),
        protocol=ProtocolName.MCP,
        prefix="/mcp/crm",
        host=None,
        base_path="/mcp",
        options=options or McpOptions(),
    )


def a_head(method: str = "POST", headers: Headers = (), **changes: str) -> RequestHead:
    return RequestHead(
        method=method,
        scheme="http",
        host="127.0.0.1:15001",
        path=changes.get("path", "/mcp/crm"),
        query=changes.get("query", ""),
        headers=headers,
        has_body=method == "POST",
    )


def request(method: str, params: Json = None, id_: Json = 1) -> JsonObject:
    message: JsonObject = {"jsonrpc": "2.0", "id": id_, "method": method}
    if params is not None:
        message["params"] = params
    return message


def legacy_headers(session: str | None = None, version: str | None = LEGACY) -> Headers:
    fields = [("content-type", "application/json"), ("accept", BOTH)]
    if version is not None:
        fields.append(("mcp-protocol-version", version))
    if session is not None:
        fields.append(("mcp-session-id", session))
    return tuple(fields)


def modern(message: JsonObject, meta: JsonObject | None = None) -> JsonObject:
    """`message` with the metadata every modern request carries."""
    params = dict(as_object(message.get("params")))
    params["_meta"] = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        **(meta or {}),
    }
    return {**message, "params": params}


def modern_headers(message: JsonObject, **changes: str | None) -> Headers:
    params = as_object(message.get("params"))
    name = params.get("name", params.get("uri", params.get("taskId")))
    fields: dict[str, str | None] = {
        "content-type": "application/json",
        "accept": BOTH,
        "mcp-protocol-version": MODERN,
        "mcp-method": str(message["method"]),
        "mcp-name": name if isinstance(name, str) else None,
    }
    fields |= {key.replace("_", "-"): value for key, value in changes.items()}
    return tuple((key, value) for key, value in fields.items() if value is not None)


@dataclass
class Answered:
    """What one exchange came to."""

    status: int
    headers: dict[str, str]
    body: bytes
    sent: Outgoing | None = None
    notes: list[Note] = field(default_factory=list)
    learnt: list[Learn] = field(default_factory=list)
    stored: list[Persist] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)
    turns: int = 0
    fault: EnforcementError | None = None

    @property
    def json(self) -> JsonObject:
        return as_object(orjson.loads(self.body))

    @property
    def result(self) -> JsonObject:
        return as_object(self.json["result"])

    @property
    def code(self) -> Json:
        return as_object(self.json.get("error")).get("code")

    @property
    def messages(self) -> list[JsonObject]:
        """The data of every event of a stream."""
        blocks = self.body.decode().split("\n\n")
        lines = [line for block in blocks for line in block.split("\n")]
        return [orjson.loads(line[6:]) for line in lines if line.startswith("data: {")]

    @property
    def events(self) -> list[str]:
        return [note.event for note in self.notes]


Reply = tuple[int, Headers, Sequence[bytes]]


def replies(value: Json, **headers: str) -> Reply:
    fields = {"content-type": "application/json", **headers}
    pairs = tuple((key.replace("_", "-"), text) for key, text in fields.items())
    return 200, pairs, (orjson.dumps(value),)


def streams(*chunks: bytes) -> Reply:
    return 200, (("content-type", "text/event-stream"),), chunks


def event(value: Json, id_: str | None = None) -> bytes:
    head = b"" if id_ is None else b"id: " + id_.encode() + b"\n"
    return head + b"event: message\ndata: " + orjson.dumps(value) + b"\n\n"


class FakeUpstream:
    """An MCP server of a few tools that remembers what reached it."""

    def __init__(self, *tools: JsonObject) -> None:
        self.tools: list[JsonObject] = list(tools or (a_tool(),))
        self.received: list[Outgoing] = []
        self.answers: dict[str, Reply | Callable[[JsonObject], Reply]] = {}

    @property
    def methods(self) -> list[str]:
        """The JSON-RPC methods that reached it, the sidecar's own listings left out."""
        seen = [orjson.loads(bytes(out.body)) for out in self.received if out.body]  # type: ignore[arg-type]
        mine = [one for one in seen if not str(one.get("id")).startswith("outrider-list-")]
        return [str(one.get("method")) for one in mine]

    def take(self, outgoing: Outgoing) -> Reply:
        self.received.append(outgoing)
        if outgoing.method != "POST":
            other = self.answers.get(outgoing.method, (405, (), ()))
            return other({}) if callable(other) else other
        assert isinstance(outgoing.body, bytes)
        message = as_object(orjson.loads(outgoing.body))
        prepared = self.answers.get(str(message.get("method", "response")))
        if prepared is not None:
            return prepared(message) if callable(prepared) else prepared
        if "id" not in message or "method" not in message:
            return 202, (), ()
        result: JsonObject = {"content": [{"type": "text", "text": "done"}]}
        if message["method"] == "tools/list":
            result = {"tools": orjson.loads(orjson.dumps(self.tools))}
        if "_meta" in as_object(message.get("params")):
            result |= {"resultType": "complete"}
        return replies({"jsonrpc": "2.0", "id": message["id"], "result": result})


def allow(ask: Ask) -> bool:
    return True


class Sidecar:
    """The adapter between one caller and an upstream; verdicts come from `verdict`."""

    def __init__(
        self,
        upstream: FakeUpstream | None = None,
        *,
        verdict: Verdict = allow,
        options: McpOptions | None = None,
        manifest: Manifest | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.upstream = upstream or FakeUpstream()
        self.verdict = verdict
        self.clock = FixedClock()
        self.pins = PinTable()
        self.sessions = SessionTable()
        self.route = a_route(options)
        self.manifest = manifest or Manifest(upstreams={"crm": an_entry()}, zones=Zones())
        self.adapter = McpAdapter(
            limits=limits or Limits(),
            pins=self.pins,
            sessions=self.sessions,
            seals=Seals(key=KEY, clock=self.clock),
            clock=self.clock,
        )
        self.edits = Edits()

    def post(self, message: Json | bytes, headers: Headers | None = None, **who: str) -> Answered:
        body = message if isinstance(message, bytes) else orjson.dumps(message)
        head = a_head(headers=legacy_headers() if headers is None else headers)
        return self.exchange(head, body, subject=who.get("subject", AGENT))

    def modern(self, message: JsonObject, subject: str = AGENT, **headers: str | None) -> Answered:
        whole = message if "_meta" in as_object(message.get("params")) else modern(message)
        head = a_head(headers=modern_headers(whole, **headers))
        return self.exchange(head, orjson.dumps(whole), subject=subject)

    def open_session(self, session: str = "s-1", subject: str = AGENT) -> Answered:
        self.upstream.answers["initialize"] = lambda message: replies(
            {
                "jsonrpc": "2.0",
                "id": message["id"],
                "result": {
                    "protocolVersion": LEGACY,
                    "capabilities": {},
                    "serverInfo": {"name": "fake", "version": "1"},
                },
            },
            mcp_session_id=session,
        )
        params: JsonObject = {
            "protocolVersion": LEGACY,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        return self.post(
            request("initialize", params, 0), legacy_headers(version=None), subject=subject
        )

    def exchange(self, head: RequestHead, body: bytes | None, subject: str = AGENT) -> Answered:
        """One exchange, whole; what is refused comes back as the caller would see it."""
        answered = Answered(status=0, headers={}, body=b"")
        conversation: Conversation | None = None
        try:
            need = self.adapter.need(head, self.route)
            inbound = self.inbound(head, body if need.judged else None, subject)
            conversation = self.adapter.parse(inbound)
            if (prelude := prelude_of(conversation)) is not None:
                while (before := prelude()) is not None:
                    self.converse(before, answered)
                answered = Answered(
                    status=0, headers={}, body=b"", notes=answered.notes, stored=answered.stored
                )
                conversation = self.adapter.parse(inbound)
            self.converse(conversation, answered)
        except EnforcementError as fault:
            known = getattr(fault, "conversation", None) if conversation is None else conversation
            refused = self.refuse(fault, head, known, begun=answered.status != 0)
            answered.fault = fault
            answered.body += refused.body
            if not answered.status:
                answered.status, answered.headers = refused.status, dict(refused.headers)
        return answered

    def inbound(self, head: RequestHead, body: bytes | None, subject: str) -> Inbound:
        return Inbound(
            head=head,
            body=body,
            route=self.route,
            subject=a_subject(subject),
            manifest=self.manifest,
            source=NoBody(),  # type: ignore[arg-type]
            trace=TraceContext(trace_id="1" * 32, span_id="2" * 16, parent_id=None, sampled=True),
        )

    def refuse(
        self,
        fault: EnforcementError,
        head: RequestHead,
        conversation: Conversation | None,
        *,
        begun: bool = False,
    ) -> Refused:
        refusal = Refusal(
            reason=fault.reason,
            decision_id="d-1",
            detail=fault.detail,
            code=fault.code,
            status=fault.status,
            pointer=fault.pointer,
            allow_methods=fault.allow_methods,
        )
        return self.adapter.refuse(refusal, head, conversation, begun)

    def converse(self, conversation: Conversation, answered: Answered) -> None:
        if (offer := optional_of(conversation)) is not None:
            asks = offer.optional_asks()
            answered.asked += asks
            offer.allow_optional(tuple(self.verdict(ask) for ask in asks))
        answered.asked += conversation.asks
        if not all(self.verdict(ask) for ask in conversation.asks):
            raise DeniedError("denied by the test")
        answered.sent = conversation.outgoing(self.edits)
        status, headers, chunks = self.upstream.take(answered.sent)
        watcher = conversation.watch(ResponseHead(status=status, headers=headers), self.edits)
        self.relay(watcher, chunks, answered)

    def relay(self, watcher: Watcher, chunks: Sequence[bytes], answered: Answered) -> None:
        if watcher.streaming:
            self._head(watcher, answered)
        for chunk in chunks:
            self._carry_out(watcher.feed(chunk), answered)
        self._carry_out(watcher.end(), answered)
        self._head(watcher, answered)

    def _head(self, watcher: Watcher, answered: Answered) -> None:
        head = watcher.head()
        answered.status, answered.headers = head.status, dict(head.headers)

    def _carry_out(self, steps: list[Step], answered: Answered) -> None:
        for step in steps:
            match step:
                case Emit(data=data):
                    answered.body += data
                case Judge(asks=asks, then=then, refusal=refusal):
                    answered.asked += asks
                    answered.turns += not asks
                    verdicts = tuple(self.verdict(ask) for ask in asks)
                    self._carry_out(then(verdicts), answered)
                    if refusal and not all(verdicts):
                        raise DeniedError(refusal)
                case Persist():
                    answered.stored.append(step)
                case Note():
                    answered.notes.append(step)
                case Learn():
                    answered.learnt.append(step)


class DeniedError(EnforcementError):
    """What policy says no to."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, reason=Reason.POLICY)
