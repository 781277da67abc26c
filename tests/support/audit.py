"""Chains, disks that fail and logs that can be watched."""

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from outrider.audit.chain import ZERO_HASH, Report, seal, verify
from outrider.audit.inputs import InputStore
from outrider.audit.log import Bounds, FileAuditLog
from outrider.audit.sinks.file import Disk, FileSink
from outrider.core.jsonvalue import JsonObject
from tests.support.builders import FixedClock

CHAIN = "spiffe://acme.test/ns/support/sa/triage#01939b2e-6c1a-7f00-8000-000000000000"


def a_record(kind: str = "decision", number: int = 1, **changes: Any) -> JsonObject:
    """A record as the pipeline hands it over; `number` makes ids of its own."""
    record: JsonObject = {
        "time": "2026-11-23T09:30:00.000000Z",
        "monotonic_us": 1_000_000_000,
        "id": f"01939b2e-6c1a-7f00-8000-{number:012d}",
        "kind": kind,
    }
    if kind in ("decision", "outcome"):
        record["subject"] = {"id": "spiffe://acme.test/ns/support/sa/triage"}
        record["decision"] = {"id": f"dec-{number}"}
    if kind == "decision":
        record["decision"] = {"id": f"dec-{number}", "effect": "allow", "enforced": "allow"}
    return record | changes


def a_refusal_record(number: int = 1, cause: str = "no_identity") -> JsonObject:
    decision: JsonObject = {
        "id": f"dec-{number}",
        "effect": "deny",
        "enforced": "deny",
        "reason": "unauthenticated",
        "cause": cause,
    }
    return a_record(number=number, decision=decision)


def a_chain(*records: JsonObject, chain: str = CHAIN, head: str = ZERO_HASH) -> list[bytes]:
    """Sealed lines: a boot record, then `records`."""
    lines = []
    for seq, record in enumerate([a_record("boot", 0), *records]):
        sealed = seal(record, seq, head, chain)
        head = sealed.hash
        lines.append(sealed.line)
    return lines


def pairs(count: int) -> list[JsonObject]:
    """`count` permitted decisions, each with its outcome."""
    return [a_record(kind, n) for n in range(1, count + 1) for kind in ("decision", "outcome")]


async def until(holds: Callable[[], bool]) -> None:
    """Give the loop turns until another thread has brought `holds` about."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the other side is a thread
            await asyncio.sleep(0)


def lines_of(directory: Path) -> list[bytes]:
    """All lines of the chain in `directory`, read without the reader under test."""
    data = b"".join(path.read_bytes() for path in sorted(directory.glob("*.jsonl")))
    lines = [line + b"\n" for line in data.split(b"\n")]
    return lines[:-1] if lines[-1] == b"\n" else [*lines[:-1], lines[-1][:-1]]


def report_of(directory: Path) -> Report:
    return verify(lines_of(directory))


def records_of(directory: Path, kind: str | None = None) -> list[Any]:
    records = [orjson.loads(line) for line in lines_of(directory)]
    return [record for record in records if kind in (None, record["kind"])]


@dataclass
class FaultyDisk(Disk):
    """A disk that can fill up, fail to sync, write in part, or stop answering until `gate`."""

    write_error: int | None = None
    sync_error: int | None = None
    allocate_error: int | None = None
    part_bytes: int | None = None
    gate: threading.Event | None = None
    sync_gate: threading.Event | None = None
    writes: int = 0
    syncs: int = 0

    def write(self, fd: int, data: bytes) -> int:
        self.writes += 1
        if self.gate is not None:
            self.gate.wait(10)
        if self.part_bytes is not None:
            super().write(fd, data[: self.part_bytes])
            raise OSError(errno.EIO, "injected")
        if self.write_error is not None:
            raise OSError(self.write_error, "injected")
        return super().write(fd, data)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        if self.sync_gate is not None:
            self.sync_gate.wait(10)
        if self.sync_error is not None:
            raise OSError(self.sync_error, "injected")
        super().sync(fd)

    def allocate(self, fd: int, size: int) -> None:
        if self.allocate_error is not None:
            raise OSError(self.allocate_error, "injected")
        super().allocate(fd, size)


@dataclass
class FullDisk(FaultyDisk):
    """Once `full`, has room for more only after the reserve was freed."""

    full: bool = False
    freed: bool = False

    def write(self, fd: int, data: bytes) -> int:
        if self.full and not self.freed:
            raise OSError(errno.ENOSPC, "injected")
        return super().write(fd, data)

    def free(self, path: Path) -> None:
        self.freed = True
        super().free(path)


@dataclass
class CountingMetrics:
    """What the log counted."""

    appended: int = 0
    wrote: int = 0
    failed: int = 0
    repeated: int = 0
    gaps: int = 0

    def audit_appended(self, seconds: float) -> None:
        self.appended += 1

    def audit_wrote(self, records: int, unix_s: float) -> None:
        self.wrote += records

    def audit_failed(self, result: str, records: int = 1) -> None:
        self.failed += records

    def audit_repeated(self, count: int) -> None:
        self.repeated += count

    def audit_gap(self) -> None:
        self.gaps += 1

    def audit_queue(self, waiting: int, capacity: int) -> None:
        pass


@dataclass
class Opened:
    """A started log with everything a test may turn."""

    log: FileAuditLog
    directory: Path
    disk: FaultyDisk
    clock: FixedClock
    metrics: CountingMetrics

    async def recover(self) -> None:
        """Let the probe's time come and wait for the gap it writes."""
        before = self.metrics.gaps
        await until(lambda: not self.log._probing)
        self.clock.pass_s(2)
        self.log.check()
        await until(lambda: self.metrics.gaps > before)


@asynccontextmanager
async def an_open_log(
    directory: Path,
    *,
    disk: FaultyDisk | None = None,
    file_bytes: int = 1 << 20,
    queue: int = 64,
    direct: bool = True,
    inputs: InputStore | None = None,
) -> AsyncIterator[Opened]:
    disk, clock, metrics = disk or FaultyDisk(), FixedClock(), CountingMetrics()
    log = FileAuditLog(
        sink=FileSink(directory=directory, file_bytes=file_bytes, reserve_bytes=4096, disk=disk),
        sidecar="spiffe://acme.test/ns/support/sa/triage",
        clock=clock,
        metrics=metrics,
        bounds=Bounds(queue=queue, direct=direct),
        inputs=inputs,
    )
    await log.start({"version": "test"})
    try:
        yield Opened(log, directory, disk, clock, metrics)
    finally:
        for gate in (disk.gate, disk.sync_gate):
            if gate is not None:
                gate.set()
        await log.close()
