"""Canonical forms, for comparing only: what is forwarded stays as it was (GOVERNANCE §4.5).

Law: a form of a form is that form. Keys are UTF-8; those of other kinds than text begin with NUL,
which no folded text holds.
"""

import re
import unicodedata
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Final, NamedTuple

from outrider.core.jsonvalue import Json
from outrider.tasks.provenance.addresses import Url, deviates, email_of, url_of

SEPARATOR: Final = "\x1e"
"""Stands between values that are folded together; folded alone, no text holds it."""
LONGEST_SHAPED: Final = 2048
"""A text of more characters is no address, number, date or path."""

LONGEST_CHARS: Final = 64 << 10
"""A longer text was said by nobody as a whole."""

LONGEST_SPACED: Final = 320
"""One with white space in it is none if it has more characters than this."""

STEP_WIDE: Final = 1024
"""Characters, some of them beyond ASCII, that are folded in one go."""

_SPACES: Final = b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
_CONTROLS: Final = bytes(code for code in (*range(32), 127) if code not in _SPACES)
_CONTROL: Final = re.compile(f"[{re.escape(_CONTROLS.decode())}]+")
_SPACED: Final = bytes(32 if code in _SPACES else code for code in range(256))
_FOLDED: Final = _SPACED.lower()
_FOLDED_MANY: Final = _FOLDED[:30] + b"\x1e" + _FOLDED[31:]
# Zero width, joiners, bidi, soft hyphen, variation selectors, fillers, tags, controls.
_UNSEEN: Final = re.compile(
    "[\x80-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\ud800-\udfff]+"
)
_WIDE_SPACE: Final = re.compile(r"[^\S\x00-\x20]+")
_WIDE: Final = re.compile(r"[^\x00-\x7f]+")
_WORD_CHARS: Final = 32
_CUT_CHARS: Final = 64  # before the end of a piece, in which a place to cut is sought
_ROUNDS: Final = 6  # until it is stable; more than any character was seen to need
MAX_MARKS: Final = 30
"""Combining marks in a row that are compared, as in UAX #15's stream-safe text: to put them in
order takes time by the square of their number. Those behind them are left out."""
_MARK: Final = re.escape(
    "".join(char for char in map(chr, range(0x300, 0x1F000)) if unicodedata.combining(char))
    + "\u0f73\u0f75\u0f81\uff9e\uff9f"  # which are made of marks
)
_CROWDED: Final = re.compile(f"([{_MARK}]{{{MAX_MARKS}}})[{_MARK}]+")

_NUMBER: Final = re.compile(
    r"[+-]?(?:0|[1-9]\d{0,17}|[1-9]\d{0,2}(?:,\d{3}){1,5})(?:\.\d{1,18})?", re.ASCII
)
_DATE: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[tT ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:[zZ]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
JOINTS: Final = b" .()/+-"
"""What people set between the parts of an IBAN or number."""
_COMPACT: Final = re.compile(rb"[A-Za-z]{2}\d\d[A-Za-z0-9]{11,30}|\d{7,19}")
_ANY: Final = frozenset({None, "text", "path"})
_CASED: Final = frozenset({"id", "path", "url"})
_NUMERIC: Final = frozenset("0123456789+-(")


class Form(NamedTuple):
    """One form of a value. `key` is what is compared; where `sensitive`, `cased` too."""

    key: bytes
    cased: bytes
    sensitive: bool = False


class Value(NamedTuple):
    """A value by its forms, its text first; the URL it is, if it is one. `short`: too short to say
    where it is from, that is under 4 characters or an integer under 10,000."""

    forms: tuple[Form, ...]
    short: bool
    url: Url | None = None

    @property
    def key(self) -> bytes:
        return self.forms[0].key


def fold(text: str, *, cased: bool = False) -> bytes:
    """NFKC without what cannot be seen, white space folded and, unless `cased`, case."""
    return _single_spaced(_folded(text, cased=cased)).strip(b" ")


def _folded(text: str, *, cased: bool) -> bytes:
    data = text.encode() if text.isascii() else _folded_wide(text, cased=cased)
    return data.translate(_SPACED if cased else _FOLDED, _CONTROLS)


def fold_many(texts: list[str]) -> bytes:
    """All of `texts` folded, `SEPARATOR` between each and the next."""
    blob = SEPARATOR.join(texts)
    if blob.count(SEPARATOR) != len(texts) - 1:
        blob = SEPARATOR.join([text.replace(SEPARATOR, " ") for text in texts])
    data = blob.encode() if blob.isascii() else _folded_wide(blob, cased=False)
    return _single_spaced(data.translate(_FOLDED_MANY, _CONTROLS))


def _single_spaced(data: bytes) -> bytes:
    while b"  " in data:
        data = data.replace(b"  ", b" ")
    return data


def _folded_wide(text: str, *, cased: bool) -> bytes:
    """`text` in UTF-8 with all but its ASCII characters folded. Runs of others are folded each by
    itself, unless one begins with what joins the character before it, controls left out."""
    text = _CONTROL.sub("", text)
    fold_run = partial(_folded_run, cased=cased)
    runs = {run: fold_run(run) for run in set(_WIDE.findall(text))}
    if any(unicodedata.combining(run[0]) for run in runs.values() if run):
        return fold_run(text).encode("utf-8", "replace")
    return _WIDE.sub(lambda match: runs[match[0]], text).encode("utf-8", "replace")


def _folded_run(text: str, *, cased: bool) -> str:
    return _folded_word(text, cased) if len(text) <= _WORD_CHARS else _stable(text, cased=cased)


@lru_cache(maxsize=8192)
def _folded_word(text: str, cased: bool) -> str:
    return _stable(text, cased=cased)


def _stable(text: str, *, cased: bool) -> str:
    for _ in range(_ROUNDS):
        before = text
        text = _UNSEEN.sub("", text)
        if len(text) > MAX_MARKS:
            text = _CROWDED.sub(r"\1", text)
        text = unicodedata.normalize("NFKC", text)
        text = _WIDE_SPACE.sub(" ", text if cased else text.casefold())
        if text == before:
            break
    return text


def value_of(value: str | float, kind: str | None = None) -> Value | None:
    """Every form `value` is known by, where the manifest calls it `kind`; without one its shape
    decides. None where nothing can be seen of it.
    """
    text = value if isinstance(value, str) else written(value)
    cased = fold(text, cased=True)
    if not cased:
        return None
    key = cased.lower() if cased.isascii() else fold(text)
    short = _is_short(key)
    if len(cased) > LONGEST_SPACED and (len(cased) > LONGEST_SHAPED or b" " in cased):
        return Value((Form(key, cased, kind in _CASED),), short)
    plain = cased.decode()
    distinct = deviates(plain) and ("@" in plain or ("." in plain and " " not in plain))
    if kind == "email":
        return Value(_with_address(Form(key, cased, distinct), text), short)
    if kind == "id":
        number = number_of(plain)
        form = Form(key, cased, sensitive=True)
        return Value((form,) if number is None else (form, Form(number, number)), short)
    return _shaped(Form(key, cased, distinct or kind in _CASED), plain, kind, short=short)


def value_steps(text: str, kind: str | None = None) -> Generator[None, None, Value | None]:
    """`value_of` of a text; of a long one in steps, as its form, whose forms are the same."""
    if text.isascii() or len(text) <= STEP_WIDE:
        return value_of(text, kind)
    cased = yield from fold_steps(text, cased=True)
    if len(cased) <= LONGEST_SHAPED:
        return value_of(cased.decode(), kind)
    key = yield from fold_steps(cased.decode())
    return Value((Form(key, cased, kind in _CASED),), short=False)


def fold_steps(text: str, *, cased: bool = False) -> Generator[None, None, bytes]:
    """`fold` of a text; of a long one in steps."""
    if text.isascii() or len(text) <= STEP_WIDE:
        return fold(text, cased=cased)
    folded: list[bytes] = []
    for piece in pieces(text, STEP_WIDE):
        folded.append(_folded(piece, cased=cased))
        yield
    return _single_spaced(b"".join(folded)).strip(b" ")


def _with_address(form: Form, text: str) -> tuple[Form, ...]:
    address = email_of(text)
    if address is None or address == form.key:
        return (form,)
    return (form, Form(address, address))


def _shaped(form: Form, text: str, kind: str | None, *, short: bool) -> Value:
    """What `text` is by its shape. `kind` only leaves out what it cannot be."""
    if kind == "url" or (kind in _ANY and ("://" in text or text[:4].lower() == "www.")):
        url = url_of(text, bare=kind == "url")
        if url is not None:
            form = form._replace(sensitive=True)
            known = Form(url.key.lower(), url.key, sensitive=True)
            return Value((form,) if url.userinfo or known == form else (form, known), short, url)
        return Value((form,), short)
    if "@" in text and kind != "path":
        return Value(_with_address(form, text), short)
    found = [form]
    if text[0] in _NUMERIC or kind in ("iban", "phone"):
        found += _numeric(text, kind)
    elif text[2:4].isdigit() and kind in _ANY:
        found += _compact(text)
    if kind == "path" or (kind in _ANY and ("/" in text or "\\" in text)):
        path = path_of(text)
        found[0] = form = form._replace(sensitive=True)
        known = Form(fold(path), path.encode(), sensitive=True)
        if known != form:
            found.append(known)
    return Value(tuple(found), short)


def _numeric(text: str, kind: str | None) -> Iterator[Form]:
    number = number_of(text)
    if number is not None:
        yield Form(number, number)
    date = date_of(text)
    if date is not None:
        yield Form(date, date)
    elif kind not in ("path", "number", "date", "url"):
        yield from _compact(text)


def _compact(text: str) -> Iterator[Form]:
    joined = compact_of(text)
    if joined is not None:
        yield Form(b"\0c" + joined, b"\0c" + joined)


def compact_of(text: str) -> bytes | None:
    """An IBAN, card or telephone number without what people set between its parts, or None."""
    if len(text) > 64 or not text.isascii():
        return None
    joined = text.encode().translate(None, JOINTS)
    return joined.lower() if _COMPACT.fullmatch(joined) else None


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


def _is_short(key: bytes) -> bool:
    size = len(key)
    if size > 12:
        return False
    if size < 4 or len(key.decode()) < 4:
        return True
    return size <= 5 and key[key[:1] in (b"+", b"-") :].isdigit() and abs(int(key)) < 10_000


def texts_of(value: Json) -> Iterator[str | int | float]:
    """The leaves of an argument that can have come from somewhere; keys of maps count."""
    if isinstance(value, str):
        if value and not value.isspace():
            yield value
        return
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


def pieces(text: str, size: int) -> Iterator[str]:
    """`text` in pieces of at most `size` characters, each cut where white space is if it can be, so
    that it folds as it does whole."""
    start = 0
    while start < len(text):
        end = _cut(text, start, start + size)
        yield text[start:end]
        start = end


def _cut(text: str, start: int, end: int) -> int:
    """Behind the last space of the piece from `start` to `end`, else before an ASCII character,
    which nothing before it is folded with."""
    if end >= len(text):
        return len(text)
    found = text.rfind(" ", start, end)
    if found > start:
        return found + 1
    near = range(end, max(start + 1, end - _CUT_CHARS), -1)
    return next((at for at in near if text[at].isascii()), end)
