"""ClientHellos made by hand, so that any field of one can be wrong."""

import itertools
import ssl
from collections.abc import Iterable

SNI, ECH, EARLY, PSK, GROUPS = 0, 0xFE0D, 42, 41, 10
GREASE = 0x6A6A


def vector(data: bytes, size: int) -> bytes:
    """`data` with its length before it, in `size` bytes."""
    return len(data).to_bytes(size) + data


def server_name(*names: str | bytes, kind: int = 0) -> tuple[int, bytes]:
    """The server_name extension."""
    raw = [name.encode() if isinstance(name, str) else name for name in names]
    entries = b"".join(bytes([kind]) + vector(name, 2) for name in raw)
    return SNI, vector(entries, 2)


def a_message(
    *extensions: tuple[int, bytes],
    version: bytes = b"\x03\x03",
    session: bytes = b"s" * 32,
    suites: bytes = b"\x6a\x6a\x13\x01",
    compressions: bytes = b"\x00",
    tail: bytes = b"",
    kind: int = 1,
) -> bytes:
    """The handshake message; without `extensions` it has no such field at all."""
    body = version + b"r" * 32 + vector(session, 1) + vector(suites, 2) + vector(compressions, 1)
    if extensions:
        body += vector(b"".join(_extension(*one) for one in extensions), 2)
    return bytes([kind]) + vector(body + tail, 3)


def _extension(kind: int, data: bytes) -> bytes:
    return kind.to_bytes(2) + vector(data, 2)


def records(message: bytes, cuts: Iterable[int] = (), *, version: bytes = b"\x03\x01") -> bytes:
    """`message` in records that end at `cuts` and at its end."""
    places = [0, *sorted(cuts), len(message)]
    pieces = [message[start:end] for start, end in itertools.pairwise(places)]
    return b"".join(b"\x16" + version + vector(piece, 2) for piece in pieces)


def a_hello(name: str = "api.example.com") -> bytes:
    """A good one, in one record."""
    return records(a_message((GREASE, b""), server_name(name), (GROUPS, b"\0\2\0\x1d")))


def real_hello(name: str = "api.example.com") -> bytes:
    """What OpenSSL sends."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("nobody answered")
