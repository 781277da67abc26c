"""What a root task did, in numbers, for the record of its end."""

import orjson

from outrider.stores.memory import MemoryStates
from outrider.tasks.books import OVER_S
from tests.support.books import DENIED, HELD, NOT_SENT, a_root, an_office, at_work, limits
from tests.support.builders import FixedClock

TICKETS = {"items": [{"id": "t-1"}, {"id": "t-2"}]}


async def test_calls_by_effect_denials_holds_and_what_was_used_are_told() -> None:
    office = an_office(task=a_root(limits=limits(calls=9)))
    async with at_work(office):
        await office.call("search", {"query": "x"}, answer=TICKETS)
        await office.call("open", {"id": "t-1"})
        await office.call("payroll", answer={"rows": []})
        await office.call("open", {"id": "t-2"}, end=DENIED)
        await office.call("open", {"id": "t-2"}, end=HELD)
        await office.call("open", {"id": "t-2"}, end=NOT_SENT)
        said = await office.books.account("tsk_1", "tsk_1")
    assert said["calls"] == {"read": 3}
    assert (said["denials"], said["holds"], said["records_read"]) == (1, 1, 2)
    assert said["labels"]["highest_sensitivity_read"] == "confidential"  # type: ignore[index,call-overload]
    assert "sensitive_read" in said["labels"]["flags"]  # type: ignore[index,call-overload,operator]
    assert said["budgets"]["calls"] == 3  # type: ignore[index,call-overload]
    assert said["lost"] is False
    assert orjson.dumps(said)


async def test_of_a_task_that_did_nothing_nothing_is_told() -> None:
    office = an_office()
    async with at_work(office):
        said = await office.books.account("tsk_9", "tsk_9")
    assert (said["calls"], said["destinations"], said["denials"]) == ({}, {}, 0)
    assert said["labels"] == {"flags": [], "highest_sensitivity_read": None}


async def test_the_books_of_a_root_that_has_ended_make_room() -> None:
    clock = FixedClock()
    states = MemoryStates(clock=clock)
    office = an_office(states=states, clock=clock, task=a_root())
    async with at_work(office):
        await office.call("open", {"id": "t-1"})
        await office.books.retire("tsk_1")
    await office.books.close()
    assert set(await states.items("books")) == {"task:tsk_1"}
    clock.pass_s(OVER_S)
    assert await states.items("books") == {}
