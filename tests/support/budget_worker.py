"""Workers that take from one budget over a shared store, in this process or one of their own.

`python -m tests.support.budget_worker <socket> <prefix> <name> <seed> <calls> <limit> <at once>
<per cent given back>` waits for a line, works, and says what became of each call, a line each, as
soon as it knows.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random

import orjson

from outrider.core.clock import SystemClock
from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import States
from outrider.server.jobs import Jobs
from outrider.stores.redis_link import RedisLink, RedisPlace
from outrider.stores.redis_states import RedisStates
from outrider.tasks.ledger import Ledger

KEY = "root"


class Fate(StrEnum):
    """What a worker was told of one call."""

    COUNTED = "counted"
    REFUSED = "refused"  # there was no room
    FAILED = "failed"  # nothing was counted
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Budget:
    """Events by name with how often each was counted and given back, and what is used."""

    counted: dict[str, int] = field(default_factory=dict)
    returned: dict[str, int] = field(default_factory=dict)
    used: int = 0
    highest: int = 0
    lowest: int = 0
    lost: bool = False


class BudgetCodec:
    def decode(self, data: bytes | None, now_unix_s: float) -> Budget:
        del now_unix_s
        if data is None:
            return Budget()
        return Budget(**orjson.loads(data)) if data else Budget(lost=True)

    def encode(self, document: Budget) -> bytes:
        return orjson.dumps(document)


class NoRoomError(Exception):
    """The budget is used up."""


def taking(event: str, limit: int) -> Callable[[Budget], None]:
    def change(budget: Budget) -> None:
        if budget.used >= limit:
            raise NoRoomError
        budget.counted[event] = budget.counted.get(event, 0) + 1
        budget.used += 1
        budget.highest = max(budget.highest, budget.used)

    return change


def giving_back(event: str) -> Callable[[Budget], None]:
    """Give back what `event` took, once, if it took anything."""

    def change(budget: Budget) -> None:
        if budget.counted.get(event, 0) > budget.returned.get(event, 0):
            budget.returned[event] = budget.returned.get(event, 0) + 1
            budget.used -= 1
            budget.lowest = min(budget.lowest, budget.used)

    return change


@dataclass(slots=True)
class Worker:
    """Makes `calls` calls, `at_once` of them at a time; gives back what some of them took."""

    name: str
    seed: int
    calls: int
    limit: int
    at_once: int
    say: Callable[[str, Fate], None]
    back_percent: int = 40

    async def work(self, ledger: Ledger[Budget]) -> None:
        random = Random(self.seed)  # noqa: S311 - a seed, so that a run can be had again
        names = [f"{self.name}-{number}" for number in range(self.calls)]
        backs = {name for name in names if random.randrange(100) < self.back_percent}
        for start in range(0, self.calls, self.at_once):
            async with asyncio.TaskGroup() as group:
                for name in names[start : start + self.at_once]:
                    group.create_task(self._call(ledger, name, back=name in backs))

    async def _call(self, ledger: Ledger[Budget], name: str, *, back: bool) -> None:
        try:
            await ledger.change(KEY, taking(name, self.limit))
        except NoRoomError:
            self.say(name, Fate.REFUSED)
            return
        except StoreUnavailableError as refusal:
            unknown = refusal.cause == "unknown"
            self.say(name, Fate.UNKNOWN if unknown else Fate.FAILED)
            if unknown:  # the call will not be made: whatever was taken goes back
                ledger.change_later(KEY, giving_back(name))
            return
        self.say(name, Fate.COUNTED)
        if back:
            ledger.change_later(KEY, giving_back(name))


def a_ledger(states: States) -> Ledger[Budget]:
    return Ledger(states=states, table="books", codec=BudgetCodec(), clock=SystemClock())


@asynccontextmanager
async def at_work(states: States) -> AsyncIterator[Ledger[Budget]]:
    ledger = a_ledger(states)
    async with Jobs() as jobs:
        jobs.start("ledger", ledger.run())
        yield ledger
    await ledger.close()


async def _main(socket: str, prefix: str, worker: Worker) -> None:
    link = RedisLink(RedisPlace(path=socket), timeout_s=1.0)
    async with at_work(RedisStates(link, prefix=prefix)) as ledger:
        await worker.work(ledger)
    await link.close()


def _say(name: str, fate: Fate) -> None:
    os.write(1, f"{name} {fate}\n".encode())  # at once: we may be killed in a moment


if __name__ == "__main__":
    place, own_prefix, own_name, *numbers = sys.argv[1:]
    chosen, count, bound, width, share = map(int, numbers)
    made = Worker(
        name=own_name,
        seed=chosen,
        calls=count,
        limit=bound,
        at_once=width,
        say=_say,
        back_percent=share,
    )
    os.write(1, b"ready\n")
    sys.stdin.readline()
    asyncio.run(_main(place, own_prefix, made))
