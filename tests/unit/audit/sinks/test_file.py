"""The chain's files: healed, rotated, never half a line."""

import errno
import threading
from queue import SimpleQueue

import pytest

from outrider.audit.chain import ZERO_HASH
from outrider.audit.sinks.file import FileSink, chain_files
from outrider.core.errors import AuditUnavailableError
from outrider.core.jsonvalue import digest
from tests.support.audit import FaultyDisk, FullDisk, a_chain, a_record, lines_of, pairs, report_of

LINES = a_chain(*pairs(2))


def _sink(directory, disk=None, file_bytes=1 << 20):
    return FileSink(directory=directory, file_bytes=file_bytes, reserve_bytes=4096, disk=disk)


def _reopened(directory):
    sink = _sink(directory)
    found = sink.open()
    sink.close()
    return found


def _written(directory, data):
    (directory / "00000001.jsonl").write_bytes(data)


def test_the_directory_is_ours_alone(tmp_path):
    sink = _sink(tmp_path / "audit")
    found = sink.open()
    sink.write(LINES[0])
    assert (tmp_path / "audit").stat().st_mode & 0o777 == 0o700
    assert {p.stat().st_mode & 0o777 for p in chain_files(tmp_path / "audit")} == {0o600}
    assert (found.head, found.unresolved, found.torn_bytes) == (ZERO_HASH, (), 0)
    with pytest.raises(AuditUnavailableError, match="another process"):
        _sink(tmp_path / "audit").open()
    sink.close()


def test_a_restart_finds_the_head_and_what_was_open(tmp_path):
    _written(tmp_path, b"".join([*LINES, *_next(a_record("decision", 9))]))
    found = _reopened(tmp_path)
    assert found.unresolved == ("dec-9",)
    assert found.head == report_of(tmp_path).head


def _next(*records):
    return a_chain(*pairs(2), *records)[len(LINES) :]


@pytest.mark.parametrize("cut", [1, 7, -1])
def test_a_torn_last_line_is_cut_off_and_told(tmp_path, cut):
    torn = LINES[4][:cut]
    _written(tmp_path, b"".join(LINES[:4]) + torn)
    found = _reopened(tmp_path)
    assert (found.torn_bytes, found.torn_digest) == (len(torn), digest(torn))
    assert lines_of(tmp_path) == LINES[:4]
    assert found.unresolved == ("dec-2",)


def test_zeros_behind_the_last_record_are_torn_too(tmp_path):
    _written(tmp_path, b"".join(LINES) + b"\x00" * 4096)
    assert _reopened(tmp_path).torn_bytes == 4096
    assert report_of(tmp_path).broken is None


def test_a_file_torn_in_its_first_line_falls_back_on_the_one_before(tmp_path):
    _written(tmp_path, b"".join(LINES))
    (tmp_path / "00000002.jsonl").write_bytes(b'{"action"')
    found = _reopened(tmp_path)
    assert (found.torn_bytes, found.unreadable) == (9, False)
    assert found.head == report_of(tmp_path).head


def test_damage_before_the_end_is_left_as_it_is(tmp_path):
    damaged = b"".join(LINES).replace(b"dec-1", b"dec-7")
    _written(tmp_path, damaged)
    assert _reopened(tmp_path).torn_bytes == 0
    assert (tmp_path / "00000001.jsonl").read_bytes() == damaged


def test_a_file_without_one_good_record_is_kept_and_another_begun(tmp_path):
    _written(tmp_path, b"nonsense\n" * 10)
    found = _reopened(tmp_path)
    assert (found.unreadable, found.head) == (True, ZERO_HASH)
    assert [path.stat().st_size for path in chain_files(tmp_path)] == [90, 0]


def test_a_full_file_is_followed_by_the_next(tmp_path):
    sink = _sink(tmp_path, file_bytes=sum(map(len, LINES[:2])))
    sink.open()
    for line in LINES:
        sink.write(line)
    sink.close()
    assert [path.name for path in chain_files(tmp_path)][:2] == ["00000001.jsonl", "00000002.jsonl"]
    assert all(p.stat().st_size <= 2 * len(LINES[1]) for p in chain_files(tmp_path))
    assert lines_of(tmp_path) == LINES


def test_decisions_open_at_a_rotation_are_found_after_a_restart(tmp_path):
    sink = _sink(tmp_path, file_bytes=1024)
    sink.open()
    for line, record in zip(a_chain(a_record("decision", 1)), range(2), strict=True):
        sink.write(line)
        assert record in (0, 1)
    sink.open_decisions.see(a_record("decision", 1))
    for line in a_chain(a_record("decision", 1), a_record("admin", 2), a_record("admin", 3))[2:]:
        sink.write(line)
    sink.close()
    assert len(chain_files(tmp_path)) == 2
    assert _reopened(tmp_path).unresolved == ("dec-1",)


def test_part_of_a_line_never_stays(tmp_path):
    disk = FaultyDisk()
    sink = _sink(tmp_path, disk)
    sink.open()
    sink.write(LINES[0])
    disk.part_bytes = 10
    with pytest.raises(OSError, match="injected"):
        sink.write(LINES[1])
    disk.part_bytes = None
    assert lines_of(tmp_path) == LINES[:1]
    sink.write(LINES[1])
    assert lines_of(tmp_path) == LINES[:2]
    sink.close()


def test_a_quick_write_that_fails_is_mended_by_the_next(tmp_path):
    disk = FaultyDisk()
    sink = _sink(tmp_path, disk)
    sink.open()
    assert sink.write_now(LINES[0])
    disk.part_bytes = 10
    assert not sink.write_now(LINES[1])
    disk.part_bytes = None
    assert not sink.write_now(LINES[1])
    sink.write(LINES[1])
    assert sink.write_now(LINES[2])
    assert lines_of(tmp_path) == LINES[:3]
    sink.close()


def test_a_full_disk_is_met_with_the_reserve_once(tmp_path):
    disk = FullDisk()
    sink = _sink(tmp_path, disk)
    sink.open()
    assert (tmp_path / "reserve").stat().st_size == 4096
    disk.full = True
    sink.write(LINES[0])
    assert sink.spent_reserve
    assert not (tmp_path / "reserve").exists()
    disk.write_error = errno.ENOSPC
    with pytest.raises(OSError, match="injected"):
        sink.write(LINES[1])
    disk.allocate_error = errno.ENOSPC
    with pytest.raises(OSError, match="injected"):
        sink.restore_reserve()
    assert sink.spent_reserve
    disk.allocate_error = disk.write_error = None
    sink.restore_reserve()
    assert not sink.spent_reserve
    sink.close()


def test_a_file_whose_sync_failed_is_never_written_again(tmp_path):
    disk = FaultyDisk(sync_error=errno.EIO)
    sink = _sink(tmp_path, disk)
    sink.open()
    sink.write(LINES[0])
    with pytest.raises(OSError, match="injected"):
        sink.sync()
    assert not sink.write_now(LINES[1])
    sink.write(LINES[1])
    sink.close()
    assert len(chain_files(tmp_path)) == 2
    assert lines_of(tmp_path) == LINES[:2]


def test_a_short_write_is_carried_on(tmp_path):
    disk = _ShortDisk()
    sink = _sink(tmp_path, disk)
    sink.open()
    sink.write(LINES[0])
    sink.close()
    assert lines_of(tmp_path) == LINES[:1]


class _ShortDisk(FaultyDisk):
    def write(self, fd, data):
        return super().write(fd, data[:100])


def test_what_cannot_be_cut_is_cut_before_anything_else_is_written(tmp_path):
    disk = _UncutDisk(part_bytes=10)
    sink = _sink(tmp_path, disk)
    sink.open()
    with pytest.raises(OSError, match="injected"):
        sink.write(LINES[0])
    disk.part_bytes = None
    with pytest.raises(OSError, match="uncut"):
        sink.write(LINES[0])
    disk.uncut = False
    sink.write(LINES[0])
    sink.close()
    assert lines_of(tmp_path) == LINES[:1]


class _UncutDisk(FaultyDisk):
    uncut = True

    def cut(self, fd, size):
        if self.uncut:
            raise OSError(errno.EIO, "uncut")
        super().cut(fd, size)


def test_a_directory_that_could_not_be_opened_can_be_tried_again(tmp_path):
    disk = FaultyDisk(allocate_error=errno.ENOSPC)
    sink = _sink(tmp_path, disk)
    with pytest.raises(OSError, match="injected"):
        sink.open()
    disk.allocate_error = None
    sink.open()
    sink.close()


def test_a_damaged_line_in_the_middle_does_not_keep_us_from_starting(tmp_path):
    _written(tmp_path, b"".join([LINES[0], b'{"kind":"decision"}}\n', *LINES[1:]]))
    assert _reopened(tmp_path).unresolved == ()


@pytest.mark.parametrize("hint", [b"nonsense", b"{}", b"[7]"])
def test_a_hint_that_cannot_be_read_is_no_hint(tmp_path, hint):
    _written(tmp_path, b"".join(LINES))
    (tmp_path / "00000001.open").write_bytes(hint)
    assert _reopened(tmp_path).unresolved == ()


def test_the_waits_of_a_thread_are_counted(tmp_path):
    asked, told = SimpleQueue(), SimpleQueue()

    def answer():
        while asked.get():
            told.put(True)

    sink = FileSink(directory=tmp_path, file_bytes=1024)
    thread = threading.Thread(target=answer)
    thread.start()
    before = sink.waits()
    for _ in range(50):  # the other thread may now and then be quick enough
        asked.put(True)
        told.get(timeout=10)
    waited = sink.waits()
    asked.put(False)
    thread.join(10)
    assert waited > before
