"""What looks like a secret or personal data wherever it is from: a small set, by its own marks.

Keys: AWS access key, GitHub, GitLab, Slack, Stripe and OpenAI-like tokens, Google API key, JSON
Web Token, PEM private key. Personal data: a payment card, by its first digits, length and Luhn
digit. A text that has none of the marks costs no regular expression.
"""

import re
from collections.abc import Callable, Generator, Iterator
from typing import Final, NamedTuple

import orjson

from outrider.core.jsonvalue import JsonObject

_KEYS: Final = {  # by a part that all of a kind have
    "aws": ("IA", re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])")),
    "github": ("_", re.compile(r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255}")),
    "gitlab": ("glpat-", re.compile(r"glpat-[A-Za-z0-9_-]{20,255}")),
    "slack": ("xox", re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,255}")),
    "stripe": ("k_", re.compile(r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}")),
    "openai": ("sk-", re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{32,255}")),
    "google": ("AIza", re.compile(r"AIza[A-Za-z0-9_-]{35}")),
    "jwt": (
        "eyJ",
        re.compile(
            r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,8192}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,8192}"
        ),
    ),
    "pem": ("PRIVATE KEY", re.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY-----")),
}
_CARD: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]\d)")
_KEY_CHARS: Final = bytes(
    255 if (code < 128 and chr(code).isalnum()) or code in b"_-+/=." else 0 for code in range(256)
)
_DIGITS: Final = bytes(255 if 48 <= code <= 57 else 0 for code in range(256))
_KEY_RUN: Final = 16
_CARD_RUN: Final = 13
_SHAPES: Final = bytes(
    48 if 48 <= code <= 57 else 65 if chr(code).isalpha() and code < 128 else 32
    for code in range(256)
)
_IBAN_HEAD: Final = b" AA00"
_IBAN_START: Final = b"AA00"
_ESCAPES: Final = (b"\\n", b"\\t", b"\\r", b"\\b", b"\\f")  # as JSON writes white space
_IBAN_CHARS: Final = 34
FEWEST_DIGITS: Final = 10
"""What is spelt like an IBAN or a card has so many."""
_MOST: Final = 16  # of one kind in one value
_SLICE: Final = 16 << 10
"""So much of a text is searched in one go."""
_SHARED: Final = 512  # with the next slice: what is found is no longer, but for a web token
_TOKEN_SHARED: Final = 3 * 8192 + 16
_ISSUERS: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}"
    r"|6(?:011|5\d\d)\d{12}|35\d{14}|3(?:0[0-5]|[68]\d)\d{11}"
)


class Marks(NamedTuple):
    """What a text may hold, told at little cost: a long run as keys have, a card, an IBAN."""

    run: bool
    card: bool
    iban: bool


ALL_MARKS: Final = Marks(run=True, card=True, iban=True)


def marks_of(arguments: JsonObject) -> Generator[None, None, Marks]:
    """The marks of all texts in `arguments`; of large ones in steps."""
    try:
        data = orjson.dumps(arguments)
    except orjson.JSONEncodeError:
        return ALL_MARKS
    marks = _marks_in(data[: _SLICE + _SHARED])
    for start in range(_SLICE, len(data), _SLICE):
        if marks == ALL_MARKS:
            break
        yield
        more = _marks_in(data[start : start + _SLICE + _SHARED])
        marks = Marks(*(one or other for one, other in zip(marks, more, strict=True)))
    return marks


def _marks_in(data: bytes) -> Marks:
    run = has_run(data.translate(_KEY_CHARS), _KEY_RUN)
    if b"\\" in data:
        for escape in _ESCAPES:
            data = data.replace(escape, b"  ")
    shape = data.translate(_SHAPES)
    digits = shape.count(b"0")
    if digits < FEWEST_DIGITS:
        return Marks(run=run, card=False, iban=False)
    heads = _IBAN_HEAD in shape or b"\\u" in data
    card = digits >= _CARD_RUN and has_run(data.translate(_DIGITS, b" -"), _CARD_RUN)
    return Marks(run=run, card=card, iban=heads and _may_hold_iban(data))


def has_run(data: bytes, length: int) -> bool:
    """True where `length` bytes of 255 follow one another in `data`, which has but 0 beside them.

    As one number, shifted and met with itself: a tenth of what a search for the run costs where
    much of the text is made of its characters.
    """
    bits, known = int.from_bytes(data, "little"), 1
    while known < length and bits:
        step = min(known, length - known)
        bits &= bits >> 8 * step
        known += step
    return bits != 0


def _may_hold_iban(data: bytes) -> bool:
    """True where digits enough follow two letters and two digits closely, whatever is between."""
    shape = data.translate(_SHAPES, b" -")
    at = shape.find(_IBAN_START)
    while at >= 0:
        if shape.count(b"0", at, at + _IBAN_CHARS) >= FEWEST_DIGITS:
            return True
        at = shape.find(_IBAN_START, at + 2)
    return False


def patterns_in(text: str, marks: Marks, digest: Callable[[bytes], str]) -> Iterator[str | None]:
    """The ids of what is found, `key_<kind>_<digest>` or `pii_card_<digest>`; None after each
    slice of a long text."""
    for kind, (mark, pattern) in _KEYS.items() if marks.run else ():
        if mark in text:
            shared = _TOKEN_SHARED if kind == "jwt" else _SHARED
            for found in _found(pattern, text, shared):
                yield None if found is None else f"key_{kind}_{digest(found.encode())}"
    if marks.card:
        for found in _found(_CARD, text, _SHARED):
            number = None if found is None else found.replace(" ", "").replace("-", "")
            if number is None:
                yield None
            elif _ISSUERS.fullmatch(number) and _is_luhn(number):
                yield f"pii_card_{digest(number.encode())}"


def _found(pattern: re.Pattern[str], text: str, shared: int) -> Iterator[str | None]:
    """What `pattern` finds in `text`, the first `_MOST`; None after each slice of a long one."""
    start = count = 0
    while start < len(text):
        stop = start + _SLICE
        for match in pattern.finditer(text, start, stop + shared):
            if match.start() >= stop or count == _MOST:
                break
            count += 1
            start = match.end()
            yield match[0]
        if count == _MOST or stop >= len(text):
            return
        start = max(start, stop)
        yield None


def _is_luhn(number: str) -> bool:
    digits = [int(char) for char in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0
