"""A refusal where no adapter was chosen: plain HTTP with problem details (RFC 9457)."""

import orjson

from outrider.core.answers import Refusal
from outrider.core.ports import Refused


def plain_refusal(refusal: Refusal) -> Refused:
    """`refusal` as `application/problem+json`."""
    answer = refusal.answer
    status = refusal.status or answer.http
    body = orjson.dumps(
        {
            "type": f"urn:outrider:reason:{refusal.reason.value}",
            "title": answer.title,
            "status": status,
            "detail": refusal.detail or answer.advice,
            "reason": refusal.reason.value,
            "decision_id": refusal.decision_id,
        }
    )
    headers = [("content-type", "application/problem+json")]
    if answer.retry_after_s is not None:
        headers.append(("retry-after", str(answer.retry_after_s)))
    if refusal.allow_methods:
        headers.append(("allow", ", ".join(refusal.allow_methods)))
    return Refused(status=status, headers=tuple(headers), body=body)
