"""Every end of a check has its words and what to do."""

import pytest

from outrider.app.peer_words import REFUSED_US, TIMEOUT, UNREACHABLE, words_of
from outrider.identity.reasons import HandshakeReason


@pytest.mark.parametrize(
    "reason", [*(one.value for one in HandshakeReason), UNREACHABLE, TIMEOUT, REFUSED_US]
)
def test_every_end_has_its_words_and_what_to_do(reason: str) -> None:
    says, next_ = words_of(reason)
    assert says
    assert next_


def test_what_is_no_end_has_no_words() -> None:
    with pytest.raises(ValueError, match="nothing"):
        words_of("nothing")
