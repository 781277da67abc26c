"""Questions to an OPA while something happens to it: every answer, and how long it took."""

import asyncio
from typing import Final, Self

from outrider.core.clock import SystemClock
from outrider.core.ports import Defined, Failed, Raw
from outrider.core.vocabulary import Reason
from outrider.policy.engines.opa import OpaEngine, OpaSnapshot
from tests.support.opa import until
from tests.support.policy import ENTRYPOINT

CLOCK: Final = SystemClock()
TIMEOUT_S: Final = 0.25
BACK_S: Final = 5.0
BUSY_S: Final = 2.0
"""What a shared machine may add to a wait of ours."""


async def ask(snapshot: OpaSnapshot, query: bytes = b"{}", within_s: float = TIMEOUT_S) -> Raw:
    return await snapshot.evaluate(ENTRYPOINT, query, CLOCK.monotonic_s() + within_s, None)


def reason(raw: Raw) -> Reason:
    assert isinstance(raw, Failed), raw
    return raw.code


class Load:
    """Four callers that ask all the time; every answer and how long it took."""

    def __init__(self, engine: OpaEngine, within_s: float = TIMEOUT_S) -> None:
        self._engine = engine
        self._within_s = within_s
        self._stop = asyncio.Event()
        self.answers: list[tuple[float, float, Raw]] = []

    async def __aenter__(self) -> Self:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for _ in range(4):
            self._group.create_task(self._call())
        await until(lambda: len(self.answers) > 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await self._group.__aexit__(None, None, None)

    async def _call(self) -> None:
        while not self._stop.is_set():
            began_s = CLOCK.monotonic_s()
            raw = await ask(self._engine.snapshot(), within_s=self._within_s)
            ended_s = CLOCK.monotonic_s()
            self.answers.append((began_s, ended_s, raw))
            if isinstance(raw, Failed):
                await asyncio.sleep(0.01)

    def reasons(self) -> set[Reason]:
        return {raw.code for _, _, raw in self.answers if isinstance(raw, Failed)}

    def longest_s(self) -> float:
        return max(ended_s - began_s for began_s, ended_s, _ in self.answers)

    async def answered_again_s(self, since_s: float) -> float:
        """When the first answer after `since_s` came that is one."""

        def first() -> float | None:
            later = (e for b, e, raw in self.answers if b >= since_s and isinstance(raw, Defined))
            return next(later, None)

        await until(lambda: first() is not None, within_s=BACK_S + BUSY_S)
        found = first()
        assert found is not None
        return found - since_s
