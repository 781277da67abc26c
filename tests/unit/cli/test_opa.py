"""`outrider opa`: which OPA would run, or where it was looked for."""

from pathlib import Path

import pytest

from outrider.cli import opa
from outrider.core.errors import ConfigError
from outrider.policy.opa_install import RECOMMENDED, OpaBinary
from tests.support.command import outrider, write_settings


@pytest.fixture(name="config")
def _config(tmp_path: Path) -> Path:
    return write_settings(tmp_path)


def test_the_one_that_is_found_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = OpaBinary(path=Path("/opt/opa"), version="1.20.2")
    monkeypatch.setattr(opa, "find", lambda _: found)
    said = outrider("opa", "find", "--config", config)
    assert (said.code, said.out.strip()) == (0, "found OPA 1.20.2 at /opt/opa")
    as_json = outrider("opa", "find", "--json", "--config", config).json
    assert as_json == {"path": "/opt/opa", "version": "1.20.2"}


def test_where_none_is_found_it_says_where_it_looked_and_exits_1(tmp_path: Path) -> None:
    config = write_settings(tmp_path)
    said = outrider(
        "opa",
        "find",
        "--config",
        config,
        env={"PATH": str(tmp_path), "OUTRIDER_CACHE": str(tmp_path / "cache")},
    )
    assert said.code == 1
    assert "there is no `opa` on the path" in said.err
    assert "outrider opa install" in said.err


@pytest.mark.parametrize(
    ("words", "version"), [((), RECOMMENDED), (("--version", "1.19.0"), "1.19.0")], ids=str
)
def test_the_version_asked_for_is_installed(
    config: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], version: str
) -> None:
    def install(_places: object, _environ: object, version: str) -> OpaBinary:
        return OpaBinary(path=Path("/cache/opa"), version=version)

    monkeypatch.setattr(opa, "install", install)
    said = outrider("opa", "install", *words, "--config", config)
    assert f"installed OPA {version}" in said.out


def test_a_version_too_old_is_refused(config: Path) -> None:
    said = outrider("opa", "install", "--version", "1.0.0", "--config", config)
    assert said.code == 1
    assert "at least 1.18.1" in said.err


def test_what_cannot_be_had_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(*_: object) -> OpaBinary:
        raise ConfigError("OPA cannot be had: no go; no network")

    monkeypatch.setattr(opa, "install", install)
    said = outrider("opa", "install", "--config", config)
    assert said.code == 1
    assert "no network" in said.err
