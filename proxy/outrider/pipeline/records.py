"""The audit records of an exchange (CONTRACTS §7), built from what was judged.

Laws: no argument values, only digests and pointers; attacker text stands only as JSON values,
bounded; a record is complete before it is handed to the log. Enum members stand as their plain
words (`_value_`: a quarter of the time of `value`), every number as an integer.
"""

from functools import lru_cache
from typing import Final

from outrider.core.action import Action
from outrider.core.clock import rfc3339
from outrider.core.decision import Decision, ReasonEntry
from outrider.core.errors import EnforcementError
from outrider.core.exchange import Exchange, TlsPeer
from outrider.core.facts import Facts
from outrider.core.ids import uuid7
from outrider.core.jsonvalue import FloatFree, Json, JsonObject, as_object
from outrider.core.ports import Clock, Judged, Lease
from outrider.core.subject import Subject
from outrider.core.task import BoundTask
from outrider.core.vocabulary import Effect, OutcomeStatus, ProtocolName, Reason, RecordKind, Role

_TEXT_LIMIT: Final = 512
_AUTHORITY: Final = frozenset({"destination", "target", "selector", "credential", "command"})
_CONTENT: Final = Role.CONTENT  # a member of an enum class costs a look-up in Python
_NO_DELEGATION: Final[JsonObject] = {"depth": 0, "digest": None}


def whose(exchange: Exchange | None, subject: Subject | None, task: BoundTask | None) -> JsonObject:
    """The members that all records of one exchange share; nobody writes to it."""
    return {
        "exchange": exchange.id if exchange else None,
        "direction": exchange.direction._value_ if exchange else None,
        "trace_id": exchange.trace.trace_id if exchange else None,
        "span_id": exchange.trace.span_id if exchange else None,
        "task": task.id if task else None,
        "principal": task.principal if task else None,
        "delegation": _NO_DELEGATION,
        "subject": None if subject is None else _subject(subject),
    }


def base(
    kind: RecordKind,
    clock: Clock,
    exchange: Exchange | None,
    subject: Subject | None,
    task: BoundTask | None,
) -> JsonObject:
    """The members every record has: when, whose, and on which trace."""
    return dict(begun(kind, clock, whose(exchange, subject, task)))


def begun(kind: RecordKind, clock: Clock, shared: JsonObject) -> FloatFree:
    """A record with the members of `whose`, to which only facts of this file are added."""
    unix_s = clock.unix_s()
    return FloatFree(
        shared,
        time=rfc3339(unix_s),
        monotonic_us=int(clock.monotonic_s() * 1e6),
        id=uuid7(unix_s),
        kind=kind._value_,
    )


@lru_cache(maxsize=256)
def _subject(subject: Subject) -> JsonObject:
    """Shared by all records of a subject: nobody writes to it."""
    return {
        "id": subject.id,
        "instance": subject.instance,
        "credential": subject.credential.value,
    }


def asked_facts(protocol: ProtocolName, resource: str | None) -> JsonObject:
    """An action that was refused before the manifest completed it."""
    return {
        "protocol": protocol.value,
        "resource": None if resource is None else _short(resource),
    }


def action_facts(action: Action, arguments_digest: str | None) -> JsonObject:
    ask = action.ask
    facts: JsonObject = {
        "protocol": ask.protocol._value_,
        "name": _short(ask.name),
        "effect": action.effect._value_,
        "class": action.effect_class._value_,
        "impact": action.impact._value_,
        "resource": _short(ask.shown_id),
        "definition_digest": ask.definition.digest if ask.definition else None,
        "arguments_digest": arguments_digest,
        "redacted": [pointer for pointer, role in action.roles if role is _CONTENT],
    }
    if ask.via is not None:
        facts["via"] = _short(ask.via)
    return facts


def _reason(entry: ReasonEntry) -> Json:
    return {
        "code": entry.code,
        "message": entry.message,
        "severity": entry.severity,
        "refs": list(entry.refs),
        "pointer": entry.pointer,
        "mode": entry.mode,
    }


def decision_facts(decision: Decision, enforced: Effect, reason: Reason | None) -> JsonObject:
    """Policy's own effect and what was done. `reason` is the proxy's code for what was done.

    The raw obligations are policy's JSON as it stands and may hold any number.
    """
    return {
        "id": decision.id,
        "effect": decision.effect._value_,
        "enforced": enforced._value_,
        "reason": reason._value_ if reason else None,
        "reasons": [_reason(entry) for entry in decision.reasons],
        "obligations": list(decision.raw_obligations),
        "revision": decision.revision,
        "engine": decision.engine,
        "mode": "shadow" if any(entry.softened for entry in decision.reasons) else "enforce",
        "eval_us": int(decision.eval_us),
        "detail": _short(decision.detail),
    }


def refusal_facts(decision_id: str, fault: EnforcementError) -> JsonObject:
    """The decision of the proxy itself, where policy was not asked."""
    return {
        "id": decision_id,
        "effect": Effect.DENY._value_,
        "enforced": Effect.DENY._value_,
        "reason": fault.reason._value_,
        "reasons": [],
        "obligations": [],
        "revision": None,
        "engine": None,
        "mode": "enforce",
        "eval_us": 0,
        "detail": _short(fault.detail),
        "cause": fault.cause,
        "pointer": fault.pointer,
    }


def completed(record: JsonObject, action: Action, judged: Judged, arguments: str | None) -> None:
    """Add what was asked for and which exact input was judged."""
    record["action"] = action_facts(action, arguments)
    record["destination"] = [
        {"pointer": place.pointer, "host": place.host, "zone": place.zone}
        for place in action.destinations
    ]
    record["provenance"] = {}
    record["behaviour"] = {}
    record["input_digest"] = judged.input_digest


def sighted(entry: JsonObject) -> JsonObject:
    """Where a value was seen, of an entry of `action.properties.provenance`."""
    return {"label": entry.get("label"), "sources": entry.get("sources", [])}


def known(record: JsonObject, facts: Facts | None) -> None:
    """Add what was known of the action: whose word its arguments are, and what was done before."""
    if facts is None:
        return
    record["provenance"] = {
        _short(pointer): sighted(entry)
        for pointer, entry in facts.provenance.items()
        if isinstance(entry, dict) and entry.get("role") in _AUTHORITY
    }
    behaviour = facts.behaviour
    flags, counters = as_object(behaviour.get("flags")), as_object(behaviour.get("counters"))
    record["behaviour"] = {
        "flags": [name for name, on in flags.items() if on],
        "highest_sensitivity_read": behaviour.get("highest_sensitivity_read"),
        "counters": {name: count for name, count in counters.items() if type(count) is int},
    }


def reached(action: Action, peer: TlsPeer) -> Json:
    """Where the answer came from, and who that proved to be: as an outcome's destination."""
    own = action.destinations[0] if action.destinations else None
    return [
        {
            "pointer": None,
            "host": own.host if own else None,
            "zone": own.zone if own else None,
            "spiffe_id": peer.spiffe_id,
        }
    ]


def lease_facts(lease: Lease) -> JsonObject:
    return {
        "id": lease.id,
        "fingerprint": lease.fingerprint,
        "provider": lease.provider,
        "expires_at": rfc3339(lease.expires_unix_s) if lease.expires_unix_s else None,
    }


def outcome_facts(
    status: OutcomeStatus,
    reason: Reason | None,
    *,
    http_status: int | None,
    bytes_in: int,
    bytes_out: int,
    duration_s: float,
) -> JsonObject:
    """`bytes_in` came from the upstream, `bytes_out` went to the caller."""
    return {
        "status": status._value_,
        "class": f"{http_status // 100}xx" if http_status else None,
        "error": reason._value_ if reason else None,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "records": None,
        "duration_ms": round(duration_s * 1000),
    }


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else text[: _TEXT_LIMIT - 1] + "…"
