"""What policy wants somebody told: counted and logged, whether the action passes or not."""

import logging
from collections.abc import Iterable

from outrider.core.decision import Decision
from outrider.core.obligation import NotifyObligation
from outrider.pipeline.parts import Parts
from outrider.pipeline.passage import Passage

logger = logging.getLogger("outrider.pipeline")


def notices_of(decisions: Iterable[Decision]) -> tuple[NotifyObligation, ...]:
    """The notices that `decisions` ask for, each once."""
    found = [
        obligation
        for decision in decisions
        for obligation in decision.obligations
        if isinstance(obligation, NotifyObligation)
    ]
    return tuple(dict.fromkeys(found))


def tell(parts: Parts, passage: Passage, notices: Iterable[NotifyObligation]) -> None:
    """Carry out `notices` for the exchange in hand."""
    for notice in notices:
        parts.metrics.noted("notify", passage.bound[2].protocol)
        logger.warning(
            "policy asks for somebody to be told",
            extra={
                "event": "notify",
                "channel": notice.channel,
                "severity": notice.severity,
                "request_id": passage.exchange.id,
            },
        )
