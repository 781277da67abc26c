"""Callers that ask without pause, what became of each request, and how late the machine was."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from outrider.core.clock import SystemClock
from tests.support.net import RawAnswer, RawClient, dialled

CLOCK: Final = SystemClock()
BEAT_S: Final = 0.005


@dataclass(slots=True, kw_only=True)
class Told:
    """One request: when it began and ended, and its answer, None where none came."""

    began_s: float
    ended_s: float
    answer: RawAnswer | None
    fault: str = ""
    """What ended the connection, and how many answers it had given before."""


@dataclass(slots=True, kw_only=True)
class Load:
    """`callers` loops over `requests` on connections that are kept where the answer allows it.

    A connection that cannot be made ends its caller: nobody was refused anything. A request that
    was sent and got no whole answer is told with `answer=None`.
    """

    port: int
    requests: Sequence[bytes]
    callers: int = 4
    pause_s: float = 0.0
    told: list[Told] = field(default_factory=list)
    lateness_s: float = 0.0
    """How much later than due a timer of this process ran at worst: not the sidecar's doing."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        for number in range(self.callers):
            self._group.create_task(self._call(number))
        self._group.create_task(self._beat())
        await self.until(lambda: len(self.told) > 2 * self.callers)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._group.__aexit__(None, None, None)

    async def until(self, holds: Callable[[], bool], within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(BEAT_S)

    async def more(self, count: int) -> None:
        """Until `count` more requests were told."""
        target = len(self.told) + count
        await self.until(lambda: len(self.told) >= target)

    def faults(self) -> list[str]:
        """Of each request without an answer what became of its connection."""
        return [told.fault for told in self.told if told.answer is None]

    def statuses(self) -> set[int | None]:
        return {told.answer.status if told.answer else None for told in self.told}

    async def _beat(self) -> None:
        while not self._stop.is_set():
            due_s = CLOCK.monotonic_s() + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.lateness_s = max(self.lateness_s, CLOCK.monotonic_s() - due_s)

    async def _call(self, number: int) -> None:
        turn = number
        while not self._stop.is_set():
            try:
                async with dialled(self.port) as client:
                    before = 0
                    while not self._stop.is_set() and await self._ask(client, turn, before):
                        turn, before = turn + 1, before + 1
                    turn += 1
            except ConnectionRefusedError:
                return

    async def _ask(self, client: RawClient, turn: int, before: int) -> bool:
        """Ask once; whether the connection may be used again."""
        began_s = CLOCK.monotonic_s()
        answer, fault = None, ""
        try:
            await client.send(self.requests[turn % len(self.requests)])
            answer = await client.answer()
        except (ConnectionError, asyncio.IncompleteReadError) as ended:
            fault = f"{type(ended).__name__} after {before}"
        ended_s = CLOCK.monotonic_s()
        self.told.append(Told(began_s=began_s, ended_s=ended_s, answer=answer, fault=fault))
        if self.pause_s:
            await asyncio.sleep(self.pause_s)
        return answer is not None and answer.field("connection") != "close"
