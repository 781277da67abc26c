import asyncio
import socket

from outrider.config.settings import Drain as DrainSettings
from outrider.core.clock import SystemClock
from outrider.core.exchange import Reply
from outrider.server.drain import Drain
from tests.support.peers import running_edge


def a_drain(edge, said, **settings):
    return Drain(
        listeners=[edge.listener],
        settings=DrainSettings(**settings),
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


async def test_a_second_signal_skips_the_waiting():
    handler, _ = held()
    async with running_edge(handler) as edge, edge.client() as client:
        await client.send(edge.request())
        await edge.arrived.wait()
        drain = a_drain(edge, [], delay_s=60, grace_s=60)
        drain.hurry()
        async with asyncio.timeout(5):
            assert await drain.run() is False
