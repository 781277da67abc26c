"""`python -m tests.bench.micro.provenance`: what looking at a call and learning an answer cost.

A call with 1 KB of arguments and a fetch of a URL, at several sizes of what the task has read, and
answers of 256 KiB; CPU of this thread. The bars: 15 µs at the median for the call in the ordinary
case, p99 below 2 ms at 256 KiB of task text, and below 2 ms for learning 256 KiB of text.
"""

import sys
import time
from collections.abc import Callable
from itertools import cycle

from outrider.core.facts import Answered
from outrider.core.jsonvalue import Json
from tests.support.provenance import Desk, a_desk

_WORDS = "The printer on floor {} was reported broken by the night shift and ticket {} was opened; "
_BODY = "Dear Ann, thank you for the report on ticket 4711; the figures are in the annex. " * 11
_ANCHOR = "Summarise ticket 4711 for ann@acme.test, the wiki is at https://docs.acme.test/x."
_ID = {"path": "$.items[*].id", "label": "platform", "match": "exact"}
KIB = 1024


def _text(size: int) -> str:
    return "".join(_WORDS.format(number % 9, number) for number in range(size // 80))[:size]


def _worked(kib: int) -> Desk:
    """A task that has read so much."""
    desk = a_desk(_ANCHOR)
    for part in range(kib // 8):
        items: Json = [
            {"id": f"T-{part}-{number}", "body": f"{part} {_text(KIB - 32)}"} for number in range(8)
        ]
        desk.reads({"items": items}, _ID)
    return desk


def _spent_us(act: Callable[[], object], count: int) -> tuple[float, float]:
    """(median, 99th percentile) of some goes."""
    spent: list[int] = []
    for _ in range(count):
        started = time.thread_time_ns()
        act()
        spent.append(time.thread_time_ns() - started)
    spent.sort()
    return spent[count // 2] / 1000, spent[count * 99 // 100] / 1000


def looks_us(kib: int, count: int = 2000) -> dict[str, tuple[float, float]]:
    """What a look at a mail of 1 KB and at a fetch cost in a task that has read `kib` KiB."""
    desk = _worked(kib)
    calls: dict[str, list[dict[str, Json]]] = {
        "mail": [{"to": "ann@acme.test", "body": f"{number} {_BODY}"} for number in range(64)],
        "fetch": [{"url": f"https://docs.acme.test/{number}"} for number in range(64)],
    }
    found: dict[str, tuple[float, float]] = {}
    for name, each in calls.items():
        made = cycle([desk.action("send", arguments) for arguments in each])

        def look() -> object:
            action, entry, manifest = next(made)  # noqa: B023 - called before the next is made
            return desk.index.look(action, entry=entry, zones=manifest.zones)

        found[name] = _spent_us(look, count)
    return found


def learns_us(count: int = 60) -> dict[str, tuple[float, float]]:
    """What it costs to learn 256 KiB: as one text in one go, and one step of the same as JSON."""
    text = _text(256 * KIB)
    items: Json = [
        {"id": f"T-{number}", "body": text[number * 600 : number * 600 + 600]}
        for number in range(430)
    ]

    def in_text() -> object:
        return a_desk().reads(texts=(text,))

    steps: list[int] = []
    desk = a_desk()
    action, entry, _ = desk.action("read", {}, result=[_ID])
    for _ in range(count):
        desk = a_desk()
        answered = Answered(action=0, value={"items": items})
        learning = desk.index.learning("evt_1", answered, action=action, entry=entry)
        started = time.thread_time_ns()
        for _ in learning:
            steps.append(time.thread_time_ns() - started)
            started = time.thread_time_ns()
    steps.sort()
    stepped = steps[len(steps) // 2] / 1000, steps[len(steps) * 99 // 100] / 1000
    return {"256 KiB of text": _spent_us(in_text, count), "a step of 256 KiB of JSON": stepped}


def main() -> None:
    """Print one line a case."""
    for kib in (0, 16, 256):
        for name, (middle, late) in looks_us(kib).items():
            sys.stdout.write(f"look, {name}, {kib} KiB read: {middle:.1f} us, p99 {late:.1f} us\n")
    for name, (middle, late) in learns_us().items():
        sys.stdout.write(f"learn, {name}: {middle:.1f} us, p99 {late:.1f} us\n")


if __name__ == "__main__":
    main()
