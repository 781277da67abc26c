"""Declaring: what is declared is exported, and the page has an end."""

import pytest

from outrider.telemetry.families.base import Families, closed, named
from tests.support.metrics import a_registry


class Letters(Families):
    def _declare(self) -> None:
        super()._declare()
        self.seen = self._tally("letters_total", "Seen", named("letter", "the alphabet"))
        self.times = self._spread(
            "letter_seconds", "Time", (1, 2), named("letter", "a"), closed("case", ("upper",))
        )
        self.fixed = self._tally("cases_total", "Cases", closed("case", ("upper", "lower")))


def overflow(families: Families, label: str) -> float | None:
    return families.registry.get_sample_value("outrider_label_overflow_total", {"label": label})


def test_past_the_limit_a_new_name_is_other_and_counted() -> None:
    letters = Letters(max_series=3)
    for letter in "abcdef":
        letters.seen.labels(letter).inc()
    assert {values[0] for values in letters.seen.known()} == {"a", "b", "c", "other"}
    assert letters.seen.labels("other").count == 3
    assert overflow(letters, "series") == 3


def test_a_histogram_takes_as_many_lines_as_it_shows() -> None:
    letters = Letters(max_series=6)
    letters.times.labels("a", "upper")
    letters.times.labels("b", "upper")
    assert letters.times.known() == [("a", "upper"), ("other", "upper")]


def test_closed_labels_always_have_room() -> None:
    letters = Letters(max_series=0)
    letters.fixed.labels("upper").inc()
    letters.fixed.labels("lower").inc()
    assert letters.fixed.known() == [("upper",), ("lower",)]
    assert overflow(letters, "series") == 0


def test_a_removed_child_makes_room() -> None:
    letters = Letters(max_series=1)
    letters.seen.labels("a")
    letters.seen.remove("a")
    letters.seen.labels("b")
    assert letters.seen.known() == [("b",)]


def test_what_is_declared_is_what_is_exported() -> None:
    metrics = a_registry()
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
        if family.name.startswith("outrider_")
    }
    assert [each.name for each in metrics.declared] == sorted(
        {each.name for each in metrics.declared}, key=[e.name for e in metrics.declared].index
    )
    assert {each.name for each in metrics.declared} == exported


@pytest.mark.parametrize("declared", a_registry().declared, ids=lambda each: each.name)
def test_every_label_is_closed_or_says_where_its_names_come_from(declared: object) -> None:
    for axis in declared.axes:  # type: ignore[attr-defined]
        assert bool(axis.values) != bool(axis.origin), axis.name
