"""Background work: named jobs in one group that outlives nobody and hides nothing."""

import asyncio
import logging
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from outrider.core.errors import is_panic

logger = logging.getLogger("outrider.server")


class Jobs:
    """An `asyncio.TaskGroup` that can be told to stop.

    A job that fails takes the others with it and its error out of the `async with`: the process
    ends rather than run on without it. `stop` cancels what still runs; leaving waits for it.
    """

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(job, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    @property
    def names(self) -> frozenset[str]:
        """The jobs that run now."""
        return frozenset(task.get_name() for task in self._tasks)

    def stop(self) -> None:
        """Cancel every job. Idempotent."""
        for task in list(self._tasks):
            task.cancel()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        await self._group.__aexit__(kind, error, trace)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _tell(task.get_name())


class Errands:
    """Jobs of single exchanges. One in which a Rust extension panics ends alone: what a caller or
    an upstream sent must not end the process."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def start(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        self._jobs.start(name, _alone(name, job))


async def _alone(name: str, job: Coroutine[Any, Any, None]) -> None:
    try:
        await job
    except BaseException as fault:
        if not is_panic(fault):
            raise
        _tell(name)


def _tell(name: str) -> None:
    logger.error("a background job failed", extra={"event": "job_failed", "job": name})
