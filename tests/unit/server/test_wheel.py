import asyncio

from outrider.server.wheel import NEVER, TICK_S, Wheel
from tests.support.builders import FixedClock


class Waiting:
    def __init__(self, deadline_s):
        self.deadline_s = deadline_s
        self.fired = 0

    def expired(self):
        self.fired += 1


async def ticks(count=1):
    await asyncio.sleep(TICK_S * (count + 0.5))


async def test_what_is_overdue_is_told_once():
    clock = FixedClock()
    wheel = Wheel(clock=clock)
    late, early, never = Waiting(1005.0), Waiting(1001.0), Waiting(NEVER)
    for waiting in (late, early, never):
        wheel.watch(waiting)
    clock.pass_s(2)
    await ticks(2)
    assert (late.fired, early.fired, never.fired) == (0, 1, 0)
    assert early.deadline_s == NEVER
    wheel.close()


async def test_what_is_not_watched_any_more_is_not_told():
    clock = FixedClock()
    wheel = Wheel(clock=clock)
    waiting = Waiting(1001.0)
    wheel.watch(waiting)
    wheel.unwatch(waiting)
    wheel.unwatch(waiting)
    clock.pass_s(5)
    await ticks()
    assert waiting.fired == 0
    assert wheel._handle is None  # nothing to watch, nothing to tick for


async def test_a_deadline_set_while_it_expires_holds():
    clock = FixedClock()
    wheel = Wheel(clock=clock)

    class Again(Waiting):
        def expired(self):
            super().expired()
            self.deadline_s = clock.monotonic_s() + 100

    waiting = Again(1001.0)
    wheel.watch(waiting)
    clock.pass_s(5)
    await ticks(2)
    assert waiting.fired == 1
    wheel.close()
