"""Large work on an answer, cut in pieces between which the loop has its turn (HARDENING §1.9).

Laws: what is small is done at once and pays nothing; whatever is done in pieces is done in the
same order and with the same outcome.
"""

from collections.abc import Callable, Generator
from typing import Final, TypeAlias

from outrider.core.ports import Judge, Step
from outrider.core.strict_json import STEPPED_BYTES
from outrider.core.vocabulary import Phase

LARGE_BYTES: Final = STEPPED_BYTES
"""Bytes that may be read, searched or written in one go, each within a few milliseconds."""

_Then: TypeAlias = Callable[[], list[Step]]
Work: TypeAlias = Generator[None, None, list[Step]]
"""Work that yields wherever the loop may have its turn, and returns what it comes to."""


def in_turns(work: Work) -> list[Step]:
    """The steps of `work`; what ends before its first yield is done when this returns."""
    try:
        next(work)
    except StopIteration as done:
        return _steps(done)
    return [_turn(lambda: _pieces(work))]


def _pieces(work: Work) -> list[Step]:
    """One turn for each piece: the list grows by one as long as there is more to do, so that a
    long work is no deep nest of calls."""
    steps: list[Step] = []

    def go_on() -> list[Step]:
        try:
            next(work)
        except StopIteration as done:
            return _steps(done)
        steps.append(_turn(go_on))
        return []

    steps.append(_turn(go_on))
    return steps


def _turn(then: _Then) -> Judge:
    return Judge(asks=(), phase=Phase.RESPONSE, then=lambda _verdicts: then())


def _steps(done: StopIteration) -> list[Step]:
    steps: list[Step] = done.value
    return steps
