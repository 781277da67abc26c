"""Environments appear whole or not at all."""

import re
import sys
from pathlib import Path

import pytest

from outrider.cli.demo import environments
from outrider.cli.demo.environments import LEGACY, MODERN, UnavailableError

# Stands in for Python: `-m venv … DIR` makes a place, `-m pip …` does what the test says.
FAKE = """#!/bin/sh
case "$2" in
  venv) for last; do :; done; mkdir -p "$last/bin"; touch "$last/bin/python" ;;
  pip) {pip} ;;
esac
"""


def a_python(folder: Path, pip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = folder / "python"
    fake.write_text(FAKE.format(pip=pip))
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))


def test_what_is_made_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    a_python(tmp_path, "true", monkeypatch)
    assert not environments.is_ready(MODERN, cache)
    python = environments.make(MODERN, cache, {})
    assert python == environments.python_of(MODERN, cache)
    assert environments.is_ready(MODERN, cache)
    assert not environments.is_ready(LEGACY, cache)
    a_python(tmp_path, "exit 1", monkeypatch)
    assert environments.make(MODERN, cache, {}) == python


def test_a_failed_set_up_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    a_python(tmp_path, "echo no such host >&2; exit 1", monkeypatch)
    with pytest.raises(UnavailableError, match="`python -m pip` failed: no such host"):
        environments.make(MODERN, cache, {})
    assert not environments.is_ready(MODERN, cache)
    assert list(cache.iterdir()) == []


def test_a_half_made_one_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    half = environments.python_of(LEGACY, cache)
    half.parent.mkdir(parents=True)
    half.touch()
    a_python(tmp_path, "true", monkeypatch)
    assert not environments.is_ready(LEGACY, cache)
    environments.make(LEGACY, cache, {})
    assert environments.is_ready(LEGACY, cache)


@pytest.mark.parametrize("version", [MODERN, LEGACY])
def test_every_line_of_a_lock_is_pinned_by_hash(version: str) -> None:
    lock = Path(environments.__file__).with_name("locks") / f"mcp-{version}.txt"
    text = lock.read_text()
    entries = [each for each in re.split(r"\n(?=[a-z])", text) if not each.startswith("#")]
    assert f"mcp=={version} " in text
    assert len(entries) > 20
    assert [each for each in entries if "==" not in each or "--hash=sha256:" not in each] == []
