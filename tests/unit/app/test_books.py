"""Where a budget runs low somebody is told; where it is gone the task ends."""

import logging
from types import SimpleNamespace

import pytest

from outrider.app.books import Watch
from outrider.core.vocabulary import Budget


def test_a_budget_that_runs_low_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Watch(SimpleNamespace()).nearing("tsk_1", Budget.CALLS)  # type: ignore[arg-type]
    (record,) = caplog.records
    assert (record.event, record.budget) == ("budget_nearing", "calls")  # type: ignore[attr-defined]


def test_a_spent_budget_ends_its_task() -> None:
    ended: list[str] = []
    sidecar = SimpleNamespace(tasks=SimpleNamespace(budget_spent=ended.append))
    Watch(sidecar).spent("tsk_1", Budget.RECORDS)  # type: ignore[arg-type]
    assert ended == ["tsk_1"]
