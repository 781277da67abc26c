"""Why a TLS peer was not taken: closed, for metrics and logs (IDENTITY §7.1)."""

from enum import StrEnum


class HandshakeReason(StrEnum):
    OK = "ok"
    WRONG_AUTHORITY = "wrong_authority"
    NO_BUNDLE = "no_bundle"
    UNKNOWN_AUTHORITY = "unknown_authority"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    LEAF = "leaf"
    SPIFFE_ID = "spiffe_id"
    PATH = "path"
    NO_SVID = "no_svid"
    NO_CERTIFICATE = "no_certificate"
    NOT_EXPECTED = "not_expected"
    PROTOCOL = "protocol"
    INTERNAL = "internal"


class Role(StrEnum):
    """Which end of a handshake we were."""

    SERVER = "server"
    CLIENT = "client"


class PeerRefusedError(Exception):
    """A certificate, chain or peer that is not taken; `detail` is a fixed sentence of ours."""

    def __init__(self, reason: HandshakeReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
