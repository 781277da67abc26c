"""What Python's versions and platforms do not do alike, in one place (IDENTITY §3.5).

Every use of a private name of `ssl` stands here, and has a test on each interpreter.
"""

import os
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

HAS_MEMFD = hasattr(os, "memfd_create")


def verified_chain(connection: ssl.SSLObject) -> list[bytes]:
    """The chain as OpenSSL verified it, leaf first, authority last, as DER; empty if there was no
    verification in this handshake."""
    return _chain(connection, "get_verified_chain")


def _chain(connection: ssl.SSLObject, getter: str) -> list[bytes]:
    if sys.version_info >= (3, 13):
        return list(getattr(connection, getter)() or ())
    return _private_chain(connection, getter)


def _private_chain(connection: ssl.SSLObject, getter: str) -> list[bytes]:
    """Before 3.13 only the object beneath has the getters, and gives certificates of its own."""
    inner = cast("Any", connection)._sslobj  # noqa: SLF001 - no public way before 3.13
    found = getattr(inner, getter)() or ()
    return [one.public_bytes(_ENCODING_DER) for one in found]


_ENCODING_DER = 2
"""`_ssl.ENCODING_DER`, which is not exported by `ssl`."""


@contextmanager
def key_file(pem: bytes, *, on_disk: bool) -> Iterator[str]:
    """A path at which `pem` can be read inside the block, and nowhere after it.

    In memory where the platform can; else, and only with `on_disk`, a file of mode 0600 in a
    directory of mode 0700. Raises `OSError`.
    """
    if HAS_MEMFD:
        with _in_memory(pem) as path:
            yield path
    elif on_disk:
        with tempfile.TemporaryDirectory(prefix="outrider-") as room:
            file = Path(room) / "svid.pem"
            file.touch(mode=0o600, exist_ok=False)
            file.write_bytes(pem)
            yield str(file)
    else:
        raise OSError("keys cannot be held in memory here")


@contextmanager
def _in_memory(pem: bytes) -> Iterator[str]:
    number = os.memfd_create("svid", os.MFD_CLOEXEC)
    try:
        os.set_blocking(number, False)  # memory never makes anyone wait
        rest = memoryview(pem)
        while rest:
            rest = rest[os.write(number, rest) :]
        yield f"/proc/self/fd/{number}"
    finally:
        os.close(number)
