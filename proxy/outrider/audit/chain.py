"""The hash chain of audit records (CONTRACTS §7): sealing one, checking many. Pure.

Laws: `hash = sha256(0x00 || JCS(record without hash))`; `prev` is the hash before it; a chain is
one sidecar's one boot, begins with a `boot` record of seq 0 and links to the head before it; a
line is exactly the RFC 8785 bytes of its record and a line feed. Add, never repurpose.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

import orjson

from outrider.core.jsonvalue import (
    FloatFree,
    Json,
    JsonObject,
    as_list,
    as_object,
    canonical,
    short_canonical,
)
from outrider.core.vocabulary import Effect, RecordKind

ZERO_HASH: Final = "sha256:" + "0" * 64
"""`prev` of the very first record."""
LINE_LIMIT_BYTES: Final = 1 << 20
"""No record is longer; a reader need not hold more."""
NAMED_LIMIT: Final = 256
"""Ids of decisions that one gap record or one report names at most."""

_KINDS: Final = frozenset(kind.value for kind in RecordKind)
# Stands in for the hash while a record is sealed; unguessable, so no member can hold it.
_BLANK: Final = "sha256:" + secrets.token_hex(32)
_BLANK_MEMBER: Final = f'"hash":"{_BLANK}",'.encode()


class Sealed(NamedTuple):
    """A record as it is written: its line, and the hash the next one links to."""

    line: bytes
    hash: str


def seal(record: JsonObject, seq: int, prev: str, chain: str) -> Sealed:
    """The line of `record` at place `seq` of `chain`, behind the record whose hash is `prev`.

    Raises `ValueError` for a record without canonical form, for one whose form would not read
    back (a float beyond 2^53 stands there as an integer), or longer than `LINE_LIMIT_BYTES`.
    """
    # One serialisation serves both: the bytes that are hashed are the line without `hash`.
    whole = {**record, "seq": seq, "prev": prev, "chain": chain, "hash": _BLANK}
    quick = short_canonical(whole, float_free=type(record) is FloatFree)
    text = canonical(whole) if quick is None else quick
    start = text.find(_BLANK_MEMBER)
    if start < 0 or len(text) >= LINE_LIMIT_BYTES:
        raise ValueError("not a record that can be sealed")
    before, after = text[:start], text[start + len(_BLANK_MEMBER) :]
    own = "sha256:" + hashlib.sha256(b"\x00" + before + after).hexdigest()
    line = b"".join((before, b'"hash":"', own.encode(), b'",', after, b"\n"))
    if quick is None and read_record(line) is None:
        raise ValueError("not a record that would read back")
    return Sealed(line, own)


class BreakReason(StrEnum):
    """Why a record cannot stand where it stands."""

    PARSE = "parse"
    HASH = "hash"
    PREV = "prev"
    SEQ = "seq"
    MEANING = "meaning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first bad record: its index from 0 in what was read, and what is wrong with it."""

    index: int
    reason: BreakReason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a walk over a chain found. `records` are good ones, up to the first bad one.

    `unresolved` are permitted decisions with neither outcome nor gap (the first `NAMED_LIMIT`):
    under way in a live sidecar, lost in a dead one. `whole` says that the first boot was seen.
    """

    records: int
    broken: Break | None
    whole: bool
    chains: int
    gaps: int
    unresolved: tuple[str, ...]
    unresolved_count: int
    seq: int
    head: str


class OpenDecisions:
    """Permitted decisions that no outcome has answered yet."""

    __slots__ = ("_ids",)

    def __init__(self, ids: Iterable[str] = ()) -> None:
        self._ids = dict.fromkeys(ids)

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> tuple[str, ...]:
        """Oldest first."""
        return tuple(self._ids)

    def see(self, record: JsonObject) -> str | None:
        """Take note of a record; the text says why its meaning cannot stand, if it cannot."""
        kind = record.get("kind")
        if kind == RecordKind.DECISION:
            return self._opened(as_object(record.get("decision")))
        if kind == RecordKind.OUTCOME:
            name = as_object(record.get("decision")).get("id")
            if not isinstance(name, str):
                return "an outcome that names no decision"
            if name not in self._ids:
                return "an outcome without a decision that permitted it"
            del self._ids[name]
        elif kind == RecordKind.GAP:
            for name in as_list(as_object(record.get("gap")).get("decisions")):
                if isinstance(name, str):
                    self._ids.pop(name, None)
        return None

    def _opened(self, decision: JsonObject) -> str | None:
        name = decision.get("id")
        if not isinstance(name, str):
            return "a decision without an id"
        if name in self._ids:
            return "a second decision of one id"
        if decision.get("enforced") == Effect.ALLOW:
            self._ids[name] = None
        return None


@dataclass(slots=True, kw_only=True)
class Verifier:
    """Walks a chain line by line; memory grows with the open decisions alone.

    With `whole` the first line must be the first boot of all; without, older files were retired
    and the walk begins wherever they end (an outcome may then answer a decision not seen).
    """

    whole: bool = True
    _records: int = 0
    _chains: int = 0
    _gaps: int = 0
    _seq: int = -1
    _head: str = ZERO_HASH
    _chain: str = ""
    _broken: Break | None = None
    _open: OpenDecisions = field(default_factory=OpenDecisions)

    def feed(self, line: bytes) -> Break | None:
        """Check the next line (with its line feed). Nothing is checked after the first break."""
        if self._broken is not None:
            return self._broken
        try:
            record = _read(line)
            self._place(record)
            self._meaning(record)
        except _BadRecordError as fault:
            self._broken = Break(index=self._records, reason=fault.reason, detail=fault.detail)
            return self._broken
        self._records += 1
        return None

    def report(self) -> Report:
        unresolved = self._open.ids()
        return Report(
            records=self._records,
            broken=self._broken,
            whole=self.whole,
            chains=self._chains,
            gaps=self._gaps,
            unresolved=unresolved[:NAMED_LIMIT],
            unresolved_count=len(unresolved),
            seq=self._seq,
            head=self._head,
        )

    def _place(self, record: JsonObject) -> None:
        seq, prev, chain = record.get("seq"), record.get("prev"), record.get("chain")
        if not isinstance(seq, int) or isinstance(seq, bool) or not isinstance(chain, str):
            raise _BadRecordError(BreakReason.PARSE, "seq or chain has the wrong type")
        started = bool(self._chains)
        if chain != self._chain:
            if record.get("kind") == RecordKind.BOOT:
                expected = 0
            elif started or self.whole:
                raise _BadRecordError(BreakReason.SEQ, "a chain that does not begin with a boot")
            else:
                expected = seq
        else:
            expected = self._seq + 1
        if seq != expected:
            raise _BadRecordError(BreakReason.SEQ, f"seq is {seq} where {expected} follows")
        if prev != self._head and (started or self.whole):
            raise _BadRecordError(BreakReason.PREV, "prev is not the hash of the record before")
        self._chains += chain != self._chain
        self._seq, self._chain = seq, chain
        self._head = str(record["hash"])

    def _meaning(self, record: JsonObject) -> None:
        if record.get("kind") not in _KINDS:
            raise _BadRecordError(BreakReason.MEANING, "a kind of record that is not known")
        self._gaps += record.get("kind") == RecordKind.GAP
        fault = self._open.see(record)
        if fault is not None and (self.whole or record.get("kind") != RecordKind.OUTCOME):
            raise _BadRecordError(BreakReason.MEANING, fault)


class _BadRecordError(Exception):
    def __init__(self, reason: BreakReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _read(line: bytes) -> JsonObject:
    """The record of a line whose bytes and hash are right."""
    if not line.endswith(b"\n") or len(line) > LINE_LIMIT_BYTES:
        raise _BadRecordError(BreakReason.PARSE, "a line without an end")
    try:
        record: Json = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise _BadRecordError(BreakReason.PARSE, "not JSON") from None
    if not isinstance(record, dict):
        raise _BadRecordError(BreakReason.PARSE, "not an object")
    try:
        if canonical(record) != line[:-1]:
            raise _BadRecordError(BreakReason.PARSE, "not the canonical form")
        stated = record.pop("hash", None)
        actual = "sha256:" + hashlib.sha256(b"\x00" + canonical(record)).hexdigest()
    except ValueError:
        raise _BadRecordError(BreakReason.PARSE, "no canonical form") from None
    if stated != actual:
        raise _BadRecordError(BreakReason.HASH, "the hash is not this record's")
    record["hash"] = actual
    return record


def verify(lines: Iterable[bytes], *, whole: bool = True) -> Report:
    """Walk `lines` (each with its line feed) up to the first bad record, in bounded memory."""
    verifier = Verifier(whole=whole)
    for line in lines:
        if verifier.feed(line) is not None:
            break
    return verifier.report()


def read_record(line: bytes) -> JsonObject | None:
    """The record of a line, if its form and hash are right; its place is not judged."""
    try:
        return _read(line)
    except _BadRecordError:
        return None
