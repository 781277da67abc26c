"""Canonical forms, for comparing only: what is forwarded stays as it was (GOVERNANCE §4.5).

Law: a form of a form is that form. Keys are UTF-8; those of other kinds than text begin with NUL,
which no folded text holds.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from outrider.core.jsonvalue import Json
from outrider.tasks.provenance.addresses import email_of, url_of

SEPARATOR: Final = "\x1e"
"""Stands between values that are folded together; folded alone, no text holds it."""
LONGEST_SHAPED: Final = 2048
"""A text of more characters is no address, number, date or path."""

_SPACES: Final = b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
_CONTROLS: Final = bytes(code for code in (*range(32), 127) if code not in _SPACES)
_SPACED: Final = bytes(32 if code in _SPACES else code for code in range(256))
_FOLDED: Final = _SPACED.lower()
_FOLDED_MANY: Final = _FOLDED[:30] + b"\x1e" + _FOLDED[31:]
# Zero width, joiners, bidi, soft hyphen, variation selectors, fillers, tags, controls.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\ud800-\udfff]+"
)
_WIDE_SPACE: Final = re.compile(r"[^\S\x1e]+")
_ROUNDS: Final = 4  # measured on all of Unicode: two make it stable

_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9]\d{0,17}|[1-9]\d{0,2}(?:,\d{3}){1,5})(?:\.\d{1,18})?")
_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[tT ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:[zZ]|[+-]\d\d:?\d\d)?)?"
)
_JOINTS: Final = re.compile(r"[ .()/+-]+")
_COMPACT: Final = re.compile(r"[A-Za-z]{2}\d\d[A-Za-z0-9]{11,30}|\d{7,19}")
_SCHEMELESS: Final = re.compile(r"www\.[^\s/]+\.", re.IGNORECASE)


class Form(NamedTuple):
    """One form of a value. `key` is what is compared; where `sensitive`, `cased` too."""

    key: bytes
    cased: bytes
    sensitive: bool = False


def fold(text: str, *, cased: bool = False) -> bytes:
    """NFKC without what cannot be seen, white space folded and, unless `cased`, case."""
    if text.isascii():
        data = text.encode().translate(_SPACED if cased else _FOLDED, _CONTROLS)
        return _single_spaced(data).strip(b" ")
    return _folded_wide(text.replace(SEPARATOR, " "), cased=cased).strip(b" ")


def fold_many(texts: list[str]) -> bytes:
    """All of `texts` folded, `SEPARATOR` between each and the next."""
    blob = SEPARATOR.join(texts)
    if blob.count(SEPARATOR) != len(texts) - 1:
        blob = SEPARATOR.join([text.replace(SEPARATOR, " ") for text in texts])
    if blob.isascii():
        return _single_spaced(blob.encode().translate(_FOLDED_MANY, _CONTROLS))
    return _folded_wide(blob, cased=False)


def _single_spaced(data: bytes) -> bytes:
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data


def _folded_wide(text: str, *, cased: bool) -> bytes:
    for _ in range(_ROUNDS):
        before = text
        text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text))
        text = _WIDE_SPACE.sub(" ", text if cased else text.casefold())
        if text == before:
            break
    return text.encode("utf-8", "replace")


def forms_of(value: str | float, kind: str | None = None) -> list[Form]:
    """Every form `value` is known by, where the manifest calls it `kind`; its text comes first.

    Without a kind its shape decides. Empty where nothing can be seen of it.
    """
    text = value if isinstance(value, str) else written(value)
    key = fold(text)
    if not key:
        return []
    cased = fold(text, cased=True)
    exact = kind in ("id", "path")
    found = [Form(key, cased, exact)]
    if len(cased) <= LONGEST_SHAPED and kind != "id":
        found += _shaped(cased.decode(), kind)
        if found[-1].sensitive and not exact:
            found[0] = Form(key, cased, sensitive=True)
    elif kind == "id" and (number := number_of(cased.decode())) is not None:
        found.append(Form(number, number))
    return found


def _shaped(text: str, kind: str | None) -> Iterator[Form]:
    """What `text` is by its shape. `kind` only leaves out what it cannot be."""
    first = text[:1]
    if kind == "url" or (
        kind in (None, "text", "path") and ("://" in text or _SCHEMELESS.match(text))
    ):
        url = url_of(text, bare=kind == "url")
        if url is not None and not url.userinfo:
            yield Form(url.key.lower(), url.key, sensitive=True)
        return
    if "@" in text:
        address = email_of(text)
        if address is not None:
            yield Form(address, address)
        return
    if first.isdigit() or first in "+-(" or kind in ("iban", "phone"):
        yield from _numeric(text, kind)
    elif text[2:4].isdigit() and kind in (None, "text"):
        yield from _compact(text)
    if kind == "path" or (kind in (None, "text") and ("/" in text or "\\" in text)):
        path = path_of(text).encode()
        yield Form(fold(path.decode()), path, sensitive=True)


def _numeric(text: str, kind: str | None) -> Iterator[Form]:
    number = number_of(text)
    if number is not None:
        yield Form(number, number)
    date = date_of(text)
    if date is not None:
        yield Form(date, date)
    elif kind in (None, "text", "iban", "phone"):
        yield from _compact(text)


def _compact(text: str) -> Iterator[Form]:
    joined = compact_of(text)
    if joined is not None:
        yield Form(b"\0c" + joined, b"\0c" + joined)


def compact_of(text: str) -> bytes | None:
    """An IBAN, card or telephone number without what people set between its parts, or None."""
    joined = _JOINTS.sub("", text) if len(text) <= 64 else ""
    return joined.lower().encode() if _COMPACT.fullmatch(joined) else None


def number_of(text: str) -> bytes | None:
    """`10`, `10.0` and `1,000` as the numbers they are; one with leading zeros is a name."""
    if not _NUMBER.fullmatch(text):
        return None
    whole, _, part = text.replace(",", "").lstrip("+").partition(".")
    part = part.rstrip("0")
    plain = f"{whole}.{part}" if part else whole
    return b"\0n0" if plain == "-0" else b"\0n" + plain.encode()


def date_of(text: str) -> bytes | None:
    """An ISO date or instant; one with an offset in UTC."""
    if not _DATE.fullmatch(text):
        return None
    if len(text) == 10:
        return b"\0d" + text.encode()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is not None:
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            return None
    return b"\0d" + moment.isoformat().encode()


def path_of(text: str) -> str:
    """A path with `.`, `..` and `//` resolved; what would climb out of the top stays there."""
    root = "/" if text[:1] in ("/", "\\") else ""
    kept: list[str] = []
    for segment in text.replace("\\", "/").split("/"):
        if segment in ("", "."):
            continue
        if segment != "..":
            kept.append(segment)
        elif kept and kept[-1] != "..":
            kept.pop()
        elif not root:
            kept.append(segment)
    return (root + "/".join(kept)) or "."


def written(value: float) -> str:
    """A number as JSON writes it; a whole one without its point."""
    whole = int(value) if abs(value) < 2**53 else value
    return str(whole if whole == value else value)


def is_short(key: bytes) -> bool:
    """True for what is too short to say where it is from: under 4 characters, an integer under
    10,000."""
    if len(key) >= 16:
        return False
    return len(key.decode("utf-8", "ignore")) < 4 or (
        len(key) <= 5 and key.lstrip(b"+-").isdigit() and abs(int(key)) < 10_000
    )


def texts_of(value: Json) -> Iterator[str | int | float]:
    """The leaves of an argument that can have come from somewhere; keys of maps count."""
    stack: list[Json] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            for key, inner in reversed(item.items()):
                stack += (inner, key)
        elif isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, str):
            if item and not item.isspace():
                yield item
        elif item is not None and not isinstance(item, bool):
            yield item
