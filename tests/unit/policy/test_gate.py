"""The load gate: what no release may hold, with near misses that it may."""

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.gate import shipped_gate
from outrider.policy.release import load
from tests.support.policy import ENTRYPOINT, a_release

GATE = shipped_gate(shipped_rego(), ENTRYPOINT)
HEAD = 'package outrider\n\ndefault decision := {"effect": "deny"}\n\n'


def found(text, data=None):
    return [
        (problem.check, problem.line) for problem in GATE.problems(a_release(HEAD + text, data))
    ]


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
        pytest.param("x if x", "recursion", id="needs-itself"),
        pytest.param("x if y\ny if z\nz if x", "recursion", id="needs-itself-through-others"),
        pytest.param("f(a) := f(a)\nx := f(1)", "recursion", id="function-calls-itself"),
        pytest.param("x if input.sbject.id", "input", id="no-such-section"),
        pytest.param("x if input.action.properties.efect", "input", id="misspelt-field"),
        pytest.param('x if input["action"]["nam"]', "input", id="misspelt-in-brackets"),
        pytest.param("x if { p := input.action.properties; p.clas }", "input", id="through-local"),
        pytest.param(
            'x if object.get(input, ["context", "tusk"], null)', "input", id="by-object-get"
        ),
        pytest.param(
            "x if { some d in input.action.properties.destinations; input.action.properties"
            ".destinations[0].zon }",
            "input",
            id="inside-an-array",
        ),
        pytest.param("x if data.outrider[_].findings", "composition", id="wildcard-over-packages"),
        pytest.param("x := data.outrider", "composition", id="whole-package"),
    ],
)
def test_names_what_may_not_be_there_with_its_line(text, check):
    problems = found(text)
    assert check in {name for name, _ in problems}
    assert all(line >= 5 for _, line in problems)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x := lower(input.version)", id="allowed-built-in"),
        pytest.param("f(a) := a\nx := f(1)", id="own-function"),
        pytest.param("x if { some y in [1]; y == 1 }", id="declared-name"),
        pytest.param("x if { input.context.task.grant.arguments[t][p].max > 1 }", id="index-names"),
        pytest.param("x if regex.match(`^[0-9]{1,3}$`, input.version)", id="common-pattern"),
        pytest.param('x := sprintf("%s 100%% %v %d", ["a", 1, 2])', id="common-verbs"),
        pytest.param("x if input.action.properties.arguments.any.thing[0]", id="free-arguments"),
        pytest.param('x if input.context.request.headers["user-agent"]', id="free-headers"),
        pytest.param("x if { walk(input.context, [p, v]); p == v }", id="walk-binds"),
        pytest.param("x if { k := input.version; y := {k: 1}; y[k] }", id="object-of-ones-own"),
        pytest.param('x := data.outrider.tiers["low"]', id="data-by-key"),
        pytest.param("x contains v if { some v in input.context.behaviour.recent }", id="set-rule"),
    ],
)
def test_lets_near_misses_pass(text):
    assert found(text) == []


REFUSED_NEGATIONS = [
    "not input.resource.id in data.outrider.tiers",
    'not startswith(input.resource.id, "a")',
    "not s[input.resource.id]",
    'not lower(input.resource.id) == "a"',
    "not f(input.resource.id)",
    "not input.context.time.unix_s > 3",
    "not [input.resource.id] == [1]",
    "not entry.role in s",
    "not f(maybe)",
    "not f(g(1))",
]
ALLOWED_NEGATIONS = [
    "not input.resource.id",
    'not input.resource.id == "const"',
    "not maybe",
    "not f(input)",
    "not input.resource.id == input.action.name",
    "not v in s",
    "not v in constant",
    'not startswith(v, "a")',
    "not f(v)",
    "not s[v]",
    "not known(v)",
    "not count(s) == 0",
]
AROUND = """
s contains 1
constant := {1, 2}
maybe if input.resource.id
f(_) if true
g(a) := 1 if { a == 2 }
default known(_) := false
known(1) := true
x if {
	some v in [1]
	some entry in data.outrider.tiers
	entry != v
	%s
}
"""


@pytest.mark.parametrize("negation", REFUSED_NEGATIONS)
def test_refuses_a_negation_that_a_missing_value_silences(negation):
    assert [check for check, _ in found(AROUND % negation)] == ["negation"]


@pytest.mark.parametrize("negation", ALLOWED_NEGATIONS)
def test_lets_a_negation_pass_that_both_engines_read_alike(negation):
    assert found(AROUND % negation) == []


def test_refuses_a_package_that_no_index_names():
    modules = {
        "outrider/main.rego": HEAD,
        "outrider/controls.rego": "package outrider.controls\n\n"
        "findings contains f if some f in data.outrider.controls.a.findings\n",
        "outrider/controls/a/a.rego": "package outrider.controls.a\n\nfindings contains 1\n",
        "outrider/controls/b/b.rego": "package outrider.controls.b\n\nfindings contains 1\n",
    }
    problems = GATE.problems(a_release(modules))
    assert [(one.file, one.line) for one in problems] == [("outrider/controls/b/b.rego", 3)]
    assert "controls.rego" in problems[0].message


def test_refuses_a_rule_whose_path_the_data_has_too():
    assert found("tiers := 1", {"tiers": {"low": {}}}) == [("composition", 5)]
    assert found("tears := 1", {"tiers": {"low": {}}}) == []


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
    assert found(text) == []


def test_the_shipped_library_passes():
    assert GATE.problems(load(shipped_rego())) == []
