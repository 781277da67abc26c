"""Objects that were listed, read one by one, and deleted (SQ-20)."""

from outrider.core.jsonvalue import JsonObject
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.document import (
    LISTED,
    LISTINGS,
    SATURATED,
    WIDTH,
    Listing,
    TaskDocument,
)


def listing(document: TaskDocument, found: tuple[str, ...], records: int) -> None:
    """An answer listed these objects; the oldest listing makes room."""
    ids = "".join([_cut(one) for one in found[:LISTED]])
    document.listings.append({"count": max(records, len(found)), "ids": ids, "deleted": {}})
    del document.listings[:-LISTINGS]


def _cut(digest: str) -> str:
    return digest[:WIDTH].ljust(WIDTH)


def count(document: TaskDocument, act: Act) -> None:
    """Note in the last listing that holds them that the act's objects are to be deleted."""
    for digest in act.objects:
        found = _last_with(document, digest)
        if found is not None:
            deleted, place = found[0]["deleted"], found[1]
            deleted[place] = deleted.get(place, 0) + 1


def take_back(document: TaskDocument, act: Act) -> None:
    """Undo `count`."""
    for digest in act.objects:
        found = _last_with(document, digest)
        if found is not None and found[1] in found[0]["deleted"]:
            deleted, place = found[0]["deleted"], found[1]
            deleted[place] -= 1
            if deleted[place] <= 0:
                del deleted[place]


def told(document: TaskDocument, act: Act) -> JsonObject | None:
    """Of the objects to be deleted: size of the last listing with one of them, how many of it are
    deleted, whether all of them were read. None where none was listed.

    What may stand in the part of a listing that was not kept, does.
    """
    if not act.deletes:
        return None
    read = all(digest[:WIDTH] in document.objects for digest in act.objects)
    worst: Listing | None = None
    for digest in act.objects:
        found = _last_with(document, digest)
        if found is not None and (worst is None or _share(found[0]) > _share(worst)):
            worst = found[0]
    if worst is not None:
        return {"count": worst["count"], "deleted": len(worst["deleted"]), "read": read}
    if any(kept["count"] > LISTED for kept in document.listings):
        return {"count": LISTED, "deleted": SATURATED, "read": False}
    return None


def _share(kept: Listing) -> float:
    return len(kept["deleted"]) / max(1, kept["count"])


def _last_with(document: TaskDocument, digest: str) -> tuple[Listing, str] | None:
    """The last listing that holds an object, and the object's place in it."""
    wanted = _cut(digest)
    for kept in reversed(document.listings):
        place = kept["ids"].find(wanted)
        while place >= 0 and place % WIDTH:
            place = kept["ids"].find(wanted, place + 1)
        if place >= 0:
            return kept, str(place // WIDTH)
    return None
