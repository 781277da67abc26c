"""A gate asks what its rules ask, in their words, and nothing that they do not."""

import pytest

from outrider.policy.gates import Gate, gates_of
from outrider.policy.index import indexes
from outrider.policy.syntax import parse
from tests.support.policy import ALLOW_ALL, a_tree


def entry(*bodies):
    text = "package outrider.rules.desk\n\n" + "".join(
        f"findings contains {place} if {{\n\t{body}\n}}\n" for place, body in enumerate(bodies)
    )
    tree = a_tree({"outrider/main.rego": ALLOW_ALL, "outrider/rules/desk/desk.rego": text})
    return indexes(tree)["outrider/rules.rego"].removeprefix("package outrider.rules\n\n")


READ = 'input.action.properties.effect == "read"'
PAY = 'input.action.properties.effect == "pay"'
SEND = '"send" == input.action.properties.effect'
BOTH = 'input.action.properties.effect in {"send", "share"}'
TOOL = 'input.resource.type == "tool"'
TAGS = "input.resource.properties.tags"
PLAIN = "findings contains f if some f in data.outrider.rules.desk.findings\n"


def gated(condition):
    return (
        f"findings contains f if {{\n\t{condition}\n"
        "\tsome f in data.outrider.rules.desk.findings\n}\n"
    )


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        pytest.param([PAY], gated(PAY), id="one"),
        pytest.param([PAY, PAY], gated(PAY), id="the-same-twice"),
        pytest.param(
            [SEND], gated('input.action.properties.effect == "send"'), id="the-other-way-round"
        ),
        pytest.param([BOTH], gated(BOTH), id="a-set"),
        pytest.param(
            [BOTH, PAY],
            gated('input.action.properties.effect in {"pay", "send", "share"}'),
            id="all-of-them-together",
        ),
        pytest.param(["x := 1; " + PAY], gated(PAY), id="not-the-first-condition"),
        pytest.param([PAY, "true"], PLAIN, id="one-rule-names-none"),
        pytest.param(["not " + PAY], gated("not " + PAY), id="negated"),
        pytest.param(['input.action.properties.effect != "pay"'], PLAIN, id="unequal"),
        pytest.param(
            ["not input.subject.type == input.action.name"],
            gated("not input.subject.type == input.action.name"),
            id="another-field-to-compare",
        ),
        pytest.param(
            ["input.action.properties.effect == input.action.name"],
            gated("input.action.properties.effect == input.action.name"),
            id="the-effect-and-another-field",
        ),
        pytest.param([TOOL], gated(TOOL), id="another-field"),
        pytest.param([f"{TOOL}; {PAY}"], gated(f"{PAY}\n\t{TOOL}"), id="effects-come-first"),
        pytest.param([f"{TOOL}; {PAY}", PAY], gated(PAY), id="what-another-covers"),
        pytest.param(
            [f"{TOOL}; {PAY}", BOTH], gated(f"{PAY}\n\t{TOOL}") + "\n" + gated(BOTH), id="either"
        ),
        pytest.param(
            ["not input.action.properties.schema_valid == true"] * 2,
            gated("not input.action.properties.schema_valid == true"),
            id="a-truth-value",
        ),
        pytest.param([f"not {TAGS} == []"], gated(f"not {TAGS} == []"), id="the-empty-array"),
        pytest.param([f'{TAGS} == ["a"]'], PLAIN, id="an-array"),
        pytest.param([f"not {BOTH}"], PLAIN, id="in-nothing-of-a-set"),
        pytest.param(
            ["not input.context.behaviour.counters.calls_60s == 0"],
            gated("not input.context.behaviour.counters.calls_60s == 0"),
            id="a-number",
        ),
        pytest.param(["input.action.properties.arguments.n == 1.5"], PLAIN, id="a-fraction"),
        pytest.param(
            ["input.context.task == null"], gated("input.context.task == null"), id="null"
        ),
        pytest.param(
            ["not input.context.behaviour.tags == {}"],
            gated("not input.context.behaviour.tags == {}"),
            id="the-empty-object",
        ),
        pytest.param(['input.context.behaviour.tags == {"a": 1}'], PLAIN, id="an-object"),
        pytest.param(
            ["not data.outrider.lib.stays_inside"],
            gated("not data.outrider.lib.stays_inside"),
            id="a-fact-of-the-library",
        ),
        pytest.param(["data.outrider.lib"], PLAIN, id="the-library-itself"),
        pytest.param(["input.a.b"], gated("input.a.b"), id="asked-by-itself"),
        pytest.param(['input.a["if"] == "x"'], PLAIN, id="a-word-of-the-language"),
        pytest.param(
            ["input.action.properties.effect"],
            gated("input.action.properties.effect"),
            id="any-effect",
        ),
        pytest.param(['input.action.properties.arguments["a b"] == "x"'], PLAIN, id="odd-step"),
        pytest.param(
            ['x := "to"; input.action.properties.arguments[x] == "y"'],
            PLAIN,
            id="a-step-of-its-own-making",
        ),
        pytest.param(['data.outrider.rules.desk.open == "yes"'], PLAIN, id="data"),
        pytest.param(
            ['x := "pay"; input.action.properties.effect in {"send", x}'], PLAIN, id="made-set"
        ),
        pytest.param(['input.action.properties.effect in {"pay", "p-y"}'], PLAIN, id="odd-word"),
        pytest.param(["some x in [1]; every y in [x] { " + PAY + " }"], PLAIN, id="inside-every"),
        pytest.param([PAY + " with input as {}"], PLAIN, id="under-with"),
    ],
)
def test_a_package_is_entered_only_where_its_rules_ask_for_it(bodies, expected):
    assert entry(*bodies) == expected


def gates(text):
    module = parse({"a.rego": f"package outrider.rules.desk\n\n{text}"})[0]
    return gates_of(module.rules)


def test_what_is_no_read_is_known_to_be_none_without_being_asked():
    assert gates(f"findings contains 1 if {PAY}")[0].implied == {f"not {READ}"}
    assert gates(f"findings contains 1 if {READ}")[0].implied == frozenset()
    assert gates("findings contains 1")[0].implied == frozenset()
    other = "findings contains 1 if input.action.properties.effect == input.action.name"
    assert gates(other)[0].implied == frozenset()


def test_a_gate_covers_another_that_asks_at_least_as_much():
    pay, any_tool = Gate(frozenset({'"pay"'})), Gate(None, (TOOL,))
    assert Gate().covers(pay)
    assert not pay.covers(Gate())
    assert any_tool.covers(Gate(frozenset({'"pay"'}), (TOOL, "x")))
    assert not any_tool.covers(pay)


def test_input_under_another_name_closes_no_gate():
    text = "findings contains 1 if {\n\tsome input in [{}]\n\tinput.a == true\n}\n"
    assert gates(text) == [Gate()]
