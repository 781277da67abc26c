"""An input is cut down to what policy reads, and never below it."""

import pytest

from outrider.core.jsonvalue import Json
from outrider.policy.pruning import Keep, below

DOCUMENT: Json = {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": "text"}


@pytest.mark.parametrize(
    ("reads", "kept"),
    [
        pytest.param(None, DOCUMENT, id="all-where-nobody-knows"),
        pytest.param({("a", "b")}, {"a": {"b": 1}}, id="one-leaf"),
        pytest.param({("a",)}, {"a": {"b": 1, "c": {"d": [1, 2]}}}, id="a-parent-is-all-below"),
        pytest.param({("a",), ("a", "b")}, {"a": DOCUMENT["a"]}, id="the-parent-wins"),
        pytest.param({("a", "c", "d", "0")}, {"a": {"c": {"d": [1, 2]}}}, id="lists-stay-whole"),
        pytest.param({("z",)}, {}, id="what-is-not-there"),
    ],
)
def test_what_is_read_is_kept(reads: set[tuple[str, ...]] | None, kept: Json) -> None:
    keep = Keep(frozenset(reads) if reads is not None else None)
    assert keep.pruned(DOCUMENT) == kept
    assert below(DOCUMENT, keep.tree()) == kept


def test_names_of_the_tree_stand_in_order() -> None:
    tree = Keep(frozenset({("b",), ("a", "z"), ("a", "c")})).tree()
    assert tree is not None
    assert list(tree) == ["a", "b"]
    assert list(tree["a"] or ()) == ["c", "z"]


def test_nothing_below_is_nothing() -> None:
    assert Keep(frozenset({("a", "b")})).below("c") is None
