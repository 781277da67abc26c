"""One MCP exchange between parse and answer: how it leaves and who watches what comes back."""

from dataclasses import replace
from typing import Final

from outrider.core.action import Ask
from outrider.core.errors import ObligationError, UnrecognisedError, UpstreamFailedError
from outrider.core.exchange import Headers, Outgoing, RequestHead, ResponseHead, TraceContext
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.core.ports import Edits, Inbound, Route, Watcher
from outrider.core.span_names import OTHER as _OTHER
from outrider.core.spans import Rpc
from outrider.core.vocabulary import Phase
from outrider.protocols.adapters.mcp import spec
from outrider.protocols.adapters.mcp.answers import Answering
from outrider.protocols.adapters.mcp.asks import Read, plumbing, subscribed
from outrider.protocols.adapters.mcp.edits import restricts
from outrider.protocols.adapters.mcp.headers import encode as encode_field, media_type
from outrider.protocols.adapters.mcp.lists import offer
from outrider.protocols.adapters.mcp.offered import no_such_task
from outrider.protocols.adapters.mcp.server_asks import root_ask, server_ask, shared_roots
from outrider.protocols.adapters.mcp.turn import Desk, Envelope, Heard, Turn
from outrider.protocols.adapters.mcp.watchers import (
    EmptyWatcher,
    JsonWatcher,
    LostWatcher,
    SseWatcher,
)
from outrider.protocols.wire.headers import OUR_NAME
from outrider.protocols.wire.jsonrpc import Kind, encode

SESSION_FIELD: Final = "mcp-session-id"
_JSON_FIELDS: Final[Headers] = (
    ("content-type", spec.JSON),
    ("accept", f"{spec.JSON}, {spec.SSE}"),
    ("accept-encoding", "identity"),
)
_REQUEST: Final = Kind.REQUEST
_PARENT: Final = "traceparent"
_STATE: Final = "tracestate"
_VERSIONS: Final = frozenset((*spec.LEGACY_VERSIONS, *spec.MODERN_VERSIONS))
_TASK: Final = "the task's tool"  # no capability, list or URI is spelt so
_GOES_ON: Final = spec.TASK_METHODS - {"tasks/cancel"}  # to end one is never too much
_WITH_PARTS: Final = _GOES_ON | {"initialize"}


def target_of(head: RequestHead, route: Route) -> str:
    """Where the request goes: MCP has one endpoint, so nothing may follow a configured path."""
    rest = head.path[len(route.prefix) :]
    if head.query or (rest not in {"", "/"} and (route.prefix or route.base_path)):
        raise UnrecognisedError("the MCP endpoint has no such path", status=404, cause="path")
    return (
        route.base_path + rest
        if rest not in {"", "/"} or not route.base_path
        else (route.base_path)
    )


class Call:
    """A posted request, notification or response."""

    __slots__ = (
        "__weakref__",
        "_desk",
        "_optional",
        "_read",
        "head",
        "target",
        "trace",
        "turn",
    )

    def __init__(self, *, turn: Turn, read: Read, desk: Desk, inbound: Inbound) -> None:
        self.turn = turn
        self.head = inbound.head
        self.trace = inbound.trace
        self.target = target_of(inbound.head, turn.route) or "/"
        self._read = read
        self._desk = desk
        self._optional: tuple[tuple[str, Ask], ...] = ()

    @property
    def envelope(self) -> Envelope:
        turn = self.turn
        mild = not turn.is_modern
        return Envelope(
            era=turn.era, kind=turn.kind, id=turn.id, method=turn.method, mild=mild, shown=mild
        )

    @property
    def asks(self) -> tuple[Ask, ...]:
        return self._read.asks

    @property
    def task_name(self) -> str | None:
        """The task that top-level `params._meta` names, unverified."""
        meta = self.turn.params.get("_meta")
        name = meta.get(spec.META_TASK) if isinstance(meta, dict) else None
        return name if isinstance(name, str) else None

    @property
    def runs_on(self) -> bool:
        return not self.turn.is_modern

    # --- its trace (SEP-414) ---

    def carried_trace(self) -> tuple[str | None, str | None] | None:
        """`traceparent` and `tracestate` of top-level `params._meta`, unread."""
        meta = self.turn.params.get("_meta")
        if not isinstance(meta, dict) or _PARENT not in meta:
            return None
        parent, state = meta[_PARENT], meta.get(_STATE)
        return (
            parent if isinstance(parent, str) else None,
            state if isinstance(state, str) else None,
        )

    def join(self, trace: TraceContext) -> None:
        """What leaves carries `trace`."""
        self.trace = trace

    def rpc(self) -> Rpc:
        turn, heard = self.turn, self.turn.heard
        offered = turn.params.get("protocolVersion") if turn.method == "initialize" else None
        version = turn.version if offered is None else offered
        return Rpc(
            id=turn.id,
            version=version if isinstance(version, str) and version in _VERSIONS else _OTHER,
            code=None if heard is None else heard.code,
            tool_failed=heard is not None and heard.tool_failed,
        )

    # --- what policy may take out ---

    def optional_asks(self) -> tuple[Ask, ...]:
        """Capabilities by which the server could ask the agent; URIs and lists of a listen; roots
        that are told; the tool whose task is gone on with."""
        turn = self.turn
        if not turn.is_modern and turn.method not in _WITH_PARTS and turn.answers is None:
            return ()
        found: list[tuple[str, Ask]] = []
        for capability in spec.CAPABILITY_OF.keys() & _askable(turn):
            method = spec.CAPABILITY_OF[capability]
            found.append((capability, server_ask(turn.upstream, method, None, Phase.LIST)))
        if turn.method == "subscriptions/listen":
            wanted = as_object(turn.params.get("notifications"))
            found.extend((uri, listen_ask(turn, uri)) for uri in subscribed(wanted))
            flags = spec.LIST_FLAGS.keys() & wanted.keys()
            found.extend((flag, plumbing(turn, spec.LIST_FLAGS[flag])) for flag in flags)
        for told in shared_roots(turn):
            uris = dict.fromkeys(str(root["uri"]) for root in _roots_of(told))
            found.extend((uri, root_ask(turn.upstream, uri)) for uri in uris)
        if turn.method in _GOES_ON:
            found.append((_TASK, self._tool_ask()))
        self._optional = tuple(found)
        return tuple(ask for _, ask in found)

    def allow_optional(self, verdicts: tuple[bool, ...]) -> None:
        denied = {
            name for (name, _), passes in zip(self._optional, verdicts, strict=True) if not passes
        }
        if not denied:
            return
        if _TASK in denied:
            raise no_such_task()
        for told in shared_roots(self.turn):
            told["roots"] = [root for root in _roots_of(told) if root["uri"] not in denied]
        capabilities = _capabilities(self.turn)
        for name in denied:
            capabilities.pop(name, None)
        _drop_task_requests(capabilities, denied)
        wanted = as_object(self.turn.params.get("notifications"))
        for flag in spec.LIST_FLAGS.keys() & denied:
            wanted.pop(flag, None)
        if "resourceSubscriptions" in wanted:
            wanted["resourceSubscriptions"] = [
                uri for uri in subscribed(wanted) if uri not in denied
            ]

    def _tool_ask(self) -> Ask:
        """The tool that a task is of: who may not see it any more gets nothing of its tasks."""
        turn = self.turn
        tool = self._desk.sessions.tool_of(
            subject=turn.subject, upstream=turn.upstream, handle=str(turn.params.get("taskId"))
        )
        return offer(turn, self._desk, spec.Listing.TOOLS, tool or "")

    # --- out and back ---

    def outgoing(self, edits: Edits) -> Outgoing:
        turn = self.turn
        if "task" in turn.params and restricts(edits):
            raise ObligationError("a task's result would come back past what policy asks of it")
        meta = turn.params.get("_meta")
        if isinstance(meta, dict):
            self._clean_meta(meta)
        elif meta is None and self.trace.spans is not None and turn.params:
            self._trace_meta(as_object(turn.params.setdefault("_meta", {})))
        if turn.is_modern and "requestState" in turn.params:
            self._unseal()
        return Outgoing(
            method="POST",
            target=self.target,
            headers=(*_JSON_FIELDS, *self._fields()),
            body=encode(turn.value),
        )

    def watch(self, head: ResponseHead, edits: Edits) -> Watcher:
        self.turn.lifetime_s = edits.lifetime_s
        if self.trace.spans is not None:
            self.turn.heard = Heard()
        asked = replace(self.asks[0], arguments=None)
        answering = Answering(turn=self.turn, desk=self._desk, edits=edits, asked=asked)
        return watcher_for(answering, head)

    def _fields(self) -> list[tuple[str, str]]:
        turn = self.turn
        fields = spoken_by(self.trace)
        if turn.is_modern:
            fields.append(("mcp-protocol-version", turn.version))
            fields.append(("mcp-method", turn.method))
            name = turn.params.get(spec.NAME_MEMBER.get(turn.method, ""))
            if isinstance(name, str):
                fields.append(("mcp-name", encode_field(name)))
            fields.extend(self._read.mirrored)
            return fields
        fields.extend(legacy_fields(turn))
        return fields

    def _clean_meta(self, meta: JsonObject) -> None:
        for key in [key for key in meta if key.startswith(spec.OWN_META)]:
            del meta[key]
        self._trace_meta(meta)

    def _trace_meta(self, meta: JsonObject) -> None:
        """The trace as our header has it, where the caller's stood or ours is kept; no baggage."""
        if _PARENT in meta or self.trace.spans is not None:
            meta[_PARENT] = self.trace.onward
        meta.pop(_STATE, None)
        if _PARENT in meta and self.trace.state is not None:
            meta[_STATE] = self.trace.state
        meta.pop("baggage", None)

    def _unseal(self) -> None:
        turn = self.turn
        turn.params["requestState"] = self._desk.seals.open(
            turn.params["requestState"],
            subject=turn.subject,
            upstream=turn.upstream,
            method=turn.method,
            params=turn.params,
        )


def watcher_for(answering: Answering, head: ResponseHead) -> Watcher:
    """Who watches this answer. Raises `UpstreamFailedError` for one that MCP does not know."""
    turn = answering.turn
    if (steps := answering.lost(head)) is not None:
        return LostWatcher(steps)
    answering.head_came(head)
    content, _ = media_type(head.header("content-type") or "")
    if turn.kind is not _REQUEST and turn.method != "GET":
        return _watch_told(answering, head)
    if content == spec.SSE and head.status == 200:
        return SseWatcher(answering)
    if content == spec.JSON and turn.method != "GET":
        return JsonWatcher(answering, head.status)
    raise UpstreamFailedError("the upstream's answer is neither JSON nor an event stream")


def _watch_told(answering: Answering, head: ResponseHead) -> Watcher:
    """The answer to a notification or response: accepted, without a body."""
    if head.status in {200, 202, 204}:
        return EmptyWatcher(status=202, headers=(), steps=answering.opening())
    raise UpstreamFailedError("the upstream did not take the message", status=400)


def listen_ask(turn: Turn, uri: str) -> Ask:
    ask = plumbing(turn, turn.method)
    return Ask(
        protocol=ask.protocol,
        name="resources/subscribe",
        phase=Phase.LIST,
        resource_type=spec.OFFERS[spec.Listing.RESOURCES][1],
        upstream=turn.upstream,
        resource=uri,
        arguments=None,
        effect=ask.effect,
    )


def spoken_by(trace: TraceContext) -> list[tuple[str, str]]:
    """Who speaks, in our own words, and the trace: of the caller's fields none goes on, for they
    could change what is done, and what they say would leave unjudged."""
    fields = [OUR_NAME, ("traceparent", trace.onward)]
    if trace.state:
        fields.append(("tracestate", trace.state))
    return fields


def legacy_fields(turn: Turn) -> list[tuple[str, str]]:
    names = (SESSION_FIELD, "mcp-protocol-version")
    return [(name, turn.fields[name]) for name in names if name in turn.fields]


def _capabilities(turn: Turn) -> JsonObject:
    """What the client says it can be asked, where this message says it."""
    if turn.is_modern:
        meta = as_object(turn.params.get("_meta"))
        return as_object(meta.get(spec.META_CAPABILITIES))
    return as_object(turn.params.get("capabilities")) if turn.method == "initialize" else {}


def _askable(turn: Turn) -> set[str]:
    """The capabilities this message declares, those within tasks (2025-11-25) included."""
    capabilities = _capabilities(turn)
    return {*capabilities, *_task_requests(capabilities)}


def _roots_of(answer: JsonObject) -> list[JsonObject]:
    return [as_object(root) for root in as_list(answer.get("roots"))]


def _task_requests(capabilities: JsonObject) -> JsonObject:
    return as_object(as_object(capabilities.get("tasks")).get("requests"))


def _drop_task_requests(capabilities: JsonObject, denied: set[str]) -> None:
    """A denied capability must not come in by way of tasks (2025-11-25)."""
    requests = _task_requests(capabilities)
    for name in denied:
        requests.pop(name, None)
