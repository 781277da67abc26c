"""The CA and the certificate that the injector makes for itself, and when the next ones are due.

Laws: but for the very first, a CA signs only once the caller says that everybody knows it; a CA
stays in the bundle until every certificate it signed has expired; a CA signs for the one name
of our Service (name constraint) and for nothing below itself. Free of I/O; `now` is an argument.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from outrider.core.secret import Secret

BACKDATED: Final = timedelta(minutes=10)
"""How long before its making a certificate is valid, for clocks that are behind."""
RETIRED: Final = 8
"""CAs in the bundle that sign no more, at most; the ones that end last are kept."""
_RENEWED_AT: Final = 2 / 3
_PART_BYTES: Final = 65_536
_KEYS: Final = ("ca.crt", "ca.key", "tls.crt", "tls.key", "next-ca.crt", "next-ca.key")


class UnfitError(Exception):
    """What the Secret holds cannot be used; the text says why and holds nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For whom certificates are made, and for how long. Seconds."""

    name: str
    ca_s: float
    leaf_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A certificate with its key, both PEM. The instants are those in it, but that `from_unix_s` is
    the moment it was made."""

    certificate: bytes
    key: Secret
    from_unix_s: float
    until_unix_s: float

    def is_due(self, now_unix_s: float) -> bool:
        """Whether two thirds of its life are over, or it is not valid yet."""
        life_s = self.until_unix_s - self.from_unix_s
        over = now_unix_s >= self.from_unix_s + life_s * _RENEWED_AT
        return over or self.is_early(now_unix_s)

    def is_early(self, now_unix_s: float) -> bool:
        """Whether it is not valid yet: a clock that was ahead made it."""
        return now_unix_s < self.from_unix_s - BACKDATED.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A CA that signs no more and is trusted until its last certificate has expired."""

    certificate: bytes
    until_unix_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """All that the Secret holds. `next_ca` is in the bundle already and does not sign yet."""

    ca: Issued
    leaf: Issued
    next_ca: Issued | None = None
    retired: tuple[Retired, ...] = ()

    def bundle(self) -> bytes:
        """Every CA that must be trusted, PEM, in an order that is the same each time."""
        upcoming = () if self.next_ca is None else (self.next_ca.certificate,)
        parts = (self.ca.certificate, *upcoming, *(one.certificate for one in self.retired))
        return b"".join(part.strip() + b"\n" for part in parts)


# --- what is due ---


def first(terms: Terms, now_unix_s: float) -> Held:
    """A CA and a certificate where there were none."""
    ca = _authority(terms, now_unix_s)
    return Held(ca=ca, leaf=_leaf(terms, ca, now_unix_s))


def advanced(held: Held, terms: Terms, now_unix_s: float, *, announced: bool) -> Held:
    """`held` with what is due done; the very same where nothing is.

    `announced` says that every API server knows the whole bundle of `held`.
    """
    if now_unix_s >= held.ca.until_unix_s or held.ca.is_early(now_unix_s):
        return first(terms, now_unix_s)  # it serves nobody now
    # 1: those that nobody needs any more
    kept = tuple(one for one in held.retired if one.until_unix_s > now_unix_s)
    if kept != held.retired:
        held = replace(held, retired=kept)
    # 2: a CA to come is told of before it signs
    upcoming = held.next_ca
    if held.ca.is_due(now_unix_s) and (upcoming is None or upcoming.is_due(now_unix_s)):
        return replace(held, next_ca=_authority(terms, now_unix_s))
    # 3: and takes over once it is known
    if upcoming is not None and announced:
        return _succeeded(held, upcoming, terms, now_unix_s)
    # 4: the certificate
    if held.leaf.is_due(now_unix_s) or not is_for(held.leaf, terms.name):
        return replace(held, leaf=_leaf(terms, held.ca, now_unix_s))
    return held


def _succeeded(held: Held, successor: Issued, terms: Terms, now_unix_s: float) -> Held:
    # What the old CA signed last may have been made by a clock that was ahead, or be newer than
    # what we hold: a whole life from now covers both.
    until = max(held.leaf.until_unix_s, now_unix_s + terms.leaf_s)
    old = Retired(certificate=held.ca.certificate, until_unix_s=until)
    retired = sorted((old, *held.retired), key=lambda one: -one.until_unix_s)[:RETIRED]
    return Held(ca=successor, leaf=_leaf(terms, successor, now_unix_s), retired=tuple(retired))


def is_for(leaf: Issued, name: str) -> bool:
    """Whether `leaf` names `name`, and nothing else."""
    certificate = x509.load_pem_x509_certificate(leaf.certificate)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return list(names) == [x509.DNSName(name)]


# --- making ---


def _authority(terms: Terms, now_unix_s: float) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Outrider injector CA")])
    builder = (
        _builder(subject, subject, key.public_key(), now_unix_s, now_unix_s + terms.ca_s)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(
            x509.NameConstraints(
                permitted_subtrees=[x509.DNSName(terms.name)], excluded_subtrees=None
            ),
            critical=True,
        )
    )
    return _issued(builder.sign(key, hashes.SHA256()), key)


def _leaf(terms: Terms, ca: Issued, now_unix_s: float) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.load_pem_x509_certificate(ca.certificate)
    signer = _private(ca.key.reveal())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Outrider injector")])
    until = min(now_unix_s + terms.leaf_s, ca.until_unix_s)
    builder = (
        _builder(subject, issuer.subject, key.public_key(), now_unix_s, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(terms.name)]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    return _issued(builder.sign(signer, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now_unix_s: float,
    until_unix_s: float,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_instant(now_unix_s) - BACKDATED)
        .not_valid_after(_instant(until_unix_s))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _instant(unix_s: float) -> datetime:
    return datetime.fromtimestamp(int(unix_s), UTC)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(
        certificate=certificate.public_bytes(Encoding.PEM),
        key=Secret(pem),
        from_unix_s=(certificate.not_valid_before_utc + BACKDATED).timestamp(),
        until_unix_s=certificate.not_valid_after_utc.timestamp(),
    )


# --- the Secret's data: add keys, never repurpose one ---


def data_of(held: Held) -> dict[str, str | None]:
    """`held` as the `data` of a Secret, to be merged: what is None is taken away."""
    retired = [
        {"crt": one.certificate.decode("ascii"), "until": one.until_unix_s} for one in held.retired
    ]
    upcoming = held.next_ca
    return {
        "ca.crt": _coded(held.ca.certificate),
        "ca.key": _coded(held.ca.key.reveal()),
        "tls.crt": _coded(held.leaf.certificate),
        "tls.key": _coded(held.leaf.key.reveal()),
        "next-ca.crt": None if upcoming is None else _coded(upcoming.certificate),
        "next-ca.key": None if upcoming is None else _coded(upcoming.key.reveal()),
        "retired.json": _coded(orjson.dumps(retired)),
    }


def held_of(data: Mapping[str, object]) -> Held:
    """What a Secret's `data` holds. Raises `UnfitError` where it cannot be used as it is."""
    parts = {name: _decoded(name, data[name]) for name in _KEYS if data.get(name) is not None}
    missing = [name for name in _KEYS[:4] if name not in parts]
    if missing:
        raise UnfitError(f"{missing[0]} is missing")
    ca = _read("ca", parts["ca.crt"], parts["ca.key"], signs=True)
    leaf = _read("tls", parts["tls.crt"], parts["tls.key"], signs=False)
    upcoming = None
    if "next-ca.crt" in parts and "next-ca.key" in parts:
        upcoming = _read("next-ca", parts["next-ca.crt"], parts["next-ca.key"], signs=True)
    _check_signed(leaf, ca)
    return Held(ca=ca, leaf=leaf, next_ca=upcoming, retired=_retired(data.get("retired.json")))


def _coded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(name: str, text: object) -> bytes:
    if not isinstance(text, str) or len(text) > _PART_BYTES:
        raise UnfitError(f"{name} is no text, or a long one")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise UnfitError(f"{name} is not base64") from None


def _read(name: str, pem: bytes, key_pem: bytes, *, signs: bool) -> Issued:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound):
        raise UnfitError(f"{name}.crt is no certificate of ours") from None
    if found is not signs:
        raise UnfitError(f"{name}.crt is {'no' if signs else 'a'} CA")
    key = _private(key_pem, name)
    if _spki(key.public_key()) != _spki(certificate.public_key()):
        raise UnfitError(f"{name}.key is not the key of {name}.crt")
    return _issued(certificate, key)


def _spki(public: object) -> bytes:
    if not isinstance(public, ec.EllipticCurvePublicKey):
        return b""
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _private(pem: bytes, name: str = "ca") -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise UnfitError(f"{name}.key cannot be read") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UnfitError(f"{name}.key is of another kind than ours")
    return key


def _check_signed(leaf: Issued, ca: Issued) -> None:
    certificate = x509.load_pem_x509_certificate(leaf.certificate)
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.certificate))
    except (ValueError, TypeError, InvalidSignature):
        raise UnfitError("tls.crt is not signed by ca.crt") from None


def _retired(text: object) -> tuple[Retired, ...]:
    """The CAs that sign no more; what is no such list is refused whole."""
    if text is None:
        return ()
    try:
        listed = orjson.loads(_decoded("retired.json", text))
        found = tuple(
            Retired(certificate=_authority_pem(one["crt"]), until_unix_s=float(one["until"]))
            for one in listed
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise UnfitError("retired.json is no list of CAs") from None
    if len(found) > RETIRED:
        raise UnfitError(f"retired.json names more than {RETIRED} CAs")
    return found


def _authority_pem(text: str) -> bytes:
    certificate = x509.load_pem_x509_certificate(text.encode("ascii"))
    return certificate.public_bytes(Encoding.PEM)
