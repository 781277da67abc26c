"""A small document for what keeps documents: counters by name, and a mark of what was lost."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

from outrider.core.ports import States
from outrider.server.jobs import Jobs
from outrider.tasks.ledger import Ledger
from tests.support.builders import FixedClock

LIFE_S = 3600


@dataclass(slots=True)
class Counters:
    counts: dict[str, int] = field(default_factory=dict)
    lost: bool = False


class CountersCodec:
    def decode(self, data: bytes | None, now_unix_s: float) -> Counters:
        del now_unix_s
        if data is None:
            return Counters()
        try:
            held = orjson.loads(data)
            return Counters(dict(held["counts"]), held["lost"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return Counters(lost=True)

    def encode(self, document: Counters) -> bytes:
        return orjson.dumps({"counts": document.counts, "lost": document.lost})


class NoRoomError(Exception):
    """A budget is used up."""


def adding(name: str, limit: int | None = None) -> Callable[[Counters], int]:
    """A change that counts one, or raises where `limit` is reached."""

    def change(document: Counters) -> int:
        count = document.counts.get(name, 0)
        if limit is not None and count >= limit:
            raise NoRoomError
        document.counts[name] = count + 1
        return count + 1

    return change


def a_ledger(states: States, **changes: object) -> Ledger[Counters]:
    given: dict[str, object] = {"table": "books", "clock": FixedClock(), "life_s": LIFE_S}
    given["codec"] = CountersCodec()
    return Ledger(states=states, **given | changes)  # type: ignore[arg-type]


@asynccontextmanager
async def running(*ledgers: Ledger[Counters]) -> AsyncIterator[None]:
    """`ledgers` at work; closed at the end."""
    async with Jobs() as jobs:
        for number, ledger in enumerate(ledgers):
            jobs.start(f"ledger-{number}", ledger.run())
        yield
    for ledger in ledgers:
        await ledger.close()
