"""What a task's books cost beside one call: the part `tasks` of `make bench`.

The whole of provenance and behaviour for a call of 1 KB and its answer of 1 KB, in a task at its
beginning; and at 256 KiB of text read, a look at the call and a step of learning an answer.
"""

import asyncio
from statistics import median
from typing import Final

from tests.bench.micro import provenance
from tests.bench.micro.books import PARTS, prices_us
from tests.bench.micro.library import Price
from tests.support.books import an_office, at_work

CALL_US: Final = 25
LATE_US: Final = 2000
GOES: Final = 30
_CALLS: Final = 40
"""Calls of one task: beyond some 200 its index is full, and looks go another way."""


async def _whole_us() -> float:
    """One task's calls, its first ones left out."""
    office = an_office()
    async with at_work(office):
        await prices_us(office, count=5, goes=1)
        spent = await prices_us(office, count=_CALLS, goes=1)
    return sum(spent[part] for part in PARTS)


def measure(*, goes: int = GOES) -> list[Price]:
    """The prices against their bars (the issue's, and GOVERNANCE §4.4)."""
    whole = median([asyncio.run(_whole_us()) for _ in range(goes)])
    late = provenance.looks_us(256, count=500)["mail"][1]
    step = provenance.learns_us(count=10)["a step of 256 KiB of JSON"][1]
    return [
        Price(what="provenance and behaviour of a call", size=1024, spent_us=whole, bar_us=CALL_US),
        Price(what="p99 of a look, 256 KiB read", size=1024, spent_us=late, bar_us=LATE_US),
        Price(what="p99 of a step of learning", size=262144, spent_us=step, bar_us=LATE_US),
    ]
