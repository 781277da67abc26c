"""The headers of a tar, walked before anything reads what they say: nobody has signed it yet.

Law: what passes has no extended header that costs more to read than it weighs, none that says
another length or a hole, and none that can be read in two ways (so that this walk and the reader
see the same headers), and ends.
"""

import re
import tarfile
from typing import Final

from outrider.core.errors import ConfigError

MAX_EXTENDED: Final = 4096
"""Bytes of an extended header: a name, an attribute or two."""
MAX_EXTENDED_ALL: Final = 64 * 1024
"""Bytes of all extended headers of one archive."""
MAX_CHAINED: Final = 2
"""Those that go before one member."""
MAX_DIGITS: Final = 255
"""Digits in a row in a record, as in the name of a file: the reader's search for a length tries
each of them anew."""
_PAX: Final = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTENDED: Final = (*_PAX, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_LENGTHS: Final = (b" size=", b" GNU.sparse.")
_LENGTH: Final = re.compile(rb"[0-9]{1,5} ")
_MANY_DIGITS: Final = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))


def check(plain: bytes, source: str, most: int) -> None:
    """Raises `ConfigError` for a tar of more than `most` headers, or of one that is not taken."""
    place, found, chained, extended = 0, 0, 0, 0
    while (member := _header(plain, place)) is not None:
        found += 1
        if found > most:
            raise ConfigError(f"policy {source} holds more than {most} headers")
        if member.size < 0:
            raise ConfigError(f"policy {source} is not a readable .tar.gz")
        place += tarfile.BLOCKSIZE
        blocks = -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        chained = chained + 1 if member.type in _EXTENDED else 0
        if chained:
            extended += member.size
            _check_room(member, source, chained, extended)
            _check_content(member, plain[place : place + blocks], source)
        else:
            _check_kind(member, source)
        if chained or member.isreg() or member.type not in tarfile.SUPPORTED_TYPES:
            place += blocks


def _header(plain: bytes, place: int) -> tarfile.TarInfo | None:
    """The header at `place`; none where the reader goes no further either."""
    block = plain[place : place + tarfile.BLOCKSIZE]
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _check_kind(member: tarfile.TarInfo, source: str) -> None:
    if member.type == tarfile.GNUTYPE_SPARSE:
        raise ConfigError(f"policy {source} holds no regular file: it has a hole")
    if member.type == tarfile.XGLTYPE:  # each member would be given all that it says
        raise ConfigError(
            f"policy {source} holds a header for all its members, as git archive writes it of a "
            "commit; pack it with outrider bundle build, opa build or tar"
        )


def _check_room(member: tarfile.TarInfo, source: str, chained: int, extended: int) -> None:
    if member.size > MAX_EXTENDED:
        raise ConfigError(
            f"policy {source} holds an extended header of more than {MAX_EXTENDED} bytes"
        )
    if chained > MAX_CHAINED:
        raise ConfigError(
            f"policy {source} holds more than {MAX_CHAINED} extended headers in a row"
        )
    if extended > MAX_EXTENDED_ALL:
        raise ConfigError(
            f"policy {source} holds extended headers of more than {MAX_EXTENDED_ALL} bytes in all"
        )


def _check_content(member: tarfile.TarInfo, blocks: bytes, source: str) -> None:
    """`blocks` are what an extended header fills: the reader looks at all of them."""
    content, behind = blocks[: member.size], blocks[member.size :]
    is_pax = member.type in _PAX
    if is_pax and any(one in content for one in _LENGTHS):
        raise ConfigError(
            f"policy {source} holds no regular file: it has a hole, or its length stands twice"
        )
    if behind.strip(b"\0") or (is_pax and not _is_records(content)):
        raise ConfigError(f"policy {source} holds an extended header that is not well-formed")


def _is_records(content: bytes) -> bool:
    """Whether `content` is records and nothing else, each of the length it says, and a newline at
    its end: `10 path=b`."""
    place = 0
    while place < len(content):
        length = _LENGTH.match(content, place)
        if length is None:
            return False
        end = place + int(length[0])
        record = content[length.end() : end]
        if end > len(content) or not record.endswith(b"\n") or record.find(b"=") < 1:
            return False
        place = end
    return _MANY_DIGITS.search(content) is None
