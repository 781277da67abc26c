"""SPIFFE authorities and certificates made on the spot, right or with one defect."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from spiffe import X509Bundle

from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import OwnSvid
from outrider.identity.x509 import read_bundle, read_own_svid

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
SERVER: Final = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT: Final = ExtendedKeyUsageOID.CLIENT_AUTH
LIFE_S: Final = 3600.0
LEEWAY_S: Final = 60.0


def a_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _digest(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def name_of(common: str | None) -> x509.Name:
    """A subject; None makes an empty one."""
    if common is None:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def key_usage(*set_usages: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in set_usages for name in names})


def raw_uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Svid:
    """A certificate with its key and what is sent along with it."""

    certificate: x509.Certificate
    key: Key
    between: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def chain_der(self) -> bytes:
        return self.der + b"".join(one.public_bytes(Encoding.DER) for one in self.between)

    @property
    def key_der(self) -> bytes:
        return self.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    @property
    def pem(self) -> bytes:
        """Key and chain, as `load_cert_chain` reads them."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        sent = (self.certificate, *self.between)
        return key + b"".join(one.public_bytes(Encoding.PEM) for one in sent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ca(Svid):
    """A signing certificate of `trust_domain`."""

    trust_domain: str

    def svid(self, path: str = "/planner", **changes: Any) -> Svid:
        """An SVID `spiffe://<trust domain><path>`; `changes` as for `a_leaf`."""
        changes.setdefault("uris", (f"spiffe://{self.trust_domain}{path}",))
        return a_leaf(self, **changes)

    def below(self, **changes: Any) -> "Ca":
        """An intermediate of this one."""
        changes.setdefault("common", f"{self.trust_domain} intermediate")
        return a_ca(self.trust_domain, over=self, **changes)

    def own(self, path: str = "/planner", *, hint: str = "", **changes: Any) -> OwnSvid:
        """What a source would give a workload, through our own validation."""
        svid = self.svid(path, **changes)
        return read_own_svid(
            spiffe_id=f"spiffe://{self.trust_domain}{path}",
            chain=svid.chain_der,
            key=svid.key_der,
            bundle=bundle_of(self.root),
            hint=hint,
            now_unix_s=datetime.now(UTC).timestamp(),
        )

    @property
    def root(self) -> "Ca":
        return self if self.parent is None else self.parent.root

    parent: "Ca | None" = None

    @property
    def sent(self) -> tuple[x509.Certificate, ...]:
        """What stands between a leaf and the root."""
        return () if self.parent is None else (self.certificate, *self.parent.sent)


def a_ca(
    trust_domain: str = "a.test",
    *,
    over: Ca | None = None,
    common: str | None = None,
    subject: x509.Name | None = None,
    key: Key | None = None,
    usages: Sequence[str] | None = ("key_cert_sign", "crl_sign"),
    ca: bool | None = True,
    path_length: int | None = None,
    uris: Sequence[str] | None = None,
    subject_key_id: bytes | bool = True,
    days: tuple[float, float] = (-1, 1),
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> Ca:
    """A root of `trust_domain`, or what `over` made. None leaves an extension away."""
    own = key or a_key()
    signer = over.key if over else own
    named = subject or name_of(common or f"{trust_domain} root")
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(over.certificate.subject if over else named)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )
    if ca is not None:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=ca, path_length=path_length), critical=True
        )
    if usages is not None:
        builder = builder.add_extension(key_usage(*usages), critical=True)
    if subject_key_id is not False:
        value = (
            x509.SubjectKeyIdentifier.from_public_key(own.public_key())
            if subject_key_id is True
            else x509.SubjectKeyIdentifier(subject_key_id)
        )
        builder = builder.add_extension(value, critical=False)
    names = (f"spiffe://{trust_domain}",) if uris is None else uris
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([raw_uri(one) for one in names]), critical=False
        )
    if over is not None and subject_key_id is not False:
        builder = builder.add_extension(_authority_key(over), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return Ca(
        trust_domain=trust_domain,
        certificate=builder.sign(signer, _digest(signer)),
        key=own,
        parent=over,
    )


def unloadable_ca(trust_domain: str = "b.test") -> bytes:
    """A CA whose common name is an OCTET STRING: cryptography reads it, OpenSSL does not."""
    name = f"{trust_domain} root".encode()
    der = a_ca(trust_domain).der
    assert der.count(b"\x0c" + bytes([len(name)]) + name) == 2
    return der.replace(b"\x0c" + bytes([len(name)]) + name, b"\x04" + bytes([len(name)]) + name)


def ed448_of_a_short_seed() -> bytes:
    """A PKCS#8 key that names Ed448 and holds an Ed25519 seed: cryptography has no word for it."""
    der = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
    )
    return der.replace(bytes.fromhex("2b6570"), bytes.fromhex("2b6571"), 1)


def _authority_key(over: Ca) -> x509.AuthorityKeyIdentifier:
    try:
        held = over.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(over.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(held.value)


def a_leaf(
    ca: Ca,
    *,
    uris: Sequence[str] = (),
    names: Sequence[x509.GeneralName] = (),
    key: Key | None = None,
    common: str | None = "workload",
    basics: bool | None = False,
    usages: Sequence[str] | None = ("digital_signature",),
    usages_critical: bool = True,
    purposes: Sequence[x509.ObjectIdentifier] | None = (SERVER, CLIENT),
    names_critical: bool | None = None,
    seconds: tuple[float, float] = (-LEEWAY_S, LIFE_S),
    authority_key: bool = True,
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> Svid:
    """A leaf by `ca`. `basics` is `cA`; None leaves an extension away; `names_critical` is by
    default what an empty subject asks for."""
    own = key or a_key()
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(common))
        .issuer_name(ca.certificate.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(seconds=seconds[0]))
        .not_valid_after(now + timedelta(seconds=seconds[1]))
    )
    if basics is not None:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=basics, path_length=None), critical=True
        )
    if usages is not None:
        builder = builder.add_extension(key_usage(*usages), critical=usages_critical)
    if purposes is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    held = [*(raw_uri(one) for one in uris), *names]
    if held:
        critical = common is None if names_critical is None else names_critical
        builder = builder.add_extension(x509.SubjectAlternativeName(held), critical=critical)
    if authority_key:
        builder = builder.add_extension(_authority_key(ca), critical=False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    return Svid(certificate=builder.sign(ca.key, _digest(ca.key)), key=own, between=ca.sent)


def bundle_of(*authorities: Ca, trust_domain: str | None = None) -> X509Bundle:
    """A bundle of `authorities`, of the first one's trust domain unless another is named."""
    der = b"".join(one.der for one in authorities)
    return read_bundle(trust_domain or authorities[0].trust_domain, der)


@dataclass(slots=True)
class Trust:
    """What a keeper is told: an SVID and bundles; `give` tells it."""

    own: OwnSvid | None
    bundles: list[X509Bundle] = field(default_factory=list)

    def give(self, keeper: IdentityKeeper) -> None:
        domain = None if self.own is None else self.own.spiffe_id.trust_domain
        keeper.take_x509(
            self.own,
            {str(bundle.trust_domain): bundle for bundle in self.bundles},
            own_domain=domain,
        )
