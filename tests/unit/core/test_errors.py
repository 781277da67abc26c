from outrider.core.errors import MalformedError, TooLargeError, UnrecognisedError
from outrider.core.vocabulary import (
    Reason,
)


def test_errors_carry_their_reason_and_a_finer_word() -> None:
    assert UnrecognisedError("x").reason is Reason.UNRECOGNISED
    assert MalformedError("x", reason=Reason.TOO_LARGE).reason is Reason.TOO_LARGE
    large = TooLargeError(10, cause="answer", status=502)
    assert (large.reason, large.limit_bytes, large.cause, large.status) == (
        Reason.TOO_LARGE,
        10,
        "answer",
        502,
    )
    assert "10 bytes" in large.detail
