"""Records hold what was judged, never an argument's value."""

import orjson

from outrider.audit.chain import ZERO_HASH, seal
from outrider.core.decision import ReasonEntry
from outrider.core.jsonvalue import FloatFree, has_no_float
from outrider.core.ports import Judged, Lease
from outrider.core.vocabulary import (
    Effect,
    OutcomeStatus,
    Reason,
    RecordKind,
    ResourceType,
    Role,
)
from outrider.pipeline import records
from tests.support.builders import (
    FixedClock,
    a_decision,
    a_subject,
    a_task,
    an_action,
    an_ask,
    an_exchange,
)

CANARY = "canary-5f2a"


def test_a_decision_record_is_whole_and_holds_no_argument_value() -> None:
    action = an_action(
        ask=an_ask(arguments={"ticket_id": CANARY, "body": CANARY}),
        roles=(("/ticket_id", Role.TARGET), ("/body", Role.CONTENT)),
    )
    judged = Judged(decision=a_decision(), query=CANARY.encode(), input_digest="sha256:aa")
    record = records.base(RecordKind.DECISION, FixedClock(), an_exchange(), a_subject(), a_task())
    records.completed(record, action, judged, "sha256:bb")
    record["decision"] = records.decision_facts(judged.decision, Effect.ALLOW, None)
    text = orjson.dumps(record).decode()
    assert CANARY not in text
    assert record["action"]["redacted"] == ["/body"]  # type: ignore[index,call-overload]
    assert record["time"] == "2026-11-23T09:30:00.000000Z"
    assert set(record) >= {
        "id", "kind", "trace_id", "span_id", "task", "principal", "subject", "delegation",
        "action", "destination", "decision", "input_digest",
    }  # fmt: skip


def test_what_a_begun_record_vouches_for_holds() -> None:
    """The walk that sealing leaves out for these would have found nothing."""
    shared = records.whose(an_exchange(), a_subject(), a_task())
    record = records.begun(RecordKind.DECISION, FixedClock(), shared)
    judged = Judged(decision=a_decision(eval_us=1.5), query=b"", input_digest="sha256:aa")
    records.completed(record, an_action(), judged, None)
    record["decision"] = records.decision_facts(judged.decision, Effect.ALLOW, None)
    record["outcome"] = records.outcome_facts(
        OutcomeStatus.EXECUTED, None, http_status=200, bytes_in=1, bytes_out=1, duration_s=0.0125
    )
    assert isinstance(record, FloatFree)
    assert has_no_float(dict(record))
    plain = dict(record)
    assert seal(record, 1, ZERO_HASH, "x") == seal(plain, 1, ZERO_HASH, "x")


def test_what_records_share_is_not_written_to() -> None:
    shared = records.whose(an_exchange(), a_subject(), a_task())
    before = dict(shared)
    records.begun(RecordKind.OUTCOME, FixedClock(), shared)["outcome"] = {}
    assert shared == before


def test_a_record_without_a_subject_says_null() -> None:
    record = records.base(RecordKind.BOOT, FixedClock(), None, None, None)
    assert (record["subject"], record["task"], record["trace_id"]) == (None, None, None)


def test_a_long_name_is_cut() -> None:
    facts = records.action_facts(an_action(ask=an_ask(resource="x" * 10_000)), None)
    assert len(str(facts["resource"])) == 512


def test_an_outcome_says_what_became_of_it() -> None:
    facts = records.outcome_facts(
        OutcomeStatus.UNKNOWN,
        Reason.UPSTREAM_ERROR,
        http_status=None,
        bytes_in=3,
        bytes_out=0,
        duration_s=0.0125,
    )
    assert (facts["status"], facts["error"], facts["class"], facts["duration_ms"]) == (
        "unknown", "upstream_error", None, 12,
    )  # fmt: skip


def test_a_lease_is_recorded_by_its_fingerprint_alone() -> None:
    lease = Lease(id="l", provider="file", fingerprint="hmac:1", expires_unix_s=0.5, headers=())
    assert set(records.lease_facts(lease)) == {"id", "fingerprint", "provider", "expires_at"}


def test_policys_reasons_are_recorded_as_it_gave_them() -> None:
    entry = ReasonEntry(
        code="SQ-04", message="too much", severity="high", refs=("a",), pointer="/amount"
    )
    shadow = ReasonEntry(code="SQ-05", mode="shadow")
    decision = a_decision(Effect.DENY, Reason.POLICY, reasons=(entry, shadow))
    facts = records.decision_facts(decision, Effect.DENY, Reason.POLICY)
    assert facts["reasons"] == [
        {
            "code": "SQ-04", "message": "too much", "severity": "high", "refs": ["a"],
            "pointer": "/amount", "mode": "enforce",
        },
        {
            "code": "SQ-05", "message": "", "severity": "medium", "refs": [],
            "pointer": None, "mode": "shadow",
        },
    ]  # fmt: skip


def test_a_uri_is_recorded_without_what_it_could_carry_out() -> None:
    ask = an_ask(resource_type=ResourceType.RESOURCE, resource="memo:///hunter2")
    facts = records.action_facts(an_action(ask=ask), None)
    assert "hunter2" not in str(facts)
