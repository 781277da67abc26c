"""Which exchanges are traced, under whom, and where their spans go (OPERATIONS §8).

Laws: a caller's context may parent our spans and proves nothing: from another trust domain it is
only a link, and its sampled flag counts under a bound; nothing waits for the collector, what does
not fit in the queue is dropped and counted; `opentelemetry` is imported where it is switched on,
and nowhere else. No span tells `mcp.session.id`, which is a bearer secret at some upstreams, nor
more of `mcp.resource.uri` than the origin of a declared one: the rest may carry anything out.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from outrider.core.errors import ConfigError
from outrider.core.exchange import Exchange, TraceContext
from outrider.core.ids import random_hex
from outrider.core.ports import Clock
from outrider.core.spans import RemoteSpan, Spans
from outrider.core.trace_context import rejoined

_EXPORT: Final = "outrider.telemetry.otlp"
_DRAWN_DIGITS: Final = 13  # of a trace id, as a share of 1
_SECOND_S: Final = 1.0


class TraceEvents(Protocol):
    """What is counted of spans."""

    def spans(self, result: str, count: int) -> None:
        """`count` spans were `exported`, `dropped` for want of room, or `failed`."""


class Export(Protocol):
    """Where trees go: never waits, and counts what it cannot take."""

    def keep(self, tree: Spans) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None:
        """Send what is queued, within seconds; blocking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How much is sampled, and where it goes. `authorities` are PEM; None for the system's."""

    endpoint: str
    authorities: bytes | None = None
    ratio: float = 0.0
    callers_per_s: int = 0
    queue: int = 1024
    timeout_s: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What every span says of its process."""

    service: str
    version: str
    instance: str
    environment: str


class Tracing:
    """`core.ports.Tracer` over an exporter."""

    def __init__(
        self,
        *,
        terms: Terms,
        export: Export,
        clock: Clock,
        own_domain: Callable[[], str | None],
    ) -> None:
        self._terms = terms
        self._export = export
        self._clock = clock
        self._own_domain = own_domain
        self._current: str | None = None
        self._second_s = clock.monotonic_s()
        self._taken = 0

    def traced(self) -> str | None:
        """The trace that what is observed now belongs to, for exemplars."""
        return self._current

    def begin(self, exchange: Exchange) -> Exchange:
        """`exchange`, its trace sampled or not by us."""
        trace = exchange.trace
        if trace.parent_id is not None and self._is_foreign(exchange):
            return self._apart(exchange)
        sampled = self._drawn(trace) if trace.parent_id is None else self._honoured(trace)
        return replace(exchange, trace=self._under(exchange, trace, sampled=sampled))

    def rejoin(self, exchange: Exchange, parent: str | None, state: str | None) -> Exchange:
        """`exchange` under what its message names, unless that is somebody else's affair."""
        trace = exchange.trace
        found = rejoined(trace, parent, state)
        if found is trace or found.parent_id is None:
            return exchange
        if self._is_foreign(exchange):
            if trace.spans is not None:
                trace.spans.links.append(_remote(found))
            return exchange
        if trace.spans is None:
            sampled = self._honoured(found)
            return replace(exchange, trace=self._under(exchange, found, sampled=sampled))
        trace.spans.rejoin(found.trace_id, found.parent_id)
        trace.spans.state = found.state
        return replace(exchange, trace=replace(found, sampled=True))

    # --- inside ---

    def _is_foreign(self, exchange: Exchange) -> bool:
        tls = exchange.peer.tls
        return tls is not None and tls.trust_domain != self._own_domain()

    def _apart(self, exchange: Exchange) -> Exchange:
        """A trace of our own for a stranger's call; where it came from stands as a link."""
        theirs = exchange.trace
        ours = TraceContext(
            trace_id=random_hex(32), span_id=theirs.span_id, parent_id=None, sampled=False
        )
        trace = self._under(exchange, ours, sampled=self._drawn(ours))
        if trace.spans is not None:
            trace.spans.links.append(_remote(theirs))
        return replace(exchange, trace=trace)

    def _drawn(self, trace: TraceContext) -> bool:
        """Whether a trace that begins here is sampled: by its id, so that each draws alike."""
        drawn = int(trace.trace_id[-_DRAWN_DIGITS:], 16) / 16**_DRAWN_DIGITS
        return drawn < self._terms.ratio

    def _honoured(self, trace: TraceContext) -> bool:
        """Whether a caller's wish to be sampled is granted: so many a second are."""
        if not trace.sampled:
            return False
        now_s = self._clock.monotonic_s()
        if now_s - self._second_s >= _SECOND_S:
            self._second_s, self._taken = now_s, 0
        self._taken += 1
        return self._taken <= self._terms.callers_per_s

    def _under(self, exchange: Exchange, trace: TraceContext, *, sampled: bool) -> TraceContext:
        if not sampled:
            return replace(trace, sampled=False)
        spans = Spans.begun(
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            parent_id=trace.parent_id,
            began_s=exchange.started_s,
            now_s=self._clock.monotonic_s,
            keep=self._export.keep,
            focus=self._focus,
        )
        spans.state = trace.state
        return replace(trace, sampled=True, spans=spans)

    def _focus(self, trace_id: str | None) -> None:
        self._current = trace_id


def exporter_of(terms: Terms, facts: Facts, clock: Clock, events: TraceEvents) -> Export:
    """The exporter to `terms.endpoint`. Raises `ConfigError` where OpenTelemetry is missing."""
    try:
        module = importlib.import_module(_EXPORT)
    except ImportError as fault:
        raise ConfigError(
            "telemetry.tracing.endpoint is set, and OpenTelemetry is not installed; install "
            "outrider[otel], or leave it out"
        ) from fault
    export: Export = module.OtlpExport(terms=terms, facts=facts, clock=clock, events=events)
    return export


def _remote(trace: TraceContext) -> RemoteSpan:
    return RemoteSpan(trace_id=trace.trace_id, span_id=trace.parent_id or "")
