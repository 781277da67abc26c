"""Rego text is bounded in size and nesting before any parser sees it."""

from pathlib import Path

import pytest

from outrider.core.errors import ConfigError
from outrider.policy.bounds import MAX_DEPTH, MODULE_BYTES, check_bounds
from outrider.policy.bundle import read
from outrider.policy.syntax import parse
from tests.support.policy import write_tree

NAME = "outrider/x.rego"


def nested(depth, opened="[", closed="]"):
    return f"package outrider\n\nx := {opened * depth}{closed * depth}\n"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(nested(MAX_DEPTH), id="as-deep-as-allowed"),
        pytest.param('x := "' + "[" * 50 + '"', id="in-a-string"),
        pytest.param('x := "\\"' + "[" * 50 + '"', id="after-an-escaped-quote"),
        pytest.param("x := `\n" + "{" * 50 + '"\\`', id="in-a-raw-string"),
        pytest.param("# it's \" and ` and " + "(" * 50 + "\nx := 1", id="in-a-comment"),
        pytest.param("x := []\n" * 2000, id="beside-each-other"),
    ],
)
def test_what_people_write_passes(text):
    check_bounds({NAME: text})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(nested(MAX_DEPTH + 1), 3, id="arrays"),
        pytest.param(nested(100, "{", "}"), 3, id="sets"),
        pytest.param(nested(100, "f(", ")"), 3, id="calls"),
        pytest.param(nested(5000, "[{(", ")}]"), 3, id="mixed"),
        pytest.param("x := `\n\n`\ny := " + "[" * 50, 4, id="lines-of-a-raw-string-count"),
        pytest.param('x := "\\\\"\ny := ' + "[" * 50 + '"', 2, id="an-escaped-backslash-ends"),
        pytest.param("]" * 50 + "\n" + "[" * 50, 2, id="closed-before-opened"),
        pytest.param('x := "\n' + "[" * 50 + '"', 1, id="a-string-over-two-lines"),
        pytest.param("x := 1\ny := `" + "[" * 50, 2, id="a-raw-string-without-end"),
        pytest.param("# a\n\n" + "x := [[[[[[[[[[[1]]]]]]]]]]]\n" * 99, 18, id="deep-too-often"),
        pytest.param("x := [[[[[[[[[[[\n" + "1," * 999 + "]]]]]]]]]]]", 2, id="wide-and-deep"),
        pytest.param("x := [[[[[[[[[[[\n1" + " + 1" * 999, 2, id="wide-deep-and-never-closed"),
    ],
)
def test_what_would_cost_a_parser_seconds_is_refused_by_line(text, line):
    with pytest.raises(ConfigError, match=rf"^outrider/x\.rego:{line}: "):
        check_bounds({NAME: text})


def test_a_module_is_bounded_in_bytes():
    check_bounds({NAME: "#" * MODULE_BYTES})
    with pytest.raises(ConfigError, match=r"^outrider/x\.rego: a module holds at most 262144"):
        check_bounds({NAME: "#" + "\u00e9" * (MODULE_BYTES // 2)})


def test_neither_a_tree_nor_a_text_gets_past_it(tmp_path):
    for name in ("x.rego", "x_test.rego"):
        folder = tmp_path / name
        write_tree(folder, {f"outrider/{name}": nested(400)})
        with pytest.raises(ConfigError, match=rf"^outrider/{name}:3: "):
            read(folder)
    with pytest.raises(ConfigError, match=r"^outrider/x\.rego:3: "):
        parse({NAME: nested(400)})


def test_the_library_stays_far_below():
    root = Path(__file__).parents[3] / "rego"
    texts = {str(path): path.read_text() for path in root.rglob("*.rego")}
    assert texts
    check_bounds(texts)
