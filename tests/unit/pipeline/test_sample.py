"""A share of the exchanges gets a log line, and nobody's words stand in it."""

import logging
from types import SimpleNamespace

import pytest

from outrider.core.exchange import TraceContext
from outrider.core.vocabulary import Direction, ProtocolName, Reason
from outrider.pipeline.sample import ExchangeSample

TRACE = TraceContext(trace_id="0" * 31 + "1", span_id="0" * 15 + "2", parent_id=None, sampled=False)


def a_passage(**changes: object) -> SimpleNamespace:
    exchange = SimpleNamespace(id="req-1", direction=Direction.EGRESS, trace=TRACE)
    given: dict[str, object] = {
        "exchange": exchange,
        "protocol": ProtocolName.MCP,
        "decision_id": "",
        "task": SimpleNamespace(id="task-1"),
        "leg": SimpleNamespace(recorded=("dec-1", "dec-2")),
        "reason": None,
    }
    return SimpleNamespace(**given | changes)


def told(
    sample: ExchangeSample,
    caplog: pytest.LogCaptureFixture,
    count: int = 1,
    *,
    aborted: bool = False,
    **changes: object,
) -> list[logging.LogRecord]:
    caplog.set_level(logging.INFO, "outrider.exchange")
    for _ in range(count):
        sample.ended(a_passage(**changes), aborted=aborted, whole_s=0.0125)  # type: ignore[arg-type]
    return caplog.records


@pytest.mark.parametrize(
    ("share", "lines"),
    [
        pytest.param(0.0, 0, id="off"),
        pytest.param(0.01, 1, id="one-in-a-hundred"),
        pytest.param(0.1, 10, id="one-in-ten"),
        pytest.param(1.0, 100, id="all"),
    ],
)
def test_the_share_is_kept_evenly(
    share: float, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    # a tenth is no number of the machine's: the last of a hundred may come one later
    assert len(told(ExchangeSample(share), caplog, 101)) in {lines, round(101 * share)}


def test_a_line_says_how_it_ended_and_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = told(ExchangeSample(1), caplog)
    fields = vars(record)
    assert {key: fields[key] for key in ("event", "request_id", "trace_id", "decision_id")} == {
        "event": "exchange",
        "request_id": "req-1",
        "trace_id": TRACE.trace_id,
        "decision_id": "dec-1",
    }
    assert (fields["outcome"], fields["reason"], fields["task"]) == ("allowed", None, "task-1")
    assert fields["whole_ms"] == 12.5


@pytest.mark.parametrize(
    ("changes", "aborted", "outcome", "decision"),
    [
        pytest.param(
            {"reason": Reason.POLICY, "decision_id": "dec-9"}, False, "denied", "dec-9", id="denied"
        ),
        pytest.param({"leg": None, "task": None}, True, "aborted", None, id="aborted"),
        pytest.param({"reason": Reason.OVERLOAD, "leg": None}, True, "shed", None, id="shed"),
    ],
)
def test_every_end_has_its_outcome(
    changes: dict[str, object],
    aborted: bool,
    outcome: str,
    decision: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (record,) = told(ExchangeSample(1), caplog, aborted=aborted, **changes)
    assert (vars(record)["outcome"], vars(record)["decision_id"]) == (outcome, decision)
