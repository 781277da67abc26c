"""Which authorities of which trust domain may end a chain, where two domains' look alike.

OpenSSL finds an issuer by subject and key identifier among all it was given. A federated bundle
with a look-alike of another domain's authority under a different key can thereby fail every peer
of that other domain, or be taken for it; so of two look-alikes only one is kept (IDENTITY §3.1).
The same goes for a look-alike of an intermediate, which no bundle names: those of our own chain
are known, and count as our domain's.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from spiffe import X509Bundle

Fingerprints = Mapping[str, frozenset[str]]
Subject = tuple[frozenset[tuple[str, str]], ...]


@dataclass(frozen=True, slots=True)
class _Look:
    """What OpenSSL goes by. An absent identifier (None) matches every other."""

    subject: Subject
    identifier: bytes | None
    key: bytes


@dataclass(slots=True)
class _Kept:
    looks: dict[Subject, list[tuple[str, _Look]]] = field(default_factory=dict)

    def collides(self, domain: str, look: _Look) -> bool:
        return any(
            other != domain and seen.key != look.key and _alike(seen.identifier, look.identifier)
            for other, seen in self.looks.get(look.subject, ())
        )

    def keep(self, domain: str, look: _Look) -> None:
        self.looks.setdefault(look.subject, []).append((domain, look))


def anchors_of(
    bundles: "Mapping[str, X509Bundle]",
    *,
    own: str | None,
    before: Fingerprints,
    between: Iterable[x509.Certificate] = (),
) -> tuple[dict[str, frozenset[str]], int]:
    """The SHA-256 (hexadecimal) of each trust domain's usable authorities, and how many were
    dropped. Our own domain's come first, and with them the intermediates `between` our leaf and
    our root; between others, those that were in use `before`."""
    kept, dropped = _Kept(), 0
    found: dict[str, set[str]] = {domain: set() for domain in bundles}
    if own is not None:
        for intermediate in between:
            kept.keep(own, _look_of(intermediate))
    ranked = sorted(
        (
            (domain != own, digest not in before.get(domain, ()), domain, digest, authority)
            for domain, bundle in bundles.items()
            for authority in bundle.x509_authorities
            for digest in (fingerprint(authority),)
        ),
        key=lambda row: row[:4],
    )
    for _, _, domain, digest, authority in ranked:
        look = _look_of(authority)
        if kept.collides(domain, look):
            dropped += 1
            continue
        kept.keep(domain, look)
        found[domain].add(digest)
    return {domain: frozenset(digests) for domain, digests in found.items()}, dropped


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate's DER, hexadecimal."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _look_of(authority: x509.Certificate) -> _Look:
    try:
        extension = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        identifier: bytes | None = extension.value.digest
    except x509.ExtensionNotFound:
        identifier = None
    key = authority.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _Look(_canonical(authority.subject), identifier, key)


def _canonical(name: x509.Name) -> Subject:
    """`name` as OpenSSL compares names: ASCII case and runs of spaces make no difference."""
    return tuple(
        frozenset((part.oid.dotted_string, _folded(part.value)) for part in row)
        for row in name.rdns
    )


def _folded(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.hex()
    return " ".join(text.lower().split())


def _alike(one: bytes | None, other: bytes | None) -> bool:
    return one is None or other is None or one == other
