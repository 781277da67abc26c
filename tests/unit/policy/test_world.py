"""What checks know of a whole release: built-ins, schema, rules and when they have a value."""

import pytest

from outrider.config.paths import shipped_rego
from outrider.core.errors import ConfigError
from outrider.policy.syntax import parse
from outrider.policy.world import Problem, read_language, world_of
from tests.support.policy import write_tree

LANGUAGE = read_language(shipped_rego())
TEXT = """package outrider

always := 1
listed := {1, 2}
set contains 1 if input.a
default filled := false
filled if input.a
maybe := 1 if input.a
from_data := data.outrider.x.y
called := lower("A")
settings["A"] := 1
"""
WORLD = world_of(parse({"outrider/main.rego": TEXT}), LANGUAGE)


def test_the_language_is_the_librarys():
    assert LANGUAGE.builtins["startswith"] == 2
    assert "http.send" not in LANGUAGE.builtins
    assert "action" in LANGUAGE.schema["properties"]


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="nothing-there"),
        pytest.param({"capabilities.json": "{", "schemas/input.json": "{}"}, id="broken"),
    ],
)
def test_a_language_that_cannot_be_read_is_refused(tmp_path, files):
    with pytest.raises(ConfigError, match=r"capabilities\.json"):
        read_language(write_tree(tmp_path, files))


@pytest.mark.parametrize(
    ("name", "always"),
    [
        ("always", True), ("listed", True), ("set", True), ("filled", True), ("maybe", False),
        ("from_data", False), ("called", False), ("nobody", False),
    ],
)  # fmt: skip
def test_some_rules_always_have_a_value(name, always):
    assert WORLD.is_always_defined(("data", "outrider", name)) is always


def test_a_path_leads_into_a_rule_or_takes_in_all_below():
    root = ("data", "outrider")
    assert WORLD.rule_at((*root, "maybe", "deep")) == (*root, "maybe")
    assert WORLD.rule_at(root) is None
    assert WORLD.rules_within((*root, "maybe", "deep")) == ((*root, "maybe"),)
    assert WORLD.rules_within((*root, "settings")) == ((*root, "settings", "A"),)
    assert len(WORLD.rules_within(root)) == 8


def test_a_problem_says_where():
    problem = Problem(check="x", file="a.rego", line=3, message="no")
    assert str(problem) == "a.rego:3: no"
