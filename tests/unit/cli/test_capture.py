"""`outrider capture verify`: its words and exit codes; real networks are tests/capture's."""

import socket

import pytest

from tests.support.command import outrider


def test_in_mode_cooperative_there_is_nothing_to_verify() -> None:
    said = outrider("capture", "verify", "--mode", "cooperative")
    assert (said.code, "nothing is captured" in said.err) == (2, True)


@pytest.mark.parametrize(
    "words", [(), ("--mode", "off"), ("--mode", "transparent", "--timeout", "0")]
)
def test_what_is_to_hold_is_said_plainly(words: tuple[str, ...]) -> None:
    assert outrider("capture", "verify", *words).code == 2


@pytest.mark.parametrize("extra", [(), ("--watch",)], ids=["once", "watching"])
def test_without_a_sidecar_nothing_is_captured(extra: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    words = ("--mode", "transparent", "--telemetry", f"127.0.0.1:{port}", *extra)
    said = outrider("capture", "verify", *words)
    assert said.code == 1
    assert "the sidecar does not answer" in said.err
