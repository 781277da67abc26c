"""The audit log: records sealed on the loop, in order, and written by one thread.

Laws: nothing is acknowledged that is not written, and with `durable` synced; what cannot be
written is refused, until a `gap` record that tells of it is written and synced, without a restart.
The queue is bounded, every wait ends, and a tail of queue and disk is kept for the records that
close what was already permitted.

How a fault passes: the writer fails its batch and all that was sealed behind it; the loop takes
the head back to the last line written, refuses appends, and from tick to tick tries the `gap`.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, Protocol, assert_never

from outrider.audit.chain import NAMED_LIMIT, ZERO_HASH, Sealed, seal
from outrider.audit.inputs import InputStore
from outrider.audit.repeat import RepeatFolder
from outrider.audit.sinks.file import FileSink, Recovered
from outrider.audit.writer import WRITE_FAILED, BatchReport, Command, Entry, Item, Stage, Writer
from outrider.core.clock import rfc3339
from outrider.core.errors import AuditUnavailableError
from outrider.core.ids import uuid7
from outrider.core.jsonvalue import Json, JsonObject, as_object
from outrider.core.ports import Clock
from outrider.core.vocabulary import RecordKind

_TICK_S: Final = 0.25
_CLOSE_S: Final = 5.0
_TAIL_SHARE: Final = 8  # an eighth of the queue is kept for records that are no decisions
_DECISION: Final = RecordKind.DECISION.value
_RENEWED: Final = frozenset({_DECISION, RecordKind.GAP.value})


class AuditMetrics(Protocol):
    """What the log counts; telemetry has the metrics (OPERATIONS §3)."""

    def audit_appended(self, seconds: float) -> None: ...

    def audit_wrote(self, records: int, unix_s: float) -> None: ...

    def audit_failed(self, result: str, records: int = 1) -> None: ...

    def audit_repeated(self, count: int) -> None: ...

    def audit_gap(self) -> None: ...

    def audit_queue(self, waiting: int, capacity: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """`fault` is a closed word, None while all is well."""

    fault: str | None
    queued: int
    capacity: int
    unresolved: int
    gaps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """`queue` records wait at most; a disk that answers nothing for `stall_s` fails those who
    wait; a fault is probed every `probe_s`.

    With `direct` the loop itself writes what needs no sync while the thread is idle. After such a
    write longer than `slow_s` the next ones are watched for `direct_pause_s`: a second one sends
    everything by the thread for as long, if it was the disk that made it wait (on a busy machine
    the loop loses its processor in the middle of a write as anywhere else).
    """

    queue: int
    stall_s: float = 2.0
    probe_s: float = 1.0
    direct: bool = True
    slow_s: float = 0.005
    direct_pause_s: float = 10.0


class FileAuditLog:
    """`core.ports.AuditLog` over files. `start` before the first append, `close` after the last.

    The chain is named `sidecar` and a fresh boot id.
    """

    def __init__(
        self,
        *,
        sink: FileSink,
        sidecar: str,
        clock: Clock,
        metrics: AuditMetrics,
        bounds: Bounds,
        inputs: InputStore | None = None,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._bounds = bounds
        self._tail = max(1, bounds.queue // _TAIL_SHARE)
        self._metrics = metrics
        self._inputs = inputs
        self._folder = RepeatFolder()
        self._chain = f"{sidecar}#{uuid7(clock.unix_s())}"
        self._seq = 0
        self._head = ZERO_HASH
        self._generation = 0
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._pending: deque[Entry] = deque()
        self._held: deque[JsonObject] = deque()
        self._fault: str | None = "not_started"
        self._full = False
        self._probing = False
        self._probe_at_s = 0.0
        self._lost = 0
        self._refused: deque[Json] = deque(maxlen=NAMED_LIMIT)
        self._gaps = 0
        self._written = 0
        self._direct_from_s = 0.0 if bounds.direct else float("inf")
        self._watched_to_s = 0.0
        self._writer: Writer | None = None
        self._thread: threading.Thread | None = None
        self._stop_ticking: Callable[[], None] = lambda: None

    # --- life -------------------------------------------------------------------------------

    async def start(self, facts: JsonObject) -> None:
        """Heal the chain; begin ours with a `boot` record that holds `facts`, and a `gap` for
        what the last process left open. Durable when it returns.

        Raises `AuditUnavailableError` where the directory cannot be written or is taken.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await asyncio.to_thread(self._sink.open)
        except OSError as fault:
            raise AuditUnavailableError("the audit directory cannot be used") from fault
        self._writer = Writer(
            sink=self._sink,
            inputs=self._inputs,
            queue=self._queue,
            loop=loop,
            report=self._reported,
        )
        self._thread = threading.Thread(target=self._writer.run, name="audit-writer", daemon=True)
        await asyncio.to_thread(self._thread.start)
        self._head, self._fault = found.head, None
        self._tick()
        boot = self._own(RecordKind.BOOT, "boot", {**facts, "previous": found.head})
        gaps = [self._own(RecordKind.GAP, "gap", facts) for facts in _inherited(found)]
        for _ in gaps:
            self._metrics.audit_gap()
        self._gaps += len(gaps)
        for record in [boot, *gaps][:-1]:
            self._enqueue(record, durable=False)
        try:
            await self.append([boot, *gaps][-1], durable=True)
        except AuditUnavailableError:
            await self.close()
            raise

    async def close(self) -> None:
        """Write what is queued and stop. Idempotent; a stuck disk is given 5 s."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._record_repeats(float("inf"))
        self._release_held()
        for _ in self._held:
            self._lose()
        self._fault = self._fault or "closed"
        self._stop_ticking()
        self._queue.put(Command.STOP)
        await asyncio.to_thread(thread.join, _CLOSE_S)
        await asyncio.sleep(0)  # the writer's last report comes by the loop
        self._fail(self._pending, "the audit log is closed")
        self._count()

    # --- port -------------------------------------------------------------------------------

    async def append(
        self,
        record: JsonObject,
        *,
        durable: bool,
        query: bytes | None = None,
    ) -> None:
        """`AuditLog.append`. Cancelled, it leaves the record to be written all the same."""
        try:
            entry = self._enqueue(record, durable=durable, query=query)
        except AuditUnavailableError:
            self._count_lost(record)
            raise
        if entry is not None:
            entry.done = asyncio.get_running_loop().create_future()
            await entry.done

    def append_nowait(self, record: JsonObject) -> None:
        """`AuditLog.append_nowait`. While the log is down a bounded number of records is held
        back and written behind the `gap`."""
        try:
            self._enqueue(record, durable=False)
        except AuditUnavailableError:
            if not self._full:
                self._fault = self._fault or "queue_full"
            self._hold(record)

    def append_refusal(self, record: JsonObject) -> None:
        if self._folder.admit(record, self._clock.monotonic_s()):
            self.append_nowait(record)

    def healthy(self) -> bool:
        """True while decisions are accepted."""
        return self._fault is None and not self._full

    def state(self) -> LogState:
        return LogState(
            fault=self._fault or ("disk_full" if self._full else None),
            queued=len(self._pending),
            capacity=self._bounds.queue,
            unresolved=len(self._sink.open_decisions),
            gaps=self._gaps,
        )

    # --- queue ------------------------------------------------------------------------------

    def _enqueue(
        self, record: JsonObject, *, durable: bool, query: bytes | None = None
    ) -> Entry | None:
        """The record on its way to the disk; None where it is written already."""
        if self._fault is not None:
            raise AuditUnavailableError("the audit log cannot be written")
        room = self._bounds.queue
        if record.get("kind") == _DECISION:
            if self._full:
                raise AuditUnavailableError("the audit disk is full")
            room -= self._tail
        if len(self._pending) >= room:
            raise AuditUnavailableError("the audit queue is full")
        at_s = self._clock.monotonic_s()
        sealed = self._seal(record)
        direct = not durable and (query is None or self._inputs is None)
        writer = self._writer if direct and self._may_write_now(at_s) else None
        if writer is not None and self._write_now(writer, record, sealed, at_s):
            return None
        return self._queued(Entry(record, sealed, durable=durable, query=query, at_s=at_s))

    def _seal(self, record: JsonObject) -> Sealed:
        """The chain's next line; from here on the record has its place."""
        try:
            sealed = seal(record, self._seq, self._head, self._chain)
        except ValueError:
            raise AuditUnavailableError("the record has no canonical form") from None
        self._seq += 1
        self._head = sealed.hash
        return sealed

    def _queued(self, entry: Entry) -> Entry:
        entry.seq, entry.generation = self._seq - 1, self._generation
        self._pending.append(entry)
        self._queue.put(entry)
        return entry

    def _may_write_now(self, at_s: float) -> bool:
        """Not before what is queued, nor beside a sync, where a write may wait."""
        return not (self._pending or self._full or at_s < self._direct_from_s)

    def _write_now(self, writer: Writer, record: JsonObject, sealed: Sealed, at_s: float) -> bool:
        watched = at_s < self._watched_to_s
        waits = self._sink.waits() if watched else 0
        written = writer.write_now(record, sealed, self._seq - 1)
        took_s = self._clock.monotonic_s() - at_s
        if took_s > self._bounds.slow_s:
            self._watched_to_s = at_s + self._bounds.direct_pause_s
            if watched and self._sink.waits() > waits:
                self._direct_from_s = self._watched_to_s
        if written:
            self._written += 1
            self._metrics.audit_appended(took_s)
        return written

    # --- what the writer reports ------------------------------------------------------------

    def _reported(self, report: BatchReport) -> None:
        self._full = report.full
        match report.stage:
            case Stage.WRITTEN:
                self._acknowledge(entry for entry in report.entries if not entry.durable)
            case Stage.SYNCED:
                self._leave_queue(report.entries)
                self._acknowledge(report.entries)
                self._written += len(report.entries)
            case Stage.FAILED:
                self._leave_queue(report.entries)
                self._failed(report)
            case _:
                assert_never(report.stage)

    def _leave_queue(self, entries: tuple[Entry, ...]) -> None:
        for _ in entries:
            self._pending.popleft()  # the writer is first in, first out

    def _acknowledge(self, entries: Iterable[Entry]) -> None:
        now_s = self._clock.monotonic_s()
        for entry in entries:
            if entry.done is not None and not entry.done.done():
                entry.done.set_result(None)
                self._metrics.audit_appended(now_s - entry.at_s)

    def _failed(self, report: BatchReport) -> None:
        if report.entries[-1].generation == self._generation:
            self._generation += 1
            last = self._writer.last if self._writer else None
            if last is not None:
                self._seq, self._head = last[0] + 1, last[1]
            self._begin_fault(report.fault or WRITE_FAILED)
        if report.fault == WRITE_FAILED:
            for entry in report.entries:
                if entry.done is None:
                    self._hold(entry.record)
        self._fail(report.entries, "the record could not be written")

    def _fail(self, entries: Iterable[Entry], detail: str) -> None:
        """Refuse those who still wait; the next `gap` names their decisions."""
        for entry in entries:
            if entry.done is not None and not entry.done.done():
                entry.done.set_exception(AuditUnavailableError(detail))
                self._count_lost(entry.record)
                if entry.record.get("kind") == _DECISION:
                    self._refused.append(as_object(entry.record.get("decision")).get("id"))

    def _count_lost(self, record: JsonObject) -> None:
        """A decision that cannot be recorded is refused, and nothing is lost; anything else is
        (save a `gap`, which is tried again)."""
        if record.get("kind") not in _RENEWED:
            self._lose()

    def _lose(self) -> None:
        self._lost += 1
        self._metrics.audit_failed("dropped")

    # --- faults and time --------------------------------------------------------------------

    def _begin_fault(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._probe_at_s = self._clock.monotonic_s() + self._bounds.probe_s

    def _tick(self) -> None:
        self._stop_ticking = asyncio.get_running_loop().call_later(_TICK_S, self._tick).cancel
        self.check()

    def check(self) -> None:
        """What time brings: a stall found, repeats due, a fault probed. Runs by itself."""
        now_s = self._clock.monotonic_s()
        if self._pending and now_s - self._pending[0].at_s > self._bounds.stall_s:
            self._begin_fault("stalled")
            self._fail(self._pending, "the audit disk does not answer")
        self._record_repeats(now_s)
        self._count()
        if self._full and not self._pending:
            self._queue.put(Command.RESTORE)
        if self._fault and not self._pending and not self._probing and now_s >= self._probe_at_s:
            self._probe()
        self._release_held()

    def _hold(self, record: JsonObject) -> None:
        if record.get("kind") == RecordKind.GAP.value:
            return  # told anew by the next probe
        if len(self._held) < self._tail and self._thread is not None:
            self._held.append(record)
        else:
            self._lose()

    def _release_held(self) -> None:
        while self._held and self.healthy() and len(self._pending) < self._tail:
            self.append_nowait(self._held.popleft())

    def _count(self) -> None:
        if self._written:
            self._metrics.audit_wrote(self._written, self._clock.unix_s())
            self._written = 0
        self._metrics.audit_queue(len(self._pending), self._bounds.queue)

    def _probe(self) -> None:
        """Try the `gap` that ends the fault: what was lost, and which decisions were refused
        though their record may stand."""
        decisions = list(self._refused)
        gap = self._own(
            RecordKind.GAP,
            "gap",
            {"cause": self._fault, "lost": self._lost, "decisions": decisions},
        )
        now_s = self._clock.monotonic_s()
        entry = self._queued(Entry(gap, self._seal(gap), durable=True, query=None, at_s=now_s))
        entry.done = asyncio.get_running_loop().create_future()
        entry.done.add_done_callback(self._probed)
        self._probing = True

    def _probed(self, done: "asyncio.Future[None]") -> None:
        self._probing = False
        self._probe_at_s = self._clock.monotonic_s() + self._bounds.probe_s
        if done.cancelled() or done.exception() is not None:
            return
        self._fault = None
        self._metrics.audit_gap()
        self._gaps += 1
        self._lost = 0
        self._refused.clear()

    def _record_repeats(self, now_s: float) -> None:
        for folded in self._folder.due(now_s):
            self._metrics.audit_repeated(folded.folded)
            record = self._own(RecordKind.REPEAT, "repeat", {"count": folded.folded})
            facts: JsonObject = {"count": folded.folded, "last_decision": folded.last_id}
            if folded.distinct > 1:
                facts["distinct"] = folded.distinct
            record["repeat"] = facts
            self.append_nowait({**folded.first, **record})

    def _own(self, kind: RecordKind, member: str, facts: JsonObject) -> JsonObject:
        unix_s = self._clock.unix_s()
        return {
            "time": rfc3339(unix_s),
            "monotonic_us": int(self._clock.monotonic_s() * 1e6),
            "id": uuid7(unix_s),
            "kind": kind.value,
            member: facts,
        }


def _inherited(found: Recovered) -> list[JsonObject]:
    """The gaps a new boot has to tell: damage first, then decisions that nothing answered."""
    gaps: list[JsonObject] = []
    if found.unreadable:
        gaps.append({"cause": "unreadable", "lost": 0, "decisions": []})
    if found.torn_bytes:
        torn: JsonObject = {"cause": "torn", "lost": 1, "decisions": []}
        gaps.append(torn | {"bytes": found.torn_bytes, "digest": found.torn_digest})
    for start in range(0, len(found.unresolved), NAMED_LIMIT):
        names: list[Json] = list(found.unresolved[start : start + NAMED_LIMIT])
        gaps.append({"cause": "unresolved", "lost": 0, "decisions": names})
    return gaps
