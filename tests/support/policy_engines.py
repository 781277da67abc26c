"""Every engine the contract suite runs on. An engine joins by one entry here."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from outrider.core.clock import SystemClock
from outrider.policy.engines.embedded import EmbeddedEngine
from outrider.policy.keeper import ReleaseEngine
from tests.support.opa import running_engine
from tests.support.opa_remote import remote_engine
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


@asynccontextmanager
async def opa_remote() -> AsyncIterator[ReleaseEngine]:
    """A real OPA that is reached over mutual TLS; skips where there is none."""
    async with remote_engine() as remote:
        yield remote.engine


ENGINES: Mapping[str, EngineRoom] = {
    "embedded": embedded,
    "opa": opa,
    "opa-remote": opa_remote,
}
