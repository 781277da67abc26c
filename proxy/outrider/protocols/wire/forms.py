"""Names and values in queries and forms (WHATWG URL §5), read in one way and written in one way.

Laws: a percent sign is followed by two hex digits, what they spell is UTF-8 without NUL; `;`
separates nothing; what is written again reads back as what was judged, by readers that take `+`
for a space and by those that do not.
"""

import binascii
import re
from collections.abc import Iterable
from string import ascii_letters, digits
from typing import Final, TypeAlias
from urllib.parse import quote

from outrider.core.errors import MalformedError
from outrider.core.jsonvalue import JsonObject

Pairs: TypeAlias = tuple[tuple[str, str | None], ...]

MAX_PAIRS: Final = 1000
_BAD_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE: Final = "-._~!$'()*,:@/"
_PLAIN: Final = (ascii_letters + digits + _SAFE).encode()
_LONG: Final = 4096
_ESCAPES: Final = [quote(bytes((byte,)), safe=_SAFE) for byte in range(256)]


def parse_pairs(text: str) -> Pairs:
    """`a=1&b` as (("a", "1"), ("b", None)), decoded once.

    Raises `MalformedError` (cause `form`) for an empty name or piece, a stray percent sign, what
    is not UTF-8, and more than `MAX_PAIRS`.
    """
    if not text:
        return ()
    if text.count("&") >= MAX_PAIRS:
        raise MalformedError("too many parameters", cause="form")
    return tuple(map(_pair, text.split("&")))


def parse_form(data: bytes) -> Pairs:
    """The pairs of an `application/x-www-form-urlencoded` body. Raises like `parse_pairs`."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise MalformedError("a form holds bytes that are not encoded", cause="form") from None
    return parse_pairs(text)


def _pair(piece: str) -> tuple[str, str | None]:
    name, equals, value = piece.partition("=")
    if not name:
        raise MalformedError("a parameter without a name", cause="form")
    return _decoded(name), _decoded(value) if equals else None


def _decoded(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    if _BAD_PERCENT.search(text):
        raise MalformedError("a percent sign that encodes nothing", cause="form")
    try:
        plain = _unescaped(text.replace("+", " ")).decode()
    except UnicodeDecodeError:
        raise MalformedError("a parameter is not UTF-8", cause="form") from None
    if "\0" in plain:
        raise MalformedError("a parameter holds NUL", cause="form")
    return plain


def _unescaped(text: str) -> bytes:
    """The bytes that ASCII `text` without a stray percent sign spells. Quoted-printable differs
    in its escape character alone, and is read in C: thirty times as fast where all is escaped."""
    return binascii.a2b_qp(text.replace("=", "=3D").replace("%", "=").encode())


def _escaped(text: str) -> str:
    data = text.encode()
    if len(data) < _LONG or not data.rstrip(_PLAIN):
        return quote(data, safe=_SAFE)
    return "".join(map(_ESCAPES.__getitem__, data))


def write_pairs(pairs: Iterable[tuple[str, str | None]]) -> str:
    """`pairs` encoded once; a space is %20, which every reader takes for a space."""
    return "&".join(
        _escaped(name) + ("" if value is None else "=" + _escaped(value)) for name, value in pairs
    )


def gathered(pairs: Pairs, arrays: frozenset[str], *, repeats: bool) -> JsonObject:
    """One member for each name: its value, or the list of them where it stands more than once.

    A name in `arrays` always gives a list. Raises `MalformedError` (cause `repeated_parameter`)
    for a repeated name outside `arrays` unless `repeats`.
    """
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value or "")
    if not repeats and any(len(found[name]) > 1 for name in found.keys() - arrays):
        raise MalformedError(
            "a parameter stands twice in a form; if it may, name it under array_fields of the "
            "operation in the manifest",
            cause="repeated_parameter",
        )
    return {
        name: values[0] if len(values) == 1 and name not in arrays else list(values)
        for name, values in found.items()
    }
