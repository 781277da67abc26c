"""Paths, queries and authorities: one canonical reading each, or none (HARDENING §3, rules 2-5).

Laws: percent-encoded unreserved characters are decoded and hex upper-cased, once; nothing else is
rewritten. What has two readings has none.
"""

import ipaddress
import re
import unicodedata
from typing import Final

_SEGMENT: Final = r"[A-Za-z0-9\-._~!$&'()*+,=:@]"
_PLAIN_PATH: Final = re.compile(rf"/|(?:/{_SEGMENT}++(?<!\.))++/?").fullmatch
_PATH: Final = re.compile(rf"/(?:{_SEGMENT}|[/;]|%[0-9A-Fa-f]{{2}})*+").fullmatch
_TRIPLET: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)
_REFUSED_BYTES: Final = frozenset((*range(0x20), 0x7F, *b"\\%;?#"))
_QUERY: Final = re.compile(
    r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]|]|%(?:[2-689A-Fa-f][0-9A-Fa-f]|7[0-9A-Ea-e]))*+"
).fullmatch
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_AUTHORITY: Final = re.compile(
    rf"(?P<host>{_LABEL}(?:\.{_LABEL})*|\[(?P<v6>[0-9a-f:.]{{2,45}})\])(?::(?P<port>[1-9][0-9]{{0,4}}))?"
).fullmatch


def is_plain_path(path: str) -> bool:
    """True for a path that is its own canonical form and breaks no rule."""
    return _PLAIN_PATH(path) is not None


def is_query(query: str) -> bool:
    return _QUERY(query) is not None


def is_authority(authority: str) -> bool:
    """True for a lower-case `host[:port]` of LDH labels or a bracketed IPv6 address."""
    match = _AUTHORITY(authority)
    if match is None or len(match["host"]) > 253:
        return False
    if match["port"] is not None and int(match["port"]) > 65535:
        return False
    if match["v6"] is None:
        return True
    try:
        ipaddress.IPv6Address(match["v6"])
    except ValueError:
        return False
    return True


def folded_path(raw: str) -> str | None:
    """`raw` with unreserved characters decoded and hex upper-cased, or None if it is no path."""
    if _PATH(raw) is None:
        return None
    return _TRIPLET.sub(_decoded, raw)


def _decoded(match: re.Match[str]) -> str:
    value = int(match[1], 16)
    return chr(value) if value in _UNRESERVED else match[0].upper()


def canonical_path(
    raw: str, folded: str, *, encoded_slash: bool = False, semicolon: bool = False
) -> str | None:
    """The one form that is judged and forwarded, or None where a rule refuses the path.

    A segment that uses an opt-in (`encoded_slash`, `semicolon`) keeps its raw spelling.
    """
    spelled = raw.split("/")[1:]
    segments = folded.split("/")[1:]
    last = len(segments) - 1
    kept = []
    for index, segment in enumerate(segments):
        opted = (encoded_slash and "%2F" in segment) or (semicolon and ";" in segment)
        if not segment and index != last:
            return None
        if not _is_segment(segment, encoded_slash=encoded_slash, semicolon=semicolon):
            return None
        kept.append(spelled[index] if opted else segment)
    return "/" + "/".join(kept)


def _is_segment(segment: str, *, encoded_slash: bool, semicolon: bool) -> bool:
    if ";" in segment and not semicolon:
        return False
    if "%2F" in segment and not encoded_slash:
        return False
    pieces = re.split(r"%2F|;", segment)
    if any(_is_odd(piece) for piece in pieces):
        return False
    data = _bytes_of(segment.replace("%2F", ""))
    return data is not None and _is_text(data)


def _is_odd(piece: str) -> bool:
    return piece.startswith("%20") or piece.endswith((".", "%20"))


def _bytes_of(segment: str) -> bytes | None:
    """The bytes a segment stands for, or None where an encoded one is refused."""
    out = bytearray()
    for index, part in enumerate(segment.split("%")):
        if index == 0:
            out += part.encode("ascii")
            continue
        value = int(part[:2], 16)
        if value in _REFUSED_BYTES:
            return None
        out.append(value)
        out += part[2:].encode("ascii")
    return bytes(out)


def _is_text(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    if any(unicodedata.category(char) == "Cc" for char in text):
        return False
    return unicodedata.is_normalized("NFKC", text)
