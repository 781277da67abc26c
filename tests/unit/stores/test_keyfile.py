"""Secrets of the sidecar's own: made once, kept, readable by nobody else."""

import stat
from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.stores.keyfile import own_secret, read_password, read_secret


def test_a_secret_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "sidecar.key"
    first = own_secret(path).reveal()
    assert len(first) == 32
    assert own_secret(path).reveal() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_token_is_text_of_256_bits(tmp_path: Path) -> None:
    token = own_secret(tmp_path / "control.token", text=True).reveal().decode()
    assert len(token) == 43
    assert token.isascii()


def test_two_secrets_differ(tmp_path: Path) -> None:
    assert own_secret(tmp_path / "a").reveal() != own_secret(tmp_path / "b").reveal()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666], ids=["group", "others", "all"])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"x" * 32)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        own_secret(path)


def test_a_short_secret_is_refused_with_its_length(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"x" * 31)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds 31 bytes"):
        read_secret(path)


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        own_secret(tmp_path / "file" / "key")


def test_a_left_behind_part_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "key.part").write_bytes(b"torn")
    assert len(own_secret(tmp_path / "key").reveal()) == 32


def _password(tmp_path: Path, content: bytes, mode: int = 0o600) -> Path:
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_password_is_what_stands_there_without_the_line_end(tmp_path: Path) -> None:
    assert read_password(_password(tmp_path, b" s3cret \r\n")).reveal() == b" s3cret "


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        pytest.param(b"s3cret", 0o640, "chmod 600", id="others-may-read"),
        pytest.param(b"\n", 0o600, "is empty", id="empty"),
    ],
)
def test_a_password_that_cannot_be_used_is_refused(
    tmp_path: Path, content: bytes, mode: int, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        read_password(_password(tmp_path, content, mode))


def test_a_password_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_password(tmp_path / "none")
