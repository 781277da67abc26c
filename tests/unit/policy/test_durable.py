"""Files of state: whole or as they were."""

import stat

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.durable import write_durably


def test_replaces_a_file_whole_and_for_nobody_else(tmp_path):
    place = tmp_path / "a" / "state"
    write_durably(place, b"one")
    write_durably(place, b"two")
    assert place.read_bytes() == b"two"
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [one.name for one in place.parent.iterdir()] == ["state"]


def test_what_a_crash_left_behind_is_no_obstacle(tmp_path):
    (tmp_path / "state.part").write_bytes(b"half")
    write_durably(tmp_path / "state", b"whole")
    assert (tmp_path / "state").read_bytes() == b"whole"


def test_what_cannot_be_written_is_said_and_changes_nothing(tmp_path):
    (tmp_path / "state.part").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_durably(tmp_path / "state", b"x")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_durably(tmp_path / "file" / "state", b"x")
    assert not (tmp_path / "state").exists()
