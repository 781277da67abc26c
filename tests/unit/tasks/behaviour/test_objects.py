"""Listings, and what of them is deleted."""

from outrider.core.vocabulary import ActionEffect, Role
from outrider.tasks.behaviour import objects
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.document import LISTED, LISTINGS, SATURATED, WIDTH, TaskDocument
from outrider.tasks.provenance.answers import Looked
from tests.support.builders import an_action, an_ask


def digest(number: int) -> str:
    return f"{number:032x}"[::-1]


def a_delete(*numbers: int) -> Act:
    action = an_action(
        ask=an_ask(arguments={"ids": [str(number) for number in numbers]}),
        effect=ActionEffect.DELETE,
        roles=(("/ids", Role.TARGET),),
    )
    named = {f"/ids/{place}": digest(number) for place, number in enumerate(numbers)}
    return Act(action, Looked(entries={}, incomplete=False, objects=named))


def a_document(*listings: range) -> TaskDocument:
    document = TaskDocument("ab" * 32)
    for listed in listings:
        objects.listing(document, tuple(map(digest, listed)), len(listed))
    return document


def test_each_object_of_a_call_is_a_delete() -> None:
    assert a_delete(1, 2, 3).deletes == 3


def test_what_was_never_listed_is_told_of_nothing() -> None:
    assert objects.told(a_document(range(10)), a_delete(77)) is None


def test_the_last_listing_with_the_object_counts() -> None:
    document, act = a_document(range(100), range(10)), a_delete(4)
    objects.count(document, act)
    assert objects.told(document, act) == {"count": 10, "deleted": 1, "read": False}


def test_the_same_object_twice_is_one() -> None:
    document = a_document(range(10))
    for act in (a_delete(4), a_delete(4), a_delete(5)):
        objects.count(document, act)
    assert objects.told(document, a_delete(5)) == {"count": 10, "deleted": 2, "read": False}


def test_all_objects_of_a_call_must_have_been_read() -> None:
    document, act = a_document(range(10)), a_delete(1, 2)
    objects.count(document, act)
    document.objects[digest(1)[:WIDTH]] = 1
    assert objects.told(document, act) == {"count": 10, "deleted": 2, "read": False}
    document.objects[digest(2)[:WIDTH]] = 1
    assert objects.told(document, act) == {"count": 10, "deleted": 2, "read": True}


def test_what_is_taken_back_is_not_deleted() -> None:
    document, act = a_document(range(10)), a_delete(1)
    objects.count(document, act)
    objects.take_back(document, act)
    assert document.listings[0]["deleted"] == {}


def test_what_may_stand_in_the_rest_of_a_long_listing_does() -> None:
    document = a_document(range(LISTED + 1))
    told = objects.told(document, a_delete(LISTED))
    assert told == {"count": LISTED, "deleted": SATURATED, "read": False}


def test_listings_are_bounded() -> None:
    document = a_document(*[range(number) for number in range(1, 9)])
    assert len(document.listings) == LISTINGS
