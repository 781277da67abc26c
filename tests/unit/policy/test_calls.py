"""Names and calls that no release may hold, with near misses that it may."""

import pytest

from tests.support.policy_gate import gated


@pytest.mark.parametrize(
    ("text", "check"),
    [
        pytest.param("x := http.send({})", "builtin", id="http.send"),
        pytest.param("x := time.now_ns()", "builtin", id="the-machine-clock"),
        pytest.param("x := upper(input.version)", "builtin", id="engines-differ"),
        pytest.param("x := foo.bar(1)", "builtin", id="nobody-knows-it"),
        pytest.param("x := rego.metadata.chain()", "builtin", id="metadata"),
        pytest.param("x := lower(1, 2)", "arity", id="too-many-arguments"),
        pytest.param("f(a) := a\nx := f(1, 2)", "arity", id="own-function-too-many"),
        pytest.param("y := 1\nx := y(1)", "function", id="a-rule-is-no-function"),
        pytest.param("x := data.outrider.lib.f(1)", "function", id="no-such-function"),
        pytest.param("x := inptu.version", "name", id="misspelt-input"),
        pytest.param("x if { y == 1 }", "name", id="unbound-name"),
        pytest.param("x if { some data in [1]; data == 1 }", "name", id="data-shadowed"),
        pytest.param("x if regex.match(`\\d+`, input.version)", "regex", id="unicode-class"),
        pytest.param("x if regex.match(input.version, input.version)", "regex", id="made-pattern"),
        pytest.param('x := sprintf("%q", [1])', "format", id="verb-that-differs"),
        pytest.param("x := sprintf(input.version, [1])", "format", id="made-format"),
        pytest.param("x if x", "recursion", id="needs-itself"),
        pytest.param("x if y\ny if z\nz if x", "recursion", id="needs-itself-through-others"),
        pytest.param("f(a) := f(a)\nx := f(1)", "recursion", id="function-calls-itself"),
    ],
)
def test_names_what_may_not_be_there_with_its_line(text, check):
    problems = gated(text)
    assert check in {name for name, _ in problems}
    assert all(line >= 5 for _, line in problems)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x := lower(input.version)", id="allowed-built-in"),
        pytest.param("f(a) := a\nx := f(1)", id="own-function"),
        pytest.param("x if { some y in [1]; y == 1 }", id="declared-name"),
        pytest.param("x if regex.match(`^[0-9]{1,3}$`, input.version)", id="common-pattern"),
        pytest.param('x := sprintf("%s 100%% %v %d", ["a", 1, 2])', id="common-verbs"),
    ],
)
def test_lets_near_misses_pass(text):
    assert gated(text) == []
