"""What the straight path counts is shown as prometheus_client's own metrics would show it."""

from collections.abc import Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from outrider.telemetry import metrics
from outrider.telemetry.tally import LevelFamily, SpreadFamily, TallyFamily

BOUNDS = (0.001, 0.01, 1)


@pytest.fixture(autouse=True)
def _without_created() -> None:
    assert metrics.Metrics  # importing it is what leaves out the `_created` series


def both() -> tuple[CollectorRegistry, CollectorRegistry]:
    return CollectorRegistry(auto_describe=False), CollectorRegistry(auto_describe=False)


@pytest.mark.parametrize("labels", [(), ("a", "b")], ids=["plain", "labelled"])
@pytest.mark.parametrize(
    "amounts",
    [
        pytest.param((), id="nothing-yet"),
        pytest.param((0.001,), id="on-a-bound"),
        pytest.param((0.0, 0.0005, 0.002, 0.5, 1.0, 1.5, 9.0), id="everywhere"),
        pytest.param((-1.0,), id="below-nothing"),
    ],
)
def test_a_spread_shows_what_a_histogram_shows(
    labels: tuple[str, ...], amounts: Iterable[float]
) -> None:
    ours, theirs = both()
    spread = SpreadFamily("x_seconds", "Text", labels, bounds=BOUNDS, registry=ours)
    histogram = Histogram("x_seconds", "Text", labels, buckets=BOUNDS, registry=theirs)
    values = [label.upper() for label in labels]
    child = histogram.labels(*values) if labels else histogram
    for amount in amounts:
        spread.labels(*values).observe(amount)
        child.observe(amount)
    spread.labels(*values)
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_tally_shows_what_a_counter_shows() -> None:
    ours, theirs = both()
    tally = TallyFamily("x_total", "Text", ("a",), registry=ours)
    counter = Counter("x_total", "Text", ("a",), registry=theirs)
    for one in (tally, counter):
        one.labels("b").inc()
        one.labels("b").inc(2)
        one.labels('"\n').inc()
    assert generate_latest(ours) == generate_latest(theirs)


def test_a_level_shows_what_a_gauge_shows() -> None:
    ours, theirs = both()
    level = LevelFamily("x", "Text", ("a",), registry=ours)
    gauge = Gauge("x", "Text", ("a",), registry=theirs)
    for one in (level, gauge):
        one.labels("b").inc()
        one.labels("b").inc(-3)
    assert generate_latest(ours) == generate_latest(theirs)


def test_what_is_removed_is_gone_and_gone_only_once() -> None:
    registry, _ = both()
    tally = TallyFamily("x_total", "Text", ("a",), registry=registry)
    tally.labels("b").inc()
    tally.remove("b")
    assert registry.get_sample_value("x_total", {"a": "b"}) is None
    with pytest.raises(KeyError):
        tally.remove("b")


def test_labels_are_as_many_as_declared() -> None:
    registry, _ = both()
    with pytest.raises(ValueError, match="labels"):
        TallyFamily("x_total", "Text", ("a",), registry=registry).labels("b", "c")
