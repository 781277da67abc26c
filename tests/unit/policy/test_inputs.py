"""Paths that the schema of the input lacks, and what a release reads of it."""

import orjson
import pytest

from outrider.config.paths import shipped_rego
from outrider.core.clock import SystemClock
from outrider.policy.bundle import read
from outrider.policy.engines.embedded import EmbeddedSnapshot
from outrider.policy.inputs import check_inputs, reads
from outrider.policy.pruning import Keep
from outrider.policy.release import load
from outrider.policy.result import Source, decide
from outrider.policy.suite import read_suite
from outrider.policy.syntax import parse
from outrider.policy.world import Language, world_of
from tests.support.policy import ENTRYPOINT
from tests.support.policy_gate import GATE, gated

SHIPPED = shipped_rego()
TREE = read(SHIPPED)
RELEASE = load(SHIPPED)
CASES = [case for file in sorted(TREE.suites) for case in read_suite(TREE, file)]


@pytest.mark.parametrize(
    ("text", "check"),
    [
        pytest.param("x if input.action.name.first", "input", id="below-a-string"),
        pytest.param(
            "x if input.resource.properties.tags[_].x", "input", id="below-a-list-of-words"
        ),
        pytest.param(
            "x if input.action.properties.destinations.zone", "input", id="a-list-by-name"
        ),
        pytest.param(
            'x if { p := input.action; object.get(p, "nam", null) }', "input", id="get-of-a-local"
        ),
        pytest.param("x if input.sbject.id", "input", id="no-such-section"),
        pytest.param("x if input.action.properties.efect", "input", id="misspelt-field"),
        pytest.param("x if { p := input.action.properties; p.clas }", "input", id="through-local"),
        pytest.param('x if input["action"]["nam"]', "input", id="misspelt-in-brackets"),
        pytest.param(
            'x if object.get(input, ["context", "tusk"], null)', "input", id="by-object-get"
        ),
        pytest.param(
            "x if { some d in input.action.properties.destinations; input.action.properties"
            ".destinations[0].zon }",
            "input",
            id="inside-an-array",
        ),
    ],
)
def test_names_what_may_not_be_there_with_its_line(text, check):
    problems = gated(text)
    assert check in {name for name, _ in problems}
    assert all(line >= 5 for _, line in problems)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x if input.context.behaviour[_].untrusted_read", id="any-of-its-members"),
        pytest.param("x if input.context.task.budget.spend.unit", id="a-budget"),
        pytest.param('x if object.get({"a": 1}, input.action.name, null)', id="get-of-ones-own"),
        pytest.param('f(o) := object.get(o, "a", 1)\nx := f(input.context)', id="get-of-another"),
        pytest.param("x if { [p, q] := [input.action, 1]; p == q }", id="taken-apart"),
        pytest.param("x if { p := 1; p == 1 }\ny if { p := input.action; p.name }", id="locals"),
        pytest.param("x if { input.context.task.grant.arguments[t][p].max > 1 }", id="index-names"),
        pytest.param("x if input.action.properties.arguments.any.thing[0]", id="free-arguments"),
        pytest.param('x if input.context.request.headers["user-agent"]', id="free-headers"),
        pytest.param("x if { walk(input.context, [p, v]); p == v }", id="walk-binds"),
        pytest.param("x if { k := input.version; y := {k: 1}; y[k] }", id="object-of-ones-own"),
    ],
)
def test_lets_near_misses_pass(text):
    assert gated(text) == []


@pytest.mark.parametrize(
    ("path", "lacking"),
    [
        pytest.param("a.known.x", False, id="named"),
        pytest.param("a.other.y", False, id="any-other-name-has-the-other-form"),
        pytest.param("a.other.x", True, id="which-is-not-that-of-the-named-one"),
    ],
)
def test_an_object_may_name_some_members_and_give_a_form_for_the_rest(path, lacking):
    def closed(name):
        return {
            "type": "object", "additionalProperties": False,
            "properties": {name: {"type": "string"}},
        }  # fmt: skip

    schema = {
        "type": "object", "additionalProperties": False,
        "properties": {
            "a": {
                "type": "object", "properties": {"known": closed("x")},
                "additionalProperties": closed("y"),
            }
        },
    }  # fmt: skip
    modules = parse({"outrider/main.rego": f"package outrider\n\nx := input.{path}\n"})
    world = world_of(modules, Language(builtins={}, schema=schema))
    assert bool(list(check_inputs(world))) is lacking


def read_by(text):
    modules = {"outrider/main.rego": f"package outrider\n\nimport data.outrider.lib\n\n{text}\n"}
    return sorted(".".join(path) for path in reads(world_of(parse(modules), GATE.language)))


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        pytest.param("x := input.action.name", ["action.name"], id="a-path"),
        pytest.param("x := 1", [], id="nothing"),
        pytest.param(
            "x if { input.a.b; input.a.b.c; input.a.bb }", ["a.b", "a.bb"], id="the-shortest-stands"
        ),
        pytest.param(
            "x := input.a[input.b.c].d", ["a", "b.c"], id="a-dynamic-step-keeps-all-below"
        ),
        pytest.param("x if { some k in [1]; input.a[k].d }", ["a"], id="a-variable-step"),
        pytest.param("x if { p := input.a; p.b }", ["a"], id="a-local-keeps-all-below"),
        pytest.param("f(y) := y.b\n\nx := f(input.a)", ["a"], id="handed-to-a-function"),
        pytest.param("f(y) := y.b\n\nx := f(input)", [""], id="handed-on-whole"),
        pytest.param("x := input", [""], id="whole"),
        pytest.param('x := input["a"]["b-c"]', ["a.b-c"], id="brackets"),
        pytest.param('x := object.get(input, ["a", "b"], input.c)', ["a.b", "c"], id="object-get"),
        pytest.param('x := object.get(input.a, "b", 0)', ["a.b"], id="object-get-of-a-part"),
        pytest.param("x := object.get(input.a, input.b, 0)", ["a", "b"], id="object-get-by-what"),
        pytest.param(
            'x := object.get(input.a[input.b], ["c"], 0)', ["a", "b"], id="object-get-of-an-index"
        ),
        pytest.param('x if { p := input; object.get(p, ["a"], 0) }', [""], id="through-a-local"),
        pytest.param('x := object.get(f(1).y, "b", 0)\n\nf(z) := z', [], id="object-get-of-a-call"),
        pytest.param("x[input.a] := 1 if { true }", ["a"], id="in-a-head"),
        pytest.param("x contains input.a if true", ["a"], id="in-a-key"),
        pytest.param("x := [y | some y in input.a]", ["a"], id="in-a-comprehension"),
        pytest.param("x if { every y in input.a { y == input.b } }", ["a", "b"], id="in-every"),
        pytest.param(
            "default x := 1\n\nx := 2 if false\n\ny := {input.a: {input.b}}",
            ["a", "b"],
            id="in-objects-and-sets",
        ),
        pytest.param(
            "x := 1 if { false } else := input.a if { input.b }", ["a", "b"], id="in-else"
        ),
        pytest.param("x if { walk(input.a, [p, v]); p == v }", ["a"], id="walked"),
        pytest.param("x := f(1).y\n\nf(z) := input.a if z", ["a"], id="in-a-function"),
    ],
)
def test_reads_are_every_path_a_rule_can_reach(text, paths):
    assert read_by(text) == paths


def judged(snapshot, document):
    query = orjson.dumps(document)
    asked = snapshot.evaluate(ENTRYPOINT, query, SystemClock().monotonic_s() + 60, None)
    source = Source(engine="embedded", revision=snapshot.revision, expected=snapshot.expected)
    try:
        asked.send(None)
    except StopIteration as answer:
        decision = decide(answer.value, id="x", source=source)
        return decision.effect, decision.reason, decision.reasons, decision.raw_obligations
    raise AssertionError("engine embedded waited")


def test_what_policy_does_not_read_changes_no_decision():
    snapshot = EmbeddedSnapshot(release=RELEASE, clock=SystemClock())
    keep = Keep(GATE(RELEASE))
    assert len(CASES) > 50
    for case in CASES:
        pruned = keep.pruned(case.input)
        assert len(orjson.dumps(pruned)) < len(orjson.dumps(case.input))
        assert judged(snapshot, pruned) == judged(snapshot, case.input), case.name
