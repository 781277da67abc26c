import pytest

from outrider.core.answers import ANSWERS
from outrider.core.vocabulary import (
    OUTCOME_OF,
    Reason,
)
from tests.support.builders import (
    a_refusal,
)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_an_answer_and_an_outcome(reason: Reason) -> None:
    answer = ANSWERS[reason]
    assert answer.http >= 400
    assert answer.rpc < 0
    assert answer.title
    assert answer.advice
    assert reason in OUTCOME_OF
    assert a_refusal(reason).answer is answer
