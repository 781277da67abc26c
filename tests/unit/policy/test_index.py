"""Indexes name each package that finds something by one line, and keep their own heads."""

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
