import asyncio

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader

from outrider.config.limit_settings import Limits
from outrider.core.errors import MalformedError, OverloadError, SlowClientError, TooLargeError
from outrider.server.body import RequestBody, body_terms
from outrider.server.events import NoEvents
from outrider.server.overload import BufferBudget
from outrider.server.wheel import NEVER
from tests.support.builders import FixedClock


class RecordingLine:
    def __init__(self, hurried=False):
        self.continued = 0
        self.deadlines = []
        self._hurried = hurried

    def continue_now(self):
        self.continued += 1

    def wait_until(self, deadline_s):
        self.deadlines.append(deadline_s)

    def hurried(self):
        return self._hurried


class ConnectedProtocol(BaseProtocol):
    """As much of a connection as a stream asks for."""

    @property
    def connected(self):
        return True

    def pause_reading(self):
        pass

    def resume_reading(self, resume_parser=True):
        pass


class Coming:
    """A body on its way in."""

    def __init__(self, length=None, budget=1 << 20, hurried=False, **limits):
        loop = asyncio.get_running_loop()
        protocol = ConnectedProtocol(loop)
        self.stream = StreamReader(protocol, 65_536, loop=loop)
        self.clock = FixedClock()
        self.budget = BufferBudget(limit_bytes=budget, events=NoEvents())
        self.line = RecordingLine(hurried)
        self.body = RequestBody(
            self.stream,
            length=length,
            gzip=False,
            line=self.line,
            terms=body_terms(Limits(**limits), self.clock, self.budget),
        )

    def come(self, *pieces):
        for piece in pieces:
            self.stream.feed_data(piece)
        self.stream.feed_eof()


async def test_a_body_that_came_with_its_head_is_read_at_once():
    coming = Coming(length=5)
    coming.come(b"hello")
    assert await coming.body.read(10) == b"hello"
    assert (coming.line.continued, coming.line.deadlines) == (0, [])
    assert coming.budget.held == 5
    coming.body.release()
    coming.body.release()
    assert coming.budget.held == 0


async def test_a_body_over_the_limit_is_refused_before_it_is_read():
    coming = Coming(length=11)
    with pytest.raises(TooLargeError):
        await coming.body.read(10)
    assert (coming.line.continued, coming.budget.held) == (0, 0)


async def test_a_chunked_body_is_refused_as_soon_as_it_is_over():
    coming = Coming()
    coming.come(b"x" * 6, b"x" * 6)
    with pytest.raises(TooLargeError):
        await coming.body.read(10)


async def test_room_is_taken_before_anything_is_read():
    coming = Coming(length=5, budget=4)
    coming.come(b"hello")
    with pytest.raises(OverloadError):
        await coming.body.read(10)
    assert coming.budget.held == 0


async def test_a_caller_that_waits_is_told_to_go_on_when_reading_begins():
    coming = Coming(length=2)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(coming.body.read(10))
        await asyncio.sleep(0)
        assert coming.line.continued == 1
        coming.come(b"ok")
    assert reading.result() == b"ok"
    assert coming.line.deadlines[-1] == NEVER


@pytest.mark.parametrize(
    ("limits", "received", "after_s", "deadline_s"),
    [
        pytest.param({}, 0, 0, 10, id="nothing-for-ten-seconds-is-below-the-rate"),
        pytest.param({"body_rate_bytes_s": 0}, 0, 0, 15, id="idle"),
        pytest.param({"body_rate_bytes_s": 0}, 1, 290, 300, id="in-total"),
        pytest.param({}, 20 * 1024, 5, 20, id="what-came-fast-earned-time"),
    ],
)
async def test_waiting_ends_with_the_tightest_of_three_bounds(
    limits, received, after_s, deadline_s
):
    coming = Coming(**limits)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(coming.body.read(1 << 20))
        await asyncio.sleep(0)
        if received:
            coming.clock.pass_s(after_s)
            coming.stream.feed_data(b"x" * received)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert coming.line.deadlines[-1] - 1000 == pytest.approx(min(deadline_s, after_s + 15))
        coming.come()
    assert len(reading.result()) == received


async def test_under_pressure_deadlines_halve():
    coming = Coming(hurried=True, body_rate_bytes_s=0)
    async with asyncio.TaskGroup() as group:
        group.create_task(coming.body.read(10))
        await asyncio.sleep(0)
        assert coming.line.deadlines[-1] - 1000 == pytest.approx(7.5)
        coming.come()


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (SlowClientError("slow"), SlowClientError),
        (MalformedError("bad"), MalformedError),
        (RuntimeError("gone"), MalformedError),
    ],
)
async def test_a_fault_of_the_connection_is_the_readers(fault, seen):
    coming = Coming()
    coming.stream.set_exception(fault)
    with pytest.raises(seen):
        await coming.body.read(10)


async def test_a_stream_is_bounded_and_takes_no_room():
    coming = Coming()
    coming.come(b"ab", b"cd")
    assert b"".join([piece async for piece in coming.body.stream(10)]) == b"abcd"
    assert coming.budget.held == 0
    over = Coming(length=11)
    with pytest.raises(TooLargeError):
        await anext(over.body.stream(10))
