"""What policy wants done to the task or its agent, whether the action passes or not."""

import logging

from outrider.core.decision import Decision
from outrider.core.errors import EnforcementError
from outrider.core.obligation import NarrowObligation, QuarantineObligation
from outrider.core.vocabulary import Reason
from outrider.pipeline.parts import Parts
from outrider.pipeline.passage import Leg, Passage

logger = logging.getLogger("outrider.pipeline")


async def follow(parts: Parts, passage: Passage, leg: Leg, decisions: tuple[Decision, ...]) -> None:
    """Narrow the task and cut off what `decisions` ask for, before anything else happens.

    Raises `EnforcementError` where it cannot be done, and `quarantined` where what was cut off is
    part of the exchange in hand.
    """
    if await _carried_out(parts, passage, leg, decisions):
        raise EnforcementError("cut off by this very decision", reason=Reason.QUARANTINED)


async def _carried_out(
    parts: Parts, passage: Passage, leg: Leg, decisions: tuple[Decision, ...]
) -> bool:
    """Whether anything was cut off."""
    cut_off = False
    asked = [
        (action, obligation)
        for action, decision in zip(leg.actions, decisions, strict=True)
        for obligation in decision.obligations
        if isinstance(obligation, NarrowObligation | QuarantineObligation)
    ]
    for action, obligation in asked:
        if isinstance(obligation, NarrowObligation):
            await parts.care.narrow(passage.bound[0], passage.task, obligation.grant)
        else:
            await parts.care.quarantine(
                obligation,
                subject=passage.bound[0],
                task=passage.task,
                action=action,
            )
            cut_off = True
    return cut_off


async def follow_anyway(
    parts: Parts, passage: Passage, leg: Leg, decisions: tuple[Decision, ...]
) -> None:
    """`follow` for an exchange that is refused in any case: what cannot be done is told."""
    try:
        await _carried_out(parts, passage, leg, decisions)
    except EnforcementError as fault:
        logger.warning(
            "what policy asked for could not be done",
            extra={
                "event": "obligation_failed",
                "reason": fault.reason.value,
                "request_id": passage.exchange.id,
            },
        )
