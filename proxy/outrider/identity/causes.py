"""Why a caller could not be identified: closed, for metrics and the record, never the answer."""

from enum import StrEnum

from outrider.core.errors import UnauthenticatedError


class Cause(StrEnum):
    NO_IDENTITY = "no_identity"
    NO_SVID = "no_svid"
    """We hold no valid SVID under whose ID a local caller could be taken, or a peer call us."""
    PEER_EXPIRED = "peer_expired"
    PEER_WITHDRAWN = "peer_withdrawn"
    """The authority that the peer's chain ended at is no longer its trust domain's."""
    UID_NOT_ALLOWED = "uid_not_allowed"
    BEARER_NOT_ALLOWED = "bearer_not_allowed"
    DISAGREEING = "disagreeing"
    INSTANCE = "instance"
    MALFORMED_TOKEN = "malformed_token"  # noqa: S105 - a cause, not a token
    HEADER_NAME = "header_name"
    ALGORITHM = "algorithm"
    TOKEN_TYPE = "token_type"  # noqa: S105 - a cause, not a token
    SUBJECT = "subject"
    UNKNOWN_DOMAIN = "unknown_domain"
    UNKNOWN_KEY = "unknown_key"
    ISSUER_UNAVAILABLE = "issuer_unavailable"
    """No keys of the issuer are held, or what is held is too old."""
    BAD_SIGNATURE = "bad_signature"
    MALFORMED_CLAIM = "malformed_claim"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    TOO_LONG_LIVED = "too_long_lived"
    WRONG_AUDIENCE = "wrong_audience"
    CLIENT = "client"
    CONFIRMATION = "confirmation"
    """The token is bound to a key whose possession was not proven here."""


def refused(cause: Cause, detail: str, *, close: bool = False) -> UnauthenticatedError:
    """The error for `cause`; `detail` is a fixed sentence of ours. `close` ends the connection."""
    return UnauthenticatedError(detail, cause=cause.value, close=close)
