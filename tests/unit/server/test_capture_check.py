"""What verification makes of what it meets; tests/capture has it meet real rules."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from outrider.core.capture import CaptureMode
from outrider.core.clock import SystemClock
from outrider.server.capture_check import CaptureCheck, CheckTerms


@contextmanager
def a_sidecar(answer: bytes) -> Iterator[str]:
    """Something that answers everybody the same on loopback; its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def faults(telemetry: str, mode: CaptureMode = CaptureMode.TRANSPARENT) -> list[str]:
    terms = CheckTerms(mode=mode, telemetry=telemetry, limit_s=5.0)
    return CaptureCheck(terms, SystemClock()).faults()


def said(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\n\r\n%b" % (status, body)


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        pytest.param(said(b'{"instance": "a", "mode": "enforce-drop"}'), "another mode", id="mode"),
        pytest.param(said(b"{}"), "another mode", id="no-mode"),
        pytest.param(said(b"[]"), "does not answer", id="no-object"),
        pytest.param(said(b"hello"), "does not answer", id="no-json"),
        pytest.param(said(b"{}", b"404 Not Found"), "does not answer", id="no-such-page"),
        pytest.param(b"", "does not answer", id="nothing"),
        pytest.param(said(b" " * 20_000), "does not answer", id="endless"),
    ],
)
def test_only_a_sidecar_of_this_mode_is_verified_against(answer: bytes, word: str) -> None:
    with a_sidecar(answer) as telemetry:
        (fault,) = faults(telemetry)
    assert word in fault


@pytest.mark.parametrize("telemetry", ["localhost:1", "127.0.0.1", "", "127.0.0.1:x"])
def test_an_address_that_is_none_is_said(telemetry: str) -> None:
    (fault,) = faults(telemetry)
    assert "does not answer" in fault
