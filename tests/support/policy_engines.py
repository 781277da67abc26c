"""Every engine the contract suite runs on. An engine joins by one entry here."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from outrider.core.clock import SystemClock
from outrider.policy.engines.embedded import EmbeddedEngine
from outrider.policy.keeper import ReleaseEngine
from tests.support.opa import running_engine
from tests.support.policy import ENTRYPOINT

EngineRoom = Callable[[], AbstractAsyncContextManager[ReleaseEngine]]


@asynccontextmanager
async def embedded() -> AsyncIterator[ReleaseEngine]:
    # busy machines are slower than the timing law allows; that law has a test of its own
    yield EmbeddedEngine(clock=SystemClock(), entrypoint=ENTRYPOINT, slowest_fixture_s=1.0)


@asynccontextmanager
async def opa() -> AsyncIterator[ReleaseEngine]:
    """A real OPA, supervised as a child; skips where there is none."""
    async with running_engine() as running:
        yield running.engine


ENGINES: Mapping[str, EngineRoom] = {"embedded": embedded, "opa": opa}
