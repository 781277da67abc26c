"""A log line for a share of the exchanges (OPERATIONS §9): metrics and audit have them all."""

import logging

from outrider.core.vocabulary import OUTCOME_OF, Outcome
from outrider.pipeline.passage import Passage

logger = logging.getLogger("outrider.exchange")


class ExchangeSample:
    """Tells of `share` of the exchanges, 0 to 1, evenly: of every tenth one at 0.1."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._due = 0.0

    def ended(self, passage: Passage, *, aborted: bool, whole_s: float) -> None:
        """One exchange ended; told if it is its turn."""
        if not self._share:
            return
        self._due += self._share
        if self._due < 1:
            return
        self._due -= 1
        reason = passage.reason
        outcome = Outcome.ABORTED if aborted else Outcome.ALLOWED
        logger.info(
            "an exchange ended",
            extra={
                "event": "exchange",
                "request_id": passage.exchange.id,
                "trace_id": passage.exchange.trace.trace_id,
                "span_id": passage.exchange.trace.span_id,
                "direction": passage.exchange.direction.value,
                "protocol": passage.protocol.value,
                "decision_id": passage.decision_id or _decided(passage),
                "task": None if passage.task is None else passage.task.id,
                "outcome": (OUTCOME_OF[reason] if reason is not None else outcome).value,
                "reason": None if reason is None else reason.value,
                "whole_ms": round(whole_s * 1000, 3),
            },
        )


def _decided(passage: Passage) -> str | None:
    leg = passage.leg
    return leg.recorded[0] if leg is not None and leg.recorded else None
