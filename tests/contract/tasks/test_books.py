"""`core.ports.Books` and `Page`: what the pipeline relies on, whoever keeps the books."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from outrider.core.facts import Answered, Opening
from outrider.core.ports import Books
from tests.support.books import DENIED, DONE, HELD, NOT_SENT, an_office, at_work
from tests.support.builders import FixedClock, a_subject
from tests.support.recording_books import RecordingBooks
from tests.support.states import FaultyStates

OFFICE = an_office()
SEARCH = OFFICE.action("search", {"query": "a"})
MAIL = OFFICE.action("mail", {"to": "ann@b.test", "body": "x"})
PING = OFFICE.action("ping", plumbing=True)


@pytest.fixture(params=["recording", "alone", "shared"])
async def books(request: pytest.FixtureRequest) -> AsyncIterator[Books]:
    async with AsyncExitStack() as stack:
        if request.param == "recording":
            yield RecordingBooks()
            return
        clock = FixedClock()
        states = FaultyStates(clock=clock, shared=request.param == "shared")
        office = an_office(states, clock)
        await stack.enter_async_context(at_work(office))
        yield office.books


def an_opening(*actions: object, **changes: object) -> Opening:
    return OFFICE.opening(*actions, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param((SEARCH,), id="one"),
        pytest.param((SEARCH, MAIL, PING), id="several"),
        pytest.param((PING,), id="plumbing"),
    ],
)
async def test_each_action_has_its_facts(books: Books, actions: tuple[object, ...]) -> None:
    page = await books.open(an_opening(*actions))
    assert len(page.facts) == len(actions)
    assert page.facts == page.facts


async def test_without_a_task_there_are_facts_too(books: Books) -> None:
    page = await books.open(an_opening(SEARCH, task=None))
    assert len(page.facts) == 1


async def test_where_nothing_is_bounded_no_record_is_capped(books: Books) -> None:
    page = await books.open(an_opening(SEARCH))
    assert await page.reserve() is None


async def test_an_answer_is_learnt_in_parts(books: Books) -> None:
    page = await books.open(an_opening(SEARCH))
    await page.learn(Answered(action=0, value={"items": [{"id": "t-1"}]}))
    await page.learn(Answered(action=0, texts=("hello",), whole=False))
    page.close(DONE)


@pytest.mark.parametrize(
    "end", [DENIED, HELD, DONE, NOT_SENT], ids=["denied", "held", "done", "not-sent"]
)
async def test_a_page_closes_any_number_of_times(books: Books, end: object) -> None:
    page = await books.open(an_opening(MAIL))
    for _ in range(3):
        page.close(end)  # type: ignore[arg-type]


async def test_a_glance_needs_no_action(books: Books) -> None:
    assert (await books.glance(an_opening())).first_seen == frozenset()
    await books.glance(an_opening(SEARCH))


async def test_what_nobody_waits_for_is_heard_all_the_same(books: Books) -> None:
    await books.hear(a_subject().id, Answered(action=0, value={"text": "hello"}))
