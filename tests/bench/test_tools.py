from pathlib import Path

import pytest

from tests.bench import tools
from tests.bench.machine import BenchError


def a_plugin(folder: Path, version: str) -> Path:
    path = folder / "opa-envoy-plugin"
    path.write_text(f"#!/bin/sh\necho 'Version: {version}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("OUTRIDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/nowhere:/bin")
    monkeypatch.delenv(tools.PLUGIN_VARIABLE, raising=False)


def test_without_a_plugin_the_reason_says_where_to_put_one():
    with pytest.raises(BenchError, match="--opa-envoy-plugin"):
        tools.opa_envoy_plugin(None)


def test_a_given_plugin_of_the_version_is_taken(tmp_path):
    plugin = a_plugin(tmp_path, tools.PLUGIN_VERSION)
    assert tools.opa_envoy_plugin(plugin) == plugin


@pytest.mark.parametrize(
    "version", [pytest.param("1.18.0", id="older"), pytest.param("11.19.1", id="near-miss")]
)
def test_a_plugin_of_another_version_is_not_measured(tmp_path, version):
    with pytest.raises(BenchError, match="is not version"):
        tools.opa_envoy_plugin(a_plugin(tmp_path, version))


def test_a_named_plugin_that_is_not_there_is_said():
    with pytest.raises(BenchError, match="is not installed"):
        tools.opa_envoy_plugin(Path("/nowhere/opa-envoy-plugin"))


def test_a_missing_client_names_the_package():
    with pytest.raises(BenchError, match="apt-get install wrk nginx-light"):
        tools.find_program("wrk-that-is-not-there")
