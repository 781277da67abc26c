"""Documents of a ledger as they stand in a store: a codec's bytes in an envelope of who wrote.

Envelope: one format byte, one byte n, n writers (8 bytes id, 8 bytes number of its last write; the
latest first, at most 16), the document. Add formats, never repurpose one.
"""

import logging
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from outrider.core.ports import Clock, Held, States

logger = logging.getLogger("outrider.tasks")

T = TypeVar("T")

LATER: Final = 16_384
"""Changes that nobody waits for, kept while their store is lost."""

LOST: Final = b""
"""What `Codec.decode` gets where a document was and cannot be read, or is gone before its time."""

WRITERS: Final = 16
_FORMAT: Final = 1
_ENTRY: Final = struct.Struct(">8sQ")


class Codec(Protocol[T]):
    """How a document is made, read and written. Documents are mutable and belong to the ledger."""

    def decode(self, data: bytes | None, now_unix_s: float) -> T:
        """The document of `data`; None: there was none yet, a new one; `LOST`: there was one and
        nobody knows what it said. Never raises: what it cannot read is lost too."""

    def encode(self, document: T) -> bytes:
        """Never empty, and within what a store takes for one value (256 KiB as shipped)."""


Life: TypeAlias = int | Callable[[T], int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place(Generic[T]):
    """Where the documents of one kind are kept, how and by whom. `life_s` is counted from a
    document's last write, and may be said for each; None keeps it. `entries` bounds those held in
    memory."""

    states: States
    table: str
    codec: Codec[T]
    clock: Clock
    life_s: Life[T]
    entries: int
    writer: bytes = field(default_factory=lambda: secrets.token_bytes(8))

    def life_of(self, document: T) -> int | None:
        """How long `document` is kept from now on."""
        life_s = self.life_s
        return life_s(document) if callable(life_s) else life_s


Writers = dict[bytes, int]
"""The number of each writer's last write, the latest writer first."""


def sealed(document: bytes, writers: Writers, writer: bytes, number: int) -> tuple[bytes, Writers]:
    """The envelope of `document` as `writer` writes it, and the writers it then names."""
    after = {writer: number}
    for other, last in writers.items():
        if len(after) < WRITERS:
            after.setdefault(other, last)
    head = bytes((_FORMAT, len(after)))
    return b"".join((head, *(_ENTRY.pack(*pair) for pair in after.items()), document)), after


def opened(data: bytes) -> tuple[bytes, Writers]:
    """Document and writers of an envelope; `LOST` and nobody for what is none."""
    if len(data) < 2 or data[0] != _FORMAT or data[1] > WRITERS:
        return LOST, {}
    end = 2 + data[1] * _ENTRY.size
    if len(data) <= end:
        return LOST, {}
    return data[end:], dict(_ENTRY.iter_unpack(data[2:end]))


def opened_of(held: Held | None) -> tuple[int, bytes | None, Writers]:
    """Version, document (None: there is none) and writers of what stands in a store."""
    if held is None or held.version == 0:
        return 0, None, {}
    document, writers = opened(held.value)
    return held.version, document, writers


def carry_out(change: Callable[[T], object], document: T, table: str) -> None:
    """Make a change that nobody waits for; one that fails is told in the log."""
    try:
        change(document)
    except BaseException as fault:  # the one who asked is gone: it fails alone
        if not isinstance(fault, Exception):
            raise
        logger.exception(
            "a later change of a document failed", extra={"event": "ledger_change", "table": table}
        )
