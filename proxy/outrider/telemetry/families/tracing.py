"""Spans on their way to the collector."""

from typing import Final

from outrider.telemetry.families.base import Families, closed

SPAN_RESULTS: Final = ("exported", "dropped", "failed")


class TracingFamilies(Families):
    """What became of the spans of sampled exchanges."""

    def _declare(self) -> None:
        super()._declare()
        counter = self._counter(
            "spans_total",
            "Spans of sampled exchanges: exported, dropped for want of room, or failed to be sent",
            closed("result", SPAN_RESULTS),
        )
        self._spans = {result: counter.labels(result) for result in SPAN_RESULTS}

    def spans(self, result: str, count: int) -> None:
        """`count` spans came to `result`, one of `SPAN_RESULTS`; from any thread."""
        self._spans[result].inc(count)
