"""A partner's authority, federated with ours, which signs its own names and, once, one of ours.

The partner's trust domain needs no server here: SPIRE is told its bundle, and we hold its key.
"""

import base64
import socket
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import orjson
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE: Final = timedelta(hours=1)
_SKEW: Final = timedelta(minutes=1)
_CALL_S: Final = 10.0
_LINE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate and its key, in PEM."""

    spiffe_id: str
    chain: bytes
    key: bytes


class Partner:
    """The certificate authority of a trust domain. Its key never leaves the process."""

    def __init__(self, trust_domain: str, now_unix_s: float) -> None:
        self.trust_domain = trust_domain
        self._now = datetime.fromtimestamp(now_unix_s, UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed(
            f"spiffe://{trust_domain}", self._key.public_key(), is_authority=True
        )

    def bundle(self) -> bytes:
        """The SPIFFE bundle document with its one authority."""
        der = self._certificate.public_bytes(Encoding.DER)
        point = self._key.public_key().public_numbers()
        jwk = {
            "kty": "EC",
            "use": "x509-svid",
            "crv": "P-256",
            "x": _text(point.x.to_bytes(32, "big")),
            "y": _text(point.y.to_bytes(32, "big")),
            "x5c": [base64.b64encode(der).decode()],
        }
        return orjson.dumps({"keys": [jwk], "spiffe_sequence": 1})

    def sign(self, spiffe_id: str) -> Identity:
        """An X.509-SVID for `spiffe_id`, whoever's name that is."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._signed(spiffe_id, key.public_key(), is_authority=False)
        return Identity(
            spiffe_id=spiffe_id,
            chain=leaf.public_bytes(Encoding.PEM),
            key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )

    def _signed(
        self, spiffe_id: str, key: ec.EllipticCurvePublicKey, *, is_authority: bool
    ) -> x509.Certificate:
        authority = _name(f"authority of {self.trust_domain}")
        builder = (
            x509.CertificateBuilder()
            .subject_name(authority if is_authority else _name("workload"))
            .issuer_name(authority)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _SKEW)
            .not_valid_after(self._now + _LIFE)
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spiffe_id)]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(_usage(is_authority=is_authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )
        if not is_authority:
            both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(both), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What became of one call: the status line, or none where the other side hung up first."""

    status: int | None

    @classmethod
    def of(cls, line: bytes) -> Self:
        parts = line.split(b" ")
        is_status = len(parts) > 1 and parts[0].startswith(b"HTTP/") and parts[1].isdigit()
        return cls(status=int(parts[1]) if is_status else None)


def call(port: int, identity: Identity, path: str) -> Answered:
    """GET `path` at loopback `port` over mutual TLS, as `identity`; the server is not looked at.

    A server that refuses a certificate of TLS 1.3 ends the connection after the client's
    handshake: no status line comes then.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with tempfile.TemporaryDirectory(prefix="outrider-demo-") as room:
        file = Path(room) / "identity.pem"
        file.touch(mode=0o600)
        file.write_bytes(identity.chain + identity.key)
        context.load_cert_chain(file)
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=_CALL_S) as plain,
            context.wrap_socket(plain) as secured,
        ):
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
            secured.sendall(head.encode("ascii"))
            return Answered.of(secured.recv(_LINE_BYTES).partition(b"\r\n")[0])
    except OSError:  # ssl.SSLError is one
        return Answered(status=None)


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
