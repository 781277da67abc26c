"""Why a caller could not be identified: closed, for metrics and the record, never the answer."""

from enum import StrEnum

from outrider.core.errors import UnauthenticatedError


class Cause(StrEnum):
    NO_IDENTITY = "no_identity"
    UID_NOT_ALLOWED = "uid_not_allowed"
    BEARER_NOT_ALLOWED = "bearer_not_allowed"
    DISAGREEING = "disagreeing"
    MALFORMED_TOKEN = "malformed_token"  # noqa: S105 - a cause, not a token
    HEADER_NAME = "header_name"
    ALGORITHM = "algorithm"
    TOKEN_TYPE = "token_type"  # noqa: S105 - a cause, not a token
    SUBJECT = "subject"
    UNKNOWN_DOMAIN = "unknown_domain"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    MALFORMED_CLAIM = "malformed_claim"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    TOO_LONG_LIVED = "too_long_lived"
    WRONG_AUDIENCE = "wrong_audience"


def refused(cause: Cause, detail: str) -> UnauthenticatedError:
    """The error for `cause`; `detail` is a fixed sentence of ours."""
    return UnauthenticatedError(detail, cause=cause.value)
