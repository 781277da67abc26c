"""What the spans of an exchange are called and what they say (OPERATIONS §8).

Law: our own words, names of our settings and of the manifest, and numbers; a name that a caller
may choose is `other`, and nothing of a body, a header or a URL is ever said, save the id of a
request, cut to some printable characters, and the origin of a declared resource, likewise.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from outrider.core import span_names as names
from outrider.core.action import Ask
from outrider.core.ports import Conversation, traced_of
from outrider.core.spans import Place, Rpc, Span, Spans, Value
from outrider.core.vocabulary import OUTCOME_OF, Outcome, ProtocolName, Reason, ResourceType
from outrider.pipeline.passage import Passage

_TOOL_CALL: Final = "tools/call"
_FAILED_STATUS: Final = 400
_CANCELLED: Final = "cancelled"
_TOLD_CHARS: Final = 64
"""Characters of a request's id, or of an origin, that are said."""
_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]")


@contextmanager
def stepped(spans: Spans, name: str) -> Iterator[Span]:
    """A step inside; whatever is raised out of it is its fault, by the name of its class."""
    span = spans.begin(name)
    try:
        yield span
    except BaseException as fault:
        span.end(type(fault).__name__ if isinstance(fault, Exception) else _CANCELLED)
        raise
    span.end()


def begun_client(passage: Passage, spans: Spans, places: Mapping[str, Place]) -> Span:
    """The request to the upstream, from now on; `places` are those of the upstreams."""
    span = spans.begin_client(_name(passage))
    span.attributes[names.NETWORK_TRANSPORT] = "tcp"
    route = passage.route
    if route is not None:
        span.attributes[names.UPSTREAM] = route.upstream
        place = places.get(route.upstream)
        if place is not None:
            span.attributes[names.SERVER_ADDRESS] = place.address
            span.attributes[names.SERVER_PORT] = place.port
    span.attributes.update(_asked(passage))
    return span


def rpc_of(conversation: Conversation | None) -> Rpc | None:
    """What `conversation` tells of itself, where it is one of JSON-RPC."""
    traced = traced_of(conversation) if conversation is not None else None
    return traced.rpc() if traced is not None else None


def ended_client(
    span: Span, status: int | None, reason: Reason | None, rpc: Rpc | None = None
) -> None:
    """The answer of the upstream was seen to its end, or it was given up."""
    fault = reason.value if reason is not None else _failed(rpc)
    said = _said(rpc)
    if status is not None:
        said[names.HTTP_STATUS] = status
        if fault is None and status >= _FAILED_STATUS:
            fault = str(status)
    span.end(fault, said)


def closed(passage: Passage, spans: Spans, *, aborted: bool) -> None:
    """The exchange is over: its span gets its name, and the tree is handed over."""
    exchange, root, reason = passage.exchange, spans.root, passage.reason
    rpc = rpc_of(passage.conversation)
    outcome = Outcome.ABORTED if aborted else Outcome.ALLOWED
    if reason is not None:
        outcome = OUTCOME_OF[reason]
        root.fault = reason.value
    elif aborted:
        root.fault = _CANCELLED
    else:
        root.fault = _failed(rpc)
    root.name = _name(passage)
    root.attributes |= {
        names.EXCHANGE_ID: exchange.id,
        names.DIRECTION: exchange.direction.value,
        names.OUTCOME: outcome.value,
        names.NETWORK_TRANSPORT: "pipe" if exchange.peer.transport == "unix" else "tcp",
    }
    if passage.route is not None:
        root.attributes[names.UPSTREAM] = passage.route.upstream
    root.attributes |= _asked(passage) | _said(rpc)
    spans.close()


def _name(passage: Passage) -> str:
    """As the conventions have it: method and tool for MCP, else the method alone."""
    asked = _asked(passage)
    method = asked.get(names.MCP_METHOD)
    if method is None:
        return str(asked.get(names.HTTP_METHOD, names.OTHER))
    tool = asked.get(names.TOOL)
    return f"{method} {tool}" if tool is not None else str(method)


def _asked(passage: Passage) -> dict[str, Value]:
    """What was asked for, as far as it is one of our words."""
    if passage.protocol is not ProtocolName.MCP:
        method = passage.head.method
        return {names.HTTP_METHOD: method if method in _METHODS else "_OTHER"}
    leg, said = passage.leg, dict[str, Value]()
    ask = leg.actions[0].ask if leg is not None and leg.actions else None
    if ask is None:
        return {names.MCP_METHOD: names.OTHER}
    said[names.MCP_METHOD] = ask.name
    if ask.name == _TOOL_CALL:
        said[names.OPERATION] = names.EXECUTE_TOOL
        declared = leg is not None and leg.actions[0].declared
        said[names.TOOL] = ask.resource if declared else names.OTHER
    elif ask.resource_type is ResourceType.RESOURCE:
        declared = leg is not None and leg.actions[0].declared
        said[names.RESOURCE_URI] = origin_told(ask) if declared else names.OTHER
    return said


def origin_told(ask: Ask) -> str:
    """Where a resource's URI points, as records have it, without their digest of the rest."""
    return _told(ask.shown_id[len(ask.upstream) + 1 :].rpartition("#")[0])


def _said(rpc: Rpc | None) -> dict[str, Value]:
    """What is said of a message and of its answer; the code as the conventions have it, as text."""
    if rpc is None:
        return {}
    said: dict[str, Value] = {names.MCP_VERSION: rpc.version}
    if rpc.id is not None:
        said[names.JSONRPC_ID] = _told(str(rpc.id))
    if rpc.code is not None:
        said[names.RPC_STATUS] = str(rpc.code)
    return said


def _failed(rpc: Rpc | None) -> str | None:
    """The closed word of what the upstream itself calls a failure."""
    if rpc is None:
        return None
    if rpc.tool_failed:
        return names.TOOL_ERROR
    return names.RPC_ERROR if rpc.code is not None else None


def _told(text: str) -> str:
    """`text`, which is somebody else's, short and printable."""
    return _UNPRINTABLE.sub("?", text[:_TOLD_CHARS])


_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
)
