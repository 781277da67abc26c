"""A tracer that keeps every tree, for what is told of an exchange."""

from dataclasses import dataclass, field, replace

from outrider.core.exchange import Exchange
from outrider.core.spans import Spans
from outrider.core.trace_context import rejoined


@dataclass(slots=True)
class RecordingTracer:
    """Samples everything."""

    trees: list[Spans] = field(default_factory=list)
    focused: list[str | None] = field(default_factory=list)

    def begin(self, exchange: Exchange) -> Exchange:
        trace = exchange.trace
        spans = Spans.begun(
            trace_id=trace.trace_id,
            span_id=trace.span_id,
            parent_id=trace.parent_id,
            began_s=exchange.started_s,
            now_s=lambda: exchange.started_s + 1,
            keep=self.trees.append,
            focus=self.focused.append,
        )
        return replace(exchange, trace=replace(trace, sampled=True, spans=spans))

    def rejoin(self, exchange: Exchange, parent: str | None, state: str | None) -> Exchange:
        trace = rejoined(exchange.trace, parent, state)
        if trace is exchange.trace or trace.parent_id is None or trace.spans is None:
            return exchange
        trace.spans.rejoin(trace.trace_id, trace.parent_id)
        return replace(exchange, trace=trace)
