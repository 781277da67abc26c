"""Regorus's syntax tree as references, rules and local names."""

import pytest

from outrider.core.errors import ConfigError
from outrider.policy import syntax
from outrider.policy.syntax import body_references, node_of, parse, references, walk


def module(text, name="outrider/main.rego"):
    (found,) = parse({name: f"package outrider.x\n\nimport data.outrider.lib as l\n\n{text}\n"})
    return found


def chains(text):
    (rule,) = module(text).rules
    return sorted(
        ((chain.root, *(step or "?" for step in chain.steps)) for chain in body_references(rule)),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("x := input.a.b", [("input", "a", "b")], id="dots"),
        pytest.param('x := input["a"].b', [("input", "a", "b")], id="brackets"),
        pytest.param(
            "x := input.a[input.b].c", [("input", "a", "?", "c"), ("input", "b")], id="an-index"
        ),
        pytest.param("x := input.a[0]", [("input", "a", "?")], id="a-number"),
        pytest.param("x := l.f(input.a).b", [("", "b"), ("input", "a")], id="of-a-call"),
        pytest.param("x[input.a] := 1 if true", [("input", "a")], id="in-the-head"),
    ],
)
def test_references_are_the_longest_chains(text, expected):
    assert chains(text) == expected


def test_the_name_of_a_rule_stands_among_its_references_but_not_in_its_body():
    (rule,) = module("x := 1").rules
    assert [chain.root for chain in references(rule.node)] == ["x"]
    assert list(body_references(rule)) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("x if { a := 1; a == 1 }", {"a"}, id="assigned"),
        pytest.param('x if { [a, {"k": b}] = [1, {"k": 2}]; a == b }', {"a", "b"}, id="matched"),
        pytest.param("x if { some a, b in input.c; a == b }", {"a", "b"}, id="iterated"),
        pytest.param("x if { some a; input.c[a] }", {"a"}, id="declared"),
        pytest.param("x if { every a, b in input.c { a == b } }", {"a", "b"}, id="every"),
        pytest.param("x(a, [b]) := a + b", {"a", "b"}, id="arguments"),
        pytest.param("x if input.c[a]", {"a"}, id="index"),
        pytest.param("x if { walk(input.c, [a, b]); a == b }", {"a", "b"}, id="walked"),
        pytest.param("x if input.c", set(), id="none"),
    ],
)
def test_local_names_are_those_the_rule_binds(text, names):
    (rule,) = module(text).rules
    assert rule.locals == names


@pytest.mark.parametrize(
    ("text", "kind", "arity", "path"),
    [
        pytest.param("x := 1", "complete", 0, ("x",), id="complete"),
        pytest.param("x contains 1", "set", 0, ("x",), id="set"),
        pytest.param("x(a, b) := a + b", "function", 2, ("x",), id="function"),
        pytest.param("default x := 1", "default", 0, ("x",), id="default"),
        pytest.param("default x(_) := 1", "default", 1, ("x",), id="default-function"),
        pytest.param('x["a-b"] := 1', "complete", 0, ("x", "a-b"), id="constant-key"),
        pytest.param("x.y[z] := 1 if { some z in [1] }", "complete", 0, ("x", "y"), id="key"),
    ],
)
def test_rules_have_their_kind_arity_and_path(text, kind, arity, path):
    (rule,) = module(text).rules
    assert (rule.kind, rule.arity, rule.path) == (kind, arity, ("data", "outrider", "x", *path))
    assert rule.line == 5


def test_imports_are_known_by_their_alias():
    assert module("x := 1").imports == {"l": ("data", "outrider", "lib")}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import input.action\n", id="input"),
        pytest.param("import data\n", id="all-data"),
        pytest.param("import data.outrider.lib as input\n", id="as-input"),
        pytest.param('x := $"{input.a}"\n', id="template-string"),
        pytest.param("x if { input.a and input.b }\n", id="and"),
        pytest.param("x :=\n", id="broken"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(text):
    with pytest.raises(ConfigError, match=r"main\.rego:[0-9]"):
        parse({"outrider/main.rego": f"package outrider\n\n{text}"})


def test_a_node_of_an_unknown_kind_is_refused(monkeypatch):
    monkeypatch.setattr(syntax, "KINDS", syntax.KINDS - {"ArithExpr"})
    with pytest.raises(ConfigError, match="ArithExpr is not understood"):
        module("x := 1 + 2")


def test_a_panic_of_the_parser_refuses_the_policy(monkeypatch):
    class PanicException(BaseException):
        """Named as pyo3 names its own, which cannot be imported."""

    class Broken:
        def add_policy(self, name, text):
            raise PanicException("index out of bounds")

    monkeypatch.setattr(syntax.regorus, "Engine", Broken)
    with pytest.raises(ConfigError, match="regorus panicked"):
        parse({"a.rego": "package a\n"})


def a_parser(monkeypatch, *, says="", raises=None):
    class Double:
        def add_policy(self, name, text):
            if raises is not None:
                raise raises

        def get_ast_as_json(self):
            return says

    monkeypatch.setattr(syntax.regorus, "Engine", Double)


def test_what_is_no_panic_of_the_parser_passes_through(monkeypatch):
    a_parser(monkeypatch, raises=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        parse({"a.rego": "package a\n"})


def test_a_tree_of_an_unknown_form_is_refused(monkeypatch):
    a_parser(
        monkeypatch,
        says=f'[{{"version": {syntax.AST_VERSION}, "ast": {{"package": {{"refr": 7}}}}}}]',
    )
    with pytest.raises(ConfigError, match="unknown form"):
        parse({"a.rego": "package a\n"})


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param({"Var": {"span": {}}}, "Var", id="a-node"),
        pytest.param({"Var": {}}, None, id="without-a-place"),
        pytest.param({"Var": 7}, None, id="without-a-body"),
        pytest.param({"refr": {"span": {}}}, None, id="a-member-is-no-kind"),
        pytest.param({"Var": {"span": {}}, "Set": {"span": {}}}, None, id="two-kinds"),
        pytest.param({}, None, id="nothing"),
        pytest.param([], None, id="a-list"),
        pytest.param(None, None, id="null"),
    ],
)
def test_a_node_is_one_kind_with_a_body_that_has_a_place(value, kind):
    found = node_of(value)
    assert (found.kind if found else None) == kind


def test_an_import_of_the_language_names_no_package():
    (found,) = parse({"outrider/main.rego": "package outrider\n\nimport rego.v1\n"})
    assert found.imports == {}


def test_another_version_of_the_tree_is_refused(monkeypatch):
    monkeypatch.setattr(syntax, "AST_VERSION", 2)
    with pytest.raises(ConfigError, match="another version"):
        module("x := 1")


def test_every_node_is_walked():
    (rule,) = module("x := [y | some y in input.a]").rules
    assert {"Compr", "ArrayCompr", "SomeIn", "RefDot"} <= {node.kind for node in walk(rule.node)}
