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


PAY = 'input.action.properties.effect == "pay"'
SEND = '"send" == input.action.properties.effect'
BOTH = 'input.action.properties.effect in {"send", "share"}'
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
        pytest.param(["not " + PAY], PLAIN, id="negated"),
        pytest.param(['input.action.properties.effect != "pay"'], PLAIN, id="unequal"),
        pytest.param(["input.action.properties.effect == input.action.name"], PLAIN, id="no-word"),
        pytest.param(['input.action.properties.class == "pay"'], PLAIN, id="another-field"),
        pytest.param(
            ['x := "pay"; input.action.properties.effect in {"send", x}'], PLAIN, id="made-set"
        ),
        pytest.param(['input.action.properties.effect in {"pay", "p-y"}'], PLAIN, id="odd-word"),
        pytest.param(["some x in [1]; every y in [x] { " + PAY + " }"], PLAIN, id="inside-every"),
        pytest.param([PAY + " with input as {}"], PLAIN, id="under-with"),
    ],
)
def test_a_package_is_entered_only_for_the_effects_its_rules_name(bodies, expected):
    assert entry(*bodies) == expected
