"""What becomes of audit records is counted; a loss is never silent."""

from tests.support.metrics import a_registry, value

RECORDS = "outrider_audit_records_total"


def test_records_are_counted_by_what_came_of_them() -> None:
    metrics = a_registry()
    metrics.audit_wrote(5, 100.0)
    metrics.audit_failed("dropped")
    metrics.audit_failed("retry", 2)
    shown = {
        each: value(metrics, RECORDS, sink="file", result=each)
        for each in ("ok", "dropped", "retry")
    }
    assert shown == {"ok": 5, "dropped": 1, "retry": 2}
    assert value(metrics, "outrider_audit_last_success_timestamp_seconds", sink="file") == 100


def test_a_loss_has_its_series_before_it_happens() -> None:
    metrics = a_registry()
    assert value(metrics, RECORDS, sink="file", result="dropped") == 0
    assert value(metrics, "outrider_audit_gaps_total") == 0


def test_gaps_repeats_and_the_queue_are_shown() -> None:
    metrics = a_registry()
    metrics.audit_gap()
    metrics.audit_unresolved(2)
    assert value(metrics, "outrider_audit_unresolved_decisions") == 2
    metrics.audit_repeated(7)
    metrics.audit_queue(3, 1000)
    metrics.audit_appended(0.002)
    assert value(metrics, "outrider_audit_gaps_total") == 1
    assert value(metrics, "outrider_audit_repeats_total") == 7
    assert value(metrics, "outrider_audit_queue_records", sink="file") == 3
    assert value(metrics, "outrider_audit_queue_capacity_records", sink="file") == 1000
    assert value(metrics, "outrider_audit_append_duration_seconds_count") == 1
