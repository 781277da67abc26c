"""Reading a chain from its directory, beside a sidecar that may be writing it.

Laws: reading changes nothing; lines are judged as `chain` judges them; a record is shown only if
its form and hash are right.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outrider.audit.chain import Report, Verifier, read_record
from outrider.audit.sinks.file import chain_files, read_lines
from outrider.core.jsonvalue import Json, JsonObject, as_object

_FIRST: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A report, and where its first bad record lies: file and line from 1, None if all is well."""

    report: Report
    file: Path | None
    line: int | None


def verify_directory(directory: Path) -> Located:
    """Walk all files of `directory` as one chain, in bounded memory.

    The walk must begin at the first boot unless older files were retired (numbers above 1). A
    live sidecar's last line may be in the writing: verify again before you doubt the disk.
    """
    files = chain_files(directory)
    verifier = Verifier(whole=not files or int(files[0].stem) == _FIRST)
    for path in files:
        with path.open("rb") as file:
            for number, line in enumerate(read_lines(file), start=1):
                if verifier.feed(line) is not None:
                    return Located(report=verifier.report(), file=path, line=number)
    return Located(report=verifier.report(), file=None, line=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which records are wanted; None wants all. `enforced` is what was done; times are RFC 3339."""

    kind: str | None = None
    enforced: str | None = None
    decision: str | None = None
    subject: str | None = None
    task: str | None = None
    exchange: str | None = None
    resource: str | None = None
    since: str | None = None
    until: str | None = None

    def wants(self, record: JsonObject) -> bool:
        decision = as_object(record.get("decision"))
        facts: tuple[tuple[str | None, Json], ...] = (
            (self.kind, record.get("kind")),
            (self.enforced, decision.get("enforced")),
            (self.decision, decision.get("id")),
            (self.subject, as_object(record.get("subject")).get("id")),
            (self.task, record.get("task")),
            (self.exchange, record.get("exchange")),
            (self.resource, as_object(record.get("action")).get("resource")),
        )
        if any(wanted is not None and wanted != value for wanted, value in facts):
            return False
        time = str(record.get("time"))  # one spelling in UTC: text order is time order
        return (self.since is None or time >= self.since) and (
            self.until is None or time < self.until
        )


def records(directory: Path, wanted: Filter) -> Iterator[JsonObject]:
    """The records that `wanted` wants, oldest first."""
    for path in chain_files(directory):
        with path.open("rb") as file:
            for line in read_lines(file):
                record = read_record(line)
                if record is not None and wanted.wants(record):
                    yield record


def find_decision(directory: Path, decision_id: str) -> JsonObject | None:
    """The decision record of `decision_id`, or None."""
    needle = decision_id.encode()
    for path in reversed(chain_files(directory)):
        with path.open("rb") as file:
            for line in read_lines(file):
                if needle not in line:
                    continue
                record = read_record(line)
                if record is None or record.get("kind") != "decision":
                    continue
                if as_object(record.get("decision")).get("id") == decision_id:
                    return record
    return None


class Follower:
    """Records as they are written, across rotations: call `fresh` whenever it pleases you."""

    def __init__(self, directory: Path, wanted: Filter) -> None:
        self._directory = directory
        self._wanted = wanted
        self._offsets: dict[Path, int] = {
            path: path.stat().st_size for path in chain_files(directory)
        }

    def fresh(self) -> list[JsonObject]:
        """What was written since the last call; a line in the writing waits for the next."""
        found: list[JsonObject] = []
        for path in chain_files(self._directory):
            offset = self._offsets.get(path, 0)
            if path.stat().st_size <= offset:
                continue
            with path.open("rb") as file:
                file.seek(offset)
                for line in read_lines(file):
                    if not line.endswith(b"\n"):
                        break
                    offset += len(line)
                    record = read_record(line)
                    if record is not None and self._wanted.wants(record):
                        found.append(record)
            self._offsets[path] = offset
        return found
