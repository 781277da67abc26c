"""The headers of a tar, walked before anything reads what they say: nobody has signed it yet.

Law: what passes has no extended header that costs more to read than it weighs, none that says
another length or a hole (so that this walk and the reader see the same headers), and ends.
"""

import tarfile
from typing import Final

from outrider.core.errors import ConfigError

MAX_EXTENDED: Final = 4096
"""Bytes of an extended header: a name, an attribute or two."""
MAX_CHAINED: Final = 2
"""One for the whole archive, and one for the member that follows."""
_PAX: Final = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTENDED: Final = (*_PAX, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LENGTHS: Final = (b" size=", b" GNU.sparse.")


def check(plain: bytes, source: str, most: int) -> None:
    """Raises `ConfigError` for a tar of more than `most` headers, or of one that is not taken."""
    place, found, chained = 0, 0, 0
    while (member := _header(plain, place)) is not None:
        found += 1
        if found > most:
            raise ConfigError(f"policy {source} holds more than {most} headers")
        if member.size < 0:
            raise ConfigError(f"policy {source} is not a readable .tar.gz")
        place += tarfile.BLOCKSIZE
        chained = chained + 1 if member.type in _EXTENDED else 0
        if chained:
            _check_extended(member, plain[place : place + MAX_EXTENDED], source, chained)
        elif member.type == tarfile.GNUTYPE_SPARSE:
            raise ConfigError(f"policy {source} holds no regular file: it has a hole")
        if chained or member.isreg() or member.type not in tarfile.SUPPORTED_TYPES:
            place += -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _header(plain: bytes, place: int) -> tarfile.TarInfo | None:
    """The header at `place`; none where the reader goes no further either."""
    block = plain[place : place + tarfile.BLOCKSIZE]
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _check_extended(member: tarfile.TarInfo, content: bytes, source: str, chained: int) -> None:
    if member.size > MAX_EXTENDED:
        raise ConfigError(
            f"policy {source} holds an extended header of more than {MAX_EXTENDED} bytes"
        )
    if chained > MAX_CHAINED:
        raise ConfigError(
            f"policy {source} holds more than {MAX_CHAINED} extended headers in a row"
        )
    if member.type in _PAX and any(one in content[: member.size] for one in _LENGTHS):
        raise ConfigError(
            f"policy {source} holds no regular file: it has a hole, or its length stands twice"
        )
