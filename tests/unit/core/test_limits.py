"""How bounds are written, and which lie within which."""

from typing import Any

import pytest

from outrider.core.budget import Limits
from outrider.core.errors import ConfigError
from outrider.core.limits import (
    delegation_within,
    limits_within,
    meet_delegation,
    meet_limits,
    money,
    parse_delegation,
    parse_limits,
    parse_period,
    period_within,
    write_delegation,
    write_limits,
)

USD = {"limit": "5", "unit": "usd"}


@pytest.mark.parametrize(
    ("told", "micros"),
    [
        pytest.param(5, 5_000_000, id="whole"),
        pytest.param(0, 0, id="nothing"),
        pytest.param("0.000001", 1, id="smallest"),
        pytest.param(0.1, 100_000, id="a-tenth-as-a-float"),
        pytest.param(5.0, 5_000_000, id="float-without-places"),
        pytest.param("12.5", 12_500_000, id="text"),
        pytest.param("9999999999.999999", 9_999_999_999_999_999, id="largest"),
    ],
)
def test_money_is_whole_millionths(told: Any, micros: int) -> None:
    assert money(told, "spend") == micros


@pytest.mark.parametrize(
    "told",
    [
        pytest.param("0.0000001", id="seven-places"),
        pytest.param(0.1 + 0.2, id="a-sum-of-floats"),
        pytest.param(1e-7, id="exponent"),
        pytest.param(1e22, id="huge"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param(float("nan"), id="no-number"),
        pytest.param(-1, id="negative"),
        pytest.param("-1", id="negative-text"),
        pytest.param("1,5", id="comma"),
        pytest.param("05", id="leading-zero"),
        pytest.param("5.", id="no-places"),
        pytest.param(" 5", id="space"),
        pytest.param("\u0665", id="another-script"),
        pytest.param(True, id="true"),
        pytest.param([5], id="list"),
        pytest.param("9" * 11, id="too-long"),
    ],
)
def test_what_is_no_amount_is_refused(told: Any) -> None:
    with pytest.raises(ConfigError, match="at most six places"):
        money(told, "spend")


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"spend": {"unit": "usd"}}, "g.spend: give {limit, unit}"),
        ({"spend": {"limit": 1, "more": 1}}, "g.spend: give {limit, unit}"),
        ({"spend": {"limit": 1, "unit": "US$"}}, "g.spend.unit is 'US$'"),
        ({"spend": {"limit": "x"}}, "g.spend.limit is 'x'"),
        ({"calls": 1.5}, "g.calls is 1.5"),
    ],
)
def test_a_bound_that_cannot_be_kept_names_its_key(document: Any, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_limits(document, "g")
    assert named in str(refused.value)


def test_limits_are_written_as_they_are_read() -> None:
    limits = parse_limits({"calls": 3, "spend": {"limit": 0.25, "unit": "eur"}, "tokens": None}, "")
    assert limits == Limits(calls=3, spend=250_000, unit="eur")
    assert write_limits(limits) == {"calls": 3, "spend": {"limit": "0.25", "unit": "eur"}}
    assert parse_limits(write_limits(limits), "") == limits


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        pytest.param({"calls": 3}, {}, True, id="bounded-in-unbounded"),
        pytest.param({}, {"calls": 3}, False, id="unbounded-in-bounded"),
        pytest.param({"calls": 3}, {"calls": 3}, True, id="equal"),
        pytest.param({"calls": 4}, {"calls": 3}, False, id="one-more"),
        pytest.param({"calls": 1, "bytes": 9}, {"calls": 3, "bytes": 8}, False, id="one-of-two"),
        pytest.param({"spend": USD}, {"spend": {"limit": "5.000001", "unit": "usd"}}, True, id="$"),
        pytest.param({"spend": USD}, {"spend": {"limit": 9, "unit": "eur"}}, False, id="unit"),
        pytest.param({"spend": USD}, {"spend": 9}, False, id="no-unit"),
        pytest.param({"spend": 0}, {"spend": {"limit": 9, "unit": "eur"}}, True, id="nothing"),
        pytest.param({"spend": 9}, {"spend": 0}, False, id="more-than-nothing"),
    ],
)
def test_limits_within_others(inner: Any, outer: Any, *, within: bool) -> None:
    assert limits_within(parse_limits(inner, ""), parse_limits(outer, "")) is within


def test_of_two_units_nothing_is_common() -> None:
    eur = parse_limits({"spend": {"limit": 9, "unit": "eur"}}, "")
    assert meet_limits(parse_limits({"spend": USD}, ""), eur) == Limits(spend=0, unit="usd")
    assert meet_limits(Limits(calls=1), eur) == Limits(calls=1, spend=9_000_000, unit="eur")


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"delegation": 1}, "give {depth, to}"),
        ({"delegation": {"deep": 1}}, "give {depth, to}"),
        ({"delegation": {"depth": 5}}, "delegation.depth is 5; give 0 to 4"),
        ({"delegation": {"depth": True}}, "delegation.depth is True"),
        ({"delegation": {"to": "spiffe://a/b"}}, "give a list of at most 256"),
        ({"delegation": {"to": ["a/b"]}}, "'a/b': give a SPIFFE ID"),
        ({"delegation": {"to": ["spiffe://a/*b"]}}, "end of a segment"),
    ],
)
def test_a_delegation_that_cannot_be_read_names_its_key(document: Any, named: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_delegation(document, "g")
    assert named in str(refused.value)


def _to(*names: str, depth: int = 1) -> Any:
    return parse_delegation({"delegation": {"depth": depth, "to": [*names]}}, "g")


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        pytest.param(None, None, True, id="nobody"),
        pytest.param(_to("spiffe://a/x"), None, False, id="somebody-in-nobody"),
        pytest.param(_to(), None, True, id="no-names-are-nobody"),
        pytest.param(_to("spiffe://a/x", depth=0), None, True, id="no-hop-is-nobody"),
        pytest.param(_to("spiffe://a/x"), _to("spiffe://a/*"), True, id="below-a-path"),
        pytest.param(_to("spiffe://ab/x"), _to("spiffe://a/*"), False, id="another-domain"),
        pytest.param(_to("spiffe://a/x", depth=2), _to("spiffe://a/*"), False, id="deeper"),
    ],
)
def test_delegation_within_another(inner: Any, outer: Any, *, within: bool) -> None:
    assert delegation_within(inner, outer) is within


def test_what_both_hand_on() -> None:
    both = meet_delegation(_to("spiffe://a/*", depth=3), _to("spiffe://a/x", "spiffe://b/y"))
    assert both is not None
    assert write_delegation(both) == {"depth": 1, "to": ["spiffe://a/x"]}
    assert meet_delegation(both, None) is None


@pytest.mark.parametrize(
    ("inner", "outer", "within"),
    [
        pytest.param(None, 60, True, id="once-for-all"),
        pytest.param(60, None, False, id="comes-again"),
        pytest.param(120, 60, True, id="rarer"),
        pytest.param(60, 120, False, id="oftener"),
    ],
)
def test_a_budget_that_comes_rarer_is_narrower(
    inner: int | None, outer: int | None, *, within: bool
) -> None:
    assert period_within(inner, outer) is within


def test_a_period_is_seconds_up_to_a_year() -> None:
    assert parse_period({"period_s": 31_622_400}, "g") == 31_622_400
    with pytest.raises(ConfigError, match="give 1 to 31622400"):
        parse_period({"period_s": 31_622_401}, "g")
