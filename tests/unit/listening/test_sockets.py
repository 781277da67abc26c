"""A listener's socket is its own: of one family, with its mode, taken from nobody."""

import socket
import stat
from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.listening.sockets import bound_tcp, bound_unix


def test_both_families_are_bound_at_one_port() -> None:
    with bound_tcp("0.0.0.0", 0) as first:
        port = first.getsockname()[1]
        try:
            second = bound_tcp("::", port)
        except OSError as fault:
            pytest.skip(f"no IPv6 here: {fault.strerror}")
        with second:
            assert (first.family, second.family) == (socket.AF_INET, socket.AF_INET6)


def test_an_address_that_somebody_listens_at_is_not_taken() -> None:
    with bound_tcp("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(OSError, match="in use"):
            bound_tcp("127.0.0.1", first.getsockname()[1])


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_unix_socket_has_its_mode(tmp_path: Path, mode: int) -> None:
    with bound_unix(tmp_path / "s", mode):
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == mode


def test_a_stale_unix_socket_is_replaced_a_live_one_and_a_file_are_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bound_unix(path, 0o600).close()
    with bound_unix(path, 0o600) as live:
        live.listen()
        with pytest.raises(ConfigError, match=f"the socket {path} cannot be bound"):
            bound_unix(path, 0o600)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError):
        bound_unix(tmp_path / "file", 0o600)
    assert (tmp_path / "file").read_text() == "mine"
