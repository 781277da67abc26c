"""What really happened at one party: what its agent ran, what its sidecar decided and says."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import sleep
from typing import Final

import orjson

from outrider.audit.reader import Filter, Follower, verify_directory
from outrider.cli.demo.cast import fetch
from outrider.core.jsonvalue import JsonObject, as_list, as_object
from outrider.core.ports import Clock

RECORD_S: Final = 5.0
"""How long a record may take from the answer to the file."""
_LOOK_S: Final = 0.02
_SAMPLE: Final = re.compile(r"outrider_(\w+?)(?:\{(.*)\})? ([^ ]+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision on a chain, and for whom."""

    effect: str
    reason: str | None
    codes: tuple[str, ...]
    subject: str
    credential: str
    instance: str | None = None

    @classmethod
    def of(cls, record: JsonObject) -> "Decided":
        decision, subject = as_object(record.get("decision")), as_object(record.get("subject"))
        codes = [as_object(entry).get("code") for entry in as_list(decision.get("reasons"))]
        reason, instance = decision.get("reason"), subject.get("instance")
        return cls(
            effect=str(decision.get("enforced")),
            reason=reason if isinstance(reason, str) else None,
            codes=tuple(str(code) for code in codes),
            subject=str(subject.get("id")),
            credential=str(subject.get("credential")),
            instance=instance if isinstance(instance, str) else None,
        )


@dataclass(slots=True, kw_only=True)
class Evidence:
    """One party's, read on from where it last stood."""

    chain: Path
    journal: Path
    telemetry: int
    clock: Clock
    _follower: Follower = field(init=False)
    _read: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._follower = Follower(self.chain, Filter())

    def ran(self) -> list[str]:
        """What the party's own agent was asked for since the last look."""
        data = self.journal.read_bytes()[self._read :]
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [str(as_object(orjson.loads(line)).get("call")) for line in whole.splitlines()]

    def decided(self, count: int) -> list[Decided]:
        """What its sidecar decided since the last look; waits until that is `count`, at least."""
        found: list[Decided] = []

        def is_whole() -> bool:
            fresh = self._follower.fresh()
            found.extend(Decided.of(each) for each in fresh if each.get("kind") == "decision")
            return len(found) >= count

        self.wait(is_whole)
        return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series of `name` that have `labels`, as `/metrics` says now."""
        _, body = fetch(self.telemetry, "/metrics")
        return series(body.decode("utf-8", "replace"), name, labels)

    def readiness(self) -> tuple[int, str]:
        """Status and first line of `/readyz`."""
        status, body = fetch(self.telemetry, "/readyz")
        return status, body.decode("utf-8", "replace").partition("\n")[0]

    def wait(self, holds: Callable[[], bool], within_s: float = RECORD_S) -> float | None:
        """Seconds until `holds`; None where it did not in time."""
        began_s = self.clock.monotonic_s()
        while not holds():
            if self.clock.monotonic_s() - began_s >= within_s:
                return None
            sleep(_LOOK_S)
        return self.clock.monotonic_s() - began_s

    def whole_records(self) -> int | None:
        """How many records its chain has; None where it does not hold."""

        def holds() -> bool:
            return verify_directory(self.chain).report.broken is None

        if self.wait(holds) is None:
            return None
        report = verify_directory(self.chain).report
        return report.records if report.whole and report.gaps == 0 else None


def series(text: str, name: str, labels: dict[str, str]) -> float:
    """The sum of the series of `name` in an exposition that have `labels`."""
    return sum(
        float(match[3])
        for line in text.splitlines()
        if (match := _SAMPLE.fullmatch(line)) is not None
        and match[1] == name
        and labels.items() <= dict(_LABEL.findall(match[2] or "")).items()
    )
