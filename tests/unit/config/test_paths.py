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
