"""What the stages share: none of it is to be had before it stands, and a place is left once."""

from typing import Any

import pytest

from outrider.pipeline.live import LiveExchange
from outrider.pipeline.passage import Leg, Passage
from tests.support.builders import a_route, a_subject, a_task, an_exchange
from tests.support.pipeline import FixedAdapter, FixedConversation, FixedDecider, FixedIncoming

STANDING: dict[str, Any] = {
    "subject": a_subject(),
    "policy": FixedDecider().active(),
    "route": a_route(),
    "adapter": FixedAdapter(),
}


def _passage(**changes: Any) -> Passage:
    exchange = an_exchange()
    entry = LiveExchange(id=exchange.id)
    return Passage(exchange=exchange, head=exchange.head, entry=entry, **changes)


@pytest.mark.parametrize("missing", list(STANDING))
def test_what_stands_after_routing_is_not_to_be_had_in_part(missing: str) -> None:
    passage = _passage(**{name: one for name, one in STANDING.items() if name != missing})
    with pytest.raises(RuntimeError, match="before authentication and routing"):
        _ = passage.bound
    setattr(passage, missing, STANDING[missing])
    assert passage.bound == tuple(STANDING.values())


def test_what_stands_stays_until_another_policy_is_in_force() -> None:
    passage = _passage(**STANDING)
    before = passage.bound
    passage.policy = other = FixedDecider().active()
    assert passage.bound is before
    task = a_task()
    passage.judge_under(other, task)
    assert (passage.bound[1], passage.task, passage.whose) == (other, task, None)


def test_there_is_no_leg_before_the_exchange_was_read() -> None:
    passage = _passage()
    with pytest.raises(RuntimeError, match="before the exchange was read"):
        _ = passage.bound_leg
    leg = passage.leg = Leg(conversation=FixedConversation())
    assert passage.bound_leg is leg


def test_a_place_is_left_once_and_only_if_one_was_taken() -> None:
    left: list[int] = []
    passage = _passage()
    passage.leave_place()
    passage.give_back = lambda: left.append(1)
    passage.leave_place()
    passage.leave_place()
    assert left == [1]


def test_an_answer_is_given_up_where_one_began() -> None:
    leg = Leg(conversation=FixedConversation())
    leg.abort()
    incoming = leg.incoming = FixedIncoming()
    leg.abort()
    assert incoming.aborted == 1
