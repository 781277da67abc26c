"""An AdmissionReview (admission.k8s.io/v1), read strictly and answered whole.

Laws: what is no review raises, and is never answered; a refused pod is `allowed: false` inside a
good answer; a patch goes out only with an allow; texts of a pod's author are cut and made
printable before they are repeated.
"""

import base64
from dataclasses import dataclass
from typing import Final

import orjson

from outrider.core import strict_json
from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.strict_json import JsonLimits
from outrider.injector.plan import Entry, Plan
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.verdict import Verdict, judge

API_VERSION: Final = "admission.k8s.io/v1"
LIMITS: Final = JsonLimits(depth=64, nodes=200_000, key_bytes=4096)
WARNING_CHARS: Final = 256
MESSAGE_CHARS: Final = 1024
_UID_CHARS: Final = 128
_PODS: Final = {"group": "", "version": "v1", "resource": "pods"}


class MalformedReviewError(Exception):
    """The bytes are no AdmissionReview v1 for the creation of a pod; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    uid: str
    namespace: str
    pod: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The whole answer, and what became of the pod."""

    body: bytes
    outcome: Outcome
    reason: Reason


def admit(entry: Entry, body: bytes, plan: Plan) -> Admitted:
    """Answer the review in `body`. Raises `MalformedReviewError`."""
    review = read_review(body)
    verdict = judge(entry, review.namespace, review.pod, plan)
    return Admitted(
        body=answer(review.uid, verdict), outcome=verdict.outcome, reason=verdict.reason
    )


def read_review(body: bytes) -> Review:
    """Raises `MalformedReviewError` naming the first member that is not as it must be."""
    try:
        document = strict_json.read(body, LIMITS)
    except MalformedError as fault:
        raise MalformedReviewError(f"the body is not taken: {fault.detail}") from fault
    whole = as_object(document)
    for name, wanted in (("apiVersion", API_VERSION), ("kind", "AdmissionReview")):
        if whole.get(name) != wanted:
            raise MalformedReviewError(f"{name} is not {wanted}")
    request = whole.get("request")
    if not isinstance(request, dict):
        raise MalformedReviewError("request is missing")
    uid, namespace, pod = request.get("uid"), request.get("namespace"), request.get("object")
    if not isinstance(uid, str) or not 0 < len(uid) <= _UID_CHARS:
        raise MalformedReviewError("request.uid is no text of 1 to 128 characters")
    if request.get("operation") != "CREATE":
        raise MalformedReviewError("request.operation is not CREATE")
    if request.get("resource") != _PODS or request.get("subResource"):
        raise MalformedReviewError("request.resource is not pods, v1")
    if not isinstance(namespace, str) or not namespace:
        raise MalformedReviewError("request.namespace is missing")
    if not isinstance(pod, dict):
        raise MalformedReviewError("request.object is missing")
    return Review(uid=uid, namespace=namespace, pod=pod)


def answer(uid: str, verdict: Verdict) -> bytes:
    """The review's answer; HTTP 200 whatever the verdict."""
    allowed = verdict.outcome not in {Outcome.DENIED, Outcome.ERROR}
    notes: JsonObject = {"verdict": verdict.outcome.value, "reason": verdict.reason.value}
    if verdict.capture_mode is not None:
        notes["capture"] = verdict.capture_mode.value
    response: JsonObject = {"uid": uid, "allowed": allowed, "auditAnnotations": notes}
    if verdict.warnings:
        response["warnings"] = [clipped(text, WARNING_CHARS) for text in verdict.warnings]
    if not allowed:
        message = f"outrider: {verdict.reason.value}: {verdict.message}"
        response["status"] = {
            "status": "Failure",
            "code": 403 if verdict.outcome is Outcome.DENIED else 500,
            "reason": "Forbidden" if verdict.outcome is Outcome.DENIED else "InternalError",
            "message": clipped(message, MESSAGE_CHARS),
        }
    elif verdict.ops:
        ops: list[Json] = list(verdict.ops)
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(orjson.dumps(ops)).decode()
    document = {"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}
    return orjson.dumps(document)


def clipped(text: str, most: int) -> str:
    """`text` in one printable line of at most `most` characters."""
    line = "".join(char if char.isprintable() else "�" for char in text)
    return line if len(line) <= most else line[: most - 1] + "…"
