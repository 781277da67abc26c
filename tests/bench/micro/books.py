"""`python -m tests.bench.micro.books`: what provenance and behaviour cost for one call.

A call with 1 KB of arguments and an answer of 1 KB through the task's books over states in memory:
opened, its facts told, its answer learnt, closed. CPU of this thread, by the part; once with the
provenance index and once with one that knows nothing, which leaves the price of behaviour.
"""

import asyncio
import sys
import time
from collections.abc import Generator
from statistics import median
from typing import TypeVar

from outrider.core.facts import Answered, Ended
from outrider.core.vocabulary import Label, OutcomeStatus
from outrider.tasks import indexes
from outrider.tasks.provenance.answers import Learnt, Looked
from tests.support.books import Office, an_office, at_work

_BODY = "Dear Ines, thank you for the report on ticket 4711; the figures are in the annex. " * 12
_DONE = Ended(status=OutcomeStatus.EXECUTED, reason=None, bytes_in=1200)
Found = TypeVar("Found")
PARTS = ("open", "reserve", "learn", "close")


def _answer(number: int) -> Answered:
    items = [{"id": f"t-{number}-{item}", "note": _BODY[:180]} for item in range(5)]
    return Answered(action=0, value={"items": items})


async def prices_us(office: Office, *, count: int, goes: int) -> dict[str, float]:
    """CPU of each part, the median of some goes; the clock passes a second every ten calls."""
    spent: dict[str, list[float]] = {part: [] for part in PARTS}
    for go in range(goes):
        answers = [_answer(go * count + number) for number in range(count)]
        openings = [
            office.opening(
                office.action("mail", {"to": "ines@team.acme.test", "body": f"{number} {_BODY}"})
            )
            for number in range(count)
        ]
        sums = dict.fromkeys(PARTS, 0)
        for number in range(count):
            if number % 10 == 0:
                office.clock.pass_s(1)
            marks = [time.thread_time_ns()]
            page = await office.books.open(openings[number])
            _ = page.facts
            marks.append(time.thread_time_ns())
            await page.reserve()
            marks.append(time.thread_time_ns())
            await page.learn(answers[number])
            marks.append(time.thread_time_ns())
            page.close(_DONE)
            marks.append(time.thread_time_ns())
            for place, part in enumerate(PARTS):
                sums[part] += marks[place + 1] - marks[place]
        for part in PARTS:
            spent[part].append(sums[part] / count / 1000)
    return {part: median(each) for part, each in spent.items()}


class _Knows:
    """An index that knows nothing."""

    def __init__(self, *, key: bytes, incomplete: bool = False) -> None:
        pass

    def learning(self, *_: object, **__: object) -> Generator[None, None, Learnt]:
        return _at_once(Learnt(untrusted=True, records=5, labels=(Label.UNTRUSTED,)))

    def looking(self, *_: object, **__: object) -> Generator[None, None, Looked]:
        return _at_once(Looked(entries={}, incomplete=False))

    def wrote(self, *_: object, **__: object) -> None:
        pass


def _at_once(found: Found) -> Generator[None, None, Found]:
    return found
    yield


async def measured(*, provenance: bool) -> dict[str, float]:
    """The prices, warmed up, without the background's writes."""
    office = an_office()
    if not provenance:
        indexes.Index = _Knows  # type: ignore[assignment,misc]
    async with at_work(office):
        await prices_us(office, count=200, goes=1)
        return await prices_us(office, count=400, goes=5)


def main() -> None:
    """Print one line a part."""
    for provenance in (True, False):
        prices = asyncio.run(measured(provenance=provenance))
        sys.stdout.write("with provenance\n" if provenance else "behaviour alone\n")
        for part, price in prices.items():
            sys.stdout.write(f"  {part}: {price:.1f} us\n")
        sys.stdout.write(f"  whole: {sum(prices.values()):.1f} us\n")


if __name__ == "__main__":
    main()
