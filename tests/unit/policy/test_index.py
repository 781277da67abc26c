"""Indexes name each package that finds something by one line, and keep their own heads."""

import pytest

from outrider.config.paths import shipped_rego
from outrider.policy.bundle import read
from outrider.policy.index import indexes, outdated
from tests.support.policy import ALLOW_ALL, a_tree

HEAD = "# METADATA\n# title: Mine\npackage outrider.rules\n\n"
DESK = "package outrider.rules.desk\n\nfindings contains 1\n"
DEEP = "package outrider.rules.desk.late\n\nfindings contains 1\n"


def test_the_shipped_indexes_are_what_is_generated():
    assert outdated(read(shipped_rego())) == []


def test_each_package_gets_its_line_in_order_at_any_depth():
    tree = a_tree(
        {
            "outrider/main.rego": ALLOW_ALL,
            "outrider/rules.rego": HEAD
            + "findings contains f if some f in data.outrider.rules.gone.findings\n",
            "outrider/rules/desk/late/late.rego": DEEP,
            "outrider/rules/desk/desk.rego": DESK,
            "outrider/rules/helper/h.rego": "package outrider.rules.helper\n\nx := 1\n",
        }
    )
    assert indexes(tree)["outrider/rules.rego"] == HEAD + (
        "findings contains f if some f in data.outrider.rules.desk.findings\n"
        "\n"
        "findings contains f if some f in data.outrider.rules.desk.late.findings\n"
    )
    assert outdated(tree) == ["outrider/rules.rego"]


def test_an_index_that_is_missing_is_made():
    tree = a_tree({"outrider/main.rego": ALLOW_ALL, "outrider/rules/desk/desk.rego": DESK})
    assert indexes(tree)["outrider/rules.rego"].startswith("package outrider.rules\n\nfindings")
    assert outdated(tree) == ["outrider/rules.rego"]


def test_an_index_of_nothing_keeps_its_head():
    tree = a_tree({"outrider/main.rego": ALLOW_ALL, "outrider/rules.rego": HEAD})
    assert indexes(tree)["outrider/rules.rego"] == HEAD
    assert outdated(tree) == []


def test_a_tree_without_packages_to_name_needs_no_index():
    assert outdated(a_tree()) == []


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
        pytest.param(["input.action.properties.effect == input.action.name"], PLAIN, id="no-word"),
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
        pytest.param(["input.action.properties.arguments.n == 4"], PLAIN, id="a-number"),
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


def test_what_finds_nothing_about_a_read_is_passed_over_at_once():
    desks = {
        f"outrider/rules/{name}/{name}.rego": f"package outrider.rules.{name}\n\n"
        f"findings contains 1 if {{\n\t{condition}\n}}\n"
        for name, condition in (("a", PAY), ("b", BOTH), ("c", TOOL), ("d", f"not {READ}"))
    }
    tree = a_tree({"outrider/main.rego": ALLOW_ALL, **desks})
    assert indexes(tree)["outrider/rules.rego"] == "package outrider.rules\n\n" + "\n".join(
        [
            f"findings contains f if {{\n\tnot {READ}\n\tsome f in _beyond_reading\n}}\n",
            *(
                f"{rule} contains f if {{\n\t{condition}\n"
                f"\tsome f in data.outrider.rules.{name}.findings\n}}\n"
                for rule, name, condition in (
                    ("findings", "c", TOOL),
                    ("_beyond_reading", "a", PAY),
                    ("_beyond_reading", "b", BOTH),
                    ("_beyond_reading", "d", f"not {READ}"),
                )
            ),
        ]
    )
