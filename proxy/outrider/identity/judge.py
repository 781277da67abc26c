"""Who is taken at the other end of a handshake, and why not (IDENTITY §3.2).

Laws: a chain is judged by its parsed certificates, never by what OpenSSL shows of them; its
authority belongs to the leaf's own trust domain; a refusal has a closed reason and a fixed
sentence, counted and logged once, without a word of the other end's.
"""

import hashlib
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509

from outrider.core.exchange import TlsPeer
from outrider.core.ports import Clock
from outrider.identity.anchors import fingerprint
from outrider.identity.events import IdentityEvents
from outrider.identity.reasons import HandshakeReason, PeerRefusedError, Role
from outrider.identity.snapshot import Snapshot, alive
from outrider.identity.spiffe_id import SpiffeId, SpiffeIdError, parse_spiffe_id
from outrider.identity.x509 import (
    CHAIN_LIMIT,
    check_leaf,
    check_signing,
    earliest_end_s,
    exact_path,
    read_signing,
)

logger = logging.getLogger("outrider.identity")

_VERIFY_CODES: Final[Mapping[int, HandshakeReason]] = {
    9: HandshakeReason.NOT_YET_VALID,
    10: HandshakeReason.EXPIRED,
    18: HandshakeReason.UNKNOWN_AUTHORITY,
    19: HandshakeReason.UNKNOWN_AUTHORITY,
    20: HandshakeReason.UNKNOWN_AUTHORITY,
    21: HandshakeReason.UNKNOWN_AUTHORITY,
}
_MOST_TAKEN: Final = 256
"""Chains that one context remembers."""


class HandshakeRefusedError(ssl.SSLCertVerificationError):
    """A handshake that failed, for `reason`; the text is a fixed sentence."""

    def __init__(self, reason: HandshakeReason, detail: str) -> None:
        super().__init__(1, detail)
        self.reason: Any = reason  # `ssl` says str, and a `HandshakeReason` is one
        self.verify_code = 0
        self.verify_message = detail


class Expected:
    """Which SPIFFE IDs an upstream may have: exact ones, and `spiffe://td/path/*`, whose prefix
    ends at a whole segment. Raises `SpiffeIdError` for anything else, and for nothing at all."""

    __slots__ = ("_exact", "_prefixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        exact, prefixes = set(), []
        for pattern in patterns:
            base = pattern.removesuffix("/*")
            found = parse_spiffe_id(base)
            if base != pattern:
                prefixes.append(f"{found.text}/")
            elif found.path:
                exact.add(found.text)
            else:
                raise SpiffeIdError("a trust domain where a workload is expected")
        if not exact and not prefixes:
            raise SpiffeIdError("nobody is expected")
        self._exact = frozenset(exact)
        self._prefixes = tuple(prefixes)

    def covers(self, spiffe_id: str) -> bool:
        """Whether a verified ID is among those expected."""
        return spiffe_id in self._exact or spiffe_id.startswith(self._prefixes)


# --- judging ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Who is taken, under one generation of trust.

    A chain once taken is taken again without being read anew, until it ends: the same bytes under
    the same trust say the same. OpenSSL has verified it, and the key's proof, each time.
    """

    role: Role
    events: IdentityEvents
    clock: Clock
    expect: Expected | None
    snapshot: Snapshot
    current: Callable[[], Snapshot]
    """What holds by now, which may be more or less than when the handshake began."""
    authorities: Mapping[str, tuple[x509.Certificate, ...]]
    taken: dict[tuple[bytes, ...], TlsPeer] = field(default_factory=dict)

    def peer(self, chain: list[bytes]) -> TlsPeer:
        """The peer whose verified chain is `chain`. Raises `PeerRefusedError`."""
        peer = self._peer(chain)
        current = self.current()
        if current.generation != self.snapshot.generation and not alive(
            peer, current, self.clock.unix_s()
        ):
            raise PeerRefusedError(
                HandshakeReason.UNKNOWN_AUTHORITY, "its authority was withdrawn meanwhile"
            )
        return peer

    def _peer(self, chain: list[bytes]) -> TlsPeer:
        key = tuple(chain)
        known = self.taken.get(key)
        if known is not None and self.clock.unix_s() < known.expires_unix_s:
            return known
        peer = self._read(chain)
        if len(self.taken) >= _MOST_TAKEN:
            self.taken.clear()
        self.taken[key] = peer
        return peer

    def _read(self, chain: list[bytes]) -> TlsPeer:
        if not chain:
            raise PeerRefusedError(HandshakeReason.NO_CERTIFICATE, "no verified chain")
        if len(chain) > CHAIN_LIMIT + 1:
            raise PeerRefusedError(HandshakeReason.PATH, "a chain longer than is taken")
        leaf = check_leaf(chain[0])
        path = self._path(leaf.spiffe_id, (leaf.certificate, *map(read_signing, chain[1:])))
        for signing in path[1:]:
            check_signing(signing)
        expires = earliest_end_s(path)
        if expires <= self.clock.unix_s():
            raise PeerRefusedError(HandshakeReason.EXPIRED, "the chain has ended")
        if self.expect is not None and not self.expect.covers(leaf.spiffe_id.text):
            raise PeerRefusedError(HandshakeReason.NOT_EXPECTED, "not who is expected here")
        return TlsPeer(
            spiffe_id=leaf.spiffe_id.text,
            trust_domain=leaf.spiffe_id.trust_domain,
            expires_unix_s=expires,
            leaf_sha256=hashlib.sha256(chain[0]).hexdigest(),
            anchor_sha256=fingerprint(path[-1]),
            generation=self.snapshot.generation,
        )

    def _path(
        self, spiffe_id: SpiffeId, chain: tuple[x509.Certificate, ...]
    ) -> tuple[x509.Certificate, ...]:
        """The chain as it ends in an authority of the leaf's own trust domain (X-16, X-17)."""
        anchors = self.snapshot.anchors.get(spiffe_id.trust_domain)
        if not anchors or spiffe_id.trust_domain not in self.authorities:
            raise PeerRefusedError(HandshakeReason.NO_BUNDLE, "a trust domain without a bundle")
        if fingerprint(chain[-1]) in anchors:
            return chain
        authorities = self.authorities[spiffe_id.trust_domain]
        exact = exact_path(chain, authorities, self.clock.unix_s())
        if exact is None:
            raise PeerRefusedError(
                HandshakeReason.WRONG_AUTHORITY, "not by an authority of its trust domain"
            )
        return exact

    def took(self) -> None:
        self.events.handshake(self.role, HandshakeReason.OK)

    def refusal(self, fault: BaseException) -> HandshakeRefusedError:
        """`fault` as the one error that leaves a handshake; counts and logs it."""
        reason, detail = _reason_of(fault)
        self.events.handshake(self.role, reason)
        logger.warning(
            "a TLS peer was refused",
            extra={
                "event": "tls_peer_refused",
                "role": self.role.value,
                "reason": reason.value,
                "detail": detail,
            },
        )
        return HandshakeRefusedError(reason, detail)


def _reason_of(fault: BaseException) -> tuple[HandshakeReason, str]:
    if isinstance(fault, PeerRefusedError):
        return fault.reason, fault.detail
    if isinstance(fault, ssl.SSLCertVerificationError):
        reason = _VERIFY_CODES.get(fault.verify_code, HandshakeReason.PATH)
        return reason, "OpenSSL does not take the chain"
    if isinstance(fault, ssl.SSLError):
        if fault.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            return HandshakeReason.NO_CERTIFICATE, "no certificate was shown"
        return HandshakeReason.PROTOCOL, "the handshake broke off"
    return HandshakeReason.INTERNAL, "a fault of ours"
