"""Everything that is known of identities at one moment: frozen, and swapped whole.

Laws: an authority belongs to the trust domain that brought it and is never merged with another's
(X-17); X.509 and JWT material never stand in for one another (X-18); compare snapshots by identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from outrider.core.exchange import TlsPeer
from outrider.identity.bundles import Bundles
from outrider.identity.spiffe_id import SpiffeId

if TYPE_CHECKING:  # importing `spiffe` costs gRPC's memory: only where SVIDs are really held
    from spiffe import X509Bundle, X509Svid


class SourceState(StrEnum):
    """How the source of our identity is (IDENTITY §4)."""

    WAITING = "waiting"
    SERVING = "serving"
    DISCONNECTED = "disconnected"
    """Serving, but nothing new is heard."""
    REDACTED = "redacted"
    """The source said that we may hold no identity."""
    EXPIRED = "expired"
    FAILED = "failed"
    """The source cannot work until settings or the process change; what is held is served on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSvid:
    """Our own X.509-SVID, checked: leaf rules, key and certificate fit, chain ends in our bundle.

    `expires_unix_s` is the earliest end of the chain, `leaf_sha256` hexadecimal. `svid` holds the
    private key; nothing but `identity.tls` and the signing of assertions takes it out.
    """

    spiffe_id: SpiffeId
    svid: "X509Svid"
    begins_unix_s: float
    expires_unix_s: float
    leaf_sha256: str
    hint: str = ""

    @property
    def lifetime_s(self) -> float:
        return self.expires_unix_s - self.begins_unix_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """`generation` grows whenever `svid` or `x509` change: TLS contexts and pooled connections
    belong to one. `anchors` are the SHA-256 (hexadecimal) of each trust domain's authorities, less
    those dropped for colliding with another domain's."""

    generation: int = 0
    svid: OwnSvid | None = None
    x509: "Mapping[str, X509Bundle]" = field(default_factory=lambda: MappingProxyType({}))
    anchors: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    jwt: Bundles = field(default_factory=Bundles)

    def own(self, now_unix_s: float) -> OwnSvid | None:
        """Our SVID where it is valid now."""
        svid = self.svid
        return svid if svid is not None and now_unix_s < svid.expires_unix_s else None


_NONE: frozenset[str] = frozenset()


def alive(peer: TlsPeer, snapshot: Snapshot, now_unix_s: float) -> bool:
    """Whether what `peer` proved in its handshake still holds: not expired, and the authority it
    ended at still belongs to its own trust domain. Asked for every request: no lookup but two."""
    return now_unix_s < peer.expires_unix_s and peer.anchor_sha256 in snapshot.anchors.get(
        peer.trust_domain, _NONE
    )
