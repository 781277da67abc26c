"""What is wrong with OPA, in words: what was seen, where, and what to do."""

import pytest

from outrider.core.ports import Defined, Failed, Meta, Undefined
from outrider.core.vocabulary import Reason
from outrider.policy.opa_door import UNPROVEN
from outrider.policy.opa_reply import Reply, read_reply
from outrider.policy.opa_words import answer_in_words, fault_in_words, stale_in_words

WHERE = "https://opa.acme.test:8181"


def _status(number: int) -> Failed:
    raw = read_reply(Reply(status=number, content_type=b"", body=b""), 0)
    assert isinstance(raw, Failed)
    return raw


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(
            Failed(code=Reason.POLICY_UNAVAILABLE, detail="OPA does not take connections"),
            f"nothing answers at {WHERE}: OPA does not take connections",
            id="nothing",
        ),
        pytest.param(
            Failed(code=Reason.POLICY_TIMEOUT, detail="no answer by the deadline"),
            f"nothing answers at {WHERE}: no answer by the deadline",
            id="hangs",
        ),
        pytest.param(_status(503), f"at {WHERE}: OPA answered 503", id="answers-503"),
        pytest.param(
            _status(401),
            f"at {WHERE}: OPA answered 401: it does not let us ask; "
            "name our SPIFFE ID where its system.authz looks for its callers",
            id="401",
        ),
        pytest.param(
            UNPROVEN,
            f"OPA at {WHERE} is not reached: OPA's identity, or ours, does not hold; "
            "the log names the handshake's fault",
            id="unproven",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(fault: Failed, told: str) -> None:
    assert fault_in_words(fault, WHERE) == told


@pytest.mark.parametrize(
    ("named", "told"),
    [
        pytest.param("b2", "under revision b2, ours is r1; give both the same", id="another"),
        pytest.param("2026-11-23.1+a0", "under revision 2026-11-23.1+a0, ours", id="long"),
        pytest.param("b\n\x1b[31m2", "under revision b???31m2, ours", id="hostile"),
        pytest.param("x" * 9000, "under revision " + "x" * 80 + ", ours", id="endless"),
        pytest.param(None, "names no revision, ours is r1", id="none"),
    ],
)
def test_another_revision_is_named_beside_ours(named: str | None, told: str) -> None:
    assert told in stale_in_words(named, "r1")


def test_what_opa_answers_to_an_activation_is_told() -> None:
    stale = Defined(value=True, meta=Meta(revision="b2"))
    assert "b2" in answer_in_words(stale, "r1", WHERE)
    assert "no revision" in answer_in_words(Undefined(meta=Meta()), "r1", WHERE)
    assert "503" in answer_in_words(_status(503), "r1", WHERE)
