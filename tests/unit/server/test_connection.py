import asyncio
from importlib.metadata import version

import pytest
from aiohttp import web_protocol
from aiohttp.http_parser import HttpRequestParser

from outrider.core.exchange import Ending, Reply
from tests.support.peers import running_edge


def test_aiohttp_is_the_version_whose_private_parts_are_used():
    assert version("aiohttp") == "3.14.5"


@pytest.mark.parametrize(
    "name",
    [
        "_buffer_paused", "_close", "_connection_lost", "_force_close", "_handler_waiter",
        "_messages", "_msg_queue_resume_size", "_parser", "_paused", "_request_count",
        "_task_handler", "_waiter",
    ],
)  # fmt: skip
def test_every_private_slot_we_touch_is_there(name):
    slots = {
        slot
        for cls in web_protocol.RequestHandler.__mro__
        for slot in getattr(cls, "__slots__", ())
    }
    assert name in slots


@pytest.mark.parametrize(
    "name", ["start", "data_received", "_resume_reading_if_drained", "_drain_helper", "force_close"]
)
def test_every_method_we_override_or_call_is_there(name):
    assert callable(getattr(web_protocol.RequestHandler, name))
    assert hasattr(HttpRequestParser, "message_consumed")
    assert web_protocol._ErrInfo(400, ValueError(), "text").message == "text"


async def test_a_caller_that_leaves_mid_stream_settles_the_answer_once():
    settled, closed = [], asyncio.Event()

    async def endless():
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0)
        finally:
            closed.set()

    async def stream(exchange):
        return Reply(
            status=200, headers=(), body=endless(), settle=lambda *ending: settled.append(ending)
        )

    async with running_edge(stream) as edge:
        async with edge.client() as client:
            await client.send(edge.request())
            await client.reader.read(100)
        async with asyncio.timeout(5):
            await closed.wait()
        await asyncio.sleep(0.02)
        assert [ending for ending, _ in settled] == [Ending.CLIENT_LEFT]
        assert edge.events.open_connections == 0


async def test_a_fault_of_a_handler_cuts_the_connection_and_says_nothing():
    async def broken(exchange):
        raise ValueError("secret text")

    async with running_edge(broken) as edge, edge.client() as client:
        await client.send(edge.request())
        assert await client.rest() == b""
        assert edge.settled.endings == []


async def test_each_answer_is_one_write():
    async with running_edge() as edge, edge.client() as client:
        await client.send(edge.request())
        data = await client.reader.read(65_536)
        assert data.endswith(b"\r\n\r\nok")
