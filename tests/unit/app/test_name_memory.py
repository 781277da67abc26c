"""The first look at a pod's names outlives the process, and no pod."""

import pytest

from outrider.app.name_memory import NameMemory, sandbox_of
from outrider.core.errors import ConfigError


def test_what_was_found_first_is_known_in_another_life(tmp_path):
    path = tmp_path / "data" / "names.first"
    assert NameMemory(path, "u-1 b n").recall() is None
    NameMemory(path, "u-1 b n").remember("ab" * 32)
    assert NameMemory(path, "u-1 b n").recall() == "ab" * 32


@pytest.mark.parametrize("sandbox", ["u-2 b n", "u-1 c n", "u-1 b m"])
def test_another_pod_or_sandbox_begins_anew(tmp_path, sandbox):
    path = tmp_path / "names.first"
    NameMemory(path, "u-1 b n").remember("ab" * 32)
    assert NameMemory(path, sandbox).recall() is None


def test_a_place_that_keeps_nothing_is_told(tmp_path):
    (tmp_path / "data").write_text("")
    memory = NameMemory(tmp_path / "data" / "names.first", "u-1 b n")
    with pytest.raises(ConfigError, match="cannot be read"):
        memory.recall()
    with pytest.raises(ConfigError, match="cannot be written"):
        memory.remember("ab" * 32)


def test_a_sandbox_is_the_same_while_its_network_is():
    assert sandbox_of("u-1") == sandbox_of("u-1")
    assert sandbox_of("u-1") != sandbox_of("u-2")
