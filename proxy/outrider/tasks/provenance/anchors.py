"""Values in what a person wrote: numbers, dates, addresses, each as the value it is."""

import re
from collections.abc import Iterator
from typing import Final

from outrider.tasks.provenance.addresses import url_of
from outrider.tasks.provenance.forms import fold
from outrider.tasks.provenance.tokens import Token, tokens_in

_NUMBERS: Final = re.compile(
    r"(?<![\w.,-])[+-]?\d[\d,]*(?:\.\d+)?(?![\w-]|[.,]\d)"
    r"|\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?",
    re.IGNORECASE,
)
_JOINED: Final = re.compile(r"(?<!\w)[+(]?\d(?:[ ().-]{0,2}\d){6,18}(?!\w)")
_GLUED: Final = re.compile(r"(\.[a-z]{2,24})[.,;:!?)](?=(?:[A-Z][a-z]{2,}|[AI])(?![\w@./:-]))")
"""Between the end of a host and the first word of the next sentence: `docs.example.Then`. A word of
two letters could be a country's."""
MAX_VALUES: Final = 1024


def values_in(text: str) -> Iterator[str]:
    """At most `MAX_VALUES` of them; words and names are found in the text itself."""
    text = fold(text, cased=True).decode()
    found = dict.fromkeys(token.text for token in tokens_in(text))
    if _GLUED.search(text):
        apart = tokens_in(_GLUED.sub(r"\1 ", text), iban=False)
        found |= dict.fromkeys(token.text for token in apart if _names_a_host(token))
    for match in _NUMBERS.finditer(text):
        found[match[0]] = None
    for match in _JOINED.finditer(text):
        found[match[0]] = None
    yield from list(found)[:MAX_VALUES]


def addresses_in(text: str) -> Iterator[str]:
    """URLs, e-mail addresses, and numbers of accounts, cards and telephones, in any text."""
    text = fold(text, cased=True).decode()
    yield from dict.fromkeys(token.text for token in tokens_in(text))
    yield from dict.fromkeys(match[0] for match in _JOINED.finditer(text))


def _names_a_host(token: Token) -> bool:
    """Whether a name with a dot is left of it."""
    if token.kind != "url":
        return True
    url = url_of(token.text)
    return url is not None and "." in url.host.removeprefix("www.")
