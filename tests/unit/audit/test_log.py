"""The log acknowledges what is written, refuses what is not, and comes back without a restart."""

import asyncio
import errno
import threading
from functools import partial
from queue import SimpleQueue

import orjson
import pytest

from outrider.audit.chain import ZERO_HASH, seal, verify
from outrider.audit.inputs import InputStore, read_input
from outrider.audit.log import Bounds, FileAuditLog
from outrider.audit.sinks.file import FileSink
from outrider.audit.writer import BatchReport, Command, Entry, Item, Stage, Writer
from outrider.core.errors import AuditUnavailableError
from outrider.core.secret import Secret
from tests.support.audit import (
    CountingMetrics,
    FaultyDisk,
    FullDisk,
    a_record,
    a_refusal_record,
    an_open_log,
    lines_of,
    records_of,
    report_of,
    until,
)
from tests.support.builders import FixedClock


@pytest.mark.parametrize("direct", [True, False])
async def test_a_record_is_on_the_chain_when_append_returns(tmp_path, direct):
    async with an_open_log(tmp_path, direct=direct) as opened:
        await opened.log.append(a_record("decision", 1), durable=False)
        assert [r["kind"] for r in records_of(tmp_path)] == ["boot", "decision"]
        assert opened.disk.syncs == 1  # the boot record's
        assert opened.log.state().unresolved == 1
    assert opened.metrics.wrote == 2


async def test_a_durable_record_is_synced_when_append_returns(tmp_path):
    async with an_open_log(tmp_path) as opened:
        await opened.log.append(a_record("decision", 1), durable=True)
        assert opened.disk.syncs == 2


async def test_one_sync_serves_all_that_wait(tmp_path):
    gate = threading.Event()
    async with an_open_log(tmp_path) as opened:
        opened.disk.sync_gate = gate
        async with asyncio.TaskGroup() as group:
            group.create_task(opened.log.append(a_record("decision", 1), durable=True))
            await until(lambda: opened.disk.syncs == 2)  # the rest wait behind it
            for number in range(2, 31):
                record = a_record("decision", number)
                group.create_task(opened.log.append(record, durable=True))
            await until(lambda: opened.log.state().queued == 30)
            gate.set()
        assert opened.disk.syncs == 3
    assert report_of(tmp_path).records == 31


async def test_who_needs_no_sync_does_not_wait_for_one(tmp_path):
    gate = threading.Event()
    disk = FaultyDisk(gate=None)
    async with an_open_log(tmp_path, disk=disk, direct=False) as opened:
        disk.gate, disk.sync_gate = threading.Event(), gate
        async with asyncio.TaskGroup() as group:
            first = group.create_task(opened.log.append(a_record("admin", 1), durable=False))
            await until(lambda: disk.writes == 2)
            waits = group.create_task(opened.log.append(a_record("decision", 2), durable=True))
            quick = group.create_task(opened.log.append(a_record("admin", 3), durable=False))
            await until(lambda: opened.log.state().queued == 3)
            disk.gate.set()
            await first
            await quick
            assert not waits.done()
            gate.set()
    assert report_of(tmp_path).broken is None


async def test_records_stand_in_the_order_they_were_given(tmp_path):
    async with an_open_log(tmp_path) as opened, asyncio.TaskGroup() as group:
        for number in range(1, 51):
            record = a_record("decision", number)
            group.create_task(opened.log.append(record, durable=number % 3 == 0))
    numbers = [int(r["decision"]["id"][4:]) for r in records_of(tmp_path, "decision")]
    assert numbers == list(range(1, 51))
    assert report_of(tmp_path).broken is None


async def test_a_cancelled_append_leaves_its_record_to_be_written(tmp_path):
    gate = threading.Event()
    async with an_open_log(tmp_path) as opened:
        opened.disk.sync_gate = gate
        async with asyncio.TaskGroup() as group:
            task = group.create_task(opened.log.append(a_record("decision", 1), durable=True))
            await until(lambda: opened.disk.syncs == 2)
            task.cancel()
        gate.set()
        await opened.log.append(a_record("outcome", 1), durable=False)
    assert report_of(tmp_path).records == 3


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"write_error": errno.EIO}, id="write"),
        pytest.param({"part_bytes": 9}, id="part-of-a-write"),
    ],
)
@pytest.mark.control("AU-01")
async def test_a_failed_write_refuses_until_a_gap_could_be_written(tmp_path, direct, fault):
    async with an_open_log(tmp_path, direct=direct) as opened:
        for name, value in fault.items():
            setattr(opened.disk, name, value)
        with pytest.raises(AuditUnavailableError):
            await opened.log.append(a_record("decision", 1), durable=False)
        with pytest.raises(AuditUnavailableError):
            await opened.log.append(a_record("decision", 2), durable=False)
        assert not opened.log.healthy()
        for name in fault:
            setattr(opened.disk, name, None)
        await opened.recover()
        assert opened.log.healthy()
        await opened.log.append(a_record("decision", 3), durable=False)
        await opened.log.append(a_record("outcome", 3), durable=False)
    (gap,) = records_of(tmp_path, "gap")
    assert gap["gap"]["cause"] == "write_failed"
    assert [r["decision"]["id"] for r in records_of(tmp_path, "decision")] == ["dec-3"]
    assert report_of(tmp_path).broken is None


@pytest.mark.control("AU-01")
async def test_a_failed_sync_refuses_and_the_gap_names_the_decision(tmp_path):
    async with an_open_log(tmp_path) as opened:
        opened.disk.sync_error = errno.EIO
        with pytest.raises(AuditUnavailableError):
            await opened.log.append(a_record("decision", 1), durable=True)
        opened.disk.sync_error = None
        await opened.recover()
    (gap,) = records_of(tmp_path, "gap")
    assert gap["gap"] == {"cause": "sync_failed", "lost": 0, "decisions": ["dec-1"]}
    report = report_of(tmp_path)
    assert (report.broken, report.unresolved) == (None, ())


async def test_a_probe_that_fails_leaves_the_log_down_and_is_repeated(tmp_path):
    async with an_open_log(tmp_path) as opened:
        opened.disk.write_error = errno.EIO
        with pytest.raises(AuditUnavailableError):
            await opened.log.append(a_record("decision", 1), durable=True)
        writes = opened.disk.writes
        opened.clock.pass_s(2)
        opened.log.check()
        await until(lambda: opened.disk.writes > writes and not opened.log.state().queued)
        assert not opened.log.healthy()
        opened.disk.write_error = None
        await opened.recover()
        assert opened.log.healthy()
    assert len(records_of(tmp_path, "gap")) == 1


async def test_all_that_was_sealed_behind_a_failed_record_fails_with_it(tmp_path):
    gate = threading.Event()
    async with an_open_log(tmp_path, direct=False) as opened:
        opened.disk.gate = gate
        opened.disk.write_error = errno.EIO
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(1, 21):
                record = a_record("decision", number)
                tasks.append(group.create_task(_outcome(opened.log.append(record, durable=True))))
                await until(lambda: opened.disk.writes == 2)  # the first is being written
            gate.set()
        assert {task.result() for task in tasks} == {"refused"}
        opened.disk.write_error = None
        await opened.recover()
    report = report_of(tmp_path)
    assert (report.broken, report.records) == (None, 2)


async def _outcome(append):
    try:
        await append
    except AuditUnavailableError:
        return "refused"
    return "written"


@pytest.mark.control("AU-01")
async def test_a_full_disk_refuses_decisions_and_keeps_room_for_outcomes(tmp_path):
    disk = FullDisk()
    async with an_open_log(tmp_path, disk=disk) as opened:
        await opened.log.append(a_record("decision", 1), durable=True)
        disk.full = True
        await opened.log.append(a_record("admin", 2), durable=False)  # meets the reserve
        disk.allocate_error = errno.ENOSPC
        assert opened.log.state().fault == "disk_full"
        with pytest.raises(AuditUnavailableError, match="full"):
            await opened.log.append(a_record("decision", 3), durable=False)
        await opened.log.append(a_record("outcome", 1), durable=False)
        disk.full, disk.allocate_error = False, None
        opened.log.check()
        await until(opened.log.healthy)
        await opened.log.append(a_record("decision", 4), durable=False)
    assert report_of(tmp_path).unresolved == ("dec-4",)


async def test_the_queue_is_bounded_and_keeps_a_tail_for_outcomes(tmp_path):
    gate = threading.Event()
    async with an_open_log(tmp_path, queue=16, direct=False) as opened:
        opened.disk.gate = gate
        for number in range(1, 15):
            opened.log.append_nowait(a_record("admin", number))
        with pytest.raises(AuditUnavailableError, match="queue is full"):
            await opened.log.append(a_record("decision", 15), durable=False)
        opened.log.append_nowait(a_record("admin", 15))
        opened.log.append_nowait(a_record("admin", 16))
        assert opened.log.healthy()
        for number in range(17, 20):  # no room: two are held back, the third is lost
            opened.log.append_nowait(a_record("admin", number))
        assert (opened.log.healthy(), opened.metrics.failed) == (False, 1)
        gate.set()
        await until(lambda: not opened.log.state().queued)
        await opened.recover()
    (gap,) = records_of(tmp_path, "gap")
    assert (gap["gap"]["cause"], gap["gap"]["lost"]) == ("queue_full", 1)
    assert len(records_of(tmp_path, "admin")) == 18
    assert report_of(tmp_path).broken is None


async def test_a_disk_that_does_not_answer_fails_those_who_wait(tmp_path):
    gate = threading.Event()
    async with an_open_log(tmp_path) as opened:
        opened.disk.gate = gate
        async with asyncio.TaskGroup() as group:
            waits = group.create_task(
                _outcome(opened.log.append(a_record("decision", 1), durable=True))
            )
            await until(lambda: opened.disk.writes == 2)
            opened.clock.pass_s(2.5)
            opened.log.check()
            assert await waits == "refused"
            assert opened.log.state().fault == "stalled"
            gate.set()
        await until(lambda: not opened.log.state().queued)
        await opened.recover()
        assert opened.log.healthy()
    (gap,) = records_of(tmp_path, "gap")
    assert gap["gap"] == {"cause": "stalled", "lost": 0, "decisions": ["dec-1"]}
    assert report_of(tmp_path).unresolved == ()


async def test_writes_on_the_loop_that_wait_for_the_disk_send_the_next_ones_by_the_thread(tmp_path):
    async with an_open_log(tmp_path) as opened:
        _slow(opened, waits=1)
        for number in range(1, 4):
            await opened.log.append(a_record("admin", number), durable=False)
        assert opened.disk.threads == [True, True, False]
        opened.clock.pass_s(11)
        await opened.log.append(a_record("admin", 4), durable=False)
        assert opened.disk.threads == [True, True, False, True]


async def test_a_loop_that_loses_its_processor_goes_on_writing(tmp_path):
    async with an_open_log(tmp_path) as opened:
        _slow(opened, waits=0)
        for number in range(1, 6):
            await opened.log.append(a_record("admin", number), durable=False)
        assert opened.disk.threads == [True] * 5


async def test_a_query_that_nobody_keeps_sends_no_record_by_the_thread(tmp_path):
    async with an_open_log(tmp_path) as opened:
        _slow(opened, waits=0)
        await opened.log.append(a_record("decision", 1), durable=False, query=b"{}")
        assert opened.disk.threads == [True]


async def test_a_slow_write_that_stays_alone_changes_nothing(tmp_path):
    async with an_open_log(tmp_path) as opened:
        _slow(opened, waits=1)
        for number in range(1, 4):
            await opened.log.append(a_record("admin", number), durable=False)
            opened.clock.pass_s(11)
        assert opened.disk.threads == [True] * 3


def _slow(opened, *, waits):
    """Every write takes 10 ms, in which its thread sleeps `waits` times."""
    plain = opened.disk.write
    opened.disk.threads = []
    slept = 0

    def write(fd, data):
        nonlocal slept
        opened.disk.threads.append(threading.current_thread() is threading.main_thread())
        opened.clock.pass_s(0.01)
        slept += waits
        return plain(fd, data)

    opened.disk.write = write
    opened.disk.waits = lambda: slept


@pytest.mark.case("P12")
async def test_a_flood_of_one_refusal_is_folded(tmp_path):
    async with an_open_log(tmp_path, queue=1024) as opened:
        for number in range(1, 501):
            opened.log.append_refusal(a_refusal_record(number))
        opened.clock.pass_s(1)
        opened.log.check()
        assert opened.metrics.repeated == 490
    assert len(records_of(tmp_path, "decision")) == 10
    (repeat,) = records_of(tmp_path, "repeat")
    assert repeat["repeat"] == {"count": 490, "last_decision": "dec-500"}
    assert repeat["decision"]["cause"] == "no_identity"
    assert report_of(tmp_path).broken is None


async def test_a_flood_of_different_refusals_says_how_many_were_different(tmp_path):
    async with an_open_log(tmp_path, queue=1024) as opened:
        for number in range(1, 101):
            action = {"name": "resources/read", "resource": f"file:///{number}"}
            opened.log.append_refusal({**a_refusal_record(number), "action": action})
        opened.clock.pass_s(1)
        opened.log.check()
    assert len(records_of(tmp_path, "decision")) == 64
    (repeat,) = records_of(tmp_path, "repeat")
    assert repeat["repeat"] == {"count": 36, "last_decision": "dec-100", "distinct": 36}
    assert "action" not in repeat
    assert report_of(tmp_path).broken is None


async def test_what_was_folded_last_is_recorded_at_the_end(tmp_path):
    async with an_open_log(tmp_path) as opened:
        for number in range(1, 13):
            opened.log.append_refusal(a_refusal_record(number))
    assert [r["repeat"]["count"] for r in records_of(tmp_path, "repeat")] == [2]


@pytest.mark.case("P21")
async def test_a_restart_links_on_and_tells_what_was_left_open(tmp_path):
    async with an_open_log(tmp_path) as opened:
        await opened.log.append(a_record("decision", 1), durable=True)
        await opened.log.append(a_record("decision", 2), durable=True)
        await opened.log.append(a_record("outcome", 2), durable=False)
    with (tmp_path / "00000001.jsonl").open("ab") as file:
        file.write(b'{"action":{"na')
    async with an_open_log(tmp_path) as opened:
        assert opened.metrics.gaps == 2
    gaps = [r["gap"] for r in records_of(tmp_path, "gap")]
    assert [gap["cause"] for gap in gaps] == ["torn", "unresolved"]
    assert (gaps[0]["bytes"], gaps[1]["decisions"]) == (14, ["dec-1"])
    report = report_of(tmp_path)
    assert (report.broken, report.chains, report.unresolved) == (None, 2, ())
    first, second = records_of(tmp_path, "boot")
    assert first["chain"] != second["chain"]
    assert second["prev"] == second["boot"]["previous"]


async def test_a_gap_of_many_decisions_is_told_in_several(tmp_path):
    async with an_open_log(tmp_path, queue=1024) as opened:
        for number in range(1, 301):
            await opened.log.append(a_record("decision", number), durable=False)
    async with an_open_log(tmp_path):
        pass
    assert [len(r["gap"]["decisions"]) for r in records_of(tmp_path, "gap")] == [256, 44]


async def test_files_rotate_within_a_chain(tmp_path):
    async with an_open_log(tmp_path, file_bytes=2048) as opened:
        for number in range(1, 21):
            await opened.log.append(a_record("decision", number), durable=number % 2 == 0)
            await opened.log.append(a_record("outcome", number), durable=False)
    assert len(list(tmp_path.glob("*.jsonl"))) > 5
    assert report_of(tmp_path).records == 41


async def test_queries_are_kept_where_inputs_are_stored(tmp_path):
    key = Secret(b"k" * 32)
    inputs = InputStore(directory=tmp_path / "inputs", key=key, limit_bytes=1 << 20)
    async with an_open_log(tmp_path / "audit", inputs=inputs) as opened:
        await opened.log.append(a_record("decision", 1), durable=False, query=b"query-1")
        await opened.log.append(a_record("outcome", 1), durable=False)
    kept = await asyncio.to_thread(read_input, tmp_path / "inputs", key, "dec-1")
    assert kept == b"query-1"


async def test_a_record_without_canonical_form_is_refused_and_breaks_nothing(tmp_path):
    async with an_open_log(tmp_path) as opened:
        with pytest.raises(AuditUnavailableError, match="canonical"):
            await opened.log.append(a_record("decision", 1, big=2**60), durable=True)
        await opened.log.append(a_record("decision", 2), durable=False)
        assert opened.log.healthy()
    assert report_of(tmp_path).records == 2


async def test_a_log_that_cannot_begin_does_not_start(tmp_path):
    (tmp_path / "audit").write_bytes(b"a file where a directory should be")
    with pytest.raises(AuditUnavailableError):
        async with an_open_log(tmp_path / "audit"):
            raise AssertionError
    disk = FaultyDisk(write_error=errno.EIO)
    with pytest.raises(AuditUnavailableError):
        async with an_open_log(tmp_path / "other", disk=disk):
            raise AssertionError
    assert lines_of(tmp_path / "other") == []


async def test_a_closed_log_refuses(tmp_path):
    async with an_open_log(tmp_path) as opened:
        pass
    await opened.log.close()
    with pytest.raises(AuditUnavailableError):
        await opened.log.append(a_record(), durable=False)
    assert not opened.log.healthy()
    opened.log.append_nowait(a_record("admin"))
    assert opened.metrics.failed == 1


async def test_outcomes_that_were_queued_when_a_write_failed_stand_behind_the_gap(tmp_path):
    async with an_open_log(tmp_path, direct=False) as opened:
        await opened.log.append(a_record("decision", 1), durable=True)
        opened.disk.write_error = errno.EIO
        opened.log.append_nowait(a_record("outcome", 1))
        await until(lambda: not opened.log.healthy())
        opened.log.append_nowait(a_record("admin", 2))
        opened.disk.write_error = None
        await opened.recover()
        await until(lambda: not opened.log._probing)
    assert [r["kind"] for r in records_of(tmp_path)[2:]] == ["gap", "outcome", "admin"]
    assert report_of(tmp_path).unresolved == ()
    assert opened.metrics.failed == 0


async def test_what_is_still_held_back_at_the_end_is_counted_as_lost(tmp_path):
    async with an_open_log(tmp_path) as opened:
        opened.disk.write_error = errno.EIO
        opened.log.append_nowait(a_record("admin", 1))
        await until(lambda: not opened.log.healthy())
    assert opened.metrics.failed == 1
    assert report_of(tmp_path).records == 1


async def test_refusals_on_a_full_disk_are_held_back_without_a_fault(tmp_path):
    disk = FullDisk()
    async with an_open_log(tmp_path, disk=disk) as opened:
        disk.full = True
        await opened.log.append(a_record("admin", 1), durable=False)
        disk.allocate_error = errno.ENOSPC
        opened.log.check()  # asks for the reserve in vain
        opened.log.append_refusal(a_refusal_record(2))
        assert opened.log.state().fault == "disk_full"
        disk.full, disk.allocate_error = False, None
        opened.log.check()
        await until(opened.log.healthy)
        opened.log.check()
    assert len(records_of(tmp_path, "decision")) == 1


async def test_a_failed_sync_keeps_what_needed_none(tmp_path):
    gate = threading.Event()
    async with an_open_log(tmp_path, direct=False) as opened:
        opened.disk.gate, opened.disk.sync_error = gate, errno.EIO
        async with asyncio.TaskGroup() as group:
            opened.log.append_nowait(a_record("admin", 1))
            await until(lambda: opened.disk.writes == 2)
            decided = group.create_task(
                _outcome(opened.log.append(a_record("decision", 2), durable=True))
            )
            plain = group.create_task(
                _outcome(opened.log.append(a_record("admin", 3), durable=False))
            )
            await until(lambda: opened.log.state().queued == 3)
            gate.set()
        assert (decided.result(), plain.result()) == ("refused", "written")
        opened.disk.sync_error = None
        await opened.recover()
    report = report_of(tmp_path)
    assert (report.broken, report.unresolved) == (None, ())
    assert len(records_of(tmp_path, "admin")) == 2


async def test_a_log_that_never_started_can_be_closed(tmp_path):
    log = FileAuditLog(
        sink=FileSink(directory=tmp_path, file_bytes=1024),
        sidecar="x",
        clock=FixedClock(),
        metrics=CountingMetrics(),
        bounds=Bounds(queue=64),
    )
    await log.close()
    with pytest.raises(AuditUnavailableError):
        await log.append(a_record(), durable=False)


def test_a_writer_whose_loop_is_gone_ends_in_peace(tmp_path):
    loop = asyncio.new_event_loop()
    loop.close()
    sink = FileSink(directory=tmp_path, file_bytes=1 << 20)
    sink.open()
    queue: SimpleQueue[Item] = SimpleQueue()
    writer = Writer(sink=sink, inputs=None, queue=queue, loop=loop, report=lambda _: None)
    sealed = seal(a_record("boot", 0), 0, ZERO_HASH, "x")
    queue.put(Entry(a_record("boot", 0), sealed, durable=False, query=None, at_s=0.0))
    queue.put(Command.STOP)
    writer.run()
    assert report_of(tmp_path).records == 1


class _FailsOnce(FaultyDisk):
    """A disk that writes a part and fails, and is well from then on."""

    def write(self, fd, data):
        try:
            return super().write(fd, data)
        finally:
            self.part_bytes = None


async def _served(writer_of, *items):
    """What a writer reports that serves `items` and then stops."""
    reports: list[BatchReport] = []
    queue: SimpleQueue[Item] = SimpleQueue()
    for item in (*items, Command.STOP):
        queue.put(item)
    writer = writer_of(queue=queue, loop=asyncio.get_running_loop(), report=reports.append)
    await asyncio.to_thread(writer.run)
    await asyncio.sleep(0)
    return reports


def _entries(count, *, generation=0):
    entries, head = [], ZERO_HASH
    for number in range(count):
        record = a_record("admin", number)
        sealed = seal(record, number, head, "x")
        head = sealed.hash
        entry = Entry(record, sealed, durable=False, query=None, at_s=0.0)
        entry.seq, entry.generation = number, generation
        entries.append(entry)
    return entries


@pytest.mark.parametrize(
    ("count", "batches"),
    [
        pytest.param(255, [255], id="fits"),
        pytest.param(256, [256], id="fits-exactly"),
        pytest.param(600, [256, 256, 88], id="more"),
    ],
)
async def test_one_batch_holds_so_many_records_and_no_more(tmp_path, count, batches):
    sink = FileSink(directory=tmp_path, file_bytes=1 << 20)
    await asyncio.to_thread(sink.open)
    entries = _entries(count)
    reports = await _served(partial(Writer, sink=sink, inputs=None), *entries)
    assert [len(report.entries) for report in reports] == batches
    assert {report.stage for report in reports} == {Stage.SYNCED}
    assert lines_of(tmp_path) == [entry.line for entry in entries]


async def test_what_was_sealed_before_a_fault_was_known_fails_and_the_rest_is_written(tmp_path):
    disk = _FailsOnce(part_bytes=9)
    sink = FileSink(directory=tmp_path, file_bytes=1 << 20, disk=disk)
    await asyncio.to_thread(sink.open)
    first, second = _entries(256), _entries(3)
    late, new = second[:2], second[2:]
    new[0].generation = 1
    reports = await _served(partial(Writer, sink=sink, inputs=None), *first, *late, *new)
    assert [(r.stage, r.entries) for r in reports] == [
        (Stage.FAILED, tuple(first)),
        (Stage.FAILED, tuple(late)),
        (Stage.SYNCED, tuple(new)),
    ]
    assert lines_of(tmp_path) == [new[0].line]


@pytest.mark.parametrize(
    ("fault", "stages"),
    [
        pytest.param(errno.ENOSPC, [], id="still-full"),
        pytest.param(None, [Stage.SYNCED], id="room-again"),
    ],
)
async def test_the_reserve_is_restored_once_there_is_room(tmp_path, fault, stages):
    disk = FullDisk()
    sink = FileSink(directory=tmp_path, file_bytes=1 << 20, disk=disk)
    await asyncio.to_thread(sink.open)
    disk.full = True
    await asyncio.to_thread(sink.write, b"{}\n")
    assert sink.spent_reserve
    disk.allocate_error = fault
    reports = await _served(partial(Writer, sink=sink, inputs=None), Command.RESTORE)
    assert [report.stage for report in reports] == stages
    assert sink.spent_reserve is (fault is not None)


async def test_a_restart_on_files_that_nobody_can_read_says_so_and_leaves_them(tmp_path):
    (tmp_path / "00000001.jsonl").write_bytes(b"no record\n")
    async with an_open_log(tmp_path) as opened:
        assert (opened.metrics.gaps, opened.log.healthy()) == (1, True)
        await opened.log.append(a_record("decision", 1), durable=False)
    assert (tmp_path / "00000001.jsonl").read_bytes() == b"no record\n"
    lines = (tmp_path / "00000002.jsonl").read_bytes().splitlines(keepends=True)
    boot, gap, _ = map(orjson.loads, lines)
    assert (boot["prev"], gap["gap"]) == (
        ZERO_HASH,
        {"cause": "unreadable", "lost": 0, "decisions": []},
    )
    assert verify(lines).broken is None


async def test_the_gaps_of_a_start_that_failed_are_told_anew_and_are_not_lost(tmp_path):
    async with an_open_log(tmp_path) as opened:
        await opened.log.append(a_record("decision", 1), durable=True)
    with (tmp_path / "00000001.jsonl").open("ab") as file:
        file.write(b'{"action":{"na')
    metrics = CountingMetrics()
    log = FileAuditLog(
        sink=FileSink(
            directory=tmp_path, file_bytes=1 << 20, disk=FaultyDisk(write_error=errno.EIO)
        ),
        sidecar="x",
        clock=FixedClock(),
        metrics=metrics,
        bounds=Bounds(queue=64),
    )
    with pytest.raises(AuditUnavailableError):
        await log.start({"version": "test"})
    assert metrics.failed == 1  # the boot record
    async with an_open_log(tmp_path):
        pass
    assert [r["gap"]["cause"] for r in records_of(tmp_path, "gap")] == ["unresolved"]
