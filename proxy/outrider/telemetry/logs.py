"""Structured logs: one JSON object a line, on stderr, from a thread of its own (OPERATIONS §9).

Laws: `msg` is a fixed sentence; a caller's text only ever stands as a JSON value, cut and escaped;
a full queue drops and counts, it never makes an exchange wait.
"""

import logging
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from logging.handlers import QueueHandler
from typing import Final, TextIO
from unicodedata import category

import orjson

from outrider.core.clock import rfc3339

_VALUE_BYTES: Final = 256
_STACK_BYTES: Final = 2048
_QUEUE: Final = 4096
_PER_SECOND: Final = 10
_STOP_S: Final = 2.0
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# Controls, formats (bidi, joiners, tags), lone surrogates, line and paragraph separators.
_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_LARGEST: Final = (1 << 63) - 1


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "ts": rfc3339(record.created),
            "level": record.levelname,
            "event": getattr(record, "event", record.name),
            "msg": record.getMessage() if not record.args else record.msg,
        }
        for key, value in vars(record).items():
            if key not in _OWN and key != "event":
                line[key] = _clean(value, _STACK_BYTES if key == "where" else _VALUE_BYTES)
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            where = self.formatException(record.exc_info)[-_STACK_BYTES:]
            line["where"] = _clean(where, _STACK_BYTES)
        return orjson.dumps(line, default=repr).decode()


class Throttle(logging.Filter):
    """At most ten lines a second of one event for one `reason`, which is a closed word where a line
    has one, so that a flood of one reason hides no other; the next that passes says how many were
    not."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, tuple[int, int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        event = f"{getattr(record, 'event', record.name)} {getattr(record, 'reason', '')}"
        second = int(record.created)
        began, count, suppressed = self._seen.get(event, (second, 0, 0))
        if began != second:
            if suppressed:
                record.suppressed = suppressed
            began, count, suppressed = second, 0, 0
        passes = count < _PER_SECOND
        self._seen[event] = (began, count + passes, suppressed + (not passes))
        if len(self._seen) > _VALUE_BYTES:
            self._seen.clear()
        return passes


class _BoundedHandler(QueueHandler):
    def __init__(
        self, lines: "queue.Queue[logging.LogRecord | None]", dropped: Callable[[], None]
    ) -> None:
        super().__init__(lines)
        self._dropped = dropped

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # formatted in the listener's thread, in this process

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped()


class _Stream(logging.StreamHandler[TextIO]):
    """Writes lines; one that cannot be written is counted, and nothing else is said of it."""

    def __init__(self, out: TextIO, dropped: Callable[[], None]) -> None:
        super().__init__(out)
        self._dropped = dropped
        self.setFormatter(JsonFormatter())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        self._dropped()


class Logs:
    """The logging of a process: started once, stopped once, its level changed at run time."""

    def __init__(
        self, *, level: str, dropped: Callable[[], None], out: TextIO | None = None
    ) -> None:
        """`dropped` is called once for each line that is lost, from any thread."""
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(_QUEUE)
        self._handler = _BoundedHandler(self._lines, dropped)
        self._handler.addFilter(Throttle())
        self._stream = _Stream(out or sys.stderr, dropped)
        self._writer = threading.Thread(target=self._write, name="outrider-logs", daemon=True)
        self._root = logging.getLogger("outrider")
        self._level = level
        self._before = (self._root.level, self._root.propagate)

    def start(self) -> None:
        self._before = (self._root.level, self._root.propagate)
        self._root.setLevel(self._level)
        self._root.propagate = False
        self._root.addHandler(self._handler)
        self._writer.start()

    def set_level(self, level: str) -> None:
        self._root.setLevel(level)

    def stop(self) -> None:
        """Write what is queued, let the thread go, and leave logging as it was found.

        Blocking, for two seconds at most each: a reader that stands still keeps nobody alive.
        """
        self._root.removeHandler(self._handler)
        level, self._root.propagate = self._before
        self._root.setLevel(level)
        with suppress(queue.Full):
            self._lines.put(None, timeout=_STOP_S)
            self._writer.join(_STOP_S)

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            self._stream.handle(record)


def _clean(value: object, limit: int = _VALUE_BYTES) -> object:
    """`value` as JSON that stays on its line, at most `limit` bytes of it."""
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        value = hex(value)  # no JSON reader of ours takes it
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    whole = len(text) <= limit
    text = text[:limit]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escaped(char) if category(char) in _UNSAFE else char for char in text)
    if whole and len(text.encode()) <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore") + "…"


def _escaped(char: str) -> str:
    return f"\\u{ord(char):04x}"
