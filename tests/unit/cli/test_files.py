from pathlib import Path

import pytest

from outrider.cli.files import FILE_BYTES, read_file, write_new
from outrider.core.errors import ConfigError


def test_a_document_is_read_whatever_it_is_written_in(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("on: yes\n")
    (tmp_path / "b.json").write_text('{"a": [1]}')
    (tmp_path / "c.json").write_text('{"a": 9223372036854775807}')
    assert read_file(tmp_path / "a.yaml") == {"on": "yes"}
    assert read_file(tmp_path / "b.json") == {"a": [1]}
    assert read_file(tmp_path / "c.json") == {"a": "9223372036854775807"}


def test_what_is_not_there_or_too_large_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read"):
        read_file(tmp_path / "gone.yaml")
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(FILE_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than"):
        read_file(tmp_path / "large.yaml")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_new(tmp_path / "a" / "b.txt", "one", mode=0o600)
    assert (tmp_path / "a" / "b.txt").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="is there already"):
        write_new(tmp_path / "a" / "b.txt", "two")
    assert (tmp_path / "a" / "b.txt").read_text() == "one"
    with pytest.raises(ConfigError, match="cannot be written"):
        write_new(tmp_path / "a" / "b.txt" / "c", "three")
