"""What the spans of an exchange are called and what they say (OPERATIONS §8).

Law: our own words, names of our settings and of the manifest, and numbers; a name that a caller
may choose is `other`, and nothing of a body, a header or a URL is ever said.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from outrider.core import span_names as names
from outrider.core.spans import Span, Spans, Value
from outrider.core.vocabulary import OUTCOME_OF, Outcome, ProtocolName, Reason
from outrider.pipeline.passage import Passage

_TOOL_CALL: Final = "tools/call"
_FAILED_STATUS: Final = 400
_CANCELLED: Final = "cancelled"


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


def begun_client(passage: Passage, spans: Spans) -> Span:
    """The request to the upstream, from now on."""
    span = spans.begin_client(_name(passage))
    route = passage.route
    if route is not None:
        span.attributes[names.UPSTREAM] = route.upstream
    span.attributes.update(_asked(passage))
    return span


def ended_client(span: Span, status: int | None, reason: Reason | None) -> None:
    """The answer of the upstream was seen to its end, or it was given up."""
    fault = reason.value if reason is not None else None
    said: dict[str, Value] = {}
    if status is not None:
        said[names.HTTP_STATUS] = status
        if fault is None and status >= _FAILED_STATUS:
            fault = str(status)
    span.end(fault, said)


def closed(passage: Passage, spans: Spans, *, aborted: bool) -> None:
    """The exchange is over: its span gets its name, and the tree is handed over."""
    exchange, root, reason = passage.exchange, spans.root, passage.reason
    outcome = Outcome.ABORTED if aborted else Outcome.ALLOWED
    if reason is not None:
        outcome = OUTCOME_OF[reason]
        root.fault = reason.value
    elif aborted:
        root.fault = _CANCELLED
    root.name = _name(passage)
    root.attributes |= {
        names.EXCHANGE_ID: exchange.id,
        names.DIRECTION: exchange.direction.value,
        names.OUTCOME: outcome.value,
        names.NETWORK_TRANSPORT: "pipe" if exchange.peer.transport == "unix" else "tcp",
    }
    if passage.route is not None:
        root.attributes[names.UPSTREAM] = passage.route.upstream
    root.attributes |= _asked(passage)
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
    return said


_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
)
