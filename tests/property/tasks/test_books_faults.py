"""Whatever the shared store does, two sidecars' books count each call once and spend no budget
twice."""

import random
from typing import Any

import pytest

from outrider.core.errors import EnforcementError, StoreUnavailableError
from outrider.core.vocabulary import Reason
from outrider.tasks.behaviour.document import TaskCodec
from outrider.tasks.ledger_document import opened_of
from tests.support.books import (
    DENIED,
    DONE,
    HELD,
    NOT_SENT,
    Office,
    a_root,
    an_office,
    at_work,
    limits,
)
from tests.support.builders import FixedClock
from tests.support.states import Fault, FaultyStates
from tests.support.virtual import at, in_virtual_time, now_s

LIMIT = 12
TROUBLE = [Fault.REFUSED, Fault.UNKNOWN_DONE, Fault.UNKNOWN_NOT_DONE]


class Tally:
    """What was let pass, as far as anybody was told."""

    def __init__(self) -> None:
        self.sent = 0
        self.short = 0


async def one_call(office: Office, chance: random.Random, tally: Tally, number: int) -> None:
    try:
        page = await office.open("delete", {"id": f"t-{number}"})
    except StoreUnavailableError:
        return
    end: Any = chance.choice([DONE, DONE, DONE, NOT_SENT, DENIED, HELD])
    try:
        if end in (DONE, NOT_SENT):
            await page.reserve()
    except EnforcementError as fault:
        tally.short += fault.reason is Reason.BUDGET
        page.close(DENIED)
        return
    tally.sent += end is DONE
    page.close(end)


@pytest.mark.parametrize("seed", range(40))
def test_no_call_is_counted_twice_and_none_of_those_sent_is_forgotten(seed: int) -> None:
    in_virtual_time(_run(seed))


async def _run(seed: int) -> None:
    chance, tally, clock = random.Random(seed), Tally(), FixedClock()  # noqa: S311 - a schedule
    states = FaultyStates(clock=clock)
    task = a_root(limits=limits(calls=LIMIT))
    offices = [an_office(states, clock, task=task) for _ in range(2)]
    async with at_work(*offices):
        for number in range(30):
            if chance.random() < 0.3:
                states.faults.extend(chance.choices(TROUBLE, k=chance.randint(1, 3)))
            if chance.random() < 0.5:
                await at(now_s() + 1).wait()
            await one_call(offices[number % 2], chance, tally, number)
        states.faults.clear()
        await at(now_s() + 1).wait()
        for office in offices:
            facts = await office.facts("search")
    assert facts.budget is not None
    held = await states.read("books", "task:tsk_1")
    document = TaskCodec().decode(opened_of(held)[1], 0)
    used = document.used.get("tsk_1", [0])[0]
    assert used == tally.sent <= LIMIT
    assert document.deletes[0] == tally.sent
    assert document.calls[0] == tally.sent
