"""Limits and usages by name, and what bounds nothing."""

import pytest

from outrider.core.budget import UNLIMITED, UNUSED, Limits, Usage
from outrider.core.vocabulary import Budget


@pytest.mark.parametrize("budget", Budget)
def test_each_budget_has_its_own_limit_and_use(budget: Budget) -> None:
    assert Limits(**{budget.value: 7}).of(budget) == 7
    assert Usage(**{budget.value: 3}).of(budget) == 3
    assert UNUSED.of(budget) == 0


@pytest.mark.parametrize("budget", Budget)
def test_a_limit_of_nothing_is_still_a_limit(budget: Budget) -> None:
    assert Limits(**{budget.value: 0}).bounded


def test_no_limit_bounds_nothing() -> None:
    assert not UNLIMITED.bounded
    assert not Limits(unit="usd").bounded
