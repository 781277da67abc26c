"""The metrics page: whole in every format, made once for scrapes at once, kept for a second."""

import asyncio
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest as open_metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from outrider.telemetry import exposition as exposition_module
from outrider.telemetry.exposition import Exposition
from outrider.telemetry.metrics import Metrics
from tests.support.builders import FixedClock
from tests.support.metrics import ended

OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class CountingRegistry(CollectorRegistry):
    def __init__(self) -> None:
        super().__init__()
        self.collected = 0

    def collect(self) -> Iterable[Metric]:
        self.collected += 1
        return super().collect()


class FailingRegistry(CollectorRegistry):
    fails = True

    def collect(self) -> Iterable[Metric]:
        if self.fails:
            raise RuntimeError
        return super().collect()


@pytest.fixture(name="registry")
def _registry() -> CountingRegistry:
    registry = CountingRegistry()
    Counter("outrider_a", "A", ["x"], registry=registry).labels("1").inc()
    Gauge("outrider_b", "B", registry=registry).set(2)
    return registry


@pytest.mark.parametrize(
    ("accept", "kind", "parse"),
    [
        pytest.param("", "text/plain", parse_classic, id="no-accept"),
        pytest.param("text/plain", "text/plain", parse_classic, id="classic"),
        pytest.param("*/*", "text/plain", parse_classic, id="anything"),
        pytest.param("\x00,;;q=", "text/plain", parse_classic, id="nonsense"),
        pytest.param("a," * 10_000, "text/plain", parse_classic, id="very-long"),
        pytest.param(
            "application/openmetrics-text; version=x.y",
            "text/plain",
            parse_classic,
            id="no-version",
        ),
        pytest.param("text/plain; version=1.x", "text/plain", parse_classic, id="half-a-version"),
        pytest.param(OPEN, "application/openmetrics-text", parse_open, id="openmetrics"),
    ],
)
async def test_each_format_is_whole(
    registry: CountingRegistry, accept: str, kind: str, parse: Callable[[str], Iterable[Metric]]
) -> None:
    exposition = Exposition(registry, FixedClock())

    content_type, body = await exposition.render(accept)

    assert content_type.startswith(kind)
    assert {family.name for family in parse(body.decode())} == {"outrider_a", "outrider_b"}
    assert body.count(b"# EOF") == (kind != "text/plain")
    exposition.close()


async def test_scrapes_at_once_share_one_page(registry: CountingRegistry) -> None:
    exposition = Exposition(registry, FixedClock())
    pages = await asyncio.gather(*(exposition.render("") for _ in range(20)))
    assert len({body for _, body in pages}) == 1
    assert registry.collected == 1
    exposition.close()


async def test_a_page_is_kept_for_a_second_and_then_made_anew(registry: CountingRegistry) -> None:
    clock = FixedClock()
    exposition = Exposition(registry, clock)
    await exposition.render("")
    clock.pass_s(0.9)
    await exposition.render("")
    assert registry.collected == 1
    clock.pass_s(0.2)
    await exposition.render("")
    assert registry.collected == 2
    exposition.close()


async def test_a_scraper_that_leaves_spoils_nothing_for_the_next(
    registry: CountingRegistry,
) -> None:
    exposition = Exposition(registry, FixedClock())
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(exposition.render(""))
        await asyncio.sleep(0)
        leaving.cancel()
    _, body = await exposition.render("")
    assert b"outrider_b 2.0" in body
    exposition.close()


async def test_a_page_whose_scraper_left_grows_old_too(registry: CountingRegistry) -> None:
    clock = FixedClock()
    exposition = Exposition(registry, clock)
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(exposition.render(""))
        await asyncio.sleep(0)
        leaving.cancel()
    for making in [*exposition._making.values()]:
        await making
    clock.pass_s(2)
    await exposition.render("")
    assert registry.collected == 2
    exposition.close()


async def test_a_page_that_cannot_be_made_is_asked_for_again() -> None:
    registry = FailingRegistry()
    exposition = Exposition(registry, FixedClock())
    with pytest.raises(RuntimeError):
        await exposition.render("")
    registry.fails = False
    assert await exposition.render("") == ("text/plain; version=0.0.4; charset=utf-8", b"")
    exposition.close()


class Turns:
    """How often the loop was let have its turn."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = 0
        monkeypatch.setattr(exposition_module.time, "sleep", self._turn)

    def _turn(self, _: float) -> None:
        self.taken += 1


@pytest.mark.parametrize(
    ("accept", "whole"),
    [pytest.param("", generate_latest, id="classic"), pytest.param(OPEN, open_metrics, id="open")],
)
async def test_a_large_family_is_written_in_slices_and_reads_as_in_one_piece(
    accept: str,
    whole: Callable[[CollectorRegistry], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = CollectorRegistry()
    counter = Counter("outrider_a", "A\nwith a line", ["x"], registry=registry)
    for number in range(250):
        counter.labels(f'{number}"\n').inc(number)
    times = Histogram("outrider_b_seconds", "B", ["x"], registry=registry)
    for number in range(20):
        times.labels(str(number)).observe(number, {"trace_id": "a" * 32})
    Gauge("outrider_c", "C", ["x"], registry=registry)  # without a child
    turns = Turns(monkeypatch)
    exposition = Exposition(registry, FixedClock())

    _, body = await exposition.render(accept)

    assert body == whole(registry)
    assert turns.taken >= 3 + 3 + 1
    exposition.close()


async def test_however_many_formats_are_named_few_pages_are_kept(
    registry: CountingRegistry,
) -> None:
    exposition = Exposition(registry, FixedClock())
    for number in range(50):
        await exposition.render(f"application/openmetrics-text; version=1.0.{number}")
        await exposition.render(f"text/plain; version=0.0.4; escaping=x{number}")
    assert len(exposition._made) <= 8
    exposition.close()


async def test_exemplars_are_shown_to_who_can_read_them_and_only_of_sampled_traces() -> None:
    metrics = Metrics(upstreams=["crm"])
    trace = ["ab" * 16]
    metrics.link_traces(lambda: trace[0] if trace else None, lambda: 1_700_000_000.5)
    ended(metrics, whole_s=0.03)
    trace.clear()
    ended(metrics, whole_s=4)
    exposition = Exposition(metrics.registry, FixedClock())
    _, modern = await exposition.render(OPEN)
    _, classic = await exposition.render("")
    exposition.close()
    lines = [line for line in modern.decode().splitlines() if " # {" in line]
    (line,) = lines
    assert line.startswith('outrider_exchange_duration_seconds_bucket{le="0.05",')
    assert line.endswith(f'# {{trace_id="{"ab" * 16}"}} 0.03 1700000000.5')
    assert b"trace_id" not in classic
    found = [
        sample.exemplar
        for family in parse_open(modern.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    ]
    assert [one.labels for one in found] == [{"trace_id": "ab" * 16}]


async def test_no_created_series_are_written() -> None:
    exposition = Exposition(Metrics(upstreams=["crm"]).registry, FixedClock())
    for accept in ("", OPEN):
        assert b"_created" not in (await exposition.render(accept))[1]
    exposition.close()
