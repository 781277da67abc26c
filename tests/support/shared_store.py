"""Ways to a real shared server: through a proxy that fails as told, or straight."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from outrider.stores.redis_link import RedisLink, RedisPlace
from outrider.stores.redis_states import RedisStates
from tests.support import redis
from tests.support.chaos_proxy import ChaosProxy, chaos


@pytest.fixture(scope="session")
def server() -> Iterator[redis.RedisServer]:
    """One real server for all tests of a session; what they keep there has a prefix of its own."""
    try:
        with redis.running() as found:
            yield found
    except redis.UnavailableError as fault:
        pytest.skip(str(fault))


@pytest.fixture
def prefix() -> str:
    return f"test:{secrets.token_hex(8)}"


@asynccontextmanager
async def straight(
    path: Path, prefix: str, *, timeout_s: float = 5.0, rows: int = 10_000
) -> AsyncIterator[RedisStates]:
    """States at the server itself."""
    link = RedisLink(RedisPlace(path=str(path)), timeout_s=timeout_s)
    try:
        yield RedisStates(link, prefix=prefix, rows=rows)
    finally:
        await link.close()


@asynccontextmanager
async def through_chaos(
    server: redis.RedisServer, folder: Path, prefix: str, *, timeout_s: float = 2.0
) -> AsyncIterator[tuple[RedisStates, ChaosProxy]]:
    """States behind a proxy."""
    async with AsyncExitStack() as stack:
        path = folder / f"{secrets.token_hex(4)}.sock"
        proxy = await stack.enter_async_context(chaos(path, server.path))
        yield await stack.enter_async_context(straight(path, prefix, timeout_s=timeout_s)), proxy
