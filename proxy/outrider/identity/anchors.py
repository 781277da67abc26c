"""Which authorities of which trust domain may end a chain, where two domains' look alike.

OpenSSL finds an issuer by subject and key identifier among all it was given. A federated bundle
with a look-alike of another domain's authority under a different key can thereby fail every peer
of that other domain, or be taken for it; so of two look-alikes only one is kept (IDENTITY §3.1).
The same goes for a look-alike of an intermediate, which no bundle names: those of our own chain
are known, and count as our domain's. Known limit: an intermediate that neither a bundle nor our
own chain names can be imitated by a federated domain, at the cost of those peers alone, who are
then refused for `path`; the remedy is to withdraw that federation. Identifiers are free to choose
(RFC 5280 §4.2.1.2), so that to demand a digest of the key would refuse honest authorities.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from spiffe import X509Bundle

Fingerprints = Mapping[str, frozenset[str]]

KNOWN_LIMIT: Final = 8192
"""Certificates whose looks are remembered: twice what one state of a source may hold."""
_EVERY: Final = b"*"
"""Stands for every identifier; theirs are 32 bytes."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What OpenSSL goes by, as digests. An absent identifier (None) matches every other."""

    subject: bytes
    identifier: bytes | None
    key: bytes
    is_derived: bool
    """Its identifier is a digest of its own key, so that nobody can have copied it."""


@dataclass(slots=True)
class _Seen:
    """The keys under one look, and whose they are: asked in constant time."""

    pairs: set[tuple[str, bytes]] = field(default_factory=set)
    of_domain: Counter[str] = field(default_factory=Counter)
    of_key: Counter[bytes] = field(default_factory=Counter)

    def add(self, domain: str, key: bytes) -> None:
        if (domain, key) not in self.pairs:
            self.pairs.add((domain, key))
            self.of_domain[domain] += 1
            self.of_key[key] += 1

    def has_other(self, domain: str, key: bytes) -> bool:
        """Whether there is a key other than `key` that is of another domain than `domain`."""
        either = self.of_domain[domain] + self.of_key[key] - ((domain, key) in self.pairs)
        return len(self.pairs) > either


@dataclass(slots=True)
class _Kept:
    """By subject and identifier, with what bears none under None, and all of a subject's."""

    looks: dict[tuple[bytes, bytes | None], _Seen] = field(default_factory=dict)

    def collides(self, domain: str, look: _Look) -> bool:
        alike = (_EVERY,) if look.identifier is None else (look.identifier, None)
        return any(
            seen.has_other(domain, look.key)
            for identifier in alike
            if (seen := self.looks.get((look.subject, identifier))) is not None
        )

    def keep(self, domain: str, look: _Look) -> None:
        for identifier in (look.identifier, _EVERY):
            self.looks.setdefault((look.subject, identifier), _Seen()).add(domain, look.key)


def anchors_of(
    bundles: "Mapping[str, X509Bundle]",
    *,
    own: str | None,
    before: Fingerprints,
    between: Iterable[x509.Certificate] = (),
) -> tuple[dict[str, frozenset[str]], int]:
    """The SHA-256 (hexadecimal) of each trust domain's usable authorities, and how many were
    dropped. Our own domain's come first, and with them the intermediates `between` our leaf and
    our root; between others, those that were in use `before`, then those whose identifier is of
    their own key: a copied one never is."""
    kept, dropped = _Kept(), 0
    found: dict[str, set[str]] = {domain: set() for domain in bundles}
    if own is not None:
        for intermediate in between:
            kept.keep(own, look_of(intermediate))
    ranked = sorted(
        (
            (
                domain != own,
                digest not in before.get(domain, ()),
                not look_of(authority).is_derived,
                domain,
                digest,
                authority,
            )
            for domain, bundle in bundles.items()
            for authority in bundle.x509_authorities
            for digest in (fingerprint(authority),)
        ),
        key=lambda row: row[:5],
    )
    for _, _, _, domain, digest, authority in ranked:
        look = look_of(authority)
        if kept.collides(domain, look):
            dropped += 1
            continue
        kept.keep(domain, look)
        found[domain].add(digest)
    return {domain: frozenset(digests) for domain, digests in found.items()}, dropped


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate's DER, hexadecimal."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


_looks: dict[str, _Look] = {}


def look_of(authority: x509.Certificate) -> _Look:
    """How it looks to OpenSSL. Remembered by its fingerprint, so that who reads a bundle may pay
    for it beside the event loop."""
    name = fingerprint(authority)
    look = _looks.get(name)
    if look is None:
        look = _read_look(authority)
        if len(_looks) >= KNOWN_LIMIT:
            _looks.clear()
        _looks[name] = look
    return look


def _read_look(authority: x509.Certificate) -> _Look:
    try:
        extension = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        identifier: bytes | None = extension.value.digest
    except x509.ExtensionNotFound:
        identifier = None
    key = authority.public_key()
    whole = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _Look(
        subject=_canonical(authority.subject),
        identifier=None if identifier is None else hashlib.sha256(identifier).digest(),
        key=hashlib.sha256(whole).digest(),
        is_derived=identifier in _identifiers(whole, _bits(key)),
    )


def _identifiers(whole: bytes, bits: bytes) -> set[bytes]:
    """What RFC 5280 §4.2.1.2 and RFC 7093 make of a key, and what CAs are known to make of it."""
    found = {hashlib.sha1(one, usedforsecurity=False).digest() for one in (bits, whole)}
    for one in (bits, whole):
        digest = hashlib.sha256(one).digest()
        found |= {digest, digest[:20]}
    return found


def _bits(key: CertificatePublicKeyTypes) -> bytes:
    """The key alone, without the name of its kind."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return b""


def _canonical(name: x509.Name) -> bytes:
    """A digest of `name` as OpenSSL compares names: ASCII case and runs of spaces make no
    difference."""
    rows = [
        sorted({(part.oid.dotted_string, _folded(part.value)) for part in row}) for row in name.rdns
    ]
    return hashlib.sha256(repr(rows).encode("utf-8", "backslashreplace")).digest()


def _folded(value: str | bytes) -> str:
    text = value if isinstance(value, str) else value.hex()
    return " ".join(text.lower().split())
