"""A keeper with a Workload API as its source, run beside the test on real sockets."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outrider.config.identity_settings import WorkloadApi as WorkloadApiSettings
from outrider.core.clock import SystemClock
from outrider.identity.keeper import IdentityKeeper
from outrider.identity.snapshot import Snapshot
from outrider.identity.workload_api import WorkloadApi
from tests.support.identity import RecordingIdentityEvents


@contextmanager
def socket_path() -> Iterator[str]:
    """A path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="wl") as directory:
        yield str(Path(directory) / "a.sock")


@dataclass(slots=True)
class Sourced:
    """`wait` until something holds, asked at each change and every fiftieth of a second."""

    api: WorkloadApi
    keeper: IdentityKeeper
    events: RecordingIdentityEvents
    told: list[Snapshot] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    running: "asyncio.Task[None] | None" = None

    def tell(self, snapshot: Snapshot) -> None:
        self.told.append(snapshot)
        self.changed.set()

    async def wait(self, holds: Callable[[], bool], *, within_s: float = 15.0) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                self.changed.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self.changed.wait()
                except TimeoutError:
                    continue

    async def wait_state(self, state: str, *, within_s: float = 15.0) -> None:
        await self.wait(lambda: self.keeper.state() == state, within_s=within_s)


@asynccontextmanager
async def sourced(
    target: str, *, first_message_s: float = 30.0, **changes: Any
) -> AsyncIterator[Sourced]:
    """`changes` as for `WorkloadApi`. What runs is cancelled, then closed, as a sidecar does."""
    events = RecordingIdentityEvents()
    keeper = IdentityKeeper(clock=SystemClock(), events=events)
    told = {"settings": WorkloadApiSettings(first_message_s=first_message_s), "spiffe_id": None}
    api = WorkloadApi(
        target=target, keeper=keeper, clock=SystemClock(), events=events, **(told | changes)
    )
    found = Sourced(api=api, keeper=keeper, events=events)
    keeper.tell(found.tell)
    async with asyncio.TaskGroup() as group:
        found.running = group.create_task(api.run())
        try:
            yield found
        finally:
            found.running.cancel()
            await api.close()
