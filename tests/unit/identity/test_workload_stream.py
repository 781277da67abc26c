"""A stream is opened again whatever ends it; only two codes end the trying."""

import asyncio
import logging
import threading

import grpc
import pytest
from cryptography.exceptions import InternalError

from outrider.identity.workload_messages import MalformedUpdateError
from outrider.identity.workload_stream import StreamLoop, _read, delay_s, trouble_of
from tests.support.identity import RecordingIdentityEvents
from tests.support.scripted_calls import ScriptedCall, ScriptedStreams
from tests.support.virtual import in_virtual_time, now_s

CODE = grpc.StatusCode
TWO_HOURS_S = 7200
OTHERS = [
    code
    for code in CODE
    if code not in (CODE.OK, CODE.PERMISSION_DENIED, CODE.INVALID_ARGUMENT, CODE.UNIMPLEMENTED)
]


class PanicException(BaseException):
    """As a Rust extension raises it."""


class _Heard:
    """What came of a stream, in order."""

    kind = "x509"

    def __init__(self):
        self.said = []
        self.threads = []

    def read(self, data):
        self.threads.append(threading.current_thread() is threading.main_thread())
        if data.startswith(b"bad"):
            raise MalformedUpdateError("malformed")
        if data == b"panic":
            raise PanicException
        if data == b"odd":
            raise InternalError("of OpenSSL", [])
        if data == b"end":
            raise KeyboardInterrupt
        return lambda: self.said.append(data)

    def contact(self, *, on):
        self.said.append("up" if on else "down")

    def denied(self):
        self.said.append("denied")

    def fatal(self, code):
        self.said.append(f"fatal {code}")


class _Pauses:
    """The delays that were waited, in virtual seconds."""

    def __init__(self):
        self.waited = []

    async def __call__(self, seconds):
        self.waited.append(seconds)
        await asyncio.sleep(seconds)


def _most(_low, high):
    return high


class _Events(RecordingIdentityEvents):
    """With the instant at which the stream was given up."""

    ended_s = None


def _run(*scripts, for_s=100.0):
    """Run a stream by these scripts for so many virtual seconds; a fatal code ends it before."""
    heard, events, pauses, streams = _Heard(), _Events(), _Pauses(), ScriptedStreams(*scripts)
    loop = StreamLoop(
        opened=streams,
        heard=heard,
        events=events,
        first_message_s=30,
        pause=pauses,
        uniform=_most,
    )

    async def bounded():
        try:
            async with asyncio.timeout(for_s):
                await loop.run()
        except TimeoutError:
            return
        events.ended_s = now_s()

    in_virtual_time(bounded())
    return heard, events, pauses, streams


# --- the delay ---


@pytest.mark.parametrize(
    ("attempt", "most"),
    [
        pytest.param(0, 0.1, id="first"),
        pytest.param(1, 0.2, id="second"),
        pytest.param(5, 3.2, id="sixth"),
        pytest.param(6, 5.0, id="seventh-is-capped"),
        pytest.param(1024, 5.0, id="S1-where-floats-overflow"),
        pytest.param(10**9, 5.0, id="S1-for-ever"),
    ],
)
def test_a_delay_is_drawn_below_a_growing_bound(attempt, most):
    asked = []

    def uniform(low, high):
        asked.append((low, high))
        return high

    assert delay_s(attempt, uniform) == most
    assert asked == [(0.05, most)]


def test_S1_two_hours_of_outage_end_with_a_reconnect():
    down = [CODE.UNAVAILABLE]
    heard, events, pauses, streams = _run(down, for_s=TWO_HOURS_S)
    assert events.reconnects["UNAVAILABLE"] > 1400
    assert max(pauses.waited) == 5.0
    again, _, _, _ = _run(*[down] * 1100, [b"svid"], for_s=TWO_HOURS_S)
    assert again.said[-2:] == ["up", b"svid"]
    assert len(streams.calls) == events.reconnects["UNAVAILABLE"]
    assert b"svid" not in heard.said


@pytest.mark.parametrize("code", OTHERS, ids=lambda code: code.name)
def test_any_other_code_keeps_what_is_held_and_tries_again(code):
    heard, events, _, _ = _run([b"one", code], [b"two"])
    assert heard.said == ["up", b"one", "down", "up", b"two"]
    assert dict(events.reconnects) == {code.name: 1}


def test_W_5_the_end_of_a_stream_is_answered_by_another():
    heard, events, _, streams = _run([b"one", CODE.OK], [b"two"])
    assert heard.said == ["up", b"one", "down", "up", b"two"]
    assert dict(events.reconnects) == {"END": 1}
    assert len(streams.calls) == 2


def test_W_4_a_denied_stream_is_told_and_tried_again():
    heard, events, pauses, _ = _run([CODE.PERMISSION_DENIED], [CODE.PERMISSION_DENIED], [b"svid"])
    assert heard.said == ["up", "denied", "down"] * 2 + ["up", b"svid"]
    assert pauses.waited == [0.1, 0.2]
    assert dict(events.reconnects) == {"PERMISSION_DENIED": 2}


@pytest.mark.parametrize("code", [CODE.INVALID_ARGUMENT, CODE.UNIMPLEMENTED], ids=lambda c: c.name)
@pytest.mark.parametrize("before", [[], [b"svid"]], ids=["at-once", "after-a-message"])
def test_W_4_a_fatal_code_ends_the_trying(code, before):
    heard, events, pauses, streams = _run([*before, code])
    assert heard.said[-2:] == ["down", f"fatal {code.name}"]
    assert (len(streams.calls), pauses.waited) == (1, [])
    assert events.ended_s is not None


@pytest.mark.parametrize(
    ("code", "details", "word"),
    [
        pytest.param(
            CODE.UNAVAILABLE, "error: No such file or directory", "no_such_socket", id="absent"
        ),
        pytest.param(CODE.UNAVAILABLE, "error: Permission denied", "not_allowed", id="mode"),
        pytest.param(CODE.UNAVAILABLE, "error: Connection refused", "refused", id="refused"),
        pytest.param(CODE.UNAVAILABLE, "/Permission denied/a.sock: x", "unavailable", id="a-path"),
        pytest.param(CODE.UNAVAILABLE, "", "unavailable", id="no-words"),
        pytest.param(CODE.DEADLINE_EXCEEDED, "", "silent", id="silent"),
        pytest.param(CODE.PERMISSION_DENIED, "", "denied", id="denied"),
        pytest.param(CODE.INTERNAL, "Connection refused", None, id="another-code"),
    ],
)
def test_why_nothing_is_heard_is_one_closed_word(code, details, word):
    assert trouble_of(code, details) == word


def test_the_first_message_is_awaited_and_then_the_stream_opened_anew():
    heard, events, _, streams = _run([None], [b"svid"], for_s=31)
    assert heard.said == ["down", "up", b"svid"]
    assert dict(events.reconnects) == {"DEADLINE_EXCEEDED": 1}
    assert streams.calls[0].cancelled


def test_after_the_first_message_silence_is_no_fault():
    _, events, _, streams = _run([b"svid", None], for_s=TWO_HOURS_S)
    assert (len(streams.calls), dict(events.reconnects)) == (1, {})


def test_only_a_valid_message_resets_the_delay():
    down, up = [CODE.UNAVAILABLE], [b"svid", CODE.UNAVAILABLE]
    _, _, pauses, _ = _run(down, down, [b"bad", CODE.UNAVAILABLE], up, down, down, [None], for_s=20)
    assert pauses.waited == [0.1, 0.2, 0.4, 0.1, 0.2, 0.4]


def test_an_agent_that_only_accepts_is_not_stormed():
    _, _, _, streams = _run([CODE.OK], for_s=60)
    assert len(streams.calls) < 20


def test_S2_a_malformed_message_is_discarded_and_the_stream_goes_on():
    heard, events, _, streams = _run([b"one", b"bad", b"bad again", b"two"])
    assert heard.said == ["up", b"one", "up", "up", "up", b"two"]
    assert events.updates == {("x509", "applied"): 2, ("x509", "discarded"): 2}
    assert len(streams.calls) == 1


def test_a_panic_of_an_extension_is_a_malformed_message():
    heard, events, _, _ = _run([b"panic", b"two"])
    assert heard.said[-1] == b"two"
    assert events.updates["x509", "discarded"] == 1


def test_M1_whatever_reading_raises_the_message_is_malformed_and_the_stream_goes_on(caplog):
    heard, events, _, streams = _run([b"one", b"odd", b"odd", b"two", CODE.UNIMPLEMENTED])
    assert heard.said[:6] == ["up", b"one", "up", "up", "up", b"two"]
    assert events.updates == {("x509", "applied"): 2, ("x509", "discarded"): 2}
    assert len(streams.calls) == 1
    assert [one.fault for one in caplog.records if hasattr(one, "fault")] == [
        "a message that could not be read"
    ]


async def test_M1_an_interruption_is_no_malformed_message():
    with pytest.raises(KeyboardInterrupt):
        _read(_Heard().read, b"end")


async def test_M6_a_large_message_is_read_beside_the_loop_and_done_on_it():
    large, small = b"l" * 16_385, b"s" * 16_384
    heard = _Heard()
    loop = StreamLoop(
        opened=ScriptedStreams([large, small, b"bad" + large, CODE.UNIMPLEMENTED]),
        heard=heard,
        events=RecordingIdentityEvents(),
        first_message_s=30,
        pause=asyncio.sleep,
        uniform=_most,
    )
    await loop.run()
    assert heard.threads == [False, True, False]
    assert [one for one in heard.said if isinstance(one, bytes)] == [large, small]


def test_malformed_messages_in_a_row_are_told_of_once(caplog):
    with caplog.at_level(logging.WARNING, "outrider.identity"):
        _run([b"bad 1", b"bad 2", b"one", b"bad 3"])
    assert [record.getMessage() for record in caplog.records] == [
        "a malformed message of the Workload API is discarded; what was before it stands"
    ] * 2


def test_an_outage_is_told_of_once_and_so_is_its_end(caplog):
    down = [CODE.UNAVAILABLE]
    with caplog.at_level(logging.INFO, "outrider.identity"):
        _run(down, down, down, [b"one"])
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "a stream of the Workload API ended and is opened again"),
        ("INFO", "a stream of the Workload API is back"),
    ]
    assert caplog.records[0].code == "UNAVAILABLE"


def test_every_call_is_cancelled_when_it_is_done_with():
    _, _, _, streams = _run([b"one", CODE.UNAVAILABLE], [None], [b"two"], for_s=60)
    assert [call.cancelled for call in streams.calls] == [True, True, True]


class _Cancelled(ScriptedCall):
    """gRPC's own cancellation of a call beneath us."""

    def __init__(self):
        super().__init__([])

    async def read(self):
        raise asyncio.CancelledError


async def test_a_call_that_is_cancelled_beneath_us_is_opened_again():
    heard, events, calls = _Heard(), RecordingIdentityEvents(), []

    def opened():
        calls.append(_Cancelled() if not calls else ScriptedCall([b"one", CODE.UNIMPLEMENTED]))
        return calls[-1]

    await StreamLoop(
        opened=opened,
        heard=heard,
        events=events,
        first_message_s=1,
        pause=asyncio.sleep,
        uniform=lambda low, high: 0,
    ).run()
    assert dict(events.reconnects) == {"CANCELLED": 1, "UNIMPLEMENTED": 1}
    assert heard.said == ["down", "up", b"one", "down", "fatal UNIMPLEMENTED"]


async def test_a_channel_that_is_closed_beneath_us_raises_nothing():
    events, tries = RecordingIdentityEvents(), []

    def opened():
        tries.append(None)
        if len(tries) == 1:
            raise grpc.aio.UsageError("Channel is closed.")
        return ScriptedCall([CODE.UNIMPLEMENTED])

    await StreamLoop(
        opened=opened,
        heard=_Heard(),
        events=events,
        first_message_s=1,
        pause=asyncio.sleep,
        uniform=lambda low, high: 0,
    ).run()
    assert events.reconnects["UNAVAILABLE"] == 1


@pytest.mark.parametrize("script", [[None], [b"one", None]], ids=["before", "after-a-message"])
async def test_cancellation_of_the_loop_passes_and_cancels_the_call(script):
    streams = ScriptedStreams(script)
    loop = StreamLoop(
        opened=streams,
        heard=_Heard(),
        events=RecordingIdentityEvents(),
        first_message_s=30,
        pause=asyncio.sleep,
        uniform=lambda low, high: 0,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(loop.run())
        for _ in range(5):
            await asyncio.sleep(0)
        running.cancel()
    assert running.cancelled()
    assert [call.cancelled for call in streams.calls] == [True]
