"""The words for each end of `outrider identity check`: what it means, and what to do next."""

from collections.abc import Mapping
from typing import Final

from outrider.identity.reasons import HandshakeReason

UNREACHABLE: Final = "unreachable"
TIMEOUT: Final = "timeout"
REFUSED_US: Final = "refused_us"

SAYS: Final[Mapping[HandshakeReason, tuple[str, str]]] = {
    HandshakeReason.OK: ("it is who it says, and took our SVID", "nothing is left to do"),
    HandshakeReason.WRONG_AUTHORITY: (
        "its certificate is not by an authority of the trust domain that it names: a forgery",
        "do not trust it, unless that domain's authorities changed and our bundle is old",
    ),
    HandshakeReason.NO_BUNDLE: (
        "we hold no bundle of its trust domain",
        "federate with that trust domain, and let our entry federate with it",
    ),
    HandshakeReason.UNKNOWN_AUTHORITY: (
        "no authority that we hold signed its certificate",
        "see that its trust domain's bundle reaches us, and that what it shows is an SVID",
    ),
    HandshakeReason.EXPIRED: (
        "its certificate, or one of its chain, has run out",
        "see that its own source renews it, and compare the clocks",
    ),
    HandshakeReason.NOT_YET_VALID: (
        "its certificate is not valid yet",
        "compare the clocks of both machines",
    ),
    HandshakeReason.LEAF: (
        "its certificate breaks a rule for X509-SVIDs",
        "have it issued by a SPIFFE implementation: one URI SAN, digitalSignature, no CA",
    ),
    HandshakeReason.SPIFFE_ID: (
        "its certificate's URI is no SPIFFE ID of a workload",
        "have it issued for spiffe://<trust domain>/<path>",
    ),
    HandshakeReason.PATH: (
        "its chain does not lead to an authority that we hold",
        "see that it sends its intermediates and that each may sign",
    ),
    HandshakeReason.NO_SVID: (
        "we hold no valid SVID, so no handshake can begin",
        "see `outrider identity show` for what is missing",
    ),
    HandshakeReason.NO_CERTIFICATE: ("it showed no certificate", "see that it speaks mutual TLS"),
    HandshakeReason.NOT_EXPECTED: (
        "it is verified, and is not whom our settings expect there",
        "if it is the right one, add its SPIFFE ID to the upstream's tls.spiffe.expect",
    ),
    HandshakeReason.PROTOCOL: (
        "the handshake broke off: it speaks no TLS 1.3 here, or hung up, or holds no SVID itself",
        "see that this is its TLS port, that it speaks TLS 1.3 and holds a valid SVID",
    ),
    HandshakeReason.INTERNAL: ("a fault of ours", "see the sidecar's log"),
}
"""What each end of a handshake means, and what to do next."""
SAYS_ELSE: Final[Mapping[str, tuple[str, str]]] = {
    UNREACHABLE: (
        "nothing answers there",
        "see that it runs, and that name, port and network are right",
    ),
    TIMEOUT: (
        "it took the connection and did not end the handshake in time",
        "see that this is its TLS port and that it is not overloaded or stopped",
    ),
    REFUSED_US: (
        "it is verified, but hung up once it had seen our SVID",
        "see that it holds our trust domain's bundle and lets our SPIFFE ID in",
    ),
}


def words_of(reason: str) -> tuple[str, str]:
    """What `reason` means and what to do next; it is a `HandshakeReason` or one of those above."""
    return SAYS_ELSE.get(reason) or SAYS[HandshakeReason(reason)]
