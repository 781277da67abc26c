"""The one thread that writes the chain: takes what is queued, writes it, syncs it, reports.

A record that nobody waits to see synced need not cross to the thread at all: while the thread is
idle the loop may write it itself (`write_now`). Measured: a few microseconds against the tens that
two thread switches cost. Not beside a sync: ext4 made such writes wait for it.

Laws: a batch is what was queued when the thread came for it, so an idle writer begins at once and
one sync serves all that wait; after a fault everything sealed before the loop knew of it fails
too, since its `prev` no longer holds; the loop hears of each batch once or twice, never per record.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

from outrider.audit.chain import Sealed
from outrider.audit.inputs import InputStore
from outrider.audit.sinks.file import FileSink
from outrider.core.jsonvalue import JsonObject, as_object

_BATCH: Final = 256
WRITE_FAILED: Final = "write_failed"
SYNC_FAILED: Final = "sync_failed"


class Entry:
    """One sealed record on its way to the disk. `done` is None where nobody waits; the loop's own.

    `generation` counts the faults the loop knew of when it sealed the record.
    """

    __slots__ = (
        "at_s",
        "done",
        "durable",
        "generation",
        "hash",
        "line",
        "query",
        "record",
        "seq",
    )

    def __init__(
        self,
        record: JsonObject,
        sealed: Sealed,
        *,
        durable: bool,
        query: bytes | None,
        at_s: float,
    ) -> None:
        self.record = record
        self.durable = durable
        self.query = query
        self.at_s = at_s
        self.generation = 0
        self.seq = -1
        self.line, self.hash = sealed
        self.done: asyncio.Future[None] | None = None


class Command(Enum):
    STOP = "stop"
    RESTORE = "restore"
    """Try to set the reserve of disk space aside again."""


Item: TypeAlias = Entry | Command


class Stage(Enum):
    """How far a batch has come. `WRITTEN` is followed by `SYNCED` or `FAILED`."""

    WRITTEN = "written"
    SYNCED = "synced"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What became of `entries`. `fault` is a closed word."""

    stage: Stage
    entries: tuple[Entry, ...]
    fault: str | None
    full: bool


class Writer:
    """Owns sink and input store once its thread runs. `report` is called on the loop."""

    def __init__(
        self,
        *,
        sink: FileSink,
        inputs: InputStore | None,
        queue: "SimpleQueue[Item]",
        loop: asyncio.AbstractEventLoop,
        report: Callable[[BatchReport], None],
    ) -> None:
        self._sink = sink
        self._inputs = inputs
        self._queue = queue
        self._loop = loop
        self._report = report
        self.last: tuple[int, str] | None = None
        """Place and hash of the last record written. Once a fault was reported nothing moves it
        but `write_now`."""
        self._generation = 0  # what is older was sealed behind a record that was never written

    def write_now(self, record: JsonObject, sealed: Sealed, seq: int) -> bool:
        """Write one record on the loop. Only while nothing is queued: the thread is then idle.

        False leaves it to be queued, as if it had not been tried.
        """
        if not self._sink.write_now(sealed.line):
            return False
        self._sink.open_decisions.see(record)
        self.last = (seq, sealed.hash)
        return True

    def run(self) -> None:
        """Serve the queue until `STOP`; then close the files."""
        running = True
        while running:
            items = self._take()
            running = Command.STOP not in items
            entries = tuple(item for item in items if isinstance(item, Entry))
            if Command.RESTORE in items:
                self._restore()
            stale = tuple(e for e in entries if e.generation < self._generation)
            if stale:
                self._tell(Stage.FAILED, stale, WRITE_FAILED)
            fresh = entries[len(stale) :] if stale else entries
            if fresh:
                self._serve(fresh)
        self._sink.close()
        if self._inputs is not None:
            self._inputs.close()

    def _take(self) -> list[Item]:
        items = [self._queue.get()]
        try:
            while len(items) < _BATCH:
                items.append(self._queue.get_nowait())
        except Empty:
            pass
        return items

    def _serve(self, entries: tuple[Entry, ...]) -> None:
        try:
            self._keep_inputs(entries)
            self._sink.write(b"".join([entry.line for entry in entries]))
        except OSError:
            self._generation = entries[-1].generation + 1
            self._tell(Stage.FAILED, entries, WRITE_FAILED)
            return
        for entry in entries:
            self._sink.open_decisions.see(entry.record)
        self.last = (entries[-1].seq, entries[-1].hash)
        if not any(entry.durable for entry in entries):
            self._tell(Stage.SYNCED, entries)
            return
        if not all(entry.durable for entry in entries):
            self._tell(Stage.WRITTEN, entries)  # those that wait for no sync go on at once
        try:
            self._sink.sync()
        except OSError:
            self._generation = entries[-1].generation + 1
            self._tell(Stage.FAILED, entries, SYNC_FAILED)
            return
        self._tell(Stage.SYNCED, entries)

    def _keep_inputs(self, entries: tuple[Entry, ...]) -> None:
        if self._inputs is None:
            return
        for entry in entries:
            name = as_object(entry.record.get("decision")).get("id")
            if entry.query is not None and isinstance(name, str):
                self._inputs.append(name, entry.query)

    def _restore(self) -> None:
        try:
            self._sink.restore_reserve()
        except OSError:
            return  # still full: the loop asks again
        self._tell(Stage.SYNCED, ())

    def _tell(self, stage: Stage, entries: tuple[Entry, ...], fault: str | None = None) -> None:
        report = BatchReport(stage, entries, fault, self._sink.spent_reserve)
        try:
            self._loop.call_soon_threadsafe(self._report, report)
        except RuntimeError:
            return  # the loop is gone, and with it everyone who waited
