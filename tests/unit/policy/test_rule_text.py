"""Statements are written out so that they mean the same outside their package."""

import pytest

from outrider.core.jsonvalue import as_list, as_object
from outrider.policy.rule_text import (
    bound_names,
    dotted,
    free_names,
    full_text,
    metadata_of,
    own_text,
    with_own_names,
)
from outrider.policy.syntax import Module, Rule, node_of, parse
from outrider.policy.world import Language, World, world_of


def first_statement(body: str, *, more: str = "") -> tuple[World, Module, Rule, dict[str, object]]:
    source = f"package a.b\n\nimport data.lib as l\n\nown := 1\n\nr if {{\n\t{body}\n}}\n{more}"
    (module,) = with_own_names(parse({"a/b/x.rego": source}))
    world = world_of([module], Language(builtins={}, schema={}))
    rule = next(rule for rule in module.rules if rule.name == "r")
    item = as_object(as_list(rule.node.body["bodies"])[0])
    statements = as_list(as_object(item["query"])["stmts"])
    return world, module, rule, as_object(statements[0])  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("body", "written"),
    [
        pytest.param("own == 1", "data.a.b.own == 1", id="own-rule"),
        pytest.param("l.f(own)", "data.lib.f(data.a.b.own)", id="import-and-argument"),
        pytest.param("input.own == data.own", "input.own == data.own", id="steps-are-no-names"),
        pytest.param('"own" == input.x', '"own" == input.x', id="a-text-is-no-name"),
        pytest.param("some own in input.x", "some own in input.x", id="a-local-hides-the-rule"),
        pytest.param("input.x[own] == 1", "input.x[data.a.b.own] == 1", id="an-index"),
        pytest.param("some own; input.x[own] == 1", "some own", id="declared-by-some"),
        pytest.param("input.x[i] == 1", "input.x[i] == 1", id="an-index-of-its-own"),
        pytest.param("count(own) == 1", "count(data.a.b.own) == 1", id="a-built-in-stays"),
        pytest.param('input.x == "ü" ; own', 'input.x == "ü"', id="bytes-and-characters-differ"),
        pytest.param(
            "every x in l.s { x == own }", "every x in data.lib.s { x == data.a.b.own }", id="every"
        ),
        pytest.param("not own", "not data.a.b.own", id="not"),
    ],
)
def test_names_are_written_out(body: str, written: str) -> None:
    world, module, rule, statement = first_statement(body)
    assert full_text(world, module, rule, statement) == written  # type: ignore[arg-type]


def test_an_argument_hides_the_rule_of_its_name() -> None:
    source = "package a.b\n\nown := 1\n\nr(own) if own == 1\n\nother := own\n"
    (module,) = with_own_names(parse({"a/b/x.rego": source}))
    local = {rule.name: rule.locals for rule in module.rules}
    assert local == {"own": frozenset(), "r": {"own"}, "other": frozenset()}


def test_a_statement_is_shown_as_written_on_one_line() -> None:
    _, module, _, statement = first_statement('input.x == [\n\t\t"a",\n\t\t"b",\n\t]')
    assert own_text(module, statement) == 'input.x == [ "a", "b", ]'  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "binds", "free"),
    [
        pytest.param("some k, v in input.x", {"k", "v"}, {"k", "v"}, id="some"),
        pytest.param("x := input.a[i]", {"x", "i"}, {"x", "i"}, id="assigned-and-iterated"),
        pytest.param("[x, y] := input.a", {"x", "y"}, {"x", "y"}, id="pattern"),
        pytest.param("every k, v in input.x { v > 1 }", set(), set(), id="every-keeps-its-own"),
        pytest.param("count([n | some n in input.x]) > 0", set(), set(), id="comprehension-too"),
        pytest.param("input.x == 1", set(), set(), id="none"),
    ],
)
def test_names_a_statement_binds_and_uses(body: str, binds: set[str], free: set[str]) -> None:
    _, module, rule, statement = first_statement(body)
    node = node_of(statement["literal"])  # type: ignore[arg-type]
    assert node is not None
    assert set(bound_names(node)) == binds
    assert free_names(module, node, rule.locals) == free


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("data", "a", "b"), "data.a.b"),
        (("data", "odd key", "b"), 'data["odd key"].b'),
        (("data", 'q"', "x-y"), 'data["q\\""]["x-y"]'),
    ],
)
def test_a_path_is_written_as_rego_reads_it(path: tuple[str, ...], text: str) -> None:
    assert dotted(path) == text


def metadata(source: str) -> dict[str, object]:
    (module,) = parse({"a/x.rego": source})
    return metadata_of(module, module.rules[-1])  # type: ignore[return-value]


def test_a_rules_metadata_stands_above_it() -> None:
    found = metadata(
        "# METADATA\n# title: P\npackage a\n\n# METADATA\n# title: R\n# id: X-1\nr := 1\n"
    )
    assert found == {"title": "R", "id": "X-1"}


def test_a_later_body_has_that_of_the_first() -> None:
    found = metadata("package a\n\n# METADATA\n# id: X-1\nr contains 1\n\nr contains 2\n")
    assert found == {"id": "X-1"}


def test_without_its_own_it_has_the_packages_title() -> None:
    assert metadata("# METADATA\n# title: P\npackage a\n\nr := 1\n") == {"title": "P"}


@pytest.mark.parametrize(
    "comment", ["# a remark\n", "# METADATA\n# : {\n", "# METADATA\n#\n\n"], ids=repr
)
def test_a_comment_that_is_no_metadata_gives_none(comment: str) -> None:
    assert metadata(f"package a\n\n{comment}r := 1\n") == {}
