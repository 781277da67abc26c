"""Time that passes only where everybody waits for it: an hour costs nothing, a tenth is exact."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


class PatientThreads(ThreadPoolExecutor):
    """Holds the loop until a thread is done: virtual time would run past what it does. Give it to
    `loop.set_default_executor`."""

    def submit(self, work: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        done = super().submit(work, *args, **kwargs)
        while not done.done():
            os.sched_yield()
        return done


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer once nothing is ready before it."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0

    def time(self) -> float:
        return self._now_s

    def _run_once(self) -> None:
        if not self._ready:  # type: ignore[attr-defined]
            # A cancelled timer may still head the heap: nobody waits for it.
            live = [one.when() for one in self._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
            self._now_s = max(self._now_s, min(live, default=self._now_s))
        super()._run_once()  # type: ignore[misc]


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def now_s() -> float:
    """Virtual seconds since the loop began."""
    return asyncio.get_running_loop().time()


def at(instant_s: float) -> asyncio.Event:
    """An event that is set at this virtual instant."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_at(instant_s, event.set)
    return event
