"""X.509-SVIDs and their authorities, read strictly from DER (IDENTITY §7, X-1 to X-15).

Laws: DER is split before anything parses it; a leaf is judged by its parsed extensions, never by
what OpenSSL shows of it; a value of `spiffe` is made only of what passed here; errors are fixed
sentences and hold nothing of the certificate, and never the key.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)
from spiffe import SpiffeId as SpiffeIdValue, TrustDomain, X509Bundle, X509Svid

from outrider.identity.anchors import look_of
from outrider.identity.reasons import HandshakeReason, PeerRefusedError
from outrider.identity.rehearsal import loads_authorities, loads_svid, rehearsed_path
from outrider.identity.snapshot import OwnSvid
from outrider.identity.spiffe_id import (
    SpiffeId,
    SpiffeIdError,
    parse_spiffe_id,
    parse_trust_domain,
)

CHAIN_LIMIT: Final = 8
"""Certificates of one SVID, its authority aside."""
AUTHORITIES_LIMIT: Final = 64
BUNDLE_BYTES: Final = 262_144
"""Of one trust domain's authorities together."""
_CERTIFICATE_BYTES: Final = 16_384
_KEY_BYTES: Final = 16_384
_RSA_BITS: Final = 2048
_SEQUENCE: Final = 0x30
_BOTH: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class SvidError(ValueError):
    """Material of a source that is not taken; the message is a fixed sentence of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A leaf certificate that keeps every rule for one."""

    spiffe_id: SpiffeId
    certificate: x509.Certificate


# --- DER ---


def split_der(data: bytes, *, limit: int = AUTHORITIES_LIMIT) -> tuple[bytes, ...]:
    """The DER values that stand in `data` one after the other, each a SEQUENCE, at most `limit`.

    Definite lengths in their shortest form, and nothing before, between or behind. Empty data
    gives none. Raises `SvidError`, whatever the bytes.
    """
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if len(found) == limit:
            raise SvidError("more certificates than are taken")
        end = at + _sequence_bytes(data, at)
        if end > len(data):
            raise SvidError("DER is cut short")
        found.append(data[at:end])
        at = end
    return tuple(found)


def _sequence_bytes(data: bytes, at: int) -> int:
    """The length of the value that begins at `at`, header included."""
    header = data[at : at + 6]
    if header[0] != _SEQUENCE:
        raise SvidError("DER is not a row of sequences")
    if len(header) < 2:
        raise SvidError("DER is cut short")
    first = header[1]
    if first < 0x80:
        return 2 + first
    octets = first & 0x7F
    if not 1 <= octets <= 4:
        raise SvidError("DER of a length that is not taken")
    if len(header) < 2 + octets:
        raise SvidError("DER is cut short")
    length = int.from_bytes(header[2 : 2 + octets], "big")
    if length < 0x80 or length >> (8 * (octets - 1)) == 0:
        raise SvidError("DER whose length is not in its shortest form")
    if length > _CERTIFICATE_BYTES:
        raise SvidError("a certificate longer than is taken")
    return 2 + octets + length


def read_certificates(data: bytes, *, limit: int) -> tuple[x509.Certificate, ...]:
    """The certificates in `data`, one to `limit`. Raises `SvidError`."""
    parts = split_der(data, limit=limit)
    if not parts:
        raise SvidError("no certificate")
    return tuple(_certificate(part) for part in parts)


UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InternalError,  # what OpenSSL says of odd keys, and cryptography did not expect
    CryptographyDeprecationWarning,  # where warnings are errors
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""All that reading a certificate or key may raise; most of them are plain `Exception`s."""


def _certificate(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions, certificate.subject, certificate.issuer
        certificate.public_key()
    except UNREADABLE as fault:
        raise SvidError("a certificate that cannot be read") from fault
    return certificate


# --- rules ---


def check_leaf(der: bytes) -> Leaf:
    """The leaf of `der` (X-1 to X-6, X-8 to X-12, X-14, X-15). Raises `PeerRefusedError`, with
    `leaf` for the certificate and `spiffe_id` for the name in it."""
    try:
        certificate = _certificate(der)
    except SvidError as fault:
        raise _leaf_refused("the leaf cannot be read") from fault
    _check_basics(certificate)
    _check_key_usage(certificate)
    usages = _extension(certificate, x509.ExtendedKeyUsage)
    if usages is not None and not _BOTH.issubset(usages.value):
        raise _leaf_refused("the leaf is not for both ends of TLS")
    return Leaf(spiffe_id=_spiffe_id(certificate), certificate=certificate)


def _check_basics(certificate: x509.Certificate) -> None:
    basics = _extension(certificate, x509.BasicConstraints)
    if basics is not None and basics.value.ca:
        raise _leaf_refused("the leaf is a signing certificate")


def _check_key_usage(certificate: x509.Certificate) -> None:
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.critical:
        raise _leaf_refused("the leaf has no critical key usage")
    if not usage.value.digital_signature:
        raise _leaf_refused("the leaf's key is not for signatures")
    if usage.value.key_cert_sign or usage.value.crl_sign:
        raise _leaf_refused("the leaf's key may sign certificates or revocations")


def _spiffe_id(certificate: x509.Certificate) -> SpiffeId:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None:
        raise _leaf_refused("the leaf has no subject alternative name")
    if not names.critical and not list(certificate.subject):
        raise _leaf_refused("the leaf has neither a subject nor critical alternative names")
    uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise _leaf_refused("the leaf has not exactly one URI")
    try:
        found = parse_spiffe_id(uris[0])
    except SpiffeIdError as fault:
        raise PeerRefusedError(
            HandshakeReason.SPIFFE_ID, "the leaf's URI is no SPIFFE ID"
        ) from fault
    if not found.path:
        raise PeerRefusedError(HandshakeReason.SPIFFE_ID, "the leaf names a trust domain")
    return found


def read_signing(der: bytes) -> x509.Certificate:
    """A certificate of a chain above its leaf; `check_signing` is for when its place in the chain
    is known. Raises `PeerRefusedError`."""
    try:
        return _certificate(der)
    except SvidError as fault:
        raise PeerRefusedError(HandshakeReason.PATH, "a CA that cannot be read") from fault


def check_signing(certificate: x509.Certificate) -> None:
    """A certificate that signs others: `cA`, its key for signing certificates if it says what it
    is for, and a SPIFFE ID of its own only without a path (X-7). Raises `PeerRefusedError`."""
    basics = _extension(certificate, x509.BasicConstraints)
    if basics is None or not basics.value.ca:
        raise PeerRefusedError(HandshakeReason.PATH, "a signing certificate that is no CA")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.value.key_cert_sign:
        raise PeerRefusedError(HandshakeReason.PATH, "a CA whose key may not sign certificates")
    names = _extension(certificate, x509.SubjectAlternativeName)
    for uri in names.value.get_values_for_type(x509.UniformResourceIdentifier) if names else ():
        if uri.startswith("spiffe:") and not _is_trust_domain(uri):
            raise PeerRefusedError(HandshakeReason.PATH, "a CA that bears a workload's SPIFFE ID")


def _is_trust_domain(uri: str) -> bool:
    try:
        return not parse_spiffe_id(uri).path
    except SpiffeIdError:
        return False


def _extension(
    certificate: x509.Certificate, kind: type[_Extension]
) -> x509.Extension[_Extension] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _leaf_refused(detail: str) -> PeerRefusedError:
    return PeerRefusedError(HandshakeReason.LEAF, detail)


# --- chains ---


def exact_path(
    chain: Sequence[x509.Certificate], authorities: Iterable[x509.Certificate], now_unix_s: float
) -> tuple[x509.Certificate, ...] | None:
    """`chain` (leaf first) as it ends in one of `authorities` and in nothing else, that authority
    last; None where it does not.

    Of two certificates of one name none is tried: the search for a path would be as long as the
    other end likes.
    """
    between = chain[1:]
    if len(chain) > CHAIN_LIMIT + 1 or len({one.subject for one in between}) < len(between):
        return None
    trusted = list(authorities)
    if not trusted:
        return None
    verifier = (
        PolicyBuilder()
        .store(Store(trusted))
        .time(datetime.fromtimestamp(now_unix_s, UTC).replace(tzinfo=None))
        .max_chain_depth(CHAIN_LIMIT)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all()
        )
        .build_client_verifier()
    )
    try:
        return tuple(verifier.verify(chain[0], list(between)).chain)
    except (VerificationError, *UNREADABLE):
        return None


def earliest_end_s(chain: Iterable[x509.Certificate]) -> float:
    return min(one.not_valid_after_utc.timestamp() for one in chain)


# --- what a source says ---


def read_bundle(trust_domain: str, der: bytes) -> X509Bundle:
    """The authorities of `trust_domain`, one to 64, each a CA that can be read, by OpenSSL too: one
    it cannot load would otherwise cost every trust domain its handshakes. Raises `SvidError`."""
    try:
        name = parse_trust_domain(trust_domain)
    except SpiffeIdError as fault:
        raise SvidError("a bundle of what is no trust domain") from fault
    if len(der) > BUNDLE_BYTES:
        raise SvidError("a bundle longer than is taken")
    authorities = read_certificates(der, limit=AUTHORITIES_LIMIT)
    try:
        for authority in authorities:
            check_signing(authority)
            look_of(authority)
    except PeerRefusedError as fault:
        raise SvidError("a bundle with a certificate that may not sign others") from fault
    except UNREADABLE as fault:
        raise SvidError("a bundle with a certificate that cannot be read") from fault
    if not loads_authorities(split_der(der)):
        raise SvidError("a bundle with a certificate that OpenSSL cannot load")
    return X509Bundle(TrustDomain(name), set(authorities))


def read_own_svid(
    *, spiffe_id: str, chain: bytes, key: bytes, bundle: X509Bundle, hint: str, now_unix_s: float
) -> OwnSvid:
    """Our SVID: `chain` and `key` (PKCS#8) as DER. Raises `SvidError` unless every rule for a
    leaf holds, its URI is `spiffe_id`, the key is the leaf's, and the chain ends in `bundle`,
    which is that of its trust domain, now: by the exact check, or else as TLS would have it."""
    certificates = read_certificates(chain, limit=CHAIN_LIMIT)
    try:
        leaf = check_leaf(certificates[0].public_bytes(Encoding.DER))
        for signing in certificates[1:]:
            check_signing(signing)
    except PeerRefusedError as fault:
        raise SvidError("an SVID that breaks a rule of its standard") from fault
    if leaf.spiffe_id.text != spiffe_id:
        raise SvidError("an SVID whose name is not the one given beside it")
    if str(bundle.trust_domain) != leaf.spiffe_id.trust_domain:
        raise SvidError("an SVID beside the bundle of another trust domain")
    private = _private_key(key)
    pem = _fitting_pem(private, certificates)
    path = exact_path(certificates, bundle.x509_authorities, now_unix_s) or rehearsed_path(
        pem, bundle.x509_authorities
    )
    if path is None or earliest_end_s(path) <= now_unix_s:
        raise SvidError("an SVID that does not end in the bundle beside it now")
    return OwnSvid(
        spiffe_id=leaf.spiffe_id,
        svid=X509Svid(SpiffeIdValue(spiffe_id), list(certificates), private),
        begins_unix_s=leaf.certificate.not_valid_before_utc.timestamp(),
        expires_unix_s=earliest_end_s((*certificates, *path)),
        leaf_sha256=hashlib.sha256(certificates[0].public_bytes(Encoding.DER)).hexdigest(),
        hint=hint,
    )


def _fitting_pem(key: PrivateKey, chain: Sequence[x509.Certificate]) -> bytes:
    """Key and chain as OpenSSL loads them, tried. Raises `SvidError` where they do not fit."""
    try:
        if _public_bytes(key) != _public_bytes(chain[0]):
            raise SvidError("an SVID whose key is not the one given beside it")
        pem = pem_of(key, chain)
    except (UnsupportedAlgorithm, InternalError):
        raise SvidError("a key that cannot be read") from None
    if not loads_svid(pem):
        raise SvidError("an SVID that OpenSSL cannot load")
    return pem


def pem_of(key: PrivateKeyTypes, chain: Iterable[x509.Certificate]) -> bytes:
    """Key and chain as OpenSSL loads them. Never to be kept."""
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return secret + b"".join(one.public_bytes(Encoding.PEM) for one in chain)


def _private_key(der: bytes) -> PrivateKey:
    if len(der) > _KEY_BYTES or len(split_der(der, limit=1)) != 1 or not _is_pkcs8(der):
        raise SvidError("a key that is not one PKCS#8 value")
    try:
        key = load_der_private_key(der, password=None)
    except UNREADABLE:
        raise SvidError("a key that cannot be read") from None
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _RSA_BITS:
            raise SvidError("an RSA key under 2048 bits")
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise SvidError("a key of a kind that TLS cannot use")


def _is_pkcs8(der: bytes) -> bool:
    """PKCS#8 has its version, then a sequence; PKCS#1 and SEC 1 have no sequence there."""
    body = der[2 + (der[1] & 0x7F if der[1] & 0x80 else 0) :]
    return body[:2] == b"\x02\x01" and body[3:4] == b"\x30"


def _public_bytes(holder: PrivateKey | x509.Certificate) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
