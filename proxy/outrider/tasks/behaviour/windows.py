"""How often in the last so many seconds, in buckets of one second (GOVERNANCE §5).

A window is a flat list that is stored as it stands: the sum, then instant and count of each bucket,
oldest first. Law: it never holds more buckets than its span has instants, and its sum is theirs.
"""

from typing import TypeAlias

Window: TypeAlias = list[int]


def a_window() -> Window:
    """One in which nothing happened."""
    return [0]


def total(window: Window, now: int, span: int) -> int:
    """How many within `span` before `now`. The window is left as it is."""
    found, place, oldest = window[0], 1, now - span
    while place < len(window) and window[place] <= oldest:
        found -= window[place + 1]
        place += 2
    return found


def add(window: Window, now: int, span: int, count: int = 1) -> int:
    """Count `count` more and forget what is too old; how many there are now.

    Where time went back, it counts as the latest that was seen.
    """
    if len(window) > 1 and window[-2] >= now:
        window[-1] += count
    else:
        window += (now, count)
    window[0] += count
    oldest = window[-2] - span
    while window[1] <= oldest:
        window[0] -= window[2]
        del window[1:3]
    return window[0]


def take_back(window: Window, instant: int, count: int = 1) -> None:
    """Undo an `add` of that instant; what is forgotten already stays so."""
    for place in range(len(window) - 2, 0, -2):
        if window[place] <= instant:
            taken = min(count, window[place + 1])
            window[place + 1] -= taken
            window[0] -= taken
            return
