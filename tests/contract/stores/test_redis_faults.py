"""A shared server that is slow, gone, half there, comes back, or comes back empty."""

import asyncio
import socket

import pytest

from outrider.core.errors import StoreUnavailableError
from outrider.core.ports import Held
from outrider.stores.redis_link import RedisLink, RedisPlace
from outrider.stores.redis_states import RedisStates
from tests.support import redis
from tests.support.chaos_proxy import Fate, Way, half_open, losing_replies, losing_requests, passing
from tests.support.counters import a_ledger, adding, running
from tests.support.shared_store import straight, through_chaos


async def _refused(work):
    with pytest.raises(StoreUnavailableError) as refusal:
        await work
    return refusal.value.cause


async def test_a_reply_that_is_lost_leaves_a_doubt_and_the_swap_was_done(server, tmp_path, prefix):
    async with through_chaos(server, tmp_path, prefix) as (states, proxy):
        await states.swap("books", "a", 0, b"x")
        proxy.plan = losing_replies
        assert await _refused(states.swap("books", "a", 1, b"y")) == "unknown"
        proxy.plan = passing
        assert await states.read("books", "a") == Held(version=2, value=b"y")


async def test_a_request_that_is_lost_leaves_a_doubt_and_nothing_was_done(server, tmp_path, prefix):
    async with through_chaos(server, tmp_path, prefix) as (states, proxy):
        await states.swap("books", "a", 0, b"x")
        proxy.plan = losing_requests
        assert await _refused(states.swap("books", "a", 1, b"y")) == "unknown"
        proxy.plan = passing
        assert await states.read("books", "a") == Held(version=1, value=b"x")


async def test_a_connection_that_is_half_open_is_given_up_in_time(server, tmp_path, prefix):
    async with through_chaos(server, tmp_path, prefix, timeout_s=0.5) as (states, proxy):
        await states.swap("books", "a", 0, b"x")
        proxy.plan = half_open
        assert await _refused(states.swap("books", "a", 1, b"y")) == "unknown"
        assert not states.healthy()
        assert await _refused(states.read("books", "a")) is None  # not even the greeting passes
        proxy.plan = passing
        assert await _once_back(lambda: states.read("books", "a")) == Held(version=1, value=b"x")
        assert states.healthy()


async def test_a_server_that_is_gone_refuses_and_is_used_again_when_it_is_back(
    server, tmp_path, prefix
):
    async with through_chaos(server, tmp_path, prefix) as (states, proxy):
        await states.swap("books", "a", 0, b"x")
        proxy.down = True
        proxy.cut()
        for _ in range(3):
            await _refused(states.swap("books", "a", 1, b"y"))
        proxy.down = False
        assert (await _once_back(lambda: states.read("books", "a"))).version == 1
        assert await states.swap("books", "a", 1, b"y") is None


async def _once_back(ask):
    async with asyncio.timeout(5):
        while True:
            try:
                return await ask()
            except StoreUnavailableError:
                await asyncio.sleep(0)


async def test_a_slow_server_is_waited_for_within_the_time_it_has(server, tmp_path, prefix):
    async with through_chaos(server, tmp_path, prefix, timeout_s=5.0) as (states, proxy):
        proxy.plan = lambda way: Fate.DELAY if way is Way.BACK else Fate.PASS
        done = await asyncio.gather(*(states.swap("books", str(n), 0, b"x") for n in range(50)))
        assert done == [None] * 50


async def test_a_late_reply_is_taken_for_no_other(server, tmp_path, prefix):
    """Whoever gave up leaves nothing behind: the next answer is the next one's own."""
    async with through_chaos(server, tmp_path, prefix, timeout_s=5.0) as (states, proxy):
        await states.swap("books", "a", 0, b"of a")
        await states.swap("books", "b", 0, b"of b")
        proxy.plan = lambda way: Fate.DELAY if way is Way.BACK else Fate.PASS
        proxy.delay_s = 0.2
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await states.read("books", "a")
            assert (await states.read("books", "b")).value == b"of b"


async def test_a_server_that_stands_still_is_out_of_time_and_goes_on(server, tmp_path, prefix):
    async with straight(server.path, prefix, timeout_s=0.5) as states:
        await states.swap("books", "a", 0, b"x")
        server.pause()
        try:
            assert await _refused(states.swap("books", "a", 1, b"y")) == "unknown"
            assert await _refused(states.read("books", "a")) is None
        finally:
            server.resume()
        async with straight(server.path, prefix) as later:
            assert (await later.read("books", "a")).version in {1, 2}


async def test_a_server_that_comes_back_empty_is_noticed(tmp_path):
    with redis.running() as server:
        async with straight(server.path, "test:empty") as states:
            ledger = a_ledger(states)
            async with running(ledger):
                await ledger.change("t", adding("calls"))
                server.stop()
                with pytest.raises(StoreUnavailableError):
                    await ledger.change("t", adding("calls"))
                server.start()
                assert (await _once_back(lambda: ledger.look("t"))).lost
                await ledger.change("t", adding("calls"))
                assert (await ledger.look("t")).lost
                assert not (await ledger.look("other")).lost


async def test_scripts_the_server_forgot_are_told_again(server, prefix):
    async with straight(server.path, prefix) as states:
        await states.swap("books", "a", 0, b"x")
        server.say("SCRIPT", "FLUSH")
        assert await states.swap("books", "a", 1, b"y") is None
        server.say("SCRIPT", "FLUSH")
        assert await states.read("books", "a") == Held(version=2, value=b"y")


async def test_a_server_without_memory_left_refuses_and_nothing_was_done(tmp_path):
    with redis.running("--maxmemory", "2mb") as server:
        async with straight(server.path, "test:full") as states:
            await states.swap("books", "kept", 0, b"x")
            causes = [await _outcome(states, number) for number in range(40)]
            first = causes.index("refused")
            assert causes == [None] * first + ["refused"] * (40 - first)
            assert await states.read("books", str(first)) is None
            assert await states.read("books", "kept") == Held(version=1, value=b"x")


async def _outcome(states, number):
    try:
        return await states.swap("books", str(number), 0, b"x" * (1 << 17))
    except StoreUnavailableError as refusal:
        return refusal.cause


async def test_a_replica_that_is_read_only_refuses_and_nothing_was_done(prefix):
    with redis.running() as server:
        async with straight(server.path, prefix) as states:
            await states.swap("books", "a", 0, b"x")
            server.say("CONFIG", "SET", "replica-read-only", "yes")
            server.say("REPLICAOF", "127.0.0.1", "1")
            assert await _refused(states.swap("books", "a", 1, b"y")) == "refused"
            server.say("REPLICAOF", "NO", "ONE")
            assert await states.swap("books", "a", 1, b"y") is None


async def test_what_must_be_durable_counts_once_a_replica_has_it(prefix):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ("--port", port, "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
    with redis.running(*options) as server:
        link = RedisLink(RedisPlace(path=str(server.path)), timeout_s=5.0)
        states = RedisStates(link, prefix=prefix, replicas=1, replicas_timeout_ms=2_000)
        with redis.running("--replicaof", "127.0.0.1", port):
            assert ":1" in server.say("WAIT", "1", "10000")
            assert await states.swap("books", "a", 0, b"x", durable=True) is None
        states = RedisStates(link, prefix=prefix, replicas=1, replicas_timeout_ms=50)
        assert await _refused(states.swap("books", "a", 1, b"y", durable=True)) == "unknown"
        assert await states.swap("books", "a", 2, b"z") is None  # it was written all the same
        await link.close()


@pytest.mark.parametrize("fault", [losing_replies, losing_requests])
async def test_a_ledger_counts_once_whatever_was_lost(server, tmp_path, prefix, fault):
    async with through_chaos(server, tmp_path, prefix) as (states, proxy):
        ledger = a_ledger(states)
        async with running(ledger):
            await ledger.look("t")
            for number in range(1, 6):
                proxy.plan = _once(fault, proxy)
                assert await ledger.change("t", adding("calls")) == number
            assert (await ledger.look("t")).counts == {"calls": 5}


def _once(fault, proxy):
    """Loses the next swap; what comes after it passes."""

    def plan(way):
        fate = fault(way)
        if fate is Fate.CUT:
            proxy.plan = passing
        return fate

    return plan
