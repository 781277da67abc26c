"""What looks like a secret or personal data wherever it is from: a small set, by its own marks.

Keys: AWS access key, GitHub, GitLab, Slack, Stripe and OpenAI-like tokens, Google API key, JSON
Web Token, PEM private key. Personal data: a payment card, by its first digits, length and Luhn
digit. A text that has none of the marks costs no regular expression.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

_KEYS: Final = {
    "aws": re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    "github": re.compile(r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255}"),
    "gitlab": re.compile(r"glpat-[A-Za-z0-9_-]{20,255}"),
    "slack": re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,255}"),
    "stripe": re.compile(r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}"),
    "openai": re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{32,255}"),
    "google": re.compile(r"AIza[A-Za-z0-9_-]{35}"),
    "jwt": re.compile(r"eyJ[A-Za-z0-9_-]{8,8192}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,8192}"),
    "pem": re.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY-----"),
}
_MARKS: Final = {
    "aws": ("AKIA", "ASIA"),
    "github": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "gitlab": ("glpat-",),
    "slack": ("xox",),
    "stripe": ("k_live_", "k_test_"),
    "openai": ("sk-",),
    "google": ("AIza",),
    "jwt": ("eyJ",),
    "pem": (" PRIVATE KEY-----",),
}
_CARD: Final = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]\d)")
_DIGITS: Final = bytes(48 if 48 <= code <= 57 else code for code in range(256))
_RUN: Final = b"0" * 13
_MOST: Final = 16  # of one kind in one value
_ISSUERS: Final = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}"
    r"|6(?:011|5\d\d)\d{12}|35\d{14}|3(?:0[0-5]|[68]\d)\d{11}"
)


def patterns_in(text: str, digest: Callable[[bytes], str]) -> Iterator[str]:
    """The ids of what is found, `key_<kind>_<digest>` or `pii_card_<digest>`."""
    for kind, marks in _MARKS.items():
        if any(mark in text for mark in marks):
            for match, _ in zip(_KEYS[kind].finditer(text), range(_MOST), strict=False):
                yield f"key_{kind}_{digest(match[0].encode())}"
    data = text.encode("utf-8", "replace").translate(_DIGITS, b" -")
    if _RUN in data:
        for match, _ in zip(_CARD.finditer(text), range(_MOST), strict=False):
            number = match[0].replace(" ", "").replace("-", "")
            if _ISSUERS.fullmatch(number) and _is_luhn(number):
                yield f"pii_card_{digest(number.encode())}"


def _is_luhn(number: str) -> bool:
    digits = [int(char) for char in reversed(number)]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0
