import orjson
import pytest

from outrider.core.answers import ANSWERS
from outrider.core.decision import ReasonEntry
from outrider.core.vocabulary import Reason
from outrider.protocols.wire.problem import problem
from tests.support.builders import a_refusal


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_a_problem_of_its_own(reason: Reason) -> None:
    refused = problem(a_refusal(reason))
    members = orjson.loads(refused.body)
    assert refused.status == members["status"] == ANSWERS[reason].http
    assert members["type"] == f"urn:outrider:reason:{reason.value}"
    assert (members["reason"], members["decision_id"]) == (reason.value, "dec_1")
    assert members["title"] == members["detail"] == ANSWERS[reason].title
    assert members["advice"] == ANSWERS[reason].advice
    headers = dict(refused.headers)
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert ("retry-after" in headers) is (ANSWERS[reason].retry_after_s is not None)


def test_a_problem_carries_what_the_refusal_knows() -> None:
    entries = (
        ReasonEntry(
            code="SQ-04", message="612 records", severity="high", refs=("T2",), pointer="/to"
        ),
        ReasonEntry(code="SQ-05", mode="shadow"),
        ReasonEntry(code="SQ-06"),
    )
    refused = problem(
        a_refusal(
            Reason.UNRECOGNISED,
            status=405,
            detail="no declared operation has this method",
            reasons=entries,
            pointer="/to",
            allow_methods=("GET", "POST"),
        )
    )
    members = orjson.loads(refused.body)
    assert refused.status == members["status"] == 405
    assert members["detail"] == "no declared operation has this method"
    assert members["pointer"] == "/to"
    assert members["reasons"] == [
        {
            "code": "SQ-04",
            "message": "612 records",
            "severity": "high",
            "refs": ["T2"],
            "pointer": "/to",
        },
        {"code": "SQ-06", "message": "", "severity": "medium", "refs": []},
    ]
    assert dict(refused.headers)["allow"] == "GET, POST"


def test_a_busy_sidecar_says_when_to_come_back() -> None:
    assert dict(problem(a_refusal(Reason.OVERLOAD)).headers)["retry-after"] == "1"
