"""The library that ships is found, in a working copy and in a wheel."""

from pathlib import Path

import pytest

from outrider.config import paths
from outrider.core.errors import ConfigError


def test_finds_the_library_beside_the_package() -> None:
    found = paths.shipped_rego()
    assert (found / "outrider" / "main.rego").is_file()
    assert (found / "capabilities.json").is_file()


def test_prefers_the_one_inside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "proxy" / "outrider"
    for place in (package / "_rego" / "outrider", tmp_path / "rego" / "outrider"):
        place.mkdir(parents=True)
    monkeypatch.setattr(paths, "_PACKAGE", package)

    assert paths.shipped_rego() == package / "_rego"


def test_says_so_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "a" / "b")

    with pytest.raises(ConfigError, match="install it again"):
        paths.shipped_rego()


def test_the_sample_of_spire_is_found_in_a_working_copy_and_in_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (paths.shipped_spire() / "agent.conf").is_file()
    package = tmp_path / "site-packages" / "outrider"
    monkeypatch.setattr(paths, "_PACKAGE", package)
    with pytest.raises(ConfigError, match="sample configuration is missing"):
        paths.shipped_spire()
    (package / "_spire").mkdir(parents=True)
    (package / "_spire" / "server.conf").touch()
    assert paths.shipped_spire() == package / "_spire"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        pytest.param(b"0123abc\n", "0123abc", id="commit"),
        pytest.param(b"a" * 100, "a" * 64, id="long"),
        pytest.param(b"", "unknown", id="empty"),
        pytest.param(b'x"\n# HELP', "unknown", id="no-name"),
        pytest.param(b"\xff", "unknown", id="no-text"),
        pytest.param(None, "unknown", id="missing"),
    ],
)
def test_the_revision_is_what_the_builder_wrote(
    tmp_path: Path, written: bytes | None, shown: str
) -> None:
    if written is not None:
        (tmp_path / "REVISION").write_bytes(written)
    assert paths.build_revision(tmp_path) == shown
