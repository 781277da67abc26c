"""The audit chain: records written, waiting and lost."""

from typing import Final

from outrider.telemetry.families.base import FAST, Families, closed

SINKS: Final = ("file",)
RESULTS: Final = ("ok", "retry", "dropped")


class AuditFamilies(Families):
    def _declare(self) -> None:
        super()._declare()
        sink = closed("sink", SINKS)
        records = self._counter(
            "audit_records_total",
            "Audit records by what came of them; `dropped` must stay 0",
            sink,
            closed("result", RESULTS),
        )
        self._records = {each: records.labels("file", each) for each in RESULTS}
        self._repeats = self._counter(
            "audit_repeats_total", "Refusals folded into `repeat` records"
        )
        self._append_s = self._spread(
            "audit_append_duration_seconds", "Time to append a record, with the sync", FAST
        ).labels()
        queue = self._level("audit_queue_records", "Records waiting to be written", sink)
        capacity = self._level("audit_queue_capacity_records", "Room for waiting records", sink)
        success = self._level(
            "audit_last_success_timestamp_seconds", "When a write last went well", sink
        )
        self._queue, self._capacity = queue.labels("file"), capacity.labels("file")
        self._audit_success = success.labels("file")
        self._unresolved = self._one(
            "audit_unresolved_decisions", "Decisions that are owed an outcome"
        )
        self._gaps = self._counter(
            "audit_gaps_total", "Decisions found without an outcome after a crash"
        )

    def audit_appended(self, seconds: float) -> None:
        self._append_s.observe(seconds)

    def audit_wrote(self, records: int, unix_s: float) -> None:
        self._records["ok"].inc(records)
        self._audit_success.set(unix_s)

    def audit_failed(self, result: str, records: int = 1) -> None:
        """`result` is `retry` or `dropped`."""
        self._records[result].inc(records)

    def audit_repeated(self, count: int) -> None:
        self._repeats.inc(count)

    def audit_gap(self) -> None:
        self._gaps.inc()

    def audit_unresolved(self, decisions: int) -> None:
        self._unresolved.set(decisions)

    def audit_queue(self, waiting: int, capacity: int) -> None:
        self._queue.set(waiting)
        self._capacity.set(capacity)
