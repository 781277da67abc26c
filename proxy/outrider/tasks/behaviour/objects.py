"""Objects that were listed, read one by one, and deleted (SQ-20)."""

from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.document import LISTED, LISTINGS, SATURATED, TaskDocument

WIDTH: Final = 16
"""Characters of a digest that are kept."""


def listing(document: TaskDocument, found: tuple[str, ...], records: int) -> None:
    """An answer listed these objects; the oldest listing makes room."""
    ids = "".join(_cut(one) for one in found[:LISTED])
    document.listings.append([max(records, len(found)), ids, []])
    del document.listings[:-LISTINGS]


def _cut(digest: str) -> str:
    return digest[:WIDTH].ljust(WIDTH)


def count(document: TaskDocument, act: Act) -> None:
    """Note in the last listing that holds them that the act's objects are to be deleted."""
    for digest in act.objects:
        found = _last_with(document, digest)
        if found is not None:
            _deleted(found[0]).append(found[1])


def take_back(document: TaskDocument, act: Act) -> None:
    """Undo `count`."""
    for digest in act.objects:
        found = _last_with(document, digest)
        if found is not None and found[1] in _deleted(found[0]):
            _deleted(found[0]).remove(found[1])


def told(document: TaskDocument, act: Act) -> JsonObject | None:
    """Of the objects to be deleted: size of the last listing with one of them, how many of it are
    deleted, whether all of them were read. None where none was listed.

    What may stand in the part of a listing that was not kept, does.
    """
    if not act.deletes:
        return None
    read = all(digest[:WIDTH] in document.objects for digest in act.objects)
    worst: JsonObject | None = None
    for digest in act.objects:
        found = _last_with(document, digest)
        if found is None:
            continue
        one: JsonObject = {
            "count": _size(found[0]),
            "deleted": len(set(_deleted(found[0]))),
            "read": read,
        }
        if worst is None or _share(one) > _share(worst):
            worst = one
    if worst is None and any(_size(kept) > LISTED for kept in document.listings):
        return {"count": LISTED, "deleted": SATURATED, "read": False}
    return worst


def _share(one: JsonObject) -> float:
    count, deleted = one["count"], one["deleted"]
    if not isinstance(count, int) or not isinstance(deleted, int):
        return 0
    return deleted / max(1, count)


def _last_with(
    document: TaskDocument, digest: str
) -> tuple[list[int | str | list[int]], int] | None:
    """The last listing that holds an object, and the object's place in it."""
    wanted = _cut(digest)
    for kept in reversed(document.listings):
        ids = str(kept[1])
        place = ids.find(wanted)
        while place >= 0 and place % WIDTH:
            place = ids.find(wanted, place + 1)
        if place >= 0:
            return kept, place // WIDTH
    return None


def _size(kept: list[int | str | list[int]]) -> int:
    return kept[0] if isinstance(kept[0], int) else 0


def _deleted(kept: list[int | str | list[int]]) -> list[int]:
    found = kept[2]
    return found if isinstance(found, list) else []
