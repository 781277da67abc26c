"""Only SPIRE of the series the demonstration was written for is run."""

from pathlib import Path

import pytest

from outrider.cli.demo.spire.programs import VERSION, Programs, find_programs
from outrider.core.errors import ConfigError


def put(folder: Path, *, says: str = VERSION, names: tuple[str, ...] = ("server", "agent")) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        program = folder / f"spire-{name}"
        program.write_text(f"#!/bin/sh\necho {says}-dev-unk >&2\n", "utf-8")
        program.chmod(0o755)
    return folder


def both(folder: Path) -> Programs:
    return Programs(server=folder / "spire-server", agent=folder / "spire-agent")


def test_what_is_on_the_path_comes_before_what_was_built(tmp_path: Path) -> None:
    own = put(tmp_path / "bin")
    built = put(tmp_path / "cache" / f"spire-{VERSION}")
    environ = {"PATH": str(own), "OUTRIDER_CACHE": str(tmp_path / "cache")}
    assert find_programs(environ) == both(own)
    assert find_programs(environ | {"PATH": ""}) == both(built)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"says": "1.14.9"}, id="another-series"),
        pytest.param({"says": "11.15.3"}, id="looks-like-it"),
        pytest.param({"says": "no version"}, id="nonsense"),
        pytest.param({"names": ("server",)}, id="no-agent"),
    ],
)
def test_any_other_is_passed_by(tmp_path: Path, bad: dict[str, object]) -> None:
    own = put(tmp_path / "bin", **bad)  # type: ignore[arg-type]
    environ = {"PATH": str(own), "OUTRIDER_CACHE": str(tmp_path / "cache")}
    with pytest.raises(ConfigError, match=r"no SPIRE 1\.15\.x .*deploy/spire/install\.sh"):
        find_programs(environ)
    built = put(tmp_path / "cache" / f"spire-{VERSION}")
    assert find_programs(environ) == both(built)


def test_what_cannot_be_run_is_passed_by(tmp_path: Path) -> None:
    own = put(tmp_path / "bin")
    for program in own.iterdir():
        program.write_bytes(b"\x7fELF nothing")
    with pytest.raises(ConfigError):
        find_programs({"PATH": str(own), "OUTRIDER_CACHE": str(tmp_path)})
