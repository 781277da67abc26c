"""What became of spans is counted."""

import pytest

from outrider.telemetry.families.tracing import SPAN_RESULTS
from tests.support.metrics import a_registry, value


@pytest.mark.parametrize("result", SPAN_RESULTS)
def test_spans_are_counted_by_what_became_of_them(result: str) -> None:
    metrics = a_registry()
    assert value(metrics, "outrider_spans_total", result=result) == 0
    metrics.spans(result, 3)
    assert value(metrics, "outrider_spans_total", result=result) == 3
