"""Spans to an OpenTelemetry collector, by OTLP over gRPC, from a thread of its own.

Laws: the event loop only puts into a bounded queue, and never waits; what has no room, or cannot
be sent, is counted; the end waits for seconds at most. The only module that imports OpenTelemetry.
"""

import logging
import queue
import threading
from collections.abc import Iterator
from typing import Final

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind as OtelKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from outrider.core import span_names as names
from outrider.core.ports import Clock
from outrider.core.spans import Span, SpanKind, Spans
from outrider.telemetry.tracing import Facts, Terms, TraceEvents

logger = logging.getLogger("outrider.telemetry")

_BATCH: Final = 256
_GATHER_S: Final = 0.2
_STOP_S: Final = 2.0
_KINDS: Final = {
    SpanKind.SERVER: OtelKind.SERVER,
    SpanKind.CLIENT: OtelKind.CLIENT,
    SpanKind.INTERNAL: OtelKind.INTERNAL,
}
_Kept = tuple[Spans, float]
"""A tree, and what makes unix seconds of its monotonic ones."""


class OtlpExport:
    """`telemetry.tracing.Export` to the collector at `terms.endpoint`."""

    def __init__(self, *, terms: Terms, facts: Facts, clock: Clock, events: TraceEvents) -> None:
        self._clock = clock
        self._events = events
        self._trees: queue.Queue[_Kept | None] = queue.Queue(terms.queue)
        self._scope = InstrumentationScope("outrider", facts.version)
        self._resource = Resource(
            {
                "service.name": facts.service,
                "service.version": facts.version,
                "service.instance.id": facts.instance,
                "deployment.environment.name": facts.environment,
            }
        )
        self._exporter = _exporter(terms)
        self._thread = threading.Thread(target=self._run, name="outrider-traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def keep(self, tree: Spans) -> None:
        """Queue `tree`, or count it as dropped; called by the event loop."""
        ahead_s = self._clock.unix_s() - self._clock.monotonic_s()
        if tree.lost:
            self._events.spans("dropped", tree.lost)
        try:
            self._trees.put_nowait((tree, ahead_s))
        except queue.Full:
            self._events.spans("dropped", 1 + len(tree.children))

    def stop(self) -> None:
        """Send what is queued, within seconds; blocking."""
        try:
            self._trees.put(None, timeout=_STOP_S)
        except queue.Full:
            return  # the thread is the process's to end
        self._thread.join(_STOP_S)
        self._exporter.shutdown()

    # --- the thread ---

    def _run(self) -> None:
        going = True
        while going:
            kept = self._trees.get()
            going = kept is not None
            batch = [] if kept is None else [kept]
            while going and len(batch) < _BATCH:
                try:
                    kept = self._trees.get(timeout=_GATHER_S)
                except queue.Empty:
                    break
                if kept is None:
                    going = False
                else:
                    batch.append(kept)
            self._send([span for tree, ahead_s in batch for span in self._ready(tree, ahead_s)])

    def _ready(self, tree: Spans, ahead_s: float) -> list[ReadableSpan]:
        """The spans of `tree`; none, and counted, where it cannot be said: the others still go."""
        try:
            return list(self._spans(tree, ahead_s))
        except (ArithmeticError, LookupError, TypeError, ValueError):
            logger.exception("a tree of spans cannot be said", extra={"event": "traces_failed"})
            self._events.spans("failed", 1 + len(tree.children))
            return []

    def _send(self, spans: list[ReadableSpan]) -> None:
        if not spans:
            return
        try:
            done = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except (grpc.RpcError, OSError, RuntimeError, ValueError):
            logger.exception("spans could not be sent", extra={"event": "traces_failed"})
            done = False
        self._events.spans("exported" if done else "failed", len(spans))

    def _spans(self, tree: Spans, ahead_s: float) -> Iterator[ReadableSpan]:
        links = tuple(Link(_context(one.trace_id, one.span_id)) for one in tree.links)
        state = TraceState.from_header([tree.state]) if tree.state else None
        for span in (tree.root, *tree.children):
            is_root = span is tree.root
            yield ReadableSpan(
                name=span.name,
                context=_context(tree.trace_id, span.span_id, state=state, remote=False),
                parent=_parent(tree, span, is_root=is_root),
                resource=self._resource,
                attributes=_attributes(span),
                links=links if is_root else (),
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR if span.fault is not None else StatusCode.UNSET),
                start_time=_ns(span.began_s + ahead_s),
                end_time=_ns((span.ended_s or span.began_s) + ahead_s),
                instrumentation_scope=self._scope,
            )


def _attributes(span: Span) -> dict[str, str | int | float | bool]:
    if span.fault is None:
        return dict(span.attributes)
    return {**span.attributes, names.ERROR_TYPE: span.fault}


def _parent(tree: Spans, span: Span, *, is_root: bool) -> SpanContext | None:
    if span.parent_id is None:
        return None
    return _context(tree.trace_id, span.parent_id, remote=is_root)


def _context(
    trace_id: str, span_id: str, *, state: TraceState | None = None, remote: bool = True
) -> SpanContext:
    return SpanContext(
        trace_id=int(trace_id, 16),
        span_id=int(span_id, 16),
        is_remote=remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=state,
    )


def _ns(unix_s: float) -> int:
    return int(unix_s * 1e9)


def _exporter(terms: Terms) -> OTLPSpanExporter:
    is_plain = terms.endpoint.startswith("http://")
    return OTLPSpanExporter(
        endpoint=terms.endpoint,
        insecure=is_plain,
        credentials=None if is_plain else grpc.ssl_channel_credentials(terms.authorities),
        timeout=terms.timeout_s,
    )
