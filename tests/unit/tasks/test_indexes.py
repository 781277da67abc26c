"""The indexes of root tasks, and what they may have missed."""

from collections.abc import Generator

from outrider.tasks.behaviour.document import TaskDocument
from outrider.tasks.indexes import ROOTS, Indexes, in_turns
from tests.support.books import a_root

KEY = "ab" * 32


def test_an_index_that_took_in_all_misses_nothing() -> None:
    document = TaskDocument(KEY)
    shelf = Indexes().of("task:1", document, a_root())
    assert shelf.misses(document) is False
    shelf.took_in(document)
    assert shelf.misses(document) is False


def test_two_indexes_miss_what_the_other_took_in() -> None:
    document = TaskDocument(KEY)
    here, there = (Indexes().of("task:1", document, None) for _ in range(2))
    here.took_in(document)
    assert (here.misses(document), there.misses(document)) == (False, True)
    there.took_in(document)
    assert (here.misses(document), there.misses(document)) == (True, True)


def test_a_new_period_has_a_new_index() -> None:
    document, indexes = TaskDocument(KEY), Indexes()
    before = indexes.of("task:1", document, None)
    assert indexes.of("task:1", document, None) is before
    document.turn(7)
    assert indexes.of("task:1", document, None) is not before


def test_the_index_used_longest_ago_makes_room() -> None:
    document, indexes = TaskDocument(KEY), Indexes()
    first = indexes.of("task:0", document, None)
    for number in range(1, ROOTS + 1):
        indexes.of(f"task:{number}", document, None)
    assert indexes.of("task:0", document, None) is not first


def test_a_task_that_ended_has_no_index() -> None:
    document, indexes = TaskDocument(KEY), Indexes()
    first = indexes.of("task:0", document, None)
    indexes.forget("task:0")
    assert indexes.of("task:0", document, None) is not first


def test_anchors_are_taken_in_once() -> None:
    document, indexes, task = TaskDocument(KEY), Indexes(), a_root(anchors=("pay ann@b.test",))
    shelf = indexes.of("task:1", document, task)
    indexes.of("task:1", document, task)
    assert shelf.anchored == {"tsk_1"}


async def test_work_in_turns_gives_what_it_returns() -> None:
    def steps() -> Generator[None, None, str]:
        yield
        return "done"

    assert await in_turns(steps()) == "done"
