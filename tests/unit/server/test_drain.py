import asyncio
import socket
import time

from outrider.core.clock import SystemClock
from outrider.core.exchange import Reply
from outrider.server import drain as drain_module
from outrider.server.drain import Drain, DrainTimes
from tests.support.peers import running_edge


def a_drain(edge, said, lingering=False, **times):
    return Drain(
        listeners=[edge.listener],
        times=DrainTimes(**times),
        lingering=edge.listener if lingering else None,
        clock=SystemClock(),
        announce=lambda: said.append("draining"),
    )


def held():
    release = asyncio.Event()

    async def handler(exchange):
        await release.wait()
        return Reply(status=200, headers=(), body=b"done", settle=lambda *_: None)

    return handler, release


async def test_what_is_under_way_ends_and_then_its_connection_does():
    handler, release = held()
    said = []
    async with running_edge(handler) as edge, edge.client() as client, edge.client() as idle:
        await client.send(edge.request())
        await edge.arrived.wait()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(a_drain(edge, said, grace_s=5).run())
            assert await idle.rest() == b""  # idle connections end at once
            assert not running.done()
            release.set()
            answer = await client.answer()
        assert (answer.body, answer.field("connection")) == (b"done", "close")
        assert (running.result(), said) == (True, ["draining"])


async def test_what_outlasts_the_grace_is_cut():
    handler, _ = held()
    async with running_edge(handler) as edge, edge.client() as client:
        await client.send(edge.request())
        await edge.arrived.wait()
        assert await a_drain(edge, [], grace_s=0.05).run() is False
        assert await client.rest() == b""


async def test_new_connections_are_refused_once_the_delay_is_over():
    async with running_edge() as edge:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(a_drain(edge, [], delay_s=0.3, grace_s=1).run())
            await asyncio.sleep(0.05)
            async with edge.client() as client:  # still accepting
                await client.send(edge.request())
                assert (await client.answer()).field("connection") == "close"
        assert running.result() is True
        refused = False
        try:
            async with edge.client():
                pass
        except ConnectionRefusedError:
            refused = True
        assert refused


async def test_who_has_connected_by_then_is_answered():
    async with running_edge() as edge, edge.client() as kept:
        await kept.send(edge.request())
        assert (await kept.answer()).field("connection") != "close"
        with socket.create_connection(("127.0.0.1", edge.port)) as waiting:  # not accepted
            async with asyncio.TaskGroup() as group:
                running = group.create_task(a_drain(edge, [], grace_s=5).run())
                await asyncio.sleep(0.1)  # no longer accepting
                await kept.send(edge.request())
                assert (await kept.answer()).field("connection") == "close"
                waiting.sendall(edge.request())
                said = await asyncio.to_thread(waiting.recv, 4096)
                assert said.startswith(b"HTTP/1.1 200")
                assert b"connection: close\r\n" in said.lower()
        assert running.result() is True


class _PausedClock:
    """Jumps ahead where it is told to, as when the machine stands still."""

    paused_s = 0.0

    def monotonic_s(self):
        return time.monotonic() + self.paused_s


class _AskedBefore:
    """A listener with one kept connection; the machine stands still at its first look."""

    has_accepted_all = True

    def __init__(self, clock):
        self._clock = clock
        self._idle_since_s = clock.monotonic_s()
        self.resumed_s = self.closed_s = 0.0

    @property
    def open(self):
        if not self.resumed_s:
            self._clock.paused_s = 10.0
            self.resumed_s = self._clock.monotonic_s()
        return 0 if self.closed_s else 1

    def close_idle(self, quiet_s):
        if self._clock.monotonic_s() - self._idle_since_s >= quiet_s:
            self.closed_s = self._clock.monotonic_s()

    def drain(self):
        self._idle_since_s = self._clock.monotonic_s()

    def turn_away(self):
        pass

    stop_accepting = abort = turn_away


async def test_no_time_to_ask_passes_while_the_machine_stands_still():
    clock = _PausedClock()
    listener = _AskedBefore(clock)
    times = DrainTimes(grace_s=60)
    drain = Drain(listeners=[listener], times=times, clock=clock, announce=lambda: None)
    assert await drain.run() is True
    assert listener.closed_s - listener.resumed_s >= drain_module.QUIET_S


async def test_a_second_signal_skips_the_waiting():
    handler, _ = held()
    async with running_edge(handler) as edge, edge.client() as client:
        await client.send(edge.request())
        await edge.arrived.wait()
        drain = a_drain(edge, [], delay_s=60, grace_s=60)
        drain.hurry()
        async with asyncio.timeout(5):
            assert await drain.run() is False


# --- beside an agent that is told to leave at the same time -------------------------------------


async def _is_open(edge):
    try:
        async with edge.client() as client:
            await client.send(edge.request())
            return (await client.answer()).field("connection") == "close"
    except ConnectionRefusedError:
        return False


async def test_one_that_lingers_stays_open_until_it_was_silent(monkeypatch):
    monkeypatch.setattr(drain_module, "SILENT_S", 0.4)
    async with running_edge() as edge:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(a_drain(edge, [], lingering=True, grace_s=20).run())
            for _ in range(8):  # longer than the silence, all in all
                await asyncio.sleep(0.1)
                assert await _is_open(edge)
            assert not running.done()
        assert running.result() is True
        assert not await _is_open(edge)


async def test_what_is_under_way_is_no_silence(monkeypatch):
    monkeypatch.setattr(drain_module, "SILENT_S", 0.1)
    handler, release = held()
    async with running_edge(handler) as edge, edge.client() as client:
        await client.send(edge.request())
        await edge.arrived.wait()
        async with asyncio.TaskGroup() as group:
            running = group.create_task(a_drain(edge, [], lingering=True, grace_s=20).run())
            await asyncio.sleep(0.4)
            assert not running.done()
            release.set()
            assert (await client.answer()).body == b"done"
        assert running.result() is True


async def test_lingering_is_within_the_grace():
    handler, _ = held()
    async with running_edge(handler) as edge, edge.client() as client:
        await client.send(edge.request())
        await edge.arrived.wait()
        began_s = asyncio.get_running_loop().time()
        assert await a_drain(edge, [], lingering=True, grace_s=0.3).run() is False
        assert asyncio.get_running_loop().time() - began_s < 3  # not the five of silence
        assert await client.rest() == b""
