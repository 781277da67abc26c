"""Who was going elsewhere, by the kernel's word; and whether that is still so."""

import socket

import pytest

from outrider.core.capture import Meant
from outrider.server.capture import CaptureReader, CaptureWatch, kernel_original
from tests.support.builders import FixedClock


@pytest.fixture(name="pair", params=["127.0.0.1", "::1"])
def _pair(request):
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    try:
        listener = socket.create_server((request.param, 0), family=family)
    except OSError:
        pytest.skip("no IPv6 here")
    with listener:
        caller = socket.create_connection(listener.getsockname()[:2], timeout=5)
        accepted, _ = listener.accept()
        with caller, accepted:
            yield accepted


def test_where_nothing_redirects_nobody_was_going_elsewhere(pair):
    reader = CaptureReader(ports=frozenset)
    assert reader.meant(pair) is None


def test_the_kernel_says_nothing_of_other_sockets():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        assert kernel_original(sock) is None
        assert CaptureReader(ports=frozenset).meant(sock) is None
    assert CaptureReader(ports=frozenset).meant(None) is None


@pytest.mark.parametrize(
    ("address", "port", "is_captured"),
    [
        pytest.param("203.0.113.7", 443, True, id="elsewhere"),
        pytest.param("203.0.113.7", 15001, True, id="our-port-of-somebody-else"),
        pytest.param("127.0.0.1", 9000, True, id="another-port-of-loopback"),
        pytest.param("127.0.0.1", 15001, False, id="ours"),
        pytest.param("::1", 15001, False, id="ours-by-the-other-family"),
        pytest.param("127.9.9.9", 15006, False, id="another-listener-of-ours"),
        pytest.param("0.0.0.0", 15001, False, id="unspecified"),
    ],
)
def test_a_place_of_ours_is_no_destination(pair, address, port, is_captured):
    meant = Meant(address=address, port=port)
    reader = CaptureReader(ports=lambda: frozenset({15001, 15006}), original=lambda _: meant)
    assert reader.meant(pair) == (meant if is_captured else None)


def test_the_very_place_it_came_to_is_no_destination(pair):
    own = pair.getsockname()
    meant = Meant(address=own[0], port=own[1])
    assert CaptureReader(ports=frozenset, original=lambda _: meant).meant(pair) is None


class RecordingCapture:
    def __init__(self):
        self.verified, self.failed = [], 0

    def capture_verified(self, unix_s):
        self.verified.append(unix_s)

    def capture_failed(self):
        self.failed += 1


def a_watch(*, watched=True):
    clock, events = FixedClock(), RecordingCapture()
    return CaptureWatch(clock=clock, events=events, watched=watched), clock, events


def test_three_missed_probes_break_capture_and_one_mends_it():
    watch, clock, events = a_watch()
    clock.pass_s(14)
    watch.beat()
    assert (watch.missing(), events.failed) == (None, 0)
    clock.pass_s(12)
    watch.beat()
    watch.beat()
    assert (watch.missing(), events.failed) == (None, 2)
    clock.pass_s(10)
    watch.beat()
    assert events.failed == 3
    assert "no longer arrive" in (watch.missing() or "")
    watch.probed()
    watch.beat()
    assert (watch.missing(), events.failed, len(events.verified)) == (None, 3, 1)
    clock.pass_s(16)
    watch.beat()
    assert events.failed == 4


def test_where_nobody_probes_again_nothing_is_missed():
    watch, clock, events = a_watch(watched=False)
    watch.probed()
    clock.pass_s(3600)
    watch.beat()
    assert (watch.missing(), events.failed, len(events.verified)) == (None, 0, 1)
