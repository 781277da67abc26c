"""Applies our own patches: for files, which no API server patches.

Law: `document` is not changed; only the operations the patch builder writes are known.
"""

from copy import deepcopy
from itertools import pairwise

from outrider.core.jsonvalue import Json, JsonObject


def applied(document: JsonObject, ops: tuple[JsonObject, ...]) -> JsonObject:
    """A copy of `document` with `ops` applied in order.

    Raises `ValueError` for an operation that does not fit: the builder's fault, never the pod's.
    """
    whole: JsonObject = deepcopy(document)
    for op in ops:
        steps = [_plain(step) for step in str(op["path"]).split("/")[1:]]
        place: Json = whole
        for step, _ in pairwise(steps):
            place = _inner(place, step)
        _do(place, steps[-1], op)
    return whole


def _plain(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _inner(place: Json, step: str) -> Json:
    if isinstance(place, dict) and step in place:
        return place[step]
    if isinstance(place, list):
        return place[_index(step, len(place) - 1)]
    raise ValueError(f"no {step!r} to go into")


def _do(place: Json, step: str, op: JsonObject) -> None:
    kind, value = op["op"], deepcopy(op.get("value"))
    match place:
        case dict() if kind == "add" or (kind == "replace" and step in place):
            place[step] = value
        case dict() if kind == "remove" and step in place:
            del place[step]
        case list() if kind == "add":
            place.insert(len(place) if step == "-" else _index(step, len(place)), value)
        case list() if kind == "remove":
            del place[_index(step, len(place) - 1)]
        case _:
            raise ValueError(f"{kind} of {step!r} does not fit")


def _index(step: str, most: int) -> int:
    if not step.isdecimal() or int(step) > most:
        raise ValueError(f"no place {step!r}")
    return int(step)
