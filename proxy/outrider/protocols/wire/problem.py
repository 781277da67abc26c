"""A refusal as problem details (RFC 9457), from the one table of answers.

Law: only the table's text, our own fixed detail and what policy wrote for the caller; never Rego,
hidden names or upstream text.
"""

import orjson

from outrider.core.answers import Refusal
from outrider.core.decision import ReasonEntry
from outrider.core.exchange import Headers
from outrider.core.jsonvalue import JsonObject
from outrider.core.ports import Refused

MEDIA_TYPE = "application/problem+json"


def problem(refusal: Refusal) -> Refused:
    """The whole answer: status, fields, body."""
    status = refusal.status or refusal.answer.http
    return Refused(
        status=status,
        headers=_headers(refusal),
        body=orjson.dumps(problem_members(refusal, status)),
    )


def problem_members(refusal: Refusal, status: int) -> JsonObject:
    """`type, title, status, detail, reason, decision_id, reasons, advice`; `pointer` and
    `provenance` if known."""
    answer = refusal.answer
    members: JsonObject = {
        "type": f"urn:outrider:reason:{refusal.reason.value}",
        "title": answer.title,
        "status": status,
        "detail": refusal.detail or answer.title,
        "reason": refusal.reason.value,
        "decision_id": refusal.decision_id,
        "reasons": [_entry(entry) for entry in refusal.reasons if entry.mode == "enforce"],
        "advice": answer.advice,
    }
    if refusal.pointer is not None:
        members["pointer"] = refusal.pointer
    if refusal.seen:
        members["provenance"] = refusal.seen
    return members


def _entry(entry: ReasonEntry) -> JsonObject:
    members: JsonObject = {
        "code": entry.code,
        "message": entry.message,
        "severity": entry.severity,
        "refs": list(entry.refs),
    }
    if entry.pointer is not None:
        members["pointer"] = entry.pointer
    return members


def _headers(refusal: Refusal) -> Headers:
    headers = [("content-type", MEDIA_TYPE), ("cache-control", "no-store")]
    if refusal.answer.retry_after_s is not None:
        headers.append(("retry-after", str(refusal.answer.retry_after_s)))
    if refusal.allow_methods:
        headers.append(("allow", ", ".join(refusal.allow_methods)))
    return tuple(headers)
