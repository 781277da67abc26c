"""Paths into a result: what they name, and what is no path."""

import pytest

from outrider.core.result_paths import MAX_STEPS, parse_path


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        pytest.param("$", (), id="the-whole"),
        pytest.param("$.items[*].id", ("items", "*", "id"), id="each-item"),
        pytest.param("$[*].x", ("*", "x"), id="a-list-itself"),
        pytest.param("$.*.x", ("*", "x"), id="each-value-of-a-map"),
        pytest.param('$["a b"]["c.d"].e', ("a b", "c.d", "e"), id="any-name"),
        pytest.param("$.@type.x-id", ("@type", "x-id"), id="signs"),
        pytest.param("$.größe", ("größe",), id="letters"),
    ],
)
def test_a_path_is_its_steps(text: str, steps: tuple[str, ...]) -> None:
    assert parse_path(text) == steps


@pytest.mark.parametrize(
    "text",
    ["", "items", "$items", "$.", "$..x", "$.a[0]", "$.a[", '$["*"]', '$[""]', "$['a']", "$.a b",
     "$.a*", "$.a.", "x$.a", "$" + ".a" * (MAX_STEPS + 1)],
)  # fmt: skip
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give"):
        parse_path(text)


def test_a_path_may_be_as_deep_as_the_bound() -> None:
    assert len(parse_path("$" + ".a" * MAX_STEPS)) == MAX_STEPS
