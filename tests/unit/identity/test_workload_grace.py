"""When a denial counts: at once, but for one that follows an outage where settings have a grace."""

import asyncio

import grpc
import pytest

from outrider.identity.workload_grace import DeniedGrace
from outrider.identity.workload_messages import MalformedUpdateError
from outrider.identity.workload_stream import StreamLoop
from tests.support.identity import RecordingIdentityEvents
from tests.support.scripted_calls import ScriptedStreams
from tests.support.virtual import at, in_virtual_time, now_s

CODE = grpc.StatusCode
DENIED, DOWN, END = CODE.PERMISSION_DENIED, CODE.UNAVAILABLE, CODE.OK
GRACE_S = 10.0
PAUSE_S = 1.0  # between two tries


class _Heard:
    """When what was heard, in virtual seconds."""

    kind = "x509"

    def __init__(self):
        self.denials = []

    def read(self, data):
        if data.startswith(b"bad"):
            raise MalformedUpdateError("malformed")
        return lambda: None

    def contact(self, *, on):
        pass

    def denied(self):
        self.denials.append(now_s())

    def fatal(self, code):
        pass


def _denials(*scripts, grace_s=GRACE_S, for_s=60.5, close_at_s=None):
    """The instants at which a denial counted, while streams ended by these scripts."""
    heard = _Heard()
    grace = DeniedGrace(grace_s, heard.denied)

    async def pause(_seconds):
        await asyncio.sleep(PAUSE_S)

    loop = StreamLoop(
        opened=ScriptedStreams(*scripts),
        heard=heard,
        events=RecordingIdentityEvents(),
        first_message_s=5,
        pause=pause,
        uniform=lambda low, _high: low,
        grace=grace,
    )

    async def bounded():
        async with asyncio.TaskGroup() as group:
            running = group.create_task(loop.run())
            if close_at_s is not None:
                await at(close_at_s).wait()
                running.cancel()
                grace.close()
            await at(for_s).wait()
            running.cancel()

    in_virtual_time(bounded())
    return heard.denials


@pytest.mark.parametrize(
    ("scripts", "first_s"),
    [
        pytest.param([[b"one", DENIED], [None]], 0, id="on-the-stream-that-delivered"),
        pytest.param([[b"one", END], [b"two", DENIED], [None]], 1, id="delivered-after-an-outage"),
        pytest.param([[b"one", CODE.INTERNAL], [DENIED], [None]], 1, id="after-no-outage"),
        pytest.param([[DENIED], [None]], 0, id="before-anything-was-heard"),
        pytest.param([[DOWN], [DENIED], [None]], 1, id="an-outage-before-anything-was-heard"),
        pytest.param([[DOWN], [b"bad", DENIED], [None]], 1, id="nothing-but-malformed-was-heard"),
    ],
)
def test_a_denial_counts_at_once_whatever_the_grace(scripts, first_s):
    assert _denials(*scripts, for_s=4.5) == [first_s]
    assert _denials(*scripts, for_s=4.5, grace_s=0.0) == [first_s]


@pytest.mark.parametrize("outage", [DOWN, END], ids=["unavailable", "end"])
def test_without_a_grace_a_denial_after_an_outage_counts_at_once(outage):
    assert _denials([b"one", outage], [DENIED], [None], grace_s=0.0, for_s=4.5) == [1]


@pytest.mark.parametrize("outage", [DOWN, END], ids=["unavailable", "end"])
def test_an_svid_that_comes_within_the_grace_is_as_if_nobody_had_denied(outage):
    denied = [[DENIED]] * 8
    assert _denials([b"one", outage], *denied, [b"two", None]) == []


@pytest.mark.parametrize(
    "then",
    [
        pytest.param([[None]], id="silence"),
        pytest.param([[DOWN]], id="another-outage"),
        pytest.param([[DENIED], [DOWN], [DENIED], [None]], id="denials-in-between"),
        pytest.param([[b"bad", None]], id="malformed-messages"),
        pytest.param([[CODE.UNIMPLEMENTED]], id="a-fatal-code"),
    ],
)
def test_the_grace_runs_from_the_first_denial_and_once(then):
    assert _denials([b"one", DOWN], [DENIED], *then) == [1 + GRACE_S]


def test_after_the_grace_every_denial_counts_and_an_svid_begins_anew():
    until_it_counts = [[DENIED]] * 10  # at 1 s to 10 s
    scripts = [[b"one", DOWN], *until_it_counts, [DOWN], [DOWN], [DENIED], [b"two", DOWN]]
    counted = _denials(*scripts, [DENIED], [None])
    assert counted == [11, 13, 25]


def test_a_second_outage_has_a_grace_of_its_own():
    twice = [[b"one", DOWN], [DENIED], [b"two", DOWN], [DENIED], [None]]
    assert _denials(*twice) == [3 + GRACE_S]


def test_closed_it_waits_for_nothing():
    assert _denials([b"one", DOWN], [DENIED], [None], close_at_s=5) == []
