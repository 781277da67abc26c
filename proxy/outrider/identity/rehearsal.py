"""What OpenSSL would do, asked of OpenSSL before anyone depends on it: whether it loads a bundle or
an SVID, and by a handshake with ourselves in memory, whether it takes our SVID under one bundle.

The exact check refuses authorities that TLS takes every day: roots that do not say what their key
is for, Ed25519 authorities, authorities for one purpose. What our peers will do is then asked of
what our peers will ask.
"""

import ssl
from collections.abc import Collection, Iterable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from outrider.identity._compat import key_file, verified_chain

_TURNS: Final = 4
"""A TLS 1.3 handshake is over after two."""
_AT_ONCE: Final = 16
"""Certificates of one call, about 3 ms."""


def loads_authorities(ders: Collection[bytes]) -> bool:
    """Whether OpenSSL loads every one of these certificates, and no fewer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return load_authorities(context, ders)


def load_authorities(context: ssl.SSLContext, ders: Collection[bytes]) -> bool:
    """Load these certificates into a context that has none, and tell whether each was taken. Not
    all at once: a call holds every thread up, so that beside the loop it must be short."""
    rest = list(ders)
    try:
        while rest:
            context.load_verify_locations(cadata=b"".join(rest[:_AT_ONCE]))
            del rest[:_AT_ONCE]
    except (ssl.SSLError, ValueError):
        return False
    return context.cert_store_stats()["x509"] == len(set(ders))


def loads_svid(pem: bytes, *, on_disk: bool = False) -> bool:
    """Whether OpenSSL loads this key and chain; True where nothing can hold them for the try."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        with key_file(pem, on_disk=on_disk) as path:
            context.load_cert_chain(path)
    except (ssl.SSLError, ValueError):
        return False
    except OSError:
        return True
    return True


def rehearsed_path(
    pem: bytes, authorities: Iterable[x509.Certificate], *, on_disk: bool = False
) -> tuple[x509.Certificate, ...] | None:
    """The chain of `pem` (key and certificates) as a client with these authorities verifies it,
    the authority last; None where it does not. By the machine's own clock: OpenSSL has no other.
    """
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.num_tickets = 0
        with key_file(pem, on_disk=on_disk) as path:
            server.load_cert_chain(path)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.minimum_version = ssl.TLSVersion.TLSv1_3
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for authority in authorities:
            client.load_verify_locations(cadata=authority.public_bytes(Encoding.DER))
        chain = _shaken(client, server)
    except (ssl.SSLError, OSError):
        return None
    return tuple(x509.load_der_x509_certificate(der) for der in chain) or None


def _shaken(client: ssl.SSLContext, server: ssl.SSLContext) -> list[bytes]:
    """What the client verified. Raises `ssl.SSLError` where it did not."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(_TURNS):
        waiting = False
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                waiting = True
        if not waiting:
            return verified_chain(ends[0])
    return []
