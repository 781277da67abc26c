"""The side store of queries (`audit.inputs: store`), so that a decision can be replayed.

Laws: each query is sealed with AES-256-GCM under a key of our own, bound to its decision id; the
store is bounded by dropping its oldest segment; destroying the key erases all. Blocking.
"""

import os
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from outrider.core.secret import Secret

_NONCE_BYTES: Final = 12
_HEAD: Final = struct.Struct(">HI")  # bytes of the id, bytes of nonce and ciphertext
_ID_LIMIT: Final = 128
_SEGMENTS: Final = 8
_NEW: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class InputStore:
    """Appends queries to segments of an eighth of the bound each. One thread's own."""

    def __init__(self, *, directory: Path, key: Secret, limit_bytes: int) -> None:
        self._directory = directory
        self._cipher = AESGCM(key.reveal())
        self._segment_bytes = max(1, limit_bytes // _SEGMENTS)
        self._fd = -1
        self._size = 0
        self._number = 0

    def append(self, decision_id: str, query: bytes) -> None:
        """Keep `query` under `decision_id`. Raises `OSError`; a part left behind is never read."""
        name = decision_id.encode()[:_ID_LIMIT]
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, query, name)
        entry = _HEAD.pack(len(name), len(sealed)) + name + sealed
        if self._fd < 0 or (self._size and self._size + len(entry) > self._segment_bytes):
            self._next_segment()
        written = os.write(self._fd, entry)
        self._size += written
        if written != len(entry):
            self._size = self._segment_bytes  # a torn entry ends its segment
            raise OSError("the input store took only part of a query")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _next_segment(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.close()
        segments = _segments(self._directory)
        for old in segments[: max(0, len(segments) - _SEGMENTS + 1)]:
            old.unlink(missing_ok=True)
        self._number = int(segments[-1].stem) + 1 if segments else 1
        self._fd = os.open(self._directory / f"{self._number:08d}.inputs", _NEW, 0o600)
        self._size = 0


def read_input(directory: Path, key: Secret, decision_id: str) -> bytes | None:
    """The query of `decision_id`, or None where it was never kept, was dropped, or was altered."""
    cipher = AESGCM(key.reveal())
    wanted = decision_id.encode()[:_ID_LIMIT]
    for segment in reversed(_segments(directory)):
        with segment.open("rb") as file:
            for sealed in _sealed(file, wanted):
                try:
                    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], wanted)
                except (InvalidTag, ValueError):
                    return None
    return None


def read_inputs(directory: Path, key: Secret) -> Iterator[bytes]:
    """Every query that is kept, oldest first; what was altered is passed over."""
    cipher = AESGCM(key.reveal())
    for segment in _segments(directory):
        with segment.open("rb") as file:
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                name_bytes, sealed_bytes = _HEAD.unpack(head)
                name, sealed = file.read(name_bytes), file.read(sealed_bytes)
                try:
                    yield cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name)
                except (InvalidTag, ValueError):
                    continue


def _segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("[0-9]*.inputs"))


def _sealed(file: BinaryIO, wanted: bytes) -> Iterator[bytes]:
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        name_bytes, sealed_bytes = _HEAD.unpack(head)
        if file.read(name_bytes) == wanted:
            yield file.read(sealed_bytes)
        else:
            file.seek(sealed_bytes, os.SEEK_CUR)
