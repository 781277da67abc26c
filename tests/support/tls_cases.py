"""Servers that an https upstream may turn out to be: whom to believe, whom not, and why not."""

import ssl
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.tls import CLIENT, HOST, SERVER, Authority, Issued, an_authority, self_signed

Server: TypeAlias = Callable[[Authority], ssl.SSLContext]
"""A server's context, given the CA that the sidecar trusts."""

IP: Final = "127.0.0.1"
WEAK: Final = "ALL:@SECLEVEL=0"
ANONYMOUS: Final = "aNULL:@SECLEVEL=0"
V1_0, V1_1, V1_2 = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2


def _named(*names: str) -> Server:
    return lambda ca: ca.issue(*names).server()


def _valid(first: float, last: float) -> Server:
    return lambda ca: ca.issue(HOST, days=(first, last)).server()


def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


def _version(version: ssl.TLSVersion) -> Server:
    return lambda ca: ca.issue(HOST).server(
        ciphers=WEAK, minimum_version=version, maximum_version=version
    )


def _without_chain(issued: Issued) -> Issued:
    return Issued(certificate=issued.certificate, key=issued.key)


GOOD: Final[Mapping[str, tuple[str, Server]]] = {
    "name": (HOST, _named(HOST)),
    "one-name-of-many": (HOST, _named("other.acme.test", HOST, IP)),
    "name-in-other-case": (HOST, _named("DESK.Acme.Test")),
    "wildcard": (HOST, _named("*.acme.test")),
    "ip": (IP, _named(IP)),
    "intermediate": (HOST, lambda ca: ca.below().issue(HOST).server()),
    "two-intermediates": (HOST, lambda ca: ca.below(path_length=1).below().issue(HOST).server()),
    "name-constraint": (HOST, lambda ca: ca.below(permitted="acme.test").issue(HOST).server()),
    "tls-1.2": (HOST, _version(V1_2)),
    "no-usage-named": (HOST, lambda ca: ca.issue(HOST, usages=()).server()),
    "both-usages": (HOST, lambda ca: ca.issue(HOST, usages=(CLIENT, SERVER)).server()),
    "rsa-2048": (HOST, lambda ca: ca.issue(HOST, key=_rsa(2048)).server()),
}
"""The configured host and a server that is it."""

NAME: Final = "Hostname mismatch"
ADDRESS: Final = "IP address mismatch"
ISSUER: Final = "local issuer"
USAGE: Final = "purpose"

IDENTITY: Final[Mapping[str, tuple[str, str, Server]]] = {
    "other-name": (NAME, HOST, _named("other.acme.test")),
    "longer-name": (NAME, HOST, _named("desk.acme.test.evil.test")),
    "shorter-name": (NAME, HOST, _named("acme.test")),
    "name-in-cn-alone": (NAME, HOST, lambda ca: ca.issue(common=HOST).server()),
    "name-in-cn-beside-other": (
        NAME,
        HOST,
        lambda ca: ca.issue("other.acme.test", common=HOST).server(),
    ),
    "wildcard-in-cn-alone": (NAME, HOST, lambda ca: ca.issue(common="*.acme.test").server()),
    "wildcard-below": (NAME, HOST, _named("*.desk.acme.test")),
    "wildcard-two-labels-up": (NAME, "a.desk.acme.test", _named("*.acme.test")),
    "wildcard-part-of-label": (NAME, HOST, _named("d*.acme.test", "*k.acme.test", "d*k.acme.test")),
    "wildcard-not-leftmost": (NAME, HOST, _named("desk.*.test")),
    "wildcard-twice": (NAME, HOST, _named("*.*.test")),
    "wildcard-alone": (NAME, HOST, _named("*", "*.test")),
    "ip-as-dns-name": (ADDRESS, IP, _named("dns:127.0.0.1")),
    "ip-as-wildcard": (ADDRESS, IP, _named("dns:*.0.0.1")),
    "other-ip": (ADDRESS, IP, _named("127.0.0.2")),
    "ip-in-cn-alone": (ADDRESS, IP, lambda ca: ca.issue(common=IP).server()),
    "ip-for-a-name": (NAME, HOST, _named(IP)),
    "expired": ("has expired", HOST, _valid(-2, -0.01)),
    "not-yet-valid": ("not yet valid", HOST, _valid(0.01, 2)),
    "self-signed": ("self-signed", HOST, lambda _: self_signed(HOST).server()),
    "unknown-ca": (ISSUER, HOST, lambda _: an_authority("Other CA").issue(HOST).server()),
    "unknown-ca-of-the-same-name": (ISSUER, HOST, lambda _: an_authority().issue(HOST).server()),
    "ca-is-none": ("invalid CA", HOST, lambda ca: ca.below(ca=False).issue(HOST).server()),
    "ca-may-not-sign": ("invalid CA", HOST, lambda ca: ca.below(signs=False).issue(HOST).server()),
    "path-too-long": (
        "path length",
        HOST,
        lambda ca: ca.below(path_length=0).below().issue(HOST).server(),
    ),
    "name-not-permitted-to-ca": (
        "permitted subtree",
        HOST,
        lambda ca: ca.below(permitted="other.test").issue(HOST).server(),
    ),
    "intermediate-not-sent": (
        ISSUER,
        HOST,
        lambda ca: _without_chain(ca.below().issue(HOST)).server(),
    ),
    "usage-client-alone": (USAGE, HOST, lambda ca: ca.issue(HOST, usages=(CLIENT,)).server()),
    "usage-code-signing": (
        USAGE,
        HOST,
        lambda ca: ca.issue(HOST, usages=(ExtendedKeyUsageOID.CODE_SIGNING,)).server(),
    ),
    "key-too-short": (
        "key too weak",
        HOST,
        lambda ca: ca.issue(HOST, key=_rsa(1024)).server(ciphers=WEAK),
    ),
}
"""What OpenSSL says of it, the configured host, and a server that does not prove to be it."""

TLS: Final[Mapping[str, tuple[str, Server]]] = {
    "tls-1.0": (HOST, _version(V1_0)),
    "tls-1.1": (HOST, _version(V1_1)),
    "nobody": (HOST, lambda ca: ca.issue(HOST).server(ciphers=ANONYMOUS, maximum_version=V1_2)),
    "client-certificate": (
        HOST, lambda ca: ca.issue(HOST).server(
            verify_mode=ssl.CERT_REQUIRED, maximum_version=V1_2
        ),
    ),
}  # fmt: skip
"""The configured host and a server that is it, but speaks no TLS that will do."""
