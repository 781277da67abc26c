"""What a regular expression of a schema costs to compile and to run, reckoned from its text.

Laws: who writes a pattern may be as hostile as who writes what it is held against; a repetition
is as dear as its copies written out; what cannot be reckoned is taken for dear.
"""

import re
from typing import Final, NamedTuple

PATTERN_BYTES: Final = 4096
_MARK: Final = re.compile(
    r"\\(?:[pP]\{[^}]*\}?|[pP].|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)?"
    r"|\[\^?\]?(?:\\.|[^\]\\])*\]?|\{[0-9]+(?:,[0-9]*)?\}[?+]?|\(\?[:=!<>P]?|.",
    re.DOTALL,
)
_COUNTS: Final = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}")
_FLAGS: Final = re.compile(r"\(\?[a-zA-Z]*i")  # both cases of each letter
_BETWEEN: Final = frozenset("^$|?*+")  # `*` and `+` loop, they copy nothing
_MOST: Final = 1 << 20


class Weight(NamedTuple):
    """`states` make each character of a text dear, `build` makes the pattern dear to compile."""

    states: int
    build: int


_NOTHING: Final = Weight(0, 0)
_PLAIN: Final = Weight(1, 1)
_WIDE: Final = Weight(1, 10)  # any character but some: all the ways in which UTF-8 spells it
_SCRIPT: Final = Weight(10, 250)  # a property of Unicode is a long table


def weigh(pattern: str) -> Weight:
    """The weight of `pattern`; that of one too long to be looked at is the greatest."""
    if len(pattern) > PATTERN_BYTES:
        return Weight(_MOST, _MOST)
    groups = [_NOTHING]
    last = _NOTHING
    for match in _MARK.finditer(pattern):
        mark = match[0]
        if mark[0] == "(":
            groups.append(_NOTHING)
            last = _NOTHING
        elif mark == ")" and len(groups) > 1:
            last = groups.pop()
            groups[-1] = _sum(groups[-1], last)
        elif mark[0] == "{" and (counts := _COUNTS.match(mark)) is not None:
            more = _copies(counts) - 1
            groups[-1] = _sum(groups[-1], _times(last, more))
            last = _sum(last, _times(last, more))
        elif mark not in _BETWEEN:
            last = _atom(mark)
            groups[-1] = _sum(groups[-1], last)
    whole = _NOTHING
    for group in groups:
        whole = _sum(whole, group)
    return _times(whole, 3) if _FLAGS.search(pattern) else whole


def _atom(mark: str) -> Weight:
    if "\\p" in mark or "\\P" in mark:
        return _SCRIPT
    is_class = mark[0] == "["
    if mark == "." or mark[:2] in {"\\W", "\\D", "\\S"} or mark[:2] == "[^":
        return _WIDE
    if is_class and (not mark.isascii() or "\\" in mark):
        return _WIDE
    return _PLAIN


def _copies(counts: re.Match[str]) -> int:
    low, high = counts[1], counts[2]
    text = high or low
    return max(1, int(text) if len(text) < 7 else _MOST)


def _times(weight: Weight, count: int) -> Weight:
    return Weight(min(weight.states * count, _MOST), min(weight.build * count, _MOST))


def _sum(one: Weight, other: Weight) -> Weight:
    return Weight(min(one.states + other.states, _MOST), min(one.build + other.build, _MOST))
