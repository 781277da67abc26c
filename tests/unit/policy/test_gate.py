"""The load gate: what no release may hold, with near misses that it may."""

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.release import load
from tests.support.policy import a_release
from tests.support.policy_gate import GATE, HEAD, gated


def test_refuses_a_release_without_the_entry_point():
    with pytest.raises(ConfigError, match=r"data\.outrider\.decision is defined nowhere"):
        GATE(a_release("package outrider\n\nother := 1\n"))


def test_refuses_what_does_not_parse_and_says_where():
    with pytest.raises(ConfigError, match=r"outrider/main\.rego:2:"):
        GATE(a_release("package outrider\nx := )\n"))


def test_refuses_an_import_that_is_no_package():
    with pytest.raises(ConfigError, match=r"main\.rego:2: only packages below data"):
        GATE(a_release("package outrider\nimport input.action as a\ndecision := a\n"))


def test_names_five_problems_and_counts_the_rest():
    text = HEAD + "\n".join(f"x{i} := nobody{i}.knows(1)" for i in range(7))
    with pytest.raises(ConfigError, match=r"nobody4\.knows.*\(and 2 more\)"):
        GATE(a_release(text))


def test_reads_lines_right_behind_text_that_is_not_ascii():
    text = '# é ü 漢\nx if { some k; data.outrider.tiers[k] == "é" }'
    assert gated(text) == []


def test_the_shipped_library_passes():
    assert GATE.problems(load(shipped_rego())) == []


def test_gives_what_the_release_reads():
    assert GATE(a_release(HEAD + "x := input.action.name")) == {("action", "name")}
