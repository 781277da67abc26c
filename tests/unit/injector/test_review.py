"""AdmissionReviews: what is taken, what is not, and the whole of an answer."""

import base64

import orjson
import pytest

from outrider.core.capture import CaptureMode
from outrider.injector.plan import Entry
from outrider.injector.reasons import Outcome, Reason
from outrider.injector.review import MalformedReviewError, admit, answer, clipped
from outrider.injector.verdict import Verdict
from tests.support.admission import LISTED, a_plan, a_pod, a_review

HELD = {"outrider.dev/inject": "disabled"}


def test_an_injected_pod_is_answered_whole() -> None:
    pod = a_pod(securityContext={"runAsNonRoot": True})
    said = admit(Entry.NAMESPACE, orjson.dumps(a_review(pod)), a_plan())
    document = orjson.loads(said.body)
    response = document.pop("response")
    patch = orjson.loads(base64.b64decode(response.pop("patch")))
    assert document == {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
    assert response == {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "allowed": True,
        "auditAnnotations": {"verdict": "injected", "reason": "ok", "capture": "transparent"},
        "patchType": "JSONPatch",
    }
    assert {op["op"] for op in patch} == {"add"}
    assert (said.outcome, said.reason) == (Outcome.INJECTED, Reason.OK)


def test_a_denied_pod_is_answered_without_a_patch() -> None:
    said = admit(Entry.NAMESPACE, orjson.dumps(a_review(a_pod(labels=HELD))), a_plan())
    response = orjson.loads(said.body)["response"]
    assert response["allowed"] is False
    assert response["status"]["code"] == 403
    assert response["status"]["message"].startswith("outrider: opt_out_not_accepted: metadata.")
    assert response["auditAnnotations"] == {"verdict": "denied", "reason": "opt_out_not_accepted"}
    assert "patch" not in response
    assert "patchType" not in response


def test_a_pod_that_opted_out_is_let_in_as_it_is() -> None:
    review = a_review(a_pod(labels=HELD), namespace=LISTED)
    response = orjson.loads(admit(Entry.NAMESPACE, orjson.dumps(review), a_plan()).body)["response"]
    assert response == {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "allowed": True,
        "auditAnnotations": {"verdict": "skipped", "reason": "opted_out"},
    }


def test_an_error_is_no_allow() -> None:
    verdict = Verdict(outcome=Outcome.ERROR, reason=Reason.INTERNAL, message="no", ops=({},))
    response = orjson.loads(answer("u", verdict))["response"]
    assert (response["allowed"], response["status"]["code"]) == (False, 500)
    assert "patch" not in response


def test_warnings_and_messages_are_cut_and_made_printable() -> None:
    verdict = Verdict(
        outcome=Outcome.DENIED,
        reason=Reason.RESERVED_NAME,
        message="x\n\x1b[31m" + "y" * 5000,
        warnings=("z" * 300, "é" * 256),
        capture_mode=CaptureMode.TRANSPARENT,
    )
    response = orjson.loads(answer("u", verdict))["response"]
    assert [len(line) for line in response["warnings"]] == [256, 256]
    assert response["warnings"][0].endswith("…")
    assert len(response["status"]["message"]) == 1024
    assert response["status"]["message"].isprintable()


def test_what_fits_is_not_cut() -> None:
    assert clipped("a" * 256, 256) == "a" * 256


def _whole(**changes: object) -> bytes:
    return orjson.dumps({**a_review(a_pod()), **changes})


def _request(**changes: object) -> bytes:
    return orjson.dumps(a_review(a_pod(), **changes))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "body is not taken", id="empty"),
        pytest.param(b"{}", "apiVersion", id="bare"),
        pytest.param(b"[]", "apiVersion", id="list"),
        pytest.param(b'{"kind":"AdmissionReview","kind":"x"}', "body is not taken", id="twice"),
        pytest.param(b"[" * 5000, "body is not taken", id="deep"),
        pytest.param(_whole(apiVersion="admission.k8s.io/v1beta1"), "apiVersion", id="v1beta1"),
        pytest.param(_whole(kind="Pod"), "kind", id="kind"),
        pytest.param(_whole(request=None), "request", id="no-request"),
        pytest.param(_request(uid=""), "request.uid", id="no-uid"),
        pytest.param(_request(uid=7), "request.uid", id="uid-number"),
        pytest.param(_request(uid="u" * 129), "request.uid", id="uid-long"),
        pytest.param(_request(operation="UPDATE"), "request.operation", id="update"),
        pytest.param(_request(resource={"resource": "pods"}), "request.resource", id="resource"),
        pytest.param(_request(subResource="status"), "request.resource", id="subresource"),
        pytest.param(_request(namespace=""), "request.namespace", id="no-namespace"),
        pytest.param(_request(object=None), "request.object", id="no-object"),
        pytest.param(_request(object=[]), "request.object", id="object-list"),
    ],
)
def test_what_is_no_review_is_not_answered(body: bytes, said: str) -> None:
    with pytest.raises(MalformedReviewError, match=said):
        admit(Entry.NAMESPACE, body, a_plan())


def test_a_pod_of_eight_mebibytes_is_read() -> None:
    pod = a_pod(annotations={"note": "n" * (7 << 20)})
    said = admit(Entry.NAMESPACE, orjson.dumps(a_review(pod)), a_plan())
    assert said.outcome is Outcome.INJECTED


def test_a_review_of_too_many_values_is_not_read() -> None:
    pod = a_pod(volumes=[{"name": "v"}] * 120_000)
    with pytest.raises(MalformedReviewError, match="body is not taken"):
        admit(Entry.NAMESPACE, orjson.dumps(a_review(pod)), a_plan())


def test_the_reviews_own_namespace_counts_not_the_pods() -> None:
    pod = a_pod(labels=HELD)
    pod["metadata"]["namespace"] = LISTED  # type: ignore[index,call-overload]
    said = admit(Entry.NAMESPACE, orjson.dumps(a_review(pod)), a_plan())
    assert said.outcome is Outcome.DENIED
