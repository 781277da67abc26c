"""Quantities come to exact amounts, whatever their spelling."""

from fractions import Fraction

import pytest

from outrider.injector.quantity import amount, equal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50m", Fraction(1, 20)),
        ("0.05", Fraction(1, 20)),
        (".5", Fraction(1, 2)),
        ("1", Fraction(1)),
        (2, Fraction(2)),
        ("128Mi", Fraction(128 << 20)),
        ("1Gi", Fraction(1 << 30)),
        ("200M", Fraction(200_000_000)),
        ("1e3", Fraction(1000)),
        ("1E-1", Fraction(1, 10)),
        ("2E", Fraction(2 * 1000**6)),
        ("3Ei", Fraction(3 * 1024**6)),
        ("1n", Fraction(1, 10**9)),
        ("1u", Fraction(1, 10**6)),
        ("1k", Fraction(1000)),
        ("1Pi", Fraction(1024**5)),
        ("1P", Fraction(1000**5)),
    ],
)
def test_amounts(text: object, expected: Fraction) -> None:
    assert amount(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "1 Gi", "-1", "+1", "1K", "1mi", "Gi", "1.", "٣", True, None, 1.5, "9" * 19, "1e999"],
)
def test_what_is_no_quantity_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        amount(text)


def test_two_spellings_are_the_same_amount() -> None:
    assert equal("1024Mi", "1Gi")
    assert not equal("1000Mi", "1Gi")
    assert not equal("x", "x")
