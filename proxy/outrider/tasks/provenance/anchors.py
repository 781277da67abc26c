"""Values in what a person wrote: numbers, dates, addresses, each as the value it is."""

import re
from collections.abc import Iterator
from typing import Final

from outrider.tasks.provenance.forms import fold
from outrider.tasks.provenance.tokens import tokens_in

_NUMBERS: Final = re.compile(
    r"(?<![\w.,-])[+-]?\d[\d,]*(?:\.\d+)?(?![\w-]|[.,]\d)"
    r"|\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-][\d:]+)?)?",
    re.IGNORECASE,
)
_JOINED: Final = re.compile(r"(?<!\w)[+(]?\d(?:[ ().-]{0,2}\d){6,18}(?!\w)")
MAX_VALUES: Final = 1024


def values_in(text: str) -> Iterator[str]:
    """At most `MAX_VALUES` of them; words and names are found in the text itself."""
    text = fold(text, cased=True).decode()
    found = dict.fromkeys(token.text for token in tokens_in(text))
    for match in _NUMBERS.finditer(text):
        found[match[0]] = None
    for match in _JOINED.finditer(text):
        found[match[0]] = None
    yield from list(found)[:MAX_VALUES]
