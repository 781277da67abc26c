"""A refusal where no adapter was chosen."""

import orjson
import pytest

from outrider.core.vocabulary import Reason
from outrider.pipeline.plain import plain_refusal
from tests.support.builders import a_refusal


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_problem_details(reason: Reason) -> None:
    refused = plain_refusal(a_refusal(reason))
    body = orjson.loads(refused.body)
    assert dict(refused.headers)["content-type"] == "application/problem+json"
    assert (body["reason"], body["status"], refused.status) == (
        reason.value, refused.status, body["status"],
    )  # fmt: skip
    assert refused.status >= 400


def test_a_finer_status_allow_and_retry_after_are_said() -> None:
    refused = plain_refusal(a_refusal(Reason.OVERLOAD, status=429, allow_methods=("GET", "POST")))
    assert refused.status == 429
    assert dict(refused.headers)["allow"] == "GET, POST"
    assert dict(refused.headers)["retry-after"] == "1"
