"""The caller's side of a tunnel: what is held, what may leave, how it ends."""

import asyncio
from typing import Any

import pytest

from outrider.config.limit_settings import Limits
from outrider.core.errors import EnforcementError, MalformedError, TooLargeError
from outrider.core.exchange import Ending, Reply
from outrider.protocols.gate import GateError
from outrider.protocols.gate_connect import tunnel_head
from outrider.server.opening import EARLY_BYTES, TunnelAsk
from outrider.server.tunnel import DENIED_ALERT, ESTABLISHED, LINGER_S, Tunnel, TunnelParts
from outrider.server.wheel import NEVER, Wheel
from tests.support.builders import FixedClock
from tests.support.hellos import a_hello

HELLO = a_hello("api.example.com")


class FakeTransport(asyncio.Transport):
    """Keeps what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.did = bytearray(), []
        self.closing = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.did.append("eof")

    def close(self) -> None:
        self.did.append("close")
        self.closing = True

    def abort(self) -> None:
        self.did.append("abort")
        self.closing = True

    def pause_reading(self) -> None:
        self.did.append("pause")

    def resume_reading(self) -> None:
        self.did.append("resume")


class RecordingFar:
    def __init__(self) -> None:
        self.written, self.did, self.fault = bytearray(), [], None

    def write(self, data: bytes) -> None:
        self.written += data

    def end(self) -> None:
        self.did.append("end")

    def fail(self, fault: Exception) -> None:
        self.did.append("fail")
        self.fault = fault

    def drop(self) -> None:
        self.did.append("drop")


class Room:
    def __init__(self, *, raw: bool = False, early: bytes = b"", **limits: Any) -> None:
        self.clock, self.transport, self.far = FixedClock(), FakeTransport(), RecordingFar()
        self.wheel = Wheel(clock=self.clock)
        self.lost: list[Exception | None] = []
        self.streamed: list[int] = []
        self.settled: list[tuple[Ending, int]] = []
        asked = TunnelAsk(tunnel_head("api.example.com", 443), early, raw, 0, None, None)
        self.tunnel = Tunnel(
            asked,
            TunnelParts(
                transport=self.transport,
                clock=self.clock,
                wheel=self.wheel,
                limits=Limits(**limits),
                lost=self.lost.append,
                streamed=self.streamed.append,
            ),
        )

    def reply(self, body: Any = b"", status: int = 200) -> Reply:
        return Reply(
            status=status,
            headers=(),
            body=body,
            settle=lambda ending, count: self.settled.append((ending, count)),
        )


@pytest.fixture(name="rooms")
async def _rooms():
    made = []

    def make(**how: Any) -> Room:
        made.append(Room(**how))
        return made[-1]

    yield make
    for room in made:
        room.wheel.close()


async def pieces(*data: bytes):
    for piece in data:
        yield piece


async def test_nothing_leaves_before_there_is_an_upstream(rooms):
    room = rooms()
    room.tunnel.data_received(HELLO + b"early")
    assert not room.far.written
    room.tunnel.join(room.far)
    assert bytes(room.far.written) == HELLO + b"early"
    room.tunnel.data_received(b"more")
    assert bytes(room.far.written) == HELLO + b"earlymore"


async def test_a_raw_handshake_was_read_already_and_leaves_first(rooms):
    room = rooms(raw=True, early=HELLO)
    room.tunnel.data_received(b"more")
    room.tunnel.join(room.far)
    assert bytes(room.far.written) == HELLO + b"more"


@pytest.mark.parametrize(
    ("data", "error", "cause"),
    [
        pytest.param(a_hello("evil.example"), MalformedError, "server_name", id="another-name"),
        pytest.param(b"GET / HTTP/1.1\r\n", GateError, "client_hello", id="no-tls"),
        pytest.param(b"\x16\x03\x01\x00\x00", GateError, "client_hello", id="broken-tls"),
    ],
)
@pytest.mark.parametrize("joined", [True, False], ids=["standing", "early"])
async def test_inside_a_connect_is_tls_to_its_host_or_nothing_leaves(
    rooms, data, error, cause, joined
):
    room = rooms()
    if joined:
        room.tunnel.join(room.far)
        room.tunnel.data_received(data)
        fault = room.far.fault
        assert room.far.did == ["fail"]
    else:
        room.tunnel.data_received(data)
        with pytest.raises(EnforcementError) as caught:
            room.tunnel.join(room.far)
        fault = caught.value
    assert isinstance(fault, error)
    assert fault.cause == cause
    room.tunnel.data_received(b"more")
    assert not room.far.written


async def test_early_bytes_behind_the_question_are_held_to_the_same(rooms):
    with pytest.raises(GateError):
        rooms(early=b"GET / HTTP/1.1\r\n").tunnel.join(RecordingFar())


async def test_what_comes_back_follows_the_word_that_it_stands(rooms):
    room = rooms()
    room.tunnel.join(room.far)
    room.tunnel.eof_received()
    await room.tunnel.serve(room.reply(pieces(b"one", b"two")))
    assert bytes(room.transport.written) == ESTABLISHED + b"onetwo"
    assert room.settled == [(Ending.SENT, 6)]
    assert room.streamed == [3, 6]
    assert room.transport.did == ["close"]
    assert room.far.did == ["end", "drop"]
    assert room.tunnel.deadline_s == NEVER


async def test_who_speaks_tls_is_told_nothing_of_http(rooms):
    room = rooms(raw=True, early=HELLO)
    room.tunnel.eof_received()
    await room.tunnel.serve(room.reply(pieces(b"one")))
    assert bytes(room.transport.written) == b"one"
    refused = rooms(raw=True, early=HELLO)
    await refused.tunnel.serve(refused.reply(b"problem", 403))
    assert bytes(refused.transport.written) == DENIED_ALERT
    assert refused.settled == [(Ending.SENT, 0)]


async def test_a_refusal_is_told_in_http_and_ends_it(rooms):
    room = rooms()
    await room.tunnel.serve(room.reply(b"problem", 403))
    head, _, body = bytes(room.transport.written).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in head
    assert body == b"problem"
    assert room.settled == [(Ending.SENT, 7)]
    assert room.transport.did == ["close"]


async def test_a_cut_aborts_it_and_settles_once(rooms):
    room = rooms()
    room.tunnel.join(room.far)

    async def cut():
        yield b"one"
        raise EnforcementError("cut")

    with pytest.raises(EnforcementError):
        await room.tunnel.serve(room.reply(cut()))
    assert room.settled == [(Ending.ABORTED, 3)]
    assert room.transport.did == ["abort"]
    assert room.far.did == ["drop"]


async def test_one_half_outlives_the_other_for_a_while(rooms):
    room = rooms()
    room.tunnel.join(room.far)
    serving = asyncio.get_running_loop().create_task(room.tunnel.serve(room.reply(pieces(b"bye"))))
    await asyncio.sleep(0.01)
    assert room.transport.did == ["eof"]
    assert room.tunnel.deadline_s == room.clock.monotonic_s() + LINGER_S
    room.tunnel.data_received(HELLO)
    assert room.far.written
    assert not serving.done()
    room.tunnel.expired()
    await serving
    assert room.settled == [(Ending.SENT, 3)]


async def test_a_caller_that_says_no_more_is_passed_on(rooms):
    room = rooms()
    assert room.tunnel.eof_received() is True
    room.tunnel.join(room.far)
    assert room.far.did == ["end"]


async def test_bytes_both_ways_have_one_bound(rooms):
    room = rooms(tunnel_bytes=1024)
    room.tunnel.join(room.far)
    room.tunnel.data_received(HELLO + b"x" * (1024 - len(HELLO)))
    assert room.far.did == []
    with pytest.raises(TooLargeError):
        await room.tunnel.serve(room.reply(pieces(b"y")))
    other = rooms(tunnel_bytes=1024)
    other.tunnel.join(other.far)
    other.tunnel.data_received(HELLO + b"x" * 1024)
    assert isinstance(other.far.fault, TooLargeError)
    assert not other.far.written


async def test_silence_and_age_have_bounds(rooms):
    room = rooms(tunnel_idle_s=10, tunnel_s=25, head_s=3)
    room.tunnel.join(room.far)
    born_s = room.clock.monotonic_s()
    waiting = asyncio.Event()

    async def silent():
        yield b"x"
        await waiting.wait()

    serving = asyncio.get_running_loop().create_task(room.tunnel.serve(room.reply(silent())))
    await asyncio.sleep(0.01)
    assert room.tunnel.deadline_s == born_s + 3  # no handshake yet
    room.tunnel.data_received(HELLO)
    assert room.tunnel.deadline_s == born_s + 10
    room.clock.pass_s(20)
    room.tunnel.data_received(b"x")
    assert room.tunnel.deadline_s == born_s + 25
    room.tunnel.expired()
    assert room.far.fault.reason.value == "slow_client"
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert room.settled[0][0] is Ending.CLIENT_LEFT


async def test_each_side_waits_for_the_other(rooms):
    room = rooms(raw=True, early=HELLO)
    room.tunnel.data_received(b"x" * EARLY_BYTES)
    assert room.transport.did == ["pause"]
    room.tunnel.join(room.far)
    room.tunnel.pause()
    room.tunnel.resume()
    assert room.transport.did == ["pause", "resume"]
    room.tunnel.pause_writing()
    serving = asyncio.get_running_loop().create_task(
        room.tunnel.serve(room.reply(pieces(b"one", b"two")))
    )
    await asyncio.sleep(0.01)
    assert bytes(room.transport.written) == b"one"
    room.tunnel.resume_writing()
    await asyncio.sleep(0.01)
    assert bytes(room.transport.written) == b"onetwo"
    room.tunnel.connection_lost(None)
    await serving
    assert room.lost == [None]


async def test_to_a_caller_that_left_nothing_is_written(rooms):
    room = rooms()
    room.transport.closing = True
    with pytest.raises(ConnectionError):
        await room.tunnel.serve(room.reply(b"problem", 403))
    assert room.settled == [(Ending.CLIENT_LEFT, 0)]


async def test_it_has_no_body(rooms):
    with pytest.raises(RuntimeError):
        await rooms().tunnel.read(1)
    with pytest.raises(RuntimeError):
        rooms().tunnel.stream(1)
