"""A sidecar whose shared store is gone, half there, or loses replies (HARDENING §10, rows 11, 12).

Nothing that is refused reaches the upstream, and what comes back is used without a restart.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outrider.core.jsonvalue import JsonObject
from tests.support.chaos_proxy import ChaosProxy, Fate, Way, chaos, half_open, passing
from tests.support.redis import RedisServer
from tests.support.shared_store import prefix, server
from tests.support.sidecar import World, a_world
from tests.support.sidecar_policy import a_policy

__all__ = ["prefix", "server"]

READ, WRITE = "GET /desk/tickets/7", "POST /desk/tickets"


@asynccontextmanager
async def behind_chaos(
    server: RedisServer, prefix: str, folder: Path, **stores: object
) -> AsyncIterator[tuple[World, ChaosProxy]]:
    """A sidecar that reaches its store through a proxy."""
    path = folder / "store.sock"
    redis: JsonObject = {"url": f"unix://{path}", "prefix": prefix, "timeout_ms": 500}
    given: JsonObject = {"kind": "redis", "redis": redis, **stores}  # type: ignore[dict-item]
    async with (
        chaos(path, server.path) as proxy,
        a_world(a_policy(), settings={"stores": given}) as world,
    ):
        yield world, proxy


async def _status(world: World, call: str) -> int:
    method, target = call.split(" ")
    return (await world.raw(world.head(method, target, "Content-Length: 0"))).status


async def _until_it_passes(world: World, call: str) -> None:
    """By itself, without a restart."""
    async with asyncio.timeout(20):
        while True:
            if await _status(world, call) == 200:
                return


@pytest.mark.parametrize("how", ["gone", "half-open"])
async def test_a_lost_store_refuses_every_call_and_is_used_again_when_it_is_back(
    server: RedisServer, prefix: str, tmp_path: Path, how: str
) -> None:
    async with behind_chaos(server, prefix, tmp_path) as (world, proxy):
        for call in (READ, WRITE):
            assert await _status(world, call) == 200
        if how == "gone":
            proxy.down = True
            proxy.cut()
        else:
            proxy.plan = half_open
        async with world.refuses("store_unavailable", 2):
            for call in (READ, WRITE):
                assert await _status(world, call) == 503
        assert not world.sidecar.state.stored()
        proxy.down, proxy.plan = False, passing
        await _until_it_passes(world, WRITE)
        assert world.sidecar.state.stored()


async def test_where_the_setting_says_so_reads_go_on_and_nothing_else_does(
    server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    async with behind_chaos(server, prefix, tmp_path, on_loss="read") as (world, proxy):
        assert await _status(world, READ) == 200
        proxy.down = True
        proxy.cut()
        assert await _status(world, READ) == 200
        async with world.refuses("store_unavailable"):
            assert await _status(world, WRITE) == 503
        proxy.down = False
        await _until_it_passes(world, WRITE)


async def test_a_connection_cut_before_the_reply_is_settled_and_nobody_notices(
    server: RedisServer, prefix: str, tmp_path: Path
) -> None:
    async with behind_chaos(server, prefix, tmp_path) as (world, proxy):
        assert await _status(world, WRITE) == 200
        for _ in range(4):
            proxy.plan = _cut_once(proxy)
            assert await _status(world, WRITE) == 200
            assert proxy.plan is passing


def _cut_once(proxy: ChaosProxy):
    """The next reply is lost with its connection; what comes after it passes."""

    def plan(way: Way) -> Fate:
        if way is Way.OUT:
            return Fate.PASS
        proxy.plan = passing
        return Fate.CUT

    return plan
