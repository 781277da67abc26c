import asyncio

import pytest

from outrider.core.errors import UpstreamFailedError, UpstreamUnavailableError
from outrider.server.upstream_connection import State
from tests.support.net import RecordingUpstream
from tests.support.peers import running_pool, whole


async def a_connection(pool):
    await whole(await pool.send())
    return next(iter(pool.pool._lines["crm"]._all))


async def test_an_idle_connection_is_not_dead_until_it_is():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        connection = await a_connection(pool)
        assert (connection.state, connection.is_dead()) == (State.IDLE, False)
        upstream._writers[0].write(b"x")
        await asyncio.sleep(0)
        assert connection.is_dead()  # seen in the kernel before the loop reads it


async def test_bytes_before_the_request_answer_nothing():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        connection = await a_connection(pool)
        connection.begin("GET", decode=True)
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(UpstreamFailedError):
            await connection.answer()
        assert connection.state is State.CLOSED


async def test_a_connection_gone_before_a_byte_left_sent_nothing():
    async with RecordingUpstream() as upstream, running_pool(upstream.port) as pool:
        connection = await a_connection(pool)
        connection.begin("GET", decode=True)
        connection.connection_lost(None)
        with pytest.raises(UpstreamUnavailableError):
            connection.write(b"GET / HTTP/1.1\r\n\r\n")
