import pytest

from tests.bench.webhook import Effort, figures_of, measure

LITTLE = Effort(reviews=8, connections=2, pause_s=0.0, fresh=2)


def test_figures_are_milliseconds_at_their_share():
    figures = figures_of([n / 1000 for n in range(1, 101)])
    assert (figures.p50, figures.p95, figures.p99, figures.most) == pytest.approx(
        (51.0, 96.0, 100.0, 100.0)
    )


async def test_every_review_of_a_measurement_is_injected():
    *figures, spent_ms = await measure(LITTLE)
    for found in figures[:2]:
        assert 0 < found.p50 <= found.p99 <= found.most
    assert spent_ms >= 0
