"""How an exchange ends: the refusal and its record, the outcome records, the counters (18-19).

Laws: everything here is a plain function, so a cancelled exchange is closed like any other;
settling twice changes nothing; each decision that was recorded as an allow gets one outcome.
"""

from typing import Final

from outrider.core.answers import Refusal
from outrider.core.decision import ReasonEntry
from outrider.core.errors import EnforcementError
from outrider.core.exchange import Ending
from outrider.core.facts import Ended
from outrider.core.ids import uuid7
from outrider.core.jsonvalue import JsonObject, as_object
from outrider.core.ports import Refused, carried_of, proven_of
from outrider.core.vocabulary import (
    Effect,
    EffectClass,
    OutcomeStatus,
    Reason,
    RecordKind,
)
from outrider.pipeline import records
from outrider.pipeline.admission import DeniedError, NotCoveredError, RefusedWithinError
from outrider.pipeline.parts import Parts
from outrider.pipeline.passage import Leg, Passage
from outrider.pipeline.plain import plain_refusal
from outrider.pipeline.tracing import closed, ended_client, rpc_of

_FAILED_STATUS: Final = 400
_NO_BYTES_LEFT: Final = frozenset(
    {
        Reason.UPSTREAM_UNAVAILABLE,
        Reason.OVERLOAD,
    }
)
"""Why a request that was to be sent was not; a credential may also have been refused by an upstream
that had all of it."""


class Closing:
    """Ends passages. Holds no state of its own."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def record_refusal(self, passage: Passage, fault: EnforcementError) -> None:
        """One decision record for a refusal that policy did not make. Idempotent."""
        if passage.refused or isinstance(fault, DeniedError):
            return
        if passage.leg is not None and passage.leg.recorded:
            return  # decided and recorded already; the outcome says what went wrong
        passage.refused = True
        passage.decision_id = uuid7(self._parts.clock.unix_s())
        record = records.base(
            RecordKind.DECISION,
            self._parts.clock,
            passage.exchange,
            passage.subject,
            passage.task,
        )
        effect_class = EffectClass.EXECUTE
        if isinstance(fault, NotCoveredError):
            record["action"] = records.action_facts(fault.action, None)
            effect_class = fault.action.effect_class
        else:
            record["action"] = records.asked_facts(passage.protocol, _asked(passage, fault))
        record["decision"] = records.refusal_facts(passage.decision_id, fault)
        self._parts.audit.append_refusal(record)
        self._parts.metrics.decided(
            effect=Effect.DENY,
            effect_class=effect_class,
            reason=fault.reason,
            resource="other",
            reasons=(),
        )

    def refusal(self, passage: Passage, fault: EnforcementError) -> Refusal:
        """What may be said of `fault`. A hidden item looks like one that does not exist."""
        decision_id = passage.decision_id or _recorded(passage)
        why = fault.why if isinstance(fault, RefusedWithinError) else fault
        if isinstance(why, DeniedError):
            decision_id = why.decision.id
        if passage.hidden or (isinstance(fault, NotCoveredError) and fault.hidden):
            return Refusal(reason=Reason.UNRECOGNISED, decision_id=decision_id)
        told = why.decision.reasons if isinstance(why, DeniedError) else ()
        shown = tuple(entry for entry in told if entry.mode == "enforce")
        return Refusal(
            reason=fault.reason,
            decision_id=decision_id,
            reasons=shown,
            seen=_seen(passage, shown),
            detail="" if fault.reason is Reason.INTERNAL else _said(fault),
            code=fault.code,
            status=fault.status,
            pointer=fault.pointer,
            allow_methods=fault.allow_methods,
            close=fault.close,
        )

    def words(self, passage: Passage, refusal: Refusal, fault: EnforcementError) -> Refused:
        """`refusal` in the caller's protocol; in plain HTTP where none was recognised."""
        if passage.adapter is None:
            return plain_refusal(refusal)
        conversation = passage.conversation or getattr(fault, "conversation", None)
        return passage.adapter.refuse(refusal, passage.head, conversation, begun=False)

    def settle(self, passage: Passage, ending: Ending, bytes_out: int) -> None:
        """Close the books: outcomes, counters, places. The first call counts; one that comes
        while the exchange runs on without its caller is none."""
        if passage.settled or passage.running_out:
            return
        passage.settled = True
        if passage.timer is not None:
            passage.timer.cancel()
        passage.exchange.body.release()
        if passage.leg is not None:
            self.end_leg(passage, passage.leg, ending, bytes_out)
        passage.leave_place()
        self._parts.live.leave(passage.entry)
        self._parts.metrics.in_flight(-1, passage.exchange.direction.value)
        aborted = ending is not Ending.SENT and passage.reason is None
        whole_s = self._parts.clock.monotonic_s() - passage.exchange.started_s
        spans = passage.exchange.trace.spans
        if spans is not None:
            spans.focus(spans.trace_id)  # its exemplars
        self._parts.metrics.exchange_ended(
            direction=passage.exchange.direction.value,
            protocol=passage.protocol,
            reason=passage.reason,
            aborted=aborted,
            whole_s=whole_s,
            upstream_s=passage.upstream_s,
        )
        if spans is not None:
            spans.focus(None)
            closed(passage, spans, aborted=aborted)
        self._parts.sample.ended(passage, aborted=aborted, whole_s=whole_s)

    def end_leg(self, passage: Passage, leg: Leg, ending: Ending, bytes_out: int) -> None:
        """One outcome record for each decision of `leg`, and its connection given back."""
        if leg.ended:
            return
        leg.ended = True
        leg.abort()
        if leg.span is not None:
            ended_client(leg.span, leg.http_status, passage.reason, rpc_of(leg.conversation))
        status = _status(passage, leg, ending)
        if leg.page is not None:
            leg.page.close(Ended(status=status, reason=passage.reason, bytes_in=leg.bytes_in))
        if not (leg.recorded or passage.owed):
            return
        clock = self._parts.clock
        shared = passage.whose or records.whose(passage.exchange, passage.subject, passage.task)
        outcome = records.outcome_facts(
            status,
            passage.reason,
            http_status=leg.http_status,
            bytes_in=leg.bytes_in,
            bytes_out=bytes_out,
            duration_s=clock.monotonic_s() - passage.exchange.started_s,
        )
        peer = proven_of(leg.incoming) if leg.incoming is not None else None
        carried = carried_of(leg.incoming) if leg.incoming is not None else None
        if carried is not None:
            outcome["bytes_sent"] = carried
        for decision_id in (*leg.recorded, *passage.owed):
            record = records.begun(RecordKind.OUTCOME, clock, shared)
            record["decision"] = {"id": decision_id}
            record["lease"] = records.lease_facts(leg.lease) if leg.lease else None
            record["outcome"] = outcome
            if peer is not None:
                record["destination"] = records.reached(leg.actions[0], peer)
            self._parts.audit.append_nowait(record)
        passage.owed.clear()


def _status(passage: Passage, leg: Leg, ending: Ending) -> OutcomeStatus:
    """What became of the action: never `executed` where the answer was not seen whole."""
    was_cut = passage.entry.cut_for is not None  # whatever for: bytes may have left by then
    if not leg.sent or (passage.reason in _NO_BYTES_LEFT and not was_cut):
        return OutcomeStatus.CANCELLED if passage.reason is None else OutcomeStatus.REFUSED
    if not leg.complete:
        return OutcomeStatus.UNKNOWN
    if leg.http_status is not None and leg.http_status >= _FAILED_STATUS:
        return OutcomeStatus.FAILED
    return OutcomeStatus.EXECUTED


def _asked(passage: Passage, fault: EnforcementError) -> str | None:
    """What was asked for, as far as it was read: for the record, so that a person can find it."""
    if fault.resource is not None or passage.conversation is None:
        return fault.resource
    asks = passage.conversation.asks
    return asks[0].shown_id if asks else None


def _seen(passage: Passage, reasons: tuple[ReasonEntry, ...]) -> JsonObject:
    """Where the values were seen that `reasons` point at."""
    page = passage.leg.page if passage.leg is not None else None
    if page is None:
        return {}
    pointed = {entry.pointer for entry in reasons if entry.pointer is not None}
    return {
        pointer: records.sighted(as_object(entry))
        for facts in page.facts
        for pointer, entry in facts.provenance.items()
        if pointer in pointed
    }


def _recorded(passage: Passage) -> str:
    return passage.leg.recorded[0] if passage.leg and passage.leg.recorded else ""


def _said(fault: EnforcementError) -> str:
    return "" if isinstance(fault, DeniedError) else fault.detail
