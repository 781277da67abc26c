"""What is left, taken and given back."""

import pytest

from outrider.core.budget import Limits, Usage
from outrider.core.task import Allowance
from outrider.core.vocabulary import Budget
from outrider.tasks.behaviour.document import LINEAGE, TaskDocument
from outrider.tasks.budgets import leave, reserve, settle, take, told


def a_document() -> TaskDocument:
    return TaskDocument("ab" * 32)


def of(task: str = "tsk_1", **bounds: int) -> tuple[Allowance, ...]:
    return (Allowance(task=task, limits=Limits(**bounds)),)


@pytest.mark.parametrize(
    ("bounds", "ask", "short"),
    [
        pytest.param({"calls": 3}, Usage(calls=3), None, id="all-that-is-there"),
        pytest.param({"calls": 3}, Usage(calls=4), Budget.CALLS, id="one-more"),
        pytest.param({"spend": 5_000_000}, Usage(spend=5_000_001), Budget.SPEND, id="a-millionth"),
        pytest.param({"bytes": 10}, Usage(calls=9, bytes=10), None, id="unbounded-calls"),
        pytest.param({"spend": 0}, Usage(calls=1), None, id="may-pay-nothing-and-pays-nothing"),
        pytest.param({"spend": 0}, Usage(spend=1), Budget.SPEND, id="may-pay-nothing"),
    ],
)
def test_a_reservation_fits_or_takes_nothing(
    bounds: dict[str, int], ask: Usage, short: Budget | None
) -> None:
    document = a_document()
    taken = reserve(document, of(**bounds), ask)
    assert taken.short == (None if short is None else ("tsk_1", short))
    used = told(document, of(**bounds))["calls"]
    assert used["used"] == (ask.calls if short is None else 0)


def test_a_child_draws_from_its_root_too() -> None:
    document = a_document()
    lineage = (*of("child", calls=5), *of("root", calls=1))
    assert reserve(document, lineage, Usage(calls=1)).short is None
    assert reserve(document, lineage, Usage(calls=1)).short == ("root", Budget.CALLS)
    assert told(document, lineage)["calls"] == {"used": 1, "limit": 1}
    assert told(document, lineage[:1])["calls"] == {"used": 1, "limit": 5}


def test_of_each_budget_the_least_that_is_left_is_told() -> None:
    document = a_document()
    lineage = (*of("child", calls=5, records=9), *of("root", calls=9, records=5, bytes=7))
    reserve(document, lineage, Usage(calls=2))
    assert told(document, lineage) == {
        "calls": {"used": 2, "limit": 5},
        "spend": {"used": 0, "limit": None, "unit": None},
        "tokens": {"used": 0, "limit": None},
        "records": {"used": 0, "limit": 5},
        "bytes": {"used": 0, "limit": 7},
    }


def test_a_used_budget_is_over_once_nothing_is_under_way() -> None:
    document, lineage = a_document(), of(calls=1)
    reserve(document, lineage, Usage(calls=1))
    assert reserve(document, lineage, Usage(calls=1)).over is False
    assert settle(document, lineage, Usage()) == (("tsk_1", Budget.CALLS),)
    assert reserve(document, lineage, Usage(calls=1)).over is True


def test_what_is_given_back_makes_room_again() -> None:
    document, lineage = a_document(), of(calls=1)
    reserve(document, lineage, Usage(calls=1))
    reserve(document, lineage, Usage(calls=1))
    assert settle(document, lineage, Usage(calls=1)) == ()
    assert reserve(document, lineage, Usage(calls=1)).short is None


def test_four_fifths_are_told_once() -> None:
    document, lineage = a_document(), of(calls=10)
    near = [reserve(document, lineage, Usage(calls=1)).near for _ in range(10)]
    assert [bool(one) for one in near] == [False] * 7 + [True] + [False] * 2


def test_records_never_pass_their_limit() -> None:
    document, lineage = a_document(), of(records=10)
    assert reserve(document, lineage, Usage(calls=1)).records == 10
    assert take(document, lineage, 8).short is None
    assert take(document, lineage, 3).short == ("tsk_1", Budget.RECORDS)
    assert reserve(document, lineage, Usage(calls=1)).records == 2


def test_more_children_than_are_kept_get_nothing() -> None:
    document = a_document()
    for number in range(LINEAGE):
        assert reserve(document, of(f"tsk_{number}", calls=1), Usage(calls=1)).short is None
    assert reserve(document, of("one_more", calls=1), Usage(calls=1)).short is not None


def test_children_that_ended_make_room_once_nothing_of_theirs_is_under_way() -> None:
    document = a_document()
    for number in range(LINEAGE):
        assert reserve(document, of(f"tsk_{number}", calls=1), Usage(calls=1)).short is None
    leave(document, "tsk_3")
    leave(document, "never-seen")
    assert reserve(document, of("one_more", calls=1), Usage(calls=1)).short is not None
    settle(document, of("tsk_3", calls=1), Usage())
    assert reserve(document, of("one_more", calls=1), Usage(calls=1)).short is None
    assert "tsk_3" not in document.used
    assert reserve(document, of("another", calls=1), Usage(calls=1)).short is not None


def test_money_is_told_in_units() -> None:
    document = a_document()
    lineage = (Allowance(task="tsk_1", limits=Limits(spend=5_000_000, unit="usd")),)
    reserve(document, lineage, Usage(spend=400_000))
    assert told(document, lineage)["spend"] == {"used": 0.4, "limit": 5, "unit": "usd"}
