"""What is claimed is read where it stands: journal, chain and page."""

from pathlib import Path

import orjson
import pytest

from outrider.cli.demo.spire.evidence import Decided, Evidence, series
from outrider.core.clock import SystemClock

PAGE = """\
# HELP outrider_identity_handshakes_total Handshakes
# TYPE outrider_identity_handshakes_total counter
outrider_identity_handshakes_total{reason="ok",role="server"} 4.0
outrider_identity_handshakes_total{reason="wrong_authority",role="server"} 2.0
outrider_identity_handshakes_total{reason="wrong_authority",role="client"} 1.0
outrider_identity_svid_seconds_remaining 3599.5
"""


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    (tmp_path / "audit").mkdir()
    (tmp_path / "journal.jsonl").touch()
    return Evidence(
        chain=tmp_path / "audit",
        journal=tmp_path / "journal.jsonl",
        telemetry=1,
        clock=SystemClock(),
    )


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("identity_handshakes_total", {"reason": "wrong_authority", "role": "server"}, 2),
        ("identity_handshakes_total", {"reason": "wrong_authority"}, 3),
        ("identity_handshakes_total", {}, 7),
        ("identity_handshakes", {}, 0),
        ("identity_handshakes_total", {"reason": "wrong"}, 0),
        ("identity_svid_seconds_remaining", {}, 3599.5),
    ],
)
def test_series_are_summed_by_their_labels(name: str, labels: dict[str, str], value: float) -> None:
    assert series(PAGE, name, labels) == value


def test_a_journal_is_read_on_by_whole_lines(evidence: Evidence) -> None:
    with evidence.journal.open("ab") as file:
        file.write(b'{"call": "GET /people/7"}\n{"call": "GET')
        file.flush()
        assert evidence.ran() == ["GET /people/7"]
        file.write(b' /people"}\n')
    assert evidence.ran() == ["GET /people"]
    assert evidence.ran() == []


def test_a_decision_is_told_with_its_subject_and_codes() -> None:
    record = {
        "decision": {
            "enforced": "deny",
            "reason": "policy",
            "reasons": [{"code": "CA-01"}, {"code": "EF-00"}],
        },
        "subject": {
            "id": "spiffe://a.test/planner",
            "credential": "x509-svid",
            "instance": "start:1",
        },
    }
    assert Decided.of(orjson.loads(orjson.dumps(record))) == Decided(
        effect="deny",
        reason="policy",
        codes=("CA-01", "EF-00"),
        subject="spiffe://a.test/planner",
        credential="x509-svid",
        instance="start:1",
    )
    assert Decided.of({"decision": {"enforced": "allow", "reason": None}}).reason is None


def test_nobody_answering_is_no_readiness_and_no_metric(evidence: Evidence) -> None:
    assert evidence.readiness() == (0, "")
    assert evidence.metric("identity_handshakes_total") == 0


def test_waiting_ends_with_what_is_waited_for_or_in_time(evidence: Evidence) -> None:
    answers = iter([False, True])
    took_s = evidence.wait(lambda: next(answers))
    assert took_s is not None
    assert took_s > 0
    assert evidence.wait(lambda: False, within_s=0.0) is None
    assert evidence.decided(0) == []
