"""Small calls to one external host, and how even the time between them is (SQ-29)."""

from itertools import pairwise
from math import sqrt
from typing import Final

from outrider.core.jsonvalue import JsonObject
from outrider.tasks.behaviour.acts import Act
from outrider.tasks.behaviour.document import BEACONS, BEATS, TaskDocument

SMALL_BYTES: Final = 4096
"""A call that says no more can be a sign of life; a larger one ends the row."""
_ENOUGH: Final = 3
_IDLE_MS: Final = 3_600_000


def count(document: TaskDocument, act: Act, ms: int) -> None:
    """Take the time of a call to each of its external hosts."""
    beacons = document.beacons
    for host in act.external:
        if act.sent > SMALL_BYTES:
            beacons.pop(host, None)
            continue
        if host not in beacons and len(beacons) >= BEACONS:
            idle = min(beacons, key=lambda one: beacons[one][-1])
            if beacons[idle][-1] > ms - _IDLE_MS:
                continue
            del beacons[idle]
        times = beacons.setdefault(host, [])
        times.append(ms)
        del times[:-BEATS]


def take_back(document: TaskDocument, act: Act, ms: int) -> None:
    """Undo `count`."""
    for host in act.external:
        times = document.beacons.get(host, [])
        if ms in times:
            times.remove(ms)
            if not times:
                del document.beacons[host]


def told(document: TaskDocument, act: Act) -> JsonObject | None:
    """The row this act stands in: the longest of its hosts'. A host that found no place has one
    that is long and even; None where there is no row yet."""
    longest: list[int] = []
    for host in act.external:
        times = document.beacons.get(host)
        if times is None and act.sent <= SMALL_BYTES:
            return {"calls": BEATS, "jitter_percent": 0}
        if times is not None and len(times) > len(longest):
            longest = times
    if len(longest) < _ENOUGH:
        return None
    return {"calls": len(longest), "jitter_percent": _jitter_percent(longest)}


def _jitter_percent(times: list[int]) -> int:
    """Standard deviation of the gaps by their mean."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    if mean <= 0:
        return 100  # all at once is no beat
    spread = sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    return round(100 * spread / mean)
