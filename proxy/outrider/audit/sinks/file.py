"""The chain's files: JSON lines, rotated by size, healed after a crash. Blocking; one thread's own.

Laws: a line is acknowledged whole or cut off again; files are numbered and only ever appended to;
a directory has one writer; what is cut from a torn end is told, never silently dropped. A reserve
of disk space stands aside for the last records when the disk is full (HARDENING §10, row 14).
"""

import errno
import fcntl
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from outrider.audit.chain import LINE_LIMIT_BYTES, ZERO_HASH, OpenDecisions, read_record
from outrider.core.errors import AuditUnavailableError
from outrider.core.jsonvalue import digest

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_TAIL_BYTES: Final = 4 * LINE_LIMIT_BYTES
_RESERVE: Final = "reserve"
_LOCK: Final = "lock"
# O_NONBLOCK says what `write_now` wants; Linux honours it on no regular file so far.
_NEW: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Disk:
    """The calls that can fail, in one place."""

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def sync(self, fd: int) -> None:
        os.fdatasync(fd)

    def cut(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def allocate(self, fd: int, size: int) -> None:
        os.posix_fallocate(fd, 0, size)

    def free(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def waits(self) -> int:
        """How often this thread has slept of its own accord, as one that waits for a disk does;
        one that lost its processor to others has not."""
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What the directory held: the head to link to, and what a crash left behind.

    `torn_bytes` behind the last whole record were cut off; `unreadable` says that no head could
    be found although there are records: the chain then begins anew.
    """

    head: str
    unresolved: tuple[str, ...]
    torn_bytes: int
    torn_digest: str | None
    unreadable: bool


def chain_files(directory: Path) -> list[Path]:
    """The chain's files, oldest first."""
    return sorted(directory.glob("[0-9]*.jsonl"))


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines with their line feed; one that never ends comes in pieces that no reader accepts."""
    while line := file.readline(LINE_LIMIT_BYTES + 1):
        yield line


class FileSink:
    """Appends lines to the newest file of a directory. Errors are `OSError`s, and leave no part
    of a line behind once `repair` has passed."""

    def __init__(
        self,
        *,
        directory: Path,
        file_bytes: int,
        reserve_bytes: int = 256 * 1024,
        disk: Disk | None = None,
    ) -> None:
        self._directory = directory
        self._file_bytes = file_bytes
        self._reserve_bytes = reserve_bytes
        self._disk = disk or Disk()
        self._fd = -1
        self._lock_fd = -1
        self._number = 0
        self._size = 0
        self._fresh_file = False
        self._damaged = False
        self._spent_reserve = False
        self.open_decisions = OpenDecisions()

    @property
    def spent_reserve(self) -> bool:
        """True while the disk is full and the last records live on the reserve."""
        return self._spent_reserve

    def open(self) -> Recovered:
        """Take the directory (0700), heal the end of the chain and open the file to append to.

        Raises `AuditUnavailableError` where another process holds it, `OSError` for the disk.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_fd = os.open(
            self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_fd)
            self._lock_fd = -1
            raise AuditUnavailableError("another process writes to the audit directory") from None
        try:
            return self._opened()
        except OSError:
            self.close()
            raise

    def _opened(self) -> Recovered:
        self.restore_reserve()
        files = chain_files(self._directory)
        found = _recover(self._directory, files)
        self._number = int(files[-1].stem) if files else 0
        if files and not found.unreadable:
            self._append_to(files[-1])
        else:
            self._next_file()
        return found

    def write(self, lines: bytes) -> None:
        """Append whole lines; durable only after `sync`. A full disk is met with the reserve."""
        self.repair()
        try:
            self._append(lines)
        except OSError as fault:
            if fault.errno not in _FULL or not self._release_reserve():
                raise
            self._append(lines)

    def write_now(self, line: bytes) -> bool:
        """One plain write, or False: then nothing counts as written, and `write` mends and repeats.

        No rotation, no repair, no reserve: what takes longer is left to the writer's thread.
        """
        if self._damaged or self._fresh_file or self._size + len(line) > self._file_bytes:
            return False
        self._damaged = True
        try:
            self._damaged = self._disk.write(self._fd, line) != len(line)
        except OSError:
            return False
        self._size += 0 if self._damaged else len(line)
        return not self._damaged

    def waits(self) -> int:
        """`Disk.waits`."""
        return self._disk.waits()

    def sync(self) -> None:
        """Everything written so far is on the disk when it returns."""
        try:
            self._disk.sync(self._fd)
        except OSError:
            # The kernel may have dropped the pages and marked them clean: never trust this file.
            self._fresh_file = True
            raise

    def repair(self) -> None:
        """Remove what a failed write left behind. Raises `OSError` while that is impossible."""
        if self._damaged:
            self._disk.cut(self._fd, self._size)
            self._damaged = False

    def restore_reserve(self) -> None:
        """Set the reserve aside again. Raises `OSError` while there is no room."""
        path = self._directory / _RESERVE
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._disk.allocate(fd, self._reserve_bytes)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        self._spent_reserve = False

    def close(self) -> None:
        for fd in (self._fd, self._lock_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self._lock_fd = -1

    def _release_reserve(self) -> bool:
        if self._spent_reserve:
            return False
        self._disk.free(self._directory / _RESERVE)
        self._spent_reserve = True
        return True

    def _append(self, lines: bytes) -> None:
        if self._fresh_file or (self._size and self._size + len(lines) > self._file_bytes):
            self._next_file()
        try:
            written = self._disk.write(self._fd, lines)
            while written < len(lines):
                written += self._disk.write(self._fd, lines[written:])
        except OSError:
            self._cut()
            raise
        self._size += len(lines)

    def _cut(self) -> None:
        self._damaged = True
        try:
            self.repair()
        except OSError:
            return  # `repair` is tried again before anything else is written

    def _next_file(self) -> None:
        """Begin a file; beside it stands which decisions were open, so that a restart need not
        read the older ones. It is a hint for recovery, not evidence."""
        path = self._directory / f"{self._number + 1:08d}.jsonl"
        path.with_suffix(".open").write_bytes(orjson.dumps(self.open_decisions.ids()))
        self._append_to(path)
        self._number += 1
        self._fresh_file = False
        self._sync_directory()

    def _append_to(self, path: Path) -> None:
        fd = os.open(path, _NEW, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._size = os.fstat(fd).st_size

    def _sync_directory(self) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _recover(directory: Path, files: list[Path]) -> Recovered:
    torn = b""
    for path in reversed(files):
        head, rest = _cut_torn(path)
        torn = rest or torn
        if head is not None:
            return Recovered(
                head=head,
                unresolved=_unresolved(path),
                torn_bytes=len(torn),
                torn_digest=digest(torn) if torn else None,
                unreadable=False,
            )
        if path.stat().st_size:
            break
    return Recovered(
        head=ZERO_HASH,
        unresolved=(),
        torn_bytes=len(torn),
        torn_digest=digest(torn) if torn else None,
        unreadable=any(path.stat().st_size for path in files),
    )


def _cut_torn(path: Path) -> tuple[str | None, bytes]:
    """The hash of the last whole record, and the bytes behind it, which are cut off.

    Nothing is cut where no whole record is found: that is damage, not a torn write.
    """
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        tail = file.read()
        end = len(tail)
        while end:
            begin = tail.rfind(b"\n", 0, end - 1) + 1
            record = read_record(tail[begin:end])
            if record is not None:
                if end < len(tail):
                    file.truncate(start + end)
                    os.fsync(file.fileno())
                return str(record["hash"]), tail[end:]
            end = begin
        if start == 0 and b"\n" not in tail:
            file.truncate(0)  # not one whole line was ever written here
            return None, tail
    return None, b""


def _unresolved(path: Path) -> tuple[str, ...]:
    """Ids of the decisions permitted and not answered when the last process ended."""
    open_decisions = OpenDecisions(_hinted(path))
    with path.open("rb") as file:
        for line in read_lines(file):
            if b'"kind":"decision"' in line or b'"kind":"outcome"' in line or b'"gap":' in line:
                record = read_record(line)
                if record is not None:
                    open_decisions.see(record)
    return open_decisions.ids()


def _hinted(path: Path) -> tuple[str, ...]:
    try:
        ids = orjson.loads(path.with_suffix(".open").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return ()
    return tuple(name for name in ids if isinstance(name, str)) if isinstance(ids, list) else ()
