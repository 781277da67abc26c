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


READ = 'input.action.properties.effect == "read"'
TOOL = 'input.resource.type == "tool"'


def grouped(**conditions):
    """The index of packages that ask this, each under its name."""
    desks = {
        f"outrider/rules/{name}/{name}.rego": f"package outrider.rules.{name}\n\n"
        f"findings contains 1 if {{\n\t{condition}\n}}\n"
        for name, condition in conditions.items()
    }
    tree = a_tree({"outrider/main.rego": ALLOW_ALL, **desks})
    return indexes(tree)["outrider/rules.rego"].removeprefix("package outrider.rules\n\n")


def line(rule, name, *conditions):
    asked = "".join(f"\t{condition}\n" for condition in conditions)
    some = f"some f in {name}"
    return (
        f"{rule} contains f if {{\n{asked}\t{some}\n}}\n"
        if asked
        else (f"{rule} contains f if {some}\n")
    )


def effect(name):
    return f'input.action.properties.effect == "{name}"'


def found(name):
    return f"data.outrider.rules.{name}.findings"


def test_what_many_ask_is_asked_once_before_them():
    text = grouped(a=effect("pay"), b=effect("send"), c=TOOL, d=f"not {READ}", e=effect("share"))
    group = "_not_effect_read"
    assert text == "\n".join(
        [
            line("findings", group, f"not {READ}"),
            line("findings", found("c"), TOOL),
            line(group, found("a"), effect("pay")),
            line(group, found("b"), effect("send")),
            line(group, found("d")),
            line(group, found("e"), effect("share")),
        ]
    )


def test_what_few_ask_each_asks_for_itself():
    assert "_not_effect_read" not in grouped(a=effect("pay"), b=effect("send"), c=f"not {READ}")


def test_a_group_in_a_group_is_named_by_both():
    tool = {name: f"{TOOL}; {effect(name)}" for name in ("pay", "send", "share", "write")}
    text = grouped(**tool, admin=effect("admin"))
    inner = "_not_effect_read_and_resource_type_tool"
    assert line("_not_effect_read", inner, TOOL) in text
    assert line(inner, found("pay"), effect("pay")) in text
    assert line("_not_effect_read", found("admin"), effect("admin")) in text


def test_reads_are_not_behind_what_the_others_ask():
    text = grouped(
        a=effect("pay"),
        b=effect("send"),
        c=effect("share"),
        d=effect("admin"),
        e='input.action.properties.effect in {"read", "pay"}',
    )
    assert line("findings", found("e"), 'input.action.properties.effect in {"pay", "read"}') in text
