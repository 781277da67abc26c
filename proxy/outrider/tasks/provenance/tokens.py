"""Addresses inside content: URLs, e-mail addresses and what is spelt like an IBAN."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from outrider.tasks.provenance.patterns import FEWEST_DIGITS

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,15}\Z", re.IGNORECASE)
_REST: Final = re.compile(r"[^\s<>\"'`{}|\\^\x00-\x1f]{1,2048}")
_BARE: Final = re.compile(r"(?<![\w./-])www\.[^\s<>\"'`{}|\\^\x00-\x1f]{1,2048}", re.IGNORECASE)
_EMAIL: Final = re.compile(
    r"(?<![\w.+%~!#$&*=?^-])[\w.+%~!#$&*=?^-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"
)
_IBAN: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?"
    r"(?![A-Za-z0-9])"
)
SHORTEST_IBAN: Final = 15
_TAIL: Final = ".,;:!?)]*_~"


class Token(NamedTuple):
    kind: str  # url, email, iban: a type of argument
    text: str


def tokens_in(text: str, *, iban: bool = True) -> Iterator[Token]:
    """In the order of their kinds. Without `iban` none is sought."""
    yield from (Token("url", url.rstrip(_TAIL)) for url in _urls(text))
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Token("email", match[0].rstrip(".-"))
    for match in _IBAN.finditer(text) if iban else ():
        if _digits(match[0]) < FEWEST_DIGITS:
            continue
        spelt = _without_words(match[0])
        if _digits(spelt) >= FEWEST_DIGITS:
            yield Token("iban", spelt)


def _urls(text: str) -> Iterator[str]:
    """What follows a scheme, and what begins with `www.`."""
    at = text.find("://")
    while at >= 0:
        scheme = _SCHEME.search(text, max(0, at - 16), at)
        rest = _REST.match(text, at + 3)
        if scheme is not None and rest is not None:
            yield text[scheme.start() : rest.end()]
        at = text.find("://", at + 3 if rest is None else rest.end())
    if "www." in text.lower():
        yield from (match[0] for match in _BARE.finditer(text))


def _without_words(text: str) -> str:
    """`text` without the words behind an IBAN that could be its last groups: as much of it as has
    the right check digits, else all up to its last group with a digit."""
    groups = re.split(r"[ -]", text)
    for count in range(len(groups), 1, -1):
        if _is_checked("".join(groups[:count])):
            return " ".join(groups[:count])
    while not any(char.isdigit() for char in groups[-1]):
        groups.pop()
    return " ".join(groups)


def _digits(text: str) -> int:
    return sum(map(str.isdigit, text))


def _is_checked(joined: str) -> bool:
    if len(joined) < SHORTEST_IBAN:
        return False
    return int("".join(str(int(char, 36)) for char in joined[4:] + joined[:4])) % 97 == 1
